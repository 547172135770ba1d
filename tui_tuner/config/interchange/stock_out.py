"""A configuration for stock `mlx_lm.lora`, and the commands that train and ask with it.

What is written trains with `mlx_lm.lora --config` to the losses that a run in stock mode has, bit for bit. What stock
mlx-lm has no key for is told, and whether it changes the losses. It must never write a value that stock mlx-lm would
pass over in silence.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tui_tuner.config import describe
from tui_tuner.config.interchange.stock_data import HUB
from tui_tuner.config.model import AdapterSection, Experiment, TrainSection
from tui_tuner.errors import TunerError
from tui_tuner.paths import resolve_data, resolve_model, safe_name

_ADAPTERS: Final = "adapters"
_SIDES: Final = ("prompt", "completion")
_COLUMN = re.compile(r"\{([^{}]+)\}")
# What changes the losses or the weights that a run ends with, when it is not as stated, and what is told then.
_ONLY_HERE: Final[tuple[tuple[str, str], ...]] = (
    ("train.clip_norm", "stock mlx-lm never clips gradients"),
    ("train.patience", "stock mlx-lm never ends early"),
    ("train.reuse_frozen", "stock mlx-lm computes frozen layers every time; the losses are the same"),
    ("train.clear_cache_threshold", "stock mlx-lm gives unused memory back after every step"),
    ("model.bits", "make the quantized model first, with `mlx_lm.convert -q`, or export the run, which names it"),
    ("model.chat_template", "stock mlx-lm takes the template of the model's tokenizer"),
    ("behaviour.cases", "stock mlx-lm has no behaviour tests"),
    ("probes.prompts", "stock mlx-lm asks nothing while it trains"),
    ("evaluation.canaries", "stock mlx-lm has no canaries"),
)


@dataclass(frozen=True)
class StockFile:
    """A file for `mlx_lm.lora --config`.

    Attributes:
        values: its keys.
        told: what stock mlx-lm cannot do of the experiment, or does otherwise, a sentence each.
        equal: whether its losses are those of the experiment in stock mode.
    """

    values: dict[str, Any]
    told: tuple[str, ...]
    equal: bool

    @property
    def text(self) -> str:
        """The file."""
        head = ["# For mlx_lm.lora --config; made from an experiment of tui-tuner."]
        head += [f"# {line}" for line in self.told]
        body = yaml.safe_dump(self.values, sort_keys=False, allow_unicode=True, default_flow_style=None)
        return "\n".join(head) + f"\n{body}"


def stock_file(
    experiment: Experiment,
    data: str = "",
    iters: int | None = None,
    adapter_config: Mapping[str, Any] | None = None,
    test_rows: int | None = None,
) -> StockFile:
    """The file that has stock mlx-lm train what the experiment trains.

    Args:
        experiment: with absolute paths, or paths that count from where stock mlx-lm will be started.
        data: the folder with the prepared train.jsonl, valid.jsonl and test.jsonl; empty where the rows are not
            prepared, and the file then names the source.
        iters: how many iterations the run has, where the experiment counts in epochs.
        adapter_config: the `adapter_config.json` of the run, which has its modules by their whole names.
        test_rows: how many test rows there are, where that is known.

    Raises:
        TunerError: `no-iterations`: it counts in epochs, and the iterations are not known.
    """
    train = experiment.train
    if train.epochs and iters is None:
        raise TunerError(
            "stock mlx-lm counts iterations only, and how many an epoch has is known when the rows are prepared",
            code="no-iterations",
            where="train.epochs",
            fix="prepare them with --data FOLDER, or set train.epochs=0 and train.iters",
        )
    settled = train.model_copy(update={"iters": iters if train.epochs and iters else train.iters, "epochs": 0.0})
    told: list[str] = []
    prepared = _prepared(experiment, data, told)
    layers, found = _layers(experiment.adapter, adapter_config, told)
    values: dict[str, Any] = {
        "model": resolve_model(experiment.model.path, None),
        "train": True,
        "fine_tune_type": experiment.adapter.method,
        **({"data": data} if data else _source(experiment)),
        "seed": experiment.run.seed,
        **layers,
        "mask_prompt": experiment.data.mask_prompt,
        **_training(settled),
        **_test(experiment, settled.batch_size, test_rows, told),
        "adapter_path": str(Path(_ADAPTERS) / safe_name(experiment.run.name)),
    }
    if experiment.adapter.start_from:
        values["resume_adapter_file"] = _weights(experiment.adapter.start_from)
    same = _otherwise(experiment, told)
    return StockFile(values, tuple(told), same and prepared and found)


def lora_command(config: Path | str) -> str:
    """The command that trains with a file of `stock_file`, for a shell."""
    return shlex.join(["mlx_lm.lora", "--config", str(config)])


def generate_command(model: str, adapter: Path | str | None, prompt: str = "Hello", max_tokens: int = 128) -> str:
    """The command that asks a model with an adapter, for a shell."""
    words = ["mlx_lm.generate", "--model", resolve_model(model, None)]
    words += ["--adapter-path", str(adapter)] if adapter else []
    return shlex.join([*words, "--prompt", prompt, "--max-tokens", str(max_tokens)])


def _prepared(experiment: Experiment, data: str, told: list[str]) -> bool:
    """Whether stock mlx-lm reads the rows that a run trains; what is lacking is told."""
    if data:
        return True
    made = [key for key in ("prompt", "system", "filter", "sample", "fixes") if getattr(experiment.data, key)]
    what = f" (data.{', data.'.join(made)})" if made else ""
    told.append(
        f"data: the source as it is. Stock mlx-lm reads only prepared rows{what}: make them with --data FOLDER, or "
        "export a run, which has them in its folder"
    )
    return False


def _source(experiment: Experiment) -> dict[str, Any]:
    """The rows as they are found, with the names of their columns where a template is one column alone."""
    data = experiment.data
    columns = {}
    if len(data.prompt) == len(data.completion) == 1:
        found = [_COLUMN.fullmatch(template) for template in (data.prompt[0], data.completion[0])]
        columns = {f"{name}_feature": match[1] for name, match in zip(_SIDES, found, strict=True) if match}
    columns = columns if len(columns) == len(_SIDES) else {}
    if not data.source.startswith(HUB):
        return {"data": resolve_data(data.source, None), **columns}
    path = data.source.removeprefix(HUB)
    section: dict[str, Any] = {"path": path, **columns}
    if data.subset:
        section["config"] = {"name": data.subset}
    if data.slice:
        section["train_split"] = data.slice
    if data.valid_share:
        # Sets are cut at whole percents, and the last 0 % of one would be all of it.
        section["valid_split"] = f"train[-{max(round(data.valid_share * 100), 1)}%:]"
    return {"hf_dataset": section} if len(section) > 1 else {"data": path}


def _layers(adapter: AdapterSection, config: Mapping[str, Any] | None, told: list[str]) -> tuple[dict[str, Any], bool]:
    """`num_layers` and `lora_parameters`, from the run's own adapter where there is one; whether they name the same."""
    layers: Any = adapter.layers or -1
    scale = {"rank": adapter.rank, "dropout": adapter.dropout, "scale": adapter.effective_scale}
    same, keys = True, list(adapter.targets)
    if config is not None:
        layers = config.get("num_layers", layers)
        keys = list((config.get("lora_parameters") or {}).get("keys") or [])
    elif adapter.layer_numbers:
        told.append("adapter.layer_numbers: the names of single layers are known from a run's adapter; export the run")
        same = False
    elif bare := [name for name in keys if "." not in name and adapter.method != "full"]:
        told.append(
            f"adapter.targets: stock mlx-lm wants the whole path within a layer, so {bare[0]} matches nothing; "
            "export a run, whose adapter has the paths"
        )
        same = False
    if adapter.method == "full":
        return {"num_layers": layers}, same
    return {"num_layers": layers, "lora_parameters": {**scale, **({"keys": keys} if keys else {})}}, same


def _training(train: TrainSection) -> dict[str, Any]:
    values: dict[str, Any] = {
        "optimizer": train.optimizer,
        "batch_size": train.batch_size,
        "iters": train.iters,
        "learning_rate": train.learning_rate,
        "max_seq_length": train.max_seq_length,
        "grad_accumulation_steps": train.grad_accumulation,
        "grad_checkpoint": train.grad_checkpoint,
        "steps_per_report": train.report_every,
        "steps_per_eval": train.eval_every,
        "val_batches": train.eval_batches,
        "save_every": train.save_every,
    }
    if train.weight_decay:
        values["optimizer_config"] = {train.optimizer: {"weight_decay": train.weight_decay}}
    if schedule := _schedule(train):
        values["lr_schedule"] = schedule
    return values


def _schedule(train: TrainSection) -> dict[str, Any]:
    """mlx-lm's `lr_schedule` for the rate of a run, as `training.optimizers.build_schedule` has it; empty: constant."""
    rate = train.learning_rate
    left = max(max(train.iters // train.grad_accumulation, 1) - train.warmup, 1)
    if train.schedule == "cosine":
        schedule: dict[str, Any] = {"name": "cosine_decay", "arguments": [rate, left]}
    elif train.schedule == "linear":
        schedule = {"name": "linear_schedule", "arguments": [rate, 0.0, left]}
    elif train.warmup:
        schedule = {"name": "linear_schedule", "arguments": [rate, rate, left]}
    else:
        return {}
    return {**schedule, "warmup": train.warmup} if train.warmup else schedule


def _test(experiment: Experiment, batch: int, rows: int | None, told: list[str]) -> dict[str, Any]:
    """The loss on test rows after training: all that stock mlx-lm measures of them."""
    section = experiment.evaluation
    if not section.enabled:
        return {"test": False}
    if rows is not None and rows < batch:
        told.append(
            f"evaluation: stock mlx-lm stops at fewer test rows than a batch ({rows} of {batch}), so none are asked"
        )
        return {"test": False}
    told.append("evaluation: stock mlx-lm measures the loss on test rows after training, and no answers")
    wanted = section.rows if rows is None else min(section.rows, rows)
    return {"test": True, "test_batches": max(wanted // batch, 1) if wanted else -1}


def _otherwise(experiment: Experiment, told: list[str]) -> bool:
    """Tells what stock mlx-lm does otherwise; whether the losses are the same in spite of it."""
    same = True
    train = experiment.train
    if train.mode != "stock":
        told.append('train.mode: the losses are those of train.mode = "stock"; "fast" makes other batches')
        same = False
    if train.keep != "last" or train.best_by != "loss":
        told.append("train.keep: stock mlx-lm ends with the last weights")
    for key, note in _ONLY_HERE:
        info = describe.field(key)
        if info is not None and describe.value_of(experiment, info) != info.default:
            told.append(f"{key}: {note}")
            same = same and key not in ("train.clip_norm", "train.patience", "model.bits", "model.chat_template")
    return same


def _weights(start: str) -> str:
    path = Path(start)
    return str(path / "adapters.safetensors") if path.suffix != ".safetensors" else start
