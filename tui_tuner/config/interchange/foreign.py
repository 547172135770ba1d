"""Axolotl, PEFT, Unsloth and LLaMA-Factory: the common hyper-parameters of their files, brought over.

Names that mean the same under another name are those of `suggest.ELSEWHERE`. Keys are as in the tools' documentation:
Axolotl's configuration reference, PEFT's LoraConfig, Unsloth's FastLanguageModel with TRL's SFTConfig, and
LLaMA-Factory's arguments. What has no counterpart is left out with the reason, never in silence.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from tui_tuner.config.interchange.reading import NAMELESS
from tui_tuner.config.interchange.report import Ledger
from tui_tuner.config.interchange.trainer_keys import (
    defaults,
    explain_rest,
    read_alpha,
    read_base,
    read_bits,
    read_name,
    read_source,
    read_targets,
    read_training,
)
from tui_tuner.config.suggest import ELSEWHERE

_SHAPES: Final = {
    "alpaca": "alpaca",
    "sharegpt": "sharegpt",
    "chat_template": "messages",
    "completion": "text",
    "oasst": "tree",
    "input_output": "",
}
_TEMPLATES: Final = {
    "tokenizer_default": "auto",
    "default": "auto",
    "chatml": "chatml",
    "qwen": "chatml",
    "llama3": "llama-3",
    "llama2": "llama-2",
    "mistral": "mistral",
    "gemma": "gemma",
    "gemma2": "gemma",
    "phi": "phi-3",
    "phi_3": "phi-3",
    "phi_35": "phi-3",
    "zephyr": "zephyr",
    "vicuna": "vicuna",
    "alpaca": "alpaca",
}
_SAME: Final = {
    "learning_rate": "train.learning_rate",
    "max_seq_length": "train.max_seq_length",
    "seed": "run.seed",
}
"""Keys that are called the same here."""
_TRAINER: Final = {
    "train.learning_rate": ("learning_rate", 5e-5),
    "train.schedule": ("lr_scheduler_type", "linear"),
    "train.batch_size": ("per_device_train_batch_size", 8),
    "train.clip_norm": ("max_grad_norm", 1.0),
}
"""Defaults of transformers' TrainingArguments that are not ours."""


def read_axolotl(values: dict[str, Any], base: Path | None = None) -> Ledger:
    """Brings over a file of Axolotl."""
    ledger = Ledger.of(values, base)
    read_base(ledger, "base_model")
    method = str(ledger.values.get("adapter") or "")
    if method in ("lora", "qlora"):
        ledger.put("adapter", "adapter.method", "lora", "" if method == "lora" else "on a quantized base")
    elif method:
        ledger.leave("adapter", "adapters here are lora and dora", warning=True)
    else:
        ledger.put("adapter", "adapter.method", "full", "without an adapter the weights themselves are trained")
    read_bits(ledger)
    if method == "qlora" and not ledger.ours("model.bits"):
        ledger.tables.setdefault("model", {})["bits"] = 4
        ledger.notes.append("adapter: qlora trains on a base of 4 bits, so model.bits is 4")
    for name, ours in (("peft_use_dora", "dora"), ("peft_use_rslora", "rslora")):
        _switch(ledger, name, ours)
    if ledger.has("lora_target_linear") and ledger.values["lora_target_linear"]:
        ledger.put("lora_target_linear", "adapter.targets", [], "every linear module, which is the empty list here")
        if ledger.has("lora_target_modules"):
            ledger.leave("lora_target_modules", "lora_target_linear takes every linear module")
    else:
        read_targets(ledger, "lora_target_modules")
    _layer_numbers(ledger, "peft_layers_to_transform")
    read_training(ledger)
    _datasets(ledger)
    _held_back(ledger, "val_set_size")
    _masking(ledger, "train_on_inputs")
    _template(ledger, "chat_template")
    read_name(ledger, "output_dir")
    known = {**_TRAINER, "train.schedule": ("lr_scheduler", "cosine"), "train.batch_size": ("micro_batch_size", 1)}
    if not ledger.ours("train.iters"):
        known["train.epochs"] = ("num_epochs", 1.0)
    del known["train.learning_rate"]
    return _rest(ledger, known, "Axolotl")


def read_peft(values: dict[str, Any], base: Path | None = None) -> Ledger:
    """Brings over an `adapter_config.json` of PEFT, which tells of the adapter alone."""
    ledger = Ledger.of(values, base)
    if (kind := ledger.values.get("peft_type")) not in (None, "LORA"):
        ledger.leave("peft_type", f"adapters here are lora and dora, not {kind}", warning=True)
    read_base(ledger, "base_model_name_or_path")
    _adapter(ledger, rank=8, alpha=8.0, tool="PEFT")
    ledger.notes.append(
        "it tells of an adapter alone: rate, length of the run and data are ours until you set them; a saved adapter "
        "itself comes over by `tui-tuner import`"
    )
    return _rest(ledger, {}, "PEFT")


def read_unsloth(values: dict[str, Any], base: Path | None = None) -> Ledger:
    """Brings over the keyword arguments of Unsloth's notebooks, together or in sections of any name."""
    ledger = Ledger.of(_flat(values), base)
    read_base(ledger, "model_name")
    read_bits(ledger)
    _adapter(ledger, rank=16, alpha=16.0, tool="Unsloth")
    read_training(ledger)
    for key in ("dataset", "dataset_name", "train_file", "data_path"):
        if ledger.has(key) and not ledger.ours("data.source"):
            read_source(ledger, key, str(ledger.values[key]))
    if ledger.has(key := "dataset_text_field"):
        if ledger.values[key] == "text":
            ledger.put(key, "data.shape", "text", "rows of whole texts")
        else:
            ledger.leave(key, "look at the Data screen whether the column was found", warning=True)
        note = "Unsloth trains on whole texts unless train_on_responses_only is called"
        ledger.put("train_on_responses_only", "data.mask_prompt", False, note, default=True)
    _template(ledger, "chat_template")
    if ledger.has("random_state"):
        if ledger.has("seed") and ledger.values["seed"] != ledger.values["random_state"]:
            ledger.leave("random_state", "one seed decides everything here, and seed is it", warning=True)
        else:
            ledger.put("random_state", "run.seed", ledger.values["random_state"])
    read_name(ledger, "output_dir")
    known = dict(_TRAINER)
    if not ledger.ours("train.iters"):
        known["train.epochs"] = ("num_train_epochs", 3.0)
    return _rest(ledger, known, "transformers")


def read_llama_factory(values: dict[str, Any], base: Path | None = None) -> Ledger:
    """Brings over a file of LLaMA-Factory."""
    ledger = Ledger.of(values, base)
    if str(ledger.values.get("stage") or "sft") != "sft":
        ledger.leave("stage", "only supervised fine-tuning (sft) is trained here", warning=True)
    read_base(ledger, "model_name_or_path")
    method = str(ledger.values.get("finetuning_type") or "lora")
    if method in ("lora", "full"):
        ledger.put("finetuning_type", "adapter.method", method)
    else:
        ledger.leave("finetuning_type", "methods here are lora, dora and full", warning=True)
    read_bits(ledger)
    if method == "lora":
        _switch(ledger, "use_dora", "dora")
        _switch(ledger, "use_rslora", "rslora")
        if ledger.has("lora_rank"):
            ledger.put("lora_rank", "adapter.rank", ledger.values["lora_rank"])
        else:
            ledger.put("lora_rank", "adapter.rank", 8, "the file leaves it to the default", default=True)
        read_alpha(ledger, "lora_alpha", "lora_rank", 2.0)
        read_targets(ledger, "lora_target")
    read_training(ledger)
    _registered(ledger)
    if ledger.has("max_samples"):
        ledger.put("max_samples", "data.sample", ledger.values["max_samples"], "drawn by seed, not the first ones")
    _held_back(ledger, "val_size")
    _masking(ledger, "train_on_prompt")
    _template(ledger, "template")
    read_name(ledger, "output_dir")
    known = {**_TRAINER, "train.max_seq_length": ("cutoff_len", 2048)}
    if not ledger.ours("train.iters"):
        known["train.epochs"] = ("num_train_epochs", 3.0)
    return _rest(ledger, known, "LLaMA-Factory")


def _adapter(ledger: Ledger, *, rank: int, alpha: float, tool: str) -> None:
    """PEFT's LoraConfig, which Unsloth's get_peft_model takes too."""
    _switch(ledger, "use_dora", "dora")
    _switch(ledger, "use_rslora", "rslora")
    note = f"the file leaves it to {tool}'s default"
    if ledger.has("r"):
        ledger.put("r", "adapter.rank", ledger.values["r"])
    elif rank != 8:
        ledger.put("r", "adapter.rank", rank, note, default=True)
    if ledger.has("lora_alpha"):
        ledger.put("lora_alpha", "adapter.alpha", ledger.values["lora_alpha"])
    else:
        ledger.put("lora_alpha", "adapter.alpha", alpha, note, default=True)
    read_targets(ledger, "target_modules")
    _layer_numbers(ledger, "layers_to_transform")


def _switch(ledger: Ledger, key: str, what: str) -> None:
    if not ledger.has(key):
        return
    if ledger.values[key] is not True:
        ledger.keep(key, "off here, too")
    elif what == "dora":
        ledger.put(key, "adapter.method", "dora", "a method of its own here")
    else:
        ledger.put(key, "adapter.rslora", True)


def _layer_numbers(ledger: Ledger, key: str) -> None:
    if ledger.has(key):
        ledger.put(key, "adapter.layer_numbers", ledger.values[key])


def _datasets(ledger: Ledger) -> None:
    """Axolotl's list of sets, of which the first is taken."""
    for name, ours in (("path", ""), ("name", "data.subset"), ("split", "data.slice"), ("type", "")):
        key = f"datasets.0.{name}"
        if not ledger.has(key):
            continue
        value = ledger.values[key]
        if name == "path":
            files = ledger.values.get("datasets.0.data_files")
            hosted = value in ("json", "csv", "parquet", "text") and isinstance(files, str)
            if hosted:
                ledger.keep(key, "the kind of the file is found out")
                read_source(ledger, "datasets.0.data_files", str(files))
            else:
                read_source(ledger, key, str(value))
        elif name == "type":
            kind = str(value).partition(".")[0].partition(":")[0]
            if shape := _SHAPES.get(kind, ""):
                ledger.put(key, "data.shape", shape, "" if shape == value else "the same by another name")
            else:
                ledger.leave(key, "the shape is recognised; look at the Data screen whether it was", warning=True)
        elif name == "split" and value == "train":
            ledger.keep(key, "the split that is trained on")
        else:
            ledger.put(key, ours, value)
    for key in ledger.open():
        if re.match(r"datasets\.(?!0\.)\d+\.", key):
            ledger.leave(key, "an experiment has one source; join the sets in a file first", warning=True)
        elif key.startswith("test_datasets."):
            ledger.leave(key, "test rows are held back by data.test, or lie beside the training file", warning=True)
        elif key.startswith("datasets.0.") and ledger.values[key] is not None:
            ledger.leave(key, "columns are found by their names, or named in data.prompt", warning=True)


def _registered(ledger: Ledger) -> None:
    """LLaMA-Factory's names of sets, which its dataset_info.json knows."""
    if ledger.has("dataset"):
        value = ledger.values["dataset"]
        names = value if isinstance(value, list) else str(value).split(",")
        said = "a name" if len(names) == 1 else "names"
        note = f"{said} in LLaMA-Factory's dataset_info.json: set data.source to the file or set that it stands for"
        ledger.leave("dataset", note, warning=True)
    for key in ("dataset_dir", "eval_dataset"):
        if ledger.has(key):
            ledger.leave(key, "it belongs to LLaMA-Factory's own list of sets", warning=key == "eval_dataset")


def _held_back(ledger: Ledger, key: str) -> None:
    if not ledger.has(key):
        return
    value = ledger.values[key]
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 1:
        ledger.put(key, "data.valid", value)
    elif value:
        ledger.put(key, "data.valid_share", value)
    else:
        ledger.leave(key, "validation rows are always held back: 10 %, or data.valid of them", warning=True)


def _masking(ledger: Ledger, key: str) -> None:
    if isinstance(ledger.values.get(key), bool):
        ledger.put(key, "data.mask_prompt", not ledger.values[key], "the other way round")


def _template(ledger: Ledger, key: str) -> None:
    if not ledger.has(key):
        return
    name = str(ledger.values[key]).lower()
    known = _TEMPLATES.get(name) or _TEMPLATES.get(name.partition("_")[0].partition("-")[0])
    if known:
        note = "" if known == name else "the same by another name"
        ledger.put(key, "model.chat_template", known, note)
    else:
        ledger.leave(key, "the model's own template is taken", warning=True)


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Keys of sections such as `lora` and `training` without the section, where no two would become one."""
    names: dict[str, int] = {}
    sections = {key: each for key, each in values.items() if isinstance(each, dict) and each}
    for key in [
        *(key for key in values if key not in sections),
        *(name for each in sections.values() for name in each),
    ]:
        names[key] = names.get(key, 0) + 1
    flat: dict[str, Any] = {}
    for key, each in values.items():
        if key in sections:
            flat.update(
                {(name if names[name] == 1 else f"{key}.{name or NAMELESS}"): value for name, value in each.items()}
            )
        else:
            flat[key] = each
    return flat


def _rest(ledger: Ledger, known: dict[str, tuple[str, Any]], tool: str) -> Ledger:
    """Names that mean the same, the tool's defaults, and the reasons for what is left."""
    for key in ledger.open():
        ours = _SAME.get(key) or ELSEWHERE.get(key)
        if ours and ledger.has(key) and ledger.ours(ours) is None:
            ledger.put(key, ours, ledger.values[key])
    defaults(ledger, known, tool)
    explain_rest(ledger)
    return ledger
