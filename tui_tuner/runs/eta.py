"""How long a run's present stage will still take, from what it has reported so far.

It extrapolates recent medians, so one slow step does not frighten anybody. It must never guess before there is a
measurement.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from .stages import StageStatus
    from .view import RunView

_WINDOW: Final = 20  # reports that count as recent


def remaining_seconds(view: RunView) -> float | None:
    """Seconds that the stage at work is expected to take from its last report on, or None when nothing is known."""
    if view.finished is not None:
        return None
    stage = view.running_stage
    if stage is not None and stage.name != "train":
        return _stage_remaining(stage)
    return _train_remaining(view)


def _stage_remaining(stage: StageStatus) -> float | None:
    spent = stage.updated - stage.started
    if stage.total <= 0 or stage.done <= 0 or not spent > 0:
        return None
    return spent / stage.done * max(0, stage.total - stage.done)


def _train_remaining(view: RunView) -> float | None:
    if view.steps <= 0 or not len(view.train):
        return None
    left = view.steps - view.step
    if left <= 0:
        return 0.0
    step_time = seconds_per_step(view)
    if step_time is None:
        return None
    return left * step_time + _validations_due(view) * _validation_time(view)


def seconds_per_step(view: RunView) -> float | None:
    """The median time of a recent step in seconds: as reported or, failing that, from the times of the reports."""
    rates = view.train.column("steps_per_second")[-_WINDOW:]
    rates = rates[np.isfinite(rates) & (rates > 0)]
    if len(rates):
        return float(np.median(1.0 / rates))
    steps = view.train.column("step")[-_WINDOW - 1 :]
    times = view.train.column("t")[-_WINDOW - 1 :]
    spans = np.diff(times) / np.diff(steps)
    spans = spans[np.isfinite(spans) & (spans > 0)]
    return float(np.median(spans)) if len(spans) else None


def _validation_time(view: RunView) -> float:
    seconds = view.validation.column("seconds")[-_WINDOW:]
    seconds = seconds[np.isfinite(seconds) & (seconds >= 0)]
    return float(np.median(seconds)) if len(seconds) else 0.0


def _validations_due(view: RunView) -> int:
    """How many validations come until the last step, going by the distance of the last two."""
    steps = view.validation.column("step")
    if len(steps) < 2:
        return 0
    # The last step is validated even when it is not a multiple.
    return max(0, math.ceil((view.steps - float(steps[-1])) / float(steps[-1] - steps[-2])))
