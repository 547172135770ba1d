"""The curves of a run: one of its figures over steps, tokens or time; and its losses in brief, for reports.

Every point is one that the run reported. Nothing is smoothed here, and where a figure was not reported there is a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tui_tuner.runs import Columns, RunView

By = Literal["step", "tokens", "time"]
AXES: dict[By, str] = {"step": "step", "tokens": "trained tokens", "time": "seconds at work"}
"""What a curve can be drawn over, and what its axis says."""
POINTS = 40
FINE = 400
"""Points of a curve that is drawn, where `POINTS` are for one that is told."""
_SIGNS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Measure:
    """A figure that runs report as they train.

    Attributes:
        name: for commands and documents.
        label: what it is called.
        unit: what it is in, as a chart's axis says it; empty for a bare number.
        column: where `RunView` has it.
        validation: whether it is a validation's, else a training report's.
    """

    name: str
    label: str
    unit: str
    column: str
    validation: bool = False


MEASURES = (
    Measure("train", "training loss", "nats per token", "loss"),
    Measure("validation", "validation loss", "nats per token", "loss", validation=True),
    Measure("learning_rate", "learning rate", "", "learning_rate"),
    Measure("grad_norm", "gradient norm", "", "grad_norm"),
    Measure("speed", "speed", "tokens per second", "tokens_per_second"),
    Measure("memory", "peak memory", "bytes", "peak_memory"),
)


def curve(view: RunView, measure: Measure, by: By = "step") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A figure of a run and where on the axis it was reported, each of shape (n,); empty where the run has no such.

    A validation has no count of tokens of its own: it stands where a straight line between the reports around it is.
    """
    reports = view.validation if measure.validation else view.train
    steps, values = reports.column("step"), reports.column(measure.column)
    if by == "tokens":
        across = _tokens_at(view, steps) if measure.validation else view.train.column("trained_tokens")
    elif by == "time":
        across = view.clock.at(reports.column("t"))
    else:
        across = steps
    placed = np.isfinite(across)
    return (across, values) if placed.all() else (across[placed], values[placed])


def _tokens_at(view: RunView, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    tokens, at = view.train.column("trained_tokens"), view.train.column("step")
    known = np.isfinite(tokens)
    if not known.any():
        return np.full(len(steps), np.nan)
    found: NDArray[np.float64] = np.interp(steps, np.append(0.0, at[known]), np.append(0.0, tokens[known]))
    return found


def training_curves(view: RunView, most: int = POINTS) -> dict[str, list[dict[str, float]]]:
    """Points of the training loss and the validation loss, in nats per token.

    Of a curve with more than `most` reports, each point is the mean over as many neighbouring ones as it takes, at
    the last one's step.

    Returns:
        {"train": [{"step", "loss"}, …], "validation": […]}, without curves that have no point.
    """
    found = {"train": _points(view.train, most), "validation": _points(view.validation, most)}
    return {name: points for name, points in found.items() if points}


def spark(values: Sequence[float]) -> str:
    """Values as signs of eight heights, from the lowest to the highest of them; level where they are all alike."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high <= low:
        return _SIGNS[0] * len(values)
    return "".join(_SIGNS[round((value - low) / (high - low) * (len(_SIGNS) - 1))] for value in values)


def _points(columns: Columns, most: int) -> list[dict[str, Any]]:
    steps, losses = columns.column("step"), columns.column("loss")
    known = np.isfinite(losses)
    steps, losses = steps[known], losses[known]
    parts = np.array_split(np.arange(len(steps)), min(most, len(steps)) or 1)
    return [{"step": int(steps[part[-1]]), "loss": float(losses[part].mean())} for part in parts if len(part)]
