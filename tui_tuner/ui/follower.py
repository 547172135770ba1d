"""Follows one run folder: reads new events, folds them into a view, and knows whether somebody still writes.

The same whether the run is in this process, in another one, or finished last week. It only reads; it must never
write to the folder, and `poll` must stay quick enough for the event loop (only new lines are read).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tui_tuner.runs.events import EventTail
from tui_tuner.runs.lock import Holder, holder
from tui_tuner.runs.state import RunState
from tui_tuner.runs.view import RunView
from tui_tuner.ui.status import ACTIVE

if TYPE_CHECKING:
    from tui_tuner.engine.protocol import JobHandle
    from tui_tuner.runs.folder import RunFolder

LARGE = 256 * 1024
"""An event file with more bytes than this is first read in a thread."""


class Follower(Protocol):
    """What screens read of whatever is being looked at: a run folder, or the log of another program."""

    ready: bool

    @property
    def view(self) -> RunView: ...

    @property
    def state(self) -> RunState: ...

    @property
    def name(self) -> str: ...

    @property
    def word(self) -> str: ...

    @property
    def is_large(self) -> bool: ...

    @property
    def active(self) -> bool: ...

    @property
    def pid(self) -> int | None: ...

    def poll(self) -> bool: ...


class RunFollower:
    """Reads a run's events as they come.

    Args:
        folder: the run to follow.
        job: the job of this process that works on a run folder or waits to, or None; asked at every poll.
        clock: seconds that only grow; how often the writer's lock is looked at is measured with it.

    Attributes:
        view: the fold of all events read so far. Not to be read before `ready`.
        state: the run's state, derived from events and lock.
        ready: whether everything that was in the file at first sight has been read.
    """

    def __init__(
        self,
        folder: RunFolder,
        job: Callable[[Path], JobHandle | None] = lambda path: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.view = RunView()
        self.state: RunState = RunState.QUEUED
        self.ready = False
        self._tail = EventTail(folder.events)
        self._generation = self._tail.generation
        self._job = job
        self._clock = clock
        self._looked = -1e9
        self._writer: Holder | None = None

    @property
    def name(self) -> str:
        """The run's name."""
        return self.folder.name

    @property
    def word(self) -> str:
        """The state in a word."""
        return self.state.value

    @property
    def is_large(self) -> bool:
        """Whether the first poll should not happen on the event loop."""
        try:
            return self.folder.events.stat().st_size > LARGE
        except OSError:
            return False

    @property
    def active(self) -> bool:
        """Whether new events are to be expected."""
        return self.state in ACTIVE

    @property
    def pid(self) -> int | None:
        """The number of the process of this machine that works on the run; None when there is none."""
        if self.state is RunState.QUEUED or not self.active:
            return None
        if self._job(self.folder.path) is not None:
            return os.getpid()
        return self._writer.pid if self._writer is not None and self._writer.here else None

    def poll(self) -> bool:
        """Reads what is new. True when the view or the state changed."""
        # Who writes is asked before what was written: a writer says how it ended before it is gone.
        job = self._job(self.folder.path)
        if job is None and self._clock() - self._looked >= 1.0:
            self._look()
        events = self._tail.poll()
        changed = False
        if self._tail.generation != self._generation:
            self._generation = self._tail.generation
            self.view, changed = RunView(), True
        if events:
            changed = self.view.extend(events) or changed
            if job is None and self._writer is None:
                self._look()  # somebody seems to have begun just now
        state = self._derive(job)
        if state is not self.state or not self.ready:
            self.state, changed = state, True
        self.ready = True
        return changed

    def _look(self) -> None:
        self._writer = holder(self.folder.path)
        self._looked = self._clock()

    def _derive(self, job: JobHandle | None) -> RunState:
        state = self.view.state(alive=self._writer is not None or job is not None)
        if job is None:
            return state
        if job.status.value == "queued":
            return RunState.QUEUED
        # The job was given a run that had ended before: until it writes, the record still says so.
        ended = (self.view.finished or {}).get("t", 0.0)
        return RunState.QUEUED if state.ended and ended < (job.started or 0.0) else state
