"""The app as one of those who work the queue off: it begins the next run when its engine is idle, and says what waits.

Files are looked at in a thread. It must never begin a run while another runner of this machine works, nor go on by
itself with a run that was killed: that may have happened for a reason, and the person is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tui_tuner.errors import TunerError
from tui_tuner.runs.folder import QUEUE_FILE, QUEUE_FOLDER

if TYPE_CHECKING:
    from tui_tuner.config.sweep import Trial
    from tui_tuner.config.sweep_table import Sweep
    from tui_tuner.engine.protocol import JobHandle
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.runs.lock import RunLock
    from tui_tuner.runs.queue import Entry, Queue, RunQueue
    from tui_tuner.ui.app import TunerApp

T = TypeVar("T")

LOOK = 1.0
"""Seconds between looks at the queue."""


class QueueDesk:
    """What the app knows of the queue, and its part in working it off.

    Nothing of it is imported before there is a queue, for the sake of the first frame.

    Attributes:
        waits: why the next run does not begin, as a clause; empty when nothing keeps it.
    """

    def __init__(self, app: TunerApp) -> None:
        self._app = app
        self._seen: Queue | None = None
        self.waits = ""
        self._asked = False
        self._busy = False
        self._trouble = ""
        self._lock: RunLock | None = None
        self._handle: JobHandle | None = None

    @property
    def queue(self) -> RunQueue:
        """The queue of the folder of runs."""
        from tui_tuner.runs.queue import RunQueue

        return RunQueue(self._app.runs_dir)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is queued, as it was last read."""
        return self._seen.entries if self._seen is not None else ()

    @property
    def paused(self) -> bool:
        """Whether the queue is paused, as it was last read."""
        return self._seen is not None and self._seen.paused

    def place(self, run: str) -> int | None:
        """Where a run stands in the queue, from 1; None when it is not in it."""
        return self._seen.place(run) if self._seen is not None else None

    @property
    def asks(self) -> bool:
        """Whether the queue waits for a person's word to go on with a run that was killed."""
        return self.waits.endswith("ended without saying so")

    def look(self) -> None:
        """Looks at the queue in a thread, and begins the next run when it may."""
        there = (self._app.runs_dir / QUEUE_FOLDER / QUEUE_FILE).exists() or self._handle is not None
        if self._busy or self._app.stopping or not (there or self.entries):
            return
        self._busy = True
        self._app.run_worker(self._work, thread=True, exit_on_error=False, group="queue")

    def _work(self) -> None:
        """In the thread: settle what has ended, take what comes next, and read the queue."""
        folder, waits = None, ""
        seen: Queue | None
        try:
            self._settle()
            if self._handle is None and not self._app.stopping:
                folder, waits = self._take()
            seen = self.queue.read()
            self._trouble = ""
        except Exception as error:
            # What is wrong with the queue's file is told once, not once a second.
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._app.call_later(self._app.report, error)
            seen = self._seen
        self._app.call_later(self._show, seen, waits, folder)

    def _settle(self) -> None:
        """Gives up a run whose job has ended; the queue's file says whether it is still wanted."""
        handle = self._handle
        if handle is None or not handle.status.ended:
            return
        folder: Path = handle.request.folder  # type: ignore[union-attr]
        if handle.status.value == "failed":
            self.queue.drop(folder.name)  # also one that failed before it could write so
        else:
            self.queue.give(folder.name, None)
        self._handle = None
        self._free()

    def _take(self) -> tuple[RunFolder | None, str]:
        from tui_tuner.runs.lock import process
        from tui_tuner.runs.queue import runner_lock

        if not self.queue.read().entries or self._app.jobs.runs() or self._app.engine.active("mlx") is not None:
            return None, ""
        lock = runner_lock()
        try:
            lock.acquire()
        except TunerError as error:
            if error.code != "run-locked":
                raise
            return None, "another process works the queue off"
        self._lock = lock
        turn = self.queue.take(process(), killed=self._asked)
        if turn.folder is None:
            self._free()
        return turn.folder, turn.waits

    def let_go(self) -> None:
        """Lets another process work the queue off."""
        self._handle = None
        self._free()

    def _free(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _show(self, seen: Queue | None, waits: str, folder: RunFolder | None) -> None:
        """On the event loop: begins the run that was taken, and tells the screens."""
        self._busy = False
        changed = (seen, waits) != (self._seen, self.waits)
        self._seen, self.waits = seen, waits
        if folder is not None:
            self._begin(folder)
        if changed:
            self._app.tell("engine")

    def _begin(self, folder: RunFolder) -> None:
        self._asked = False
        if self._app.stopping:
            return  # it stays at the top of the queue
        self._handle = self._app.jobs.submit(folder)
        follower = self._app.state.follower
        if follower is None or not follower.active:
            self._app.select_run(folder)
        self._app.notice(f"The queue begins {folder.name} (4 shows it).")

    # -- what a person does ---------------------------------------------------------------------------------------
    def toggle(self) -> None:
        """Pauses the queue, or lets it go on; also with a run that was killed."""
        if self.asks and not self.paused:
            self._asked = True
            self._app.notice("The queue goes on.")
        else:
            paused = not self.paused
            self.change(lambda queue: queue.pause(paused), lambda _: self._told_pause())
        self.look()

    def _told_pause(self) -> None:
        word = "goes on" if not self.paused else "is paused: what runs goes on, nothing more begins"
        self._app.notice(f"The queue {word}.")
        self.look()

    def change(self, act: Callable[[RunQueue], T], then: Callable[[T], object] = lambda _: None) -> None:
        """Does something with the queue, off the event loop, and reads it again; what failed is told.

        Args:
            then: called with what `act` gave, when the app knows the queue as it is now.
        """

        def work() -> tuple[T, Queue]:
            return act(self.queue), self.queue.read()

        def done(found: tuple[T, Queue]) -> None:
            self._seen = found[1]
            self._app.tell("engine")
            then(found[0])

        self._app.writer.do(work, done)

    def enqueue(self) -> None:
        """Makes a run of the experiment that is set up and puts it at the end. Raises as `jobs.maker`."""
        make = self._app.jobs.maker(self._app.state, self._app.runs_dir)

        def add(queue: RunQueue) -> str:
            folder = make()
            queue.add(folder)
            return folder.name

        def told(name: str) -> None:
            self._app.notice(f"{name} is queued at place {self.place(name)} (7 shows the queue).")

        self.change(add, told)

    def enqueue_sweep(self, sweep: Sweep, trials: Sequence[Trial], preset: Path | None, base: Path | None) -> None:
        """Makes a run of each trial, off the event loop, and puts them at the end as one group."""

        def add(queue: RunQueue) -> tuple[str, int]:
            from tui_tuner.engine.queueing import queue_sweep

            identity, folders = queue_sweep(sweep, trials, queue, preset, base)
            return identity, len(folders)

        def told(found: tuple[str, int]) -> None:
            identity, many = found
            runs = "1 run is" if many == 1 else f"{many} runs are"
            self._app.notice(f"{runs} queued as the sweep {identity} (7 shows them; w there ranks them).")
            self.look()

        self.change(add, told)

    def told(self) -> str:
        """The queue in a clause, such as `3 queued, paused`; empty when nothing is queued."""
        count = len(self.entries)
        if not count:
            return ""
        state = "paused" if self.paused else self.waits
        return f"{count} queued, {state}" if state else f"{count} queued"
