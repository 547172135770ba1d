"""The nearest right word to a wrong one, and what other tools call our keys.

It only suggests: it must never change what a person wrote.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# What mlx-lm, PEFT and the usual trainers call it. A preset brought over from them is told its new name.
ELSEWHERE = {
    "adapter_path": "run.name",
    "base_model": "model.path",
    "base_model_name_or_path": "model.path",
    "cutoff_len": "train.max_seq_length",
    "dataset": "data.source",
    "fine_tune_type": "adapter.method",
    "early_stopping_patience": "train.patience",
    "grad_accumulation_steps": "train.grad_accumulation",
    "gradient_accumulation_steps": "train.grad_accumulation",
    "gradient_checkpointing": "train.grad_checkpoint",
    "keys": "adapter.targets",
    "lora_alpha": "adapter.alpha",
    "lora_dropout": "adapter.dropout",
    "lora_layers": "adapter.layers",
    "lora_r": "adapter.rank",
    "lora_rank": "adapter.rank",
    "lora_target": "adapter.targets",
    "lora_target_modules": "adapter.targets",
    "lr": "train.learning_rate",
    "lr_schedule": "train.schedule",
    "lr_scheduler": "train.schedule",
    "lr_scheduler_type": "train.schedule",
    "max_length": "train.max_seq_length",
    "max_grad_norm": "train.clip_norm",
    "max_new_tokens": "evaluation.max_tokens",
    "max_steps": "train.iters",
    "micro_batch_size": "train.batch_size",
    "model_name": "model.path",
    "model_name_or_path": "model.path",
    "num_epochs": "train.epochs",
    "num_layers": "adapter.layers",
    "num_train_epochs": "train.epochs",
    "optim": "train.optimizer",
    "per_device_train_batch_size": "train.batch_size",
    "r": "adapter.rank",
    "random_state": "run.seed",
    "report_to": "tracking.to",
    "resume_adapter_file": "adapter.start_from",
    "save_path": "run.name",
    "save_steps": "train.save_every",
    "save_total_limit": "train.keep_checkpoints",
    "sequence_len": "train.max_seq_length",
    "steps_per_eval": "train.eval_every",
    "steps_per_report": "train.report_every",
    "target_modules": "adapter.targets",
    "test_batches": "evaluation.rows",
    "trackio_project_name": "tracking.project",
    "trackio_run_name": "tracking.name",
    "trackio_space_id": "tracking.space",
    "use_rslora": "adapter.rslora",
    "use_dora": "adapter.method",
    "val_batches": "train.eval_batches",
    "val_set_size": "data.valid_share",
    "val_size": "data.valid_share",
    "wandb_entity": "tracking.entity",
    "wandb_name": "tracking.name",
    "wandb_project": "tracking.project",
    "wandb_run_name": "tracking.name",
    "warmup_steps": "train.warmup",
}

# Where the name is not the only difference.
NOTES = {
    "use_dora": 'method = "dora"',
}

# Sections, likewise.
SECTIONS_ELSEWHERE = {
    "benchmark": "evaluation",
    "dora": "adapter",
    "lora": "adapter",
    "logging": "tracking",
    "lora_parameters": "adapter",
    "optimizer": "train",
    "peft": "adapter",
    "prompts": "probes",
    "trackio": "tracking",
    "training_args": "train",
    "wandb": "tracking",
}


def nearest(word: str, choices: Iterable[str], closeness: float = 0.6) -> str | None:
    """The choice that `word` was most likely meant to be, or None when none is as near as `closeness` (0 to 1)."""
    by_plain = {_plain(choice): choice for choice in choices}
    close = difflib.get_close_matches(_plain(word), by_plain, n=1, cutoff=closeness)
    return by_plain[close[0]] if close else None


def nearest_key(key: str, keys: Iterable[str]) -> str | None:
    """The key (`section.name`) that `key` was most likely meant to be.

    A slip inside the section comes first; else the name alone counts for more than the section: `adapter.iters` and
    plain `iters` both mean `train.iters`.
    """
    known = list(keys)
    section, _, leaf = _plain(key).rpartition(".")
    by_leaf: dict[str, list[str]] = {}
    for choice in known:
        by_leaf.setdefault(choice.rpartition(".")[2], []).append(choice)
    if leaf in ELSEWHERE:
        return ELSEWHERE[leaf]
    siblings = [choice.rpartition(".")[2] for choice in known if choice.startswith(f"{section}.")]
    if here := nearest(leaf, siblings, 0.6 if leaf not in by_leaf else 0.85):
        return f"{section}.{here}"
    if leaf not in by_leaf:
        leaf = nearest(leaf, by_leaf) or ""
    if owners := by_leaf.get(leaf):
        return nearest(key, owners) or (owners[0] if len(owners) == 1 else None)
    return nearest(key, known)


def note(key: str) -> str:
    """How the value of another tool's key is brought over, or empty when it is the same."""
    return NOTES.get(_plain(key).rpartition(".")[2], "")


def nearest_section(section: str, sections: Iterable[str]) -> str | None:
    """The section that `section` was most likely meant to be."""
    return SECTIONS_ELSEWHERE.get(_plain(section)) or nearest(section, sections)


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "_")
