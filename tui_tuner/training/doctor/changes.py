"""What to change in a configuration, always to values that it accepts."""

from __future__ import annotations

import math
from typing import Any

from pydantic import ValidationError

from tui_tuner.config import Experiment

from .case import Case


def other_rate(case: Case, factor: float) -> dict[str, Any]:
    """The learning rate multiplied, to two digits; empty when the rate is not known."""
    rate = case.learning_rate
    if rate is None:
        return {}
    return {"train.learning_rate": float(f"{rate * factor:.1e}")}


def gentler_start(case: Case, factor: float) -> dict[str, Any]:
    """A lower learning rate, and a warm-up of a tenth of the run where there was none."""
    change = other_rate(case, factor)
    if case.experiment is not None and case.experiment.train.warmup == 0:
        updates = case.iterations // case.experiment.train.grad_accumulation
        if updates >= 10:
            change["train.warmup"] = math.ceil(updates / 10)
    return change


def smaller_batch(case: Case) -> dict[str, Any]:
    """Half the batch with twice the accumulation and the iterations: the same updates from the same rows."""
    if case.experiment is None or case.experiment.train.batch_size < 2:
        return {}
    train = case.experiment.train
    half = train.batch_size // 2
    factor = math.ceil(train.batch_size / half)
    change: dict[str, Any] = {"train.batch_size": half, "train.grad_accumulation": train.grad_accumulation * factor}
    if not train.epochs:  # epochs make twice the iterations of half the batch by themselves
        change["train.iters"] = train.iters * factor
    return change


def stop_at(case: Case, step: int) -> dict[str, Any]:
    """As many iterations as `step`, whatever said how many before; a warm-up that would not fit becomes a tenth."""
    change: dict[str, Any] = {"train.iters": step}
    if case.experiment is not None:
        train = case.experiment.train
        if train.epochs:
            change["train.epochs"] = 0.0
        updates = step // train.grad_accumulation
        if train.warmup >= updates:
            change["train.warmup"] = updates // 10
    return change


def less_memory(case: Case) -> dict[str, Any]:
    """Gradient checkpointing where it is off, else a smaller batch, else shorter rows."""
    if case.experiment is None:
        return {}
    train = case.experiment.train
    if not train.grad_checkpoint:
        return {"train.grad_checkpoint": True}
    if train.batch_size > 1:
        return smaller_batch(case)
    return {"train.max_seq_length": train.max_seq_length // 2}


def acceptable(change: dict[str, Any], experiment: Experiment | None) -> dict[str, Any]:
    """`change` without what is so already; empty when the configuration would refuse it."""
    if experiment is None or not change:
        return change
    if experiment.adapter.start_from and any(key.startswith("adapter.") for key in change):
        return {}  # the adapter that training starts from has the shape it has
    document = experiment.model_dump()
    new: dict[str, Any] = {}
    for key, value in change.items():
        section, name = key.split(".")
        if document[section][name] != value:
            document[section][name] = new[key] = value
    try:
        Experiment.model_validate(document)
    except ValidationError:
        return {}
    return new
