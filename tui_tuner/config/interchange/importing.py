"""From a file of any tool that is known to an experiment, with the report; and whose file it is, told by its keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tui_tuner.config.interchange.foreign import read_axolotl, read_llama_factory, read_peft, read_unsloth
from tui_tuner.config.interchange.reading import leaves, parsed
from tui_tuner.config.interchange.report import Imported, Ledger
from tui_tuner.config.interchange.stock_in import read_stock
from tui_tuner.config.toml import read_text
from tui_tuner.errors import TunerError

DIALECTS: Final[dict[str, Callable[[dict[str, Any], Path | None], Ledger]]] = {
    "mlx-lm": read_stock,
    "axolotl": read_axolotl,
    "peft": read_peft,
    "unsloth": read_unsloth,
    "llama-factory": read_llama_factory,
}
"""Whose files are understood."""

_KEYS: Final[dict[str, frozenset[str]]] = {
    "mlx-lm": frozenset(
        {
            *("fine_tune_type", "num_layers", "lora_layers", "lora_parameters", "steps_per_report", "steps_per_eval"),
            *("val_batches", "mask_prompt", "adapter_path", "resume_adapter_file", "grad_checkpoint", "iters"),
            *("save_every", "hf_dataset", "test_batches", "lr_schedule", "optimizer_config", "grad_accumulation_steps"),
        }
    ),
    "axolotl": frozenset(
        {
            *("base_model", "micro_batch_size", "sequence_len", "datasets", "lora_target_linear", "lora_r"),
            *("lora_target_modules", "num_epochs", "val_set_size", "dataset_prepared_path", "train_on_inputs"),
            *("evals_per_epoch", "saves_per_epoch", "wandb_entity", "pad_to_sequence_len", "sample_packing"),
            *("lora_model_dir", "peft_use_dora", "peft_use_rslora", "base_model_config"),
        }
    ),
    "peft": frozenset(
        {
            *("peft_type", "task_type", "base_model_name_or_path", "inference_mode", "fan_in_fan_out"),
            *("layers_to_transform", "layers_pattern", "modules_to_save", "rank_pattern", "alpha_pattern"),
            *("init_lora_weights", "auto_mapping", "megatron_config"),
        }
    ),
    "unsloth": frozenset(
        {
            *("use_gradient_checkpointing", "random_state", "dataset_text_field", "dataset_num_proc", "loftq_config"),
            *("load_in_4bit", "max_seq_length", "model_name", "full_finetuning", "packing", "fast_inference"),
            "train_on_responses_only",
        }
    ),
    "llama-factory": frozenset(
        {
            *("finetuning_type", "stage", "cutoff_len", "lora_target", "lora_rank", "dataset_dir", "template"),
            *("max_samples", "preprocessing_num_workers", "plot_loss", "quantization_bit", "do_train", "val_size"),
            *("model_name_or_path", "overwrite_cache", "quantization_method"),
        }
    ),
}


def import_file(path: Path, dialect: str | None = None) -> Imported:
    """The experiment that a file of another tool means, and what became of each of its keys.

    Args:
        path: YAML or JSON.
        dialect: whose file it is, one of `DIALECTS`; None tells it by the keys.

    Raises:
        TunerError: `bad-yaml`, `unknown-dialect`, or why it cannot be read.
    """
    return import_text(read_text(path), str(path), dialect, path.absolute().parent)


def import_text(text: str, where: str, dialect: str | None = None, base: Path | None = None) -> Imported:
    """As `import_file`, of a text; `where` is what to call it in errors, `base` where its relative paths begin."""
    values, twice = parsed(text, where)
    if dialect is None:
        dialect, sure = detected(values, where)
    elif dialect in DIALECTS:
        sure = "given"
    else:
        raise _unknown(f'"{dialect}" is no tool whose files are known', where)
    ledger = DIALECTS[dialect](values, base)
    ledger.notes += [f"{key} is given twice in the file, and the last one counts" for key in twice]
    return ledger.closed(dialect, sure, where)


def detected(values: Mapping[str, Any], where: str = "") -> tuple[str, str]:
    """Whose file it is, and how surely: "certain" or "likely".

    Raises:
        TunerError: `unknown-dialect` when the keys do not tell.
    """
    names = {part.replace("-", "_") for key, _ in leaves(values) for part in key.split(".")}
    points = sorted(((len(names & keys), dialect) for dialect, keys in _KEYS.items()), reverse=True)
    (most, first), rest = points[0], points[1][0] if len(points) > 1 else 0
    if not most or most == rest:
        raise _unknown("its keys do not tell which tool it is for", where)
    return first, "certain" if most >= 3 and most >= 2 * rest else "likely"


def _unknown(message: str, where: str) -> TunerError:
    return TunerError(
        message, code="unknown-dialect", where=where, fix=f"say it: --as {', '.join(DIALECTS)}", usage=True
    )
