"""How states look: a sign, a word and a colour, so that no meaning hangs on the colour alone.

The mode bar needs this for the very first frame: nothing here may import numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.content import Content

from tui_tuner.runs.state import RunState

ACTIVE = (RunState.QUEUED, RunState.RUNNING, RunState.PAUSED)
"""States in which new events are to be expected."""

RUN_STATES: dict[RunState, tuple[str, str]] = {
    RunState.QUEUED: ("◌", "$text-muted"),
    RunState.RUNNING: ("●", "$text-primary"),
    RunState.PAUSED: ("‖", "$text-warning"),
    RunState.STOPPED: ("■", "$text-warning"),
    RunState.FINISHED: ("✓", "$text-success"),
    RunState.FAILED: ("✗", "$text-error"),
    RunState.INTERRUPTED: ("↯", "$text-warning"),
}
"""Run state → (sign, style)."""

STAGE_STATES: dict[str, tuple[str, str]] = {
    "waiting": ("○", "$text-disabled"),
    "running": ("●", "$text-primary"),
    "done": ("✓", "$text-success"),
    "failed": ("✗", "$text-error"),
    "stopped": ("■", "$text-warning"),
    "skipped": ("–", "$text-muted"),
}
"""Stage status → (sign, style)."""

SEVERITIES: dict[str, tuple[str, str]] = {
    "error": ("✗", "$text-error"),
    "warning": ("▲", "$text-warning"),
    "info": ("i", "$text-primary"),
}
"""Severity of advice → (sign, style)."""

VERDICTS: dict[str, tuple[str, str]] = {
    "better": ("▲", "$text-success"),
    "worse": ("▼", "$text-error"),
    "no measurable change": ("≈", "$text-muted"),
}
"""Verdict → (sign, style)."""


FITS: dict[str, tuple[str, str]] = {
    "fits": ("✓", "$text-success"),
    "tight": ("▲", "$text-warning"),
    "too large": ("✗", "$text-error"),
}
"""Whether there is room → (sign, style)."""


def status_content(state: RunState, word: str) -> Content:
    """A run's state as sign and word."""
    sign, style = RUN_STATES[state]
    return Content.styled(f"{sign} {word}", f"bold {style}")


def advice_mark(event: Mapping[str, Any]) -> tuple[str, str]:
    """Sign and style of an `advice` event: what is only a hint does not look like a warning."""
    return SEVERITIES.get(str(event.get("severity", "")), SEVERITIES["warning"])
