"""What a run recorded last of its machine. A figure that it did not record is absent, never 0."""

from __future__ import annotations

import math

from tui_tuner.machine.figures import FIGURES, Reading

from .view import RunView


def recorded(view: RunView) -> Reading | None:
    """The last reading of the machine that the run recorded, None without one."""
    if not len(view.machine):
        return None
    values = {name: value for name in FIGURES if math.isfinite(value := view.machine.last(name))}
    return Reading(view.machine.last("t"), values)
