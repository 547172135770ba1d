"""Follows a training log that another program writes: what `RunFollower` is for a run folder, it is for such a file.

It only reads. Nothing that it shows can be steered from here, so it stands for no run folder and no job.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tui_tuner.errors import TunerError
from tui_tuner.runs.state import RunState
from tui_tuner.runs.view import RunView
from tui_tuner.training.watch import LogWatch, word_of
from tui_tuner.ui.follower import LARGE
from tui_tuner.ui.status import ACTIVE


class LogFollower:
    """Reads a log's events as they come.

    Args:
        path: the log.
        clock: seconds since the epoch; how long the log has been silent is measured with it.

    Attributes:
        state: the run's state as far as the log tells.
        ready: whether everything that was in the file at first sight has been read.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.watch = LogWatch(path)
        self.state: RunState = RunState.QUEUED
        self.ready = False
        self._clock = clock
        self._shown: object = None

    @property
    def view(self) -> RunView:
        """The last run that the log tells of. Not to be read before `ready`."""
        return self.watch.view

    @property
    def name(self) -> str:
        """The file as somebody who sits here would name it."""
        path = self.watch.path
        for place, sign in ((Path.cwd(), ""), (Path.home(), "~/")):
            if path.is_relative_to(place):
                return f"{sign}{path.relative_to(place)}"
        return str(path)

    @property
    def word(self) -> str:
        """The state in a word."""
        return word_of(self.state)

    @property
    def problem(self) -> TunerError | None:
        """Why the file cannot be read as a log at the moment, or None."""
        return self.watch.problem

    @property
    def is_large(self) -> bool:
        """Whether the first poll should not happen on the event loop."""
        return self.watch.size > LARGE

    @property
    def active(self) -> bool:
        """Whether new events are to be expected."""
        return self.state in ACTIVE

    @property
    def pid(self) -> None:
        """A log does not tell which process writes it."""

    @property
    def silence(self) -> float:
        """Seconds since the file was last written to."""
        return max(0.0, self._clock() - self.watch.changed) if self.watch.changed else 0.0

    def poll(self) -> bool:
        """Reads what is new. True when the view, the state, or what is wrong with the file changed."""
        self.watch.poll()
        self.state = self.watch.state(self._clock())
        shown = (self.view, self.view.version, self.state, str(self.problem or ""))
        changed = not self.ready or shown != self._shown
        self._shown = shown
        self.ready = True
        return changed
