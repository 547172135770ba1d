"""The names that Hugging Face's Trainer, PEFT and the tools built on them share, and what they mean here.

The plain ones are those of `suggest.ELSEWHERE`; what needs more than another name stands here. Semantics are those of
transformers' TrainingArguments and PEFT's LoraConfig: steps are updates of the weights, not batches, so what counts in
steps is multiplied by the accumulation.
"""

from __future__ import annotations

import math
import re
from pathlib import PurePath
from typing import Any, Final

from tui_tuner.config.interchange.report import Ledger
from tui_tuner.config.interchange.stock_in import put_decay
from tui_tuner.config.interchange.tracker_keys import read_tracking
from tui_tuner.paths import find_local, is_repository_name, safe_name

ACCUMULATION: Final = ("gradient_accumulation_steps",)
STEPS: Final = {
    "max_steps": "train.iters",
    "logging_steps": "train.report_every",
    "eval_steps": "train.eval_every",
    "save_steps": "train.save_every",
}
"""Keys that count updates, beside ours, which count batches."""

_OPTIMIZERS: Final = (
    (re.compile(r"(paged_)?(ademamix|lion|galore|apollo|lomo|adalomo|grokadamw|schedule_free|adamw?_mini).*"), ""),
    (re.compile(r"(paged_)?adamw?(_.*)?"), "adamw"),
    (re.compile(r"adafactor"), "adafactor"),
    (re.compile(r"sgd"), "sgd"),
    (re.compile(r"muon(_.*)?"), "muon"),
)
_SCHEDULES: Final = {
    "linear": ("linear", ""),
    "cosine": ("cosine", ""),
    "constant": ("constant", ""),
    "constant_with_warmup": ("constant", ""),
    "cosine_with_restarts": ("cosine", "it falls once here, without restarts"),
    "cosine_with_min_lr": ("cosine", "it falls to 0 here"),
    "cosine_warmup_with_min_lr": ("cosine", "it falls to 0 here"),
    "rex": ("cosine", "the nearest that there is here"),
    "polynomial": ("linear", "a straight line, as the polynomial is by default"),
}
_REASONS: Final = (
    (r"wandb.*|mlflow.*|comet.*|swanlab.*|use_swanlab|report_to|run_name|use_tensorboard|plot_loss|logging_dir|project|"
     r"use_wandb|use_trackio|trackio.*",
     "a run keeps every figure in its own event log; tracking.to sends a copy to Trackio or Weights & Biases"),
    (r"deepspeed|fsdp.*|ddp.*|local_rank|.*parallel.*|ray_.*|device_map|accelerator.*|world_size",
     "several machines are asked for with --hosts"),
    (r"bf16|fp16|tf32|pure_bf16|float16|bfloat16|dtype|torch_dtype|fp8.*|upcast.*|bnb_.*|quantization_.*",
     "the model is trained in the type of its own weights"),
    (r".*attention|attn_.*|.*_attn|flash.*|liger.*|unsloth.*|use_unsloth.*|cut_cross.*|torch_compile.*|.*_kernel|"
     r"enable_liger.*|plugins", "mlx brings its own"),
    (r".*packing.*|pad_to_.*|group_by_length|.*max_packed.*|neat_packing",
     "batches of like length take its place in train.mode = \"fast\""),
    (r"push_.*|hub_.*|hf_.*token|use_auth_token|upload.*", "nothing is uploaded by a run"),
    (r"trust_remote_code.*", "code runs only once it is allowed, with model.trust_remote_code"),
    (r"resume_from_checkpoint|auto_resume.*", "a run is gone on with by `tui-tuner resume`"),
    (r".*num_workers|dataloader.*|.*num_proc|dataset_processes|dataset_prepared_path|overwrite_.*|tokenized_path|"
     r"remove_unused_columns|streaming|load_best.*|save_safetensors|save_only_model|cache_dir|preprocessing_.*|debug|"
     r"strict|low_cpu.*|inference_mode|disable_tqdm|print_.*|per_device_eval_batch_size|eval_batch_size",
     "it changes nothing that is learned, and is looked after here"),
    (r"evals_per_epoch|saves_per_epoch", "set train.eval_every and train.save_every in iterations"),
    (r"peft_type|task_type|model_type|tokenizer_type|base_model_class_name|auto_mapping|revision|stage|do_train|"
     r"do_eval|do_predict|is_.*derived_model|.*_version|fan_in_fan_out|lora_fan_in_fan_out|lora_on_cpu|"
     r"eval_strategy|evaluation_strategy|save_strategy|logging_strategy|logging_first_step|save_first_step",
     "it needs no key here"),
    (r"bias|modules_to_save|additional_target|lora_modules_to_save|embedding_learning_rate|loraplus.*|pissa.*|"
     r"init_lora_weights|loftq.*|rank_pattern|alpha_pattern|megatron.*|layer_replication|trainable_token.*|"
     r"target_parameters|exclude_modules|layers_pattern|neftune.*|adam_.*|adam_beta.*|use_galore|lora_bias|"
     r"eva_config|corda_config|arrow_config|aloralayers|alora_.*|qalora_.*|use_qalora|ensure_weight_tying|runtime_config",
     "there is no such thing in mlx-lm's adapters and optimizers"),
    (r"special_tokens.*|tokens|added_tokens.*|resize_.*", "the tokens are the model's own"),
)  # fmt: skip
"""Why keys of these names have no counterpart, by what the whole name looks like."""
_HARMLESS: Final = (None, False, "", "none", "auto", 0)


def read_training(ledger: Ledger, prefix: str = "") -> None:
    """Brings over what TrainingArguments name: rate, schedule, lengths of the run, optimizer, checkpointing."""
    accumulation = _accumulation(ledger, prefix)
    for name, ours in STEPS.items():
        if ledger.has(key := prefix + name):
            _steps(ledger, key, ours, accumulation)
    for name in ("num_train_epochs", "num_epochs"):
        if ledger.has(key := prefix + name):
            if ledger.ours("train.iters"):
                ledger.leave(key, "max_steps comes before it")
            else:
                ledger.put(key, "train.epochs", ledger.values[key])
    for name in ("lr_scheduler_type", "lr_scheduler"):
        if ledger.has(key := prefix + name):
            _schedule(ledger, key)
    for name in ("optim", "optimizer"):
        if ledger.has(key := prefix + name):
            _optimizer(ledger, key, prefix + "weight_decay")
    decay = prefix + "weight_decay"
    if decay in ledger.open() and ledger.has(decay):
        if ledger.values[decay]:
            ledger.tables.setdefault("train", {})["optimizer"] = "adamw"  # transformers' default
        put_decay(ledger, decay, str(ledger.ours("train.optimizer") or "adam"), ledger.values[decay])
    _warmup(ledger, prefix, accumulation)
    if not prefix:
        read_tracking(ledger)
    for name in ("gradient_checkpointing", "use_gradient_checkpointing"):
        if ledger.has(key := prefix + name):
            on = ledger.values[key]
            note = "" if isinstance(on, bool) else "whose way of it mlx has not, but the same memory is saved"
            ledger.put(key, "train.grad_checkpoint", bool(on), note)


def read_base(ledger: Ledger, key: str) -> None:
    """Brings over the name of the base model."""
    if not ledger.has(key):
        return
    path = str(ledger.values[key])
    if re.search(r"(bnb|gptq|awq|gguf|unsloth.*4bit)", path, re.IGNORECASE) and find_local(path, ledger.base) is None:
        note = "its weights are in a form that mlx cannot read; name the model that it was made from"
        ledger.put(key, "model.path", path, note, warning=True)
    else:
        ledger.put(key, "model.path", path)


def read_bits(ledger: Ledger, prefix: str = "") -> None:
    """Brings over the quantization of the base."""
    for name, bits in (("load_in_4bit", 4), ("load_in_8bit", 8), ("quantization_bit", 0)):
        if not ledger.has(key := prefix + name):
            continue
        value = ledger.values[key]
        if value is False:
            ledger.keep(key, "the base is taken as it is")
        else:
            ledger.put(key, "model.bits", bits or value, "mlx's own quantization")


def read_targets(ledger: Ledger, key: str) -> None:
    """Brings over which modules get an adapter: a list, a comma-separated text, "all", or a pattern."""
    if not ledger.has(key):
        return
    value = ledger.values[key]
    if isinstance(value, str) and value in ("all", "all-linear"):
        ledger.put(key, "adapter.targets", [], "every linear module, which is the empty list here")
    elif isinstance(value, str) and re.search(r"[^\w.,\s-]", value):
        ledger.leave(key, "it is a pattern; name the modules in adapter.targets", warning=True)
    else:
        names = [each.strip() for each in value.split(",")] if isinstance(value, str) else value
        ledger.put(key, "adapter.targets", names)


def read_alpha(ledger: Ledger, alpha: str, rank: str, ratio: float) -> None:
    """Brings over alpha; left out it is the other tool's default, `ratio` times the rank."""
    if ledger.has(alpha):
        ledger.put(alpha, "adapter.alpha", ledger.values[alpha])
    elif isinstance(size := ledger.ours("adapter.rank"), int):
        note = f"the file leaves it to the default, {ratio:g} times {rank}"
        ledger.put(alpha, "adapter.alpha", ratio * size, note, default=True)


def read_source(ledger: Ledger, key: str, path: str) -> None:
    """Brings over the place of the rows: a file or folder as it is, else a set on the Hub."""
    if (
        find_local(path, ledger.base) is None
        and is_repository_name(path)
        and not re.search(r"\.(jsonl?|csv|parquet)$", path)
    ):
        ledger.put(key, "data.source", f"hf:{path}", "there is no such file, so it is a set on the Hub")
    else:
        ledger.put(key, "data.source", path)


def read_name(ledger: Ledger, key: str) -> None:
    """Brings the output folder over as the name of the run."""
    if ledger.has(key):
        name = safe_name(PurePath(str(ledger.values[key])).name)
        ledger.put(key, "run.name", name, "a run has a folder of its own, by its name")


def defaults(ledger: Ledger, known: dict[str, tuple[str, Any]], tool: str) -> None:
    """Sets what the file leaves to the tool's defaults, where ours are others: ours → their key and value."""
    for ours, (key, value) in known.items():
        if ledger.ours(ours) is None and ledger.values.get(key) is None:
            ledger.put(key, ours, value, f"the file leaves it to {tool}'s default", default=True)


def explain_rest(ledger: Ledger) -> None:
    """Says of each key that is left why it has no counterpart, where that is known."""
    for key in ledger.open():
        name, value = re.sub(r"\.\d+(?=\.|$)", "", key), ledger.values[key]
        top, leaf = name.partition(".")[0], name.rpartition(".")[2]
        reason = next((why for pattern, why in _REASONS if re.fullmatch(f"(?:{pattern})", leaf)), None)
        reason = reason or next((why for pattern, why in _REASONS if re.fullmatch(f"(?:{pattern})", top)), None)
        if value in _HARMLESS or value in ([], {}):
            ledger.leave(key, f"it asks for nothing{f'; {reason}' if reason else ''}")
        elif reason:
            ledger.leave(key, reason, warning="no such thing" in reason)
        elif top.lower() in ("dpo", "rl", "reward") or leaf in ("rl", "stage"):
            ledger.leave(key, "only supervised fine-tuning is trained here", warning=True)


def _accumulation(ledger: Ledger, prefix: str) -> int:
    for name in ACCUMULATION:
        if ledger.has(key := prefix + name) and ledger.put(key, "train.grad_accumulation", ledger.values[key]):
            return int(ledger.ours("train.grad_accumulation"))
    return 1


def _steps(ledger: Ledger, key: str, ours: str, accumulation: int) -> None:
    value = ledger.values[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        ledger.put(key, ours, value)
    elif value <= 0:
        ledger.leave(key, "it asks for nothing")
    elif value < 1:
        ledger.leave(key, f"a share of the run; set {ours} in iterations", warning=True)
    elif accumulation > 1:
        note = f"{value:g} updates of {accumulation} iterations each"
        ledger.put(key, ours, value * accumulation, note)
    else:
        ledger.put(key, ours, value)


def _schedule(ledger: Ledger, key: str) -> None:
    name = str(ledger.values[key]).lower()
    if name in _SCHEDULES:
        schedule, note = _SCHEDULES[name]
        if not note and schedule != ledger.values[key]:
            note = "the same by another name"
        ledger.put(key, "train.schedule", schedule, note, warning="here" in note)
    else:
        ledger.leave(key, "schedules here are constant, cosine and linear", warning=True)


def _optimizer(ledger: Ledger, key: str, decay: str) -> None:
    name = str(ledger.values[key]).lower()
    found = next((ours for pattern, ours in _OPTIMIZERS if pattern.fullmatch(name)), "")
    if not found:
        ledger.leave(key, "mlx has adam, adamw, adafactor, sgd and muon", warning=True)
        if decay in ledger.values:
            ledger.leave(decay, "it belongs to the optimizer", warning=bool(ledger.values[decay]))
        return
    weight = ledger.values.get(decay) or 0
    note = (
        "" if name == found else f"{name} without its savings of memory" if re.search("8bit|paged|4bit", name) else ""
    )
    if found == "adamw" and not weight:
        ledger.put(key, "train.optimizer", "adam", "AdamW without decay is Adam" + (f"; {note}" if note else ""))
    else:
        ledger.put(key, "train.optimizer", found, note or ("" if name == found else "the same by another name"))
    if decay in ledger.values:
        put = str(ledger.ours("train.optimizer"))
        put_decay(ledger, decay, put, weight)


def _warmup(ledger: Ledger, prefix: str, accumulation: int) -> None:
    steps, ratio = prefix + "warmup_steps", prefix + "warmup_ratio"
    count = ledger.values.get(steps)
    if isinstance(count, float) and 0 < count < 1:  # transformers 5 takes a share here
        _ratio(ledger, steps, accumulation)
    elif ledger.has(steps):
        ledger.put(steps, "train.warmup", count)
    if ledger.has(ratio):
        if count:
            ledger.leave(ratio, "warmup_steps comes before it")
        else:
            _ratio(ledger, ratio, accumulation)


def _ratio(ledger: Ledger, key: str, accumulation: int) -> None:
    """A share of the run as a number of updates, which is known when the iterations are."""
    share = ledger.values[key]
    if not isinstance(share, int | float) or isinstance(share, bool):
        ledger.put(key, "train.warmup", share)
    elif not share:
        ledger.keep(key, "no warm-up")
    elif iters := ledger.ours("train.iters"):
        updates = int(iters) // accumulation
        ledger.put(key, "train.warmup", math.ceil(share * updates), f"of {updates} updates")
    else:
        note = f"{share:.0%} of the run's updates: set train.warmup when `tui-tuner check` has told the steps"
        ledger.leave(key, note, warning=True)
