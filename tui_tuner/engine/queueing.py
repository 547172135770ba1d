"""Puts experiments into the queue, and works the queue off: one run after the other, each in a process of its own.

A run that fails, is killed, or takes the interpreter with it does so alone, and memory is whole again for the next. A
run is begun only after the queue's file names its process: a kill of whoever works the queue off, at any moment,
neither loses a run nor begins one twice.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from tui_tuner.config import Experiment
from tui_tuner.config.sweep import Trial
from tui_tuner.config.sweep_table import Sweep
from tui_tuner.engine.background import start
from tui_tuner.engine.new_run import create_run
from tui_tuner.engine.takeup import note_end
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder, RunState
from tui_tuner.runs.catalogue import RunSummary, summarise
from tui_tuner.runs.lock import holder, process
from tui_tuner.runs.queue import RunQueue, runner_lock

GO: Final = "go"
"""What a process is told once the queue knows that it is the one to work on the run."""
_LOOK: Final = 0.2
_ASKING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""With these a process is asked to stop, by a person or by a machine that is shut down."""


@dataclass(frozen=True)
class Outcome:
    """What became of one run.

    Attributes:
        run: the folder's name.
        state: as the run says.
        reason: its own, or what happened to its process.
    """

    run: str
    state: RunState
    reason: str


def queue_experiment(
    experiment: Experiment,
    queue: RunQueue,
    name: str | None = None,
    base: Path | None = None,
    notes: dict[str, Any] | None = None,
    sweep: str = "",
) -> RunFolder:
    """Makes a run folder of an experiment and queues it: what is changed in the preset later changes nothing in it.

    Raises:
        TunerError: the folder or the queue cannot be written.
    """
    folder = create_run(experiment, queue.runs_dir, name, base, notes=notes)
    queue.add(folder, sweep)
    return folder


def queue_sweep(
    sweep: Sweep, trials: Sequence[Trial], queue: RunQueue, preset: Path | None, base: Path | None
) -> tuple[str, list[RunFolder]]:
    """Queues every trial of a sweep; returns the sweep's id and the runs in its order.

    Args:
        preset: the file that it is from, or None.
        base: the folder that relative paths start from.

    Raises:
        TunerError: a folder or the queue cannot be written.
    """
    stem = trials[0].experiment.run.name.rpartition("-")[0]
    identity = f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"

    def note_of(trial: Trial) -> dict[str, Any]:
        note = {
            "id": identity,
            "number": trial.number,
            "of": len(trials),
            "method": sweep.method,
            "metric": sweep.metric,
            "preset": str(preset) if preset is not None else None,
            "values": trial.values,
        }
        return {"sweep": note}

    folders: list[RunFolder] = []
    try:
        for trial in trials:
            folders.append(queue_experiment(trial.experiment, queue, None, base, note_of(trial), sweep=identity))
    except BaseException:
        for folder in folders:  # part of a sweep is none
            with suppress(TunerError):
                queue.remove(folder.name)
        raise
    return identity, folders


class Runner:
    """Works a queue off. One at a time on a machine.

    Args:
        queue: which.
        say: told what happens, a clause at a time.
        watch: called with each run that begins; gives what is called now and then while it goes on.
        stop_on_failure: whether the first run that does not finish is the last one.
        only: end when these have left the queue; None works everything off.

    Attributes:
        stopped: whether it was asked for an end.
        outcomes: what became of each run so far.
    """

    def __init__(
        self,
        queue: RunQueue,
        say: Callable[[str], None],
        watch: Callable[[RunFolder], Callable[[], Any]],
        *,
        stop_on_failure: bool = False,
        only: Sequence[str] | None = None,
    ) -> None:
        self._queue, self._say, self._watch = queue, say, watch
        self._stop_on_failure = stop_on_failure
        self._only = None if only is None else set(only)
        self.stopped = False
        self._child: subprocess.Popen[bytes] | None = None
        self.outcomes: list[Outcome] = []

    def stop(self, by: str) -> None:
        """Ask for an end: the run that goes on stops and saves, and stays in the queue. Safe in a signal handler.

        Args:
            by: the signal's name; the run's process is told by a signal in any case.
        """
        self.stopped = True
        if self._child is not None:
            with suppress(OSError):
                self._child.terminate()

    def run(self) -> list[Outcome]:
        """Works until nothing is left, a failure if that is wanted, or a stop; returns what became of each run.

        Raises:
            TunerError: `queue-busy` when another process works a queue off, or the queue cannot be read or written.
        """
        lock = runner_lock()
        try:
            lock.acquire()
        except TunerError as error:
            if error.code != "run-locked":
                raise
            owner = holder(lock.path.parent)
            raise TunerError(
                f"process {owner.pid} works the queue off already" if owner else "another process works the queue off",
                code="queue-busy",
                fix="what is queued is taken in turn; see `tui-tuner queue list`",
            ) from error
        try:
            self._work()
        finally:
            lock.release()
        return self.outcomes

    def _work(self) -> None:
        said = ""
        passed: set[str] = set()
        while not self.stopped:
            entries = {entry.run for entry in self._queue.read().entries}
            if self._only is not None and not (self._only & entries) - passed:
                return
            turn = self._queue.take(process(), passed)
            if turn.folder is None:
                if not turn.waits:
                    return
                if turn.waits != said:
                    said = turn.waits
                    self._say(f"waiting: {said}")
                time.sleep(_LOOK)
                continue
            said = ""
            outcome = self._perform(turn.folder)
            self.outcomes.append(outcome)
            passed.add(outcome.run)
            if self._stop_on_failure and outcome.state is not RunState.FINISHED:
                return

    def _perform(self, folder: RunFolder) -> Outcome:
        before = summarise(folder)
        self._say(f"run {folder.name}")
        look = self._watch(folder)
        status = self._follow(folder, look)
        look()
        after = summarise(folder)
        if after.ended is None or after.ended == before.ended:
            return self._without_an_end(folder, after, status)
        self._queue.give(folder.name, None)
        return Outcome(folder.name, after.state, after.reason)

    def _follow(self, folder: RunFolder, look: Callable[[], Any]) -> int:
        """Starts the run's process, gives it the run, and waits for its end; returns its exit status."""
        child = self._child = start(["work", str(folder.path)], folder.log, spoken_to=True)
        assert child.stdin is not None
        with suppress(psutil.NoSuchProcess):
            self._queue.give(folder.name, process(child.pid))
        with suppress(OSError), child.stdin:
            if not self.stopped:
                child.stdin.write(f"{GO}\n".encode())
        while True:
            try:
                status = child.wait(_LOOK)
            except subprocess.TimeoutExpired:
                look()
                continue
            self._child = None
            return status

    def _without_an_end(self, folder: RunFolder, after: RunSummary, status: int) -> Outcome:
        """What to make of a run whose process ended without saying so.

        It goes on another time, but for one that failed or was killed before its first word: that would end so again.
        """
        self._queue.give(folder.name, None)
        how = f"its process was ended by signal {-status}" if status < 0 else "it was stopped before it began"
        asked = self.stopped or -status in _ASKING or holder(folder) is not None
        began = after.ended is not None or after.state is RunState.INTERRUPTED
        if asked or (status < 0 and began):
            return Outcome(folder.name, after.state, f"{how}; it stays in the queue")
        reason = f"{how} before the run began" if status < 0 else f"it could not be begun; {folder.log} says why"
        note_end(folder, "failed", reason)
        self._queue.drop(folder.name)
        return Outcome(folder.name, RunState.FAILED, reason)
