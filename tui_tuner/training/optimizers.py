"""Optimizers and learning-rate schedules, from mlx's own, named and computed as mlx-lm does."""

from __future__ import annotations

from typing import Any

from tui_tuner.config import TrainSection


def build_schedule(train: TrainSection) -> Any:
    """The learning rate: a number, or a function of the update's number (0-based) that mlx can trace.

    Warm-up rises linearly from 0 over `warmup` updates; `cosine` and `linear` then fall to 0 over the rest.
    """
    import mlx.optimizers as opt

    updates = max(train.iters // train.grad_accumulation, 1)
    rate = train.learning_rate
    left = max(updates - train.warmup, 1)
    if train.schedule == "cosine":
        main: Any = opt.schedulers.cosine_decay(rate, left)
    elif train.schedule == "linear":
        main = opt.schedulers.linear_schedule(rate, 0.0, left)
    elif train.warmup:
        main = opt.schedulers.linear_schedule(rate, rate, left)
    else:
        return rate
    if train.warmup:
        # The boundary is warmup + 1, as in mlx-lm's build_schedule: the last warm-up update has the full rate.
        rise = opt.schedulers.linear_schedule(0.0, rate, train.warmup)
        return opt.schedulers.join_schedules([rise, main], [train.warmup + 1])
    return main


def build_optimizer(train: TrainSection) -> Any:
    """The optimizer of a configuration, not yet initialised."""
    import mlx.optimizers as opt

    classes = {"adam": opt.Adam, "adamw": opt.AdamW, "muon": opt.Muon, "sgd": opt.SGD, "adafactor": opt.Adafactor}
    options: dict[str, Any] = {}
    if train.weight_decay and train.optimizer in {"adamw", "muon", "sgd"}:
        options["weight_decay"] = train.weight_decay
    return classes[train.optimizer](learning_rate=build_schedule(train), **options)
