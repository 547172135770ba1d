"""Runs that were advised, for the tests of what can be done about it."""

from __future__ import annotations

from typing import Any

from tests.ui.fakes import RunBuilder
from tests.ui.workshop import experiment, with_config

OVERFITTING: dict[str, Any] = {
    "code": "overfitting",
    "severity": "warning",
    "text": "Validation loss has risen from 0.443 at step 30 to 0.475 at step 60 while training loss went from 0.201 "
    "to 0.134: the model learns the rows by heart. Use the checkpoint of step 30, or stop another run there.",
    "change": {"train.iters": 30, "train.eval_every": 7, "train.save_every": 30},
    "step": 60,
}
DIVERGING: dict[str, Any] = {
    "code": "diverging",
    "severity": "error",
    "text": "The training loss has risen from 0.512 around step 40 to 3.871, no lower than at the start (3.640): the "
    "run is diverging, with a learning rate of 3e-3.",
    "change": {"train.learning_rate": 3e-4, "train.warmup": 12},
    "step": 70,
}
HOT: dict[str, Any] = {
    "code": "slowed-down",
    "severity": "info",
    "text": "Training has slowed down from 4,310 to 1,902 tokens per second (56 % less): the machine may be too hot or "
    "on battery, or another program is taking its share.",
    "change": None,
    "step": 55,
}


def advised(builder: RunBuilder, *advice: dict[str, Any], **settings: Any) -> RunBuilder:
    """A run that trains, with its configuration and what the doctor said; settings as `train_warmup=5`."""
    with_config(builder, experiment(**settings)).prepared().train(1, 74)
    for one in advice:
        builder.add("advice", **one)
    return builder
