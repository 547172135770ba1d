"""What a learning-rate schedule says at an update, in plain arithmetic: for previews, where there is no mlx.

The loop itself takes mlx's own schedules (`training.optimizers`), and a test holds these figures to them. Nothing here
may be trained with.
"""

from __future__ import annotations

import math

from tui_tuner.config import TrainSection


def changes_by_itself(train: TrainSection) -> bool:
    """Whether the configured rate is a schedule, which another rate multiplies, rather than one constant."""
    return train.schedule != "constant" or train.warmup > 0


def updates_of(train: TrainSection) -> int:
    """How many updates a run makes whose `iters` are settled."""
    return max(train.iters // train.grad_accumulation, 1)


def update_at(train: TrainSection, step: int) -> int:
    """The number of the update, from 0, whose rate is in force after `step` iterations (0 before the first update)."""
    return max(step // train.grad_accumulation - 1, 0)


def scheduled_rate(train: TrainSection, update: int) -> float:
    """The rate that the configuration foresees for an update (from 0), before anybody changed it.

    Args:
        train: the configuration's section, with `iters` settled: of a run that counts in epochs, its planned steps.
        update: its number; what lies beyond the last update has the last one's rate.
    """
    rate, warmup = train.learning_rate, train.warmup
    if warmup and update <= warmup:
        return rate * update / warmup
    since = update - warmup - 1 if warmup else update
    left = max(updates_of(train) - warmup, 1)
    done = min(max(since, 0), left) / left
    if train.schedule == "cosine":
        return rate * 0.5 * (1.0 + math.cos(math.pi * done))
    return rate * (1.0 - done) if train.schedule == "linear" else rate
