"""What state a run is in, derived from its events and from whether anybody is writing it; stored nowhere.

The state is a reading of the record, never a record of its own: two accounts could disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from .events import Event


class RunState(StrEnum):
    """The states a run can be in; `interrupted` is a run that ended without saying so and can be resumed."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens unless somebody resumes the run."""
        return self in {RunState.STOPPED, RunState.FINISHED, RunState.FAILED, RunState.INTERRUPTED}


NEVER_BEGAN: Final = "its process ended before the run began"
"""Why a run failed that was taken up by a process which is gone, and never wrote another word."""


class StateTracker:
    """The fold behind `derive_state`, for those who follow a log piece by piece."""

    def __init__(self) -> None:
        self._taken_up = False
        self._begun = False
        self._ended: RunState | None = None
        self._paused = False

    def add(self, event: Event) -> None:
        """Take one event into account; unknown ones change nothing."""
        kind = event.get("type")
        if kind == "run_started":
            self._begun = True
            self._ended = None
            self._paused = False
        elif kind == "run_finished":
            self._begun = True
            self._ended = _ENDINGS.get(str(event.get("status")), RunState.FAILED)
        elif kind == "control":
            what = event.get("what")
            if what == "pause":
                self._paused = True
            elif what in ("proceed", "stop"):
                self._paused = False
        elif kind == "taken_up":
            self._taken_up = True
        elif kind in _WORK:
            self._begun = True

    def state(self, alive: bool) -> RunState:
        """The run's state.

        Args:
            alive: whether a living process holds the run's lock.
        """
        if not self._begun:
            return RunState.FAILED if self._taken_up and not alive else RunState.QUEUED
        if self._ended is not None:
            return self._ended
        if not alive:
            return RunState.INTERRUPTED
        return RunState.PAUSED if self._paused else RunState.RUNNING

    @property
    def never_began(self) -> bool:
        """Whether all that is known is that a process took the run up."""
        return self._taken_up and not self._begun


def derive_state(events: Iterable[Event], alive: bool) -> RunState:
    """The state of the run that wrote `events`.

    Args:
        events: all of its events, oldest first.
        alive: whether a living process holds the run's lock.
    """
    tracker = StateTracker()
    for event in events:
        tracker.add(event)
    return tracker.state(alive)


_ENDINGS = {"finished": RunState.FINISHED, "stopped": RunState.STOPPED, "failed": RunState.FAILED}
_WORK = frozenset({"stage", "progress", "train", "validation", "evaluation", "checkpoint", "verdict"})
