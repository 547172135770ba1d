"""The words of the event log: which events there are, the fields of each, and the values that some of them take."""

from __future__ import annotations

from typing import Final

EVENT_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "run_started": (
        "name",
        "steps",
        "seed",
        "model",
        "data",
        "method",
        "resumed",
        "from_step",
        "device",
        "device_advice",
        "memory_limit",
        "ranks",
        "ranks_backend",
    ),
    "plan": (
        "steps",
        "rows",
        "batches_per_epoch",
        "mode",
        "padding_fraction",
        "stock_padding_fraction",
        "fast_padding_fraction",
        "eval_every",
    ),
    "forecast": (
        "peak_memory",
        "usable_memory",
        "seconds",
        "seconds_low",
        "seconds_high",
        "disk",
        "measured",
    ),
    "stage": ("name", "status", "seconds", "text", "done", "total"),
    "train": (
        "step",
        "loss",
        "tokens",
        "trained_tokens",
        "tokens_per_second",
        "steps_per_second",
        "learning_rate",
        "grad_norm",
        "peak_memory",
        "padding_fraction",
    ),
    "validation": ("step", "loss", "tokens", "seconds"),
    "sample": ("step", "prompt", "text"),
    "checkpoint": ("step", "path", "best"),
    "advice": ("code", "severity", "text", "change", "evidence", "step"),
    "control": ("what", "by", "value", "step", "before"),
    "skipped_step": ("step", "reason", "rows"),
    "progress": ("stage", "done", "total", "text"),
    "evaluation": ("label", "metrics", "n"),
    "verdict": ("metrics", "sentence"),
    "behaviour": ("label", "rate", "low", "high", "n"),
    "canaries": ("label", "rate", "low", "high", "n", "died"),
    "log": ("level", "text"),
    "run_finished": ("status", "reason"),
}
"""The fields that each type of event is written with, besides `t` and `type`; docs/run-folder.md explains them."""

STAGES: Final = ("check", "data", "baseline", "train", "evaluate", "verdict")
STAGE_STATUSES: Final = ("running", "done", "failed", "skipped")
FINISH_STATUSES: Final = ("finished", "stopped", "failed")
