"""The losses of a training in brief, for reports: a few dozen points of each curve, and a curve as a line of signs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tui_tuner.runs import Columns, RunView

POINTS = 40
_SIGNS = "▁▂▃▄▅▆▇█"


def training_curves(view: RunView) -> dict[str, list[dict[str, float]]]:
    """Points of the training loss and the validation loss, in nats per token.

    Of a curve with more than `POINTS` reports, each point is the mean over as many neighbouring ones as it takes, at
    the last one's step.

    Returns:
        {"train": [{"step", "loss"}, …], "validation": […]}, without curves that have no point.
    """
    found = {"train": _points(view.train), "validation": _points(view.validation)}
    return {name: points for name, points in found.items() if points}


def spark(values: Sequence[float]) -> str:
    """Values as signs of eight heights, from the lowest to the highest of them; level where they are all alike."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high <= low:
        return _SIGNS[0] * len(values)
    return "".join(_SIGNS[round((value - low) / (high - low) * (len(_SIGNS) - 1))] for value in values)


def _points(columns: Columns) -> list[dict[str, Any]]:
    steps, losses = columns.column("step"), columns.column("loss")
    known = np.isfinite(losses)
    steps, losses = steps[known], losses[known]
    parts = np.array_split(np.arange(len(steps)), min(POINTS, len(steps)) or 1)
    return [{"step": int(steps[part[-1]]), "loss": float(losses[part].mean())} for part in parts if len(part)]
