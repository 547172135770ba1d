"""What the Benchmark screen has asked of the engine. Answers are looked at and remembered, never waited for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.engine.protocol import JobStatus
from tui_tuner.engine.requests import Benchmark, Evaluating, PickCheckpoint, RunBehaviour, RunCanaries, TokenLosses
from tui_tuner.engine.results import RowLosses
from tui_tuner.evaluation.stored import fingerprint

if TYPE_CHECKING:
    from tui_tuner.engine.protocol import Engine, JobHandle
    from tui_tuner.evaluation.stored import Pair

_KEPT = 64
"""Rows whose losses are remembered."""
_Asked = tuple[Path, int, object]
"""A run, one of its rows, and what changes when the run's adapter becomes another one."""


class LossesAsked:
    """The losses of one row at a time; what was answered once is not asked again while the adapter is the same."""

    def __init__(self) -> None:
        self._known: dict[_Asked, RowLosses] = {}
        self._asked: tuple[_Asked, JobHandle] | None = None

    def of(self, engine: Engine, run: Path, row: Pair) -> RowLosses | str:
        """The losses of a row of a run, or in words why they are not there yet."""
        key = (run, row.index, fingerprint([run / "adapters" / "adapters.safetensors"]))
        if key in self._known:
            return self._known[key]
        if self._asked is None or self._asked[0] != key:
            self._drop()
            self._asked = (key, engine.submit(TokenLosses(run, row.index, row.reference)))
        handle = self._asked[1]
        if isinstance(handle.result, RowLosses):
            if len(self._known) >= _KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[key] = handle.result
            return handle.result
        if handle.error is not None:
            return handle.error.sentence()
        active = engine.active("mlx")
        if active is not None and active is not handle:
            return f"Waits for its turn: {active.title} comes first …"
        return "Loading the model and computing the losses …"

    def failed(self) -> bool:
        """Whether the last question was answered by an error."""
        return self._asked is not None and self._asked[1].error is not None

    def _drop(self) -> None:
        """Takes back a question that nobody waits for any more."""
        if self._asked is not None and not self._asked[1].status.ended:
            self._asked[1].control.stop("not wanted any more")
        self._asked = None


class Measuring:
    """The measurements that were asked for, of whichever run; those that have ended are handed out once."""

    def __init__(self) -> None:
        self._handles: list[JobHandle] = []
        self._failed: dict[Path | None, JobHandle] = {}

    def submit(self, engine: Engine, *requests: Evaluating) -> None:
        """Queues measurements, one after the other.

        Raises:
            TunerError: the program is shutting down.
        """
        for request in requests:
            handle = engine.submit(request)
            self._failed.pop(_run_of(handle), None)
            self._handles.append(handle)

    def open(self, run: Path | None) -> list[JobHandle]:
        """Those of a run that are going or waiting."""
        return [handle for handle in self._handles if not handle.status.ended and _run_of(handle) == run]

    def ended(self) -> list[JobHandle]:
        """Those that have ended since the last call."""
        over = [handle for handle in self._handles if handle.status.ended]
        self._handles = [handle for handle in self._handles if not handle.status.ended]
        self._failed.update((_run_of(handle), handle) for handle in over if handle.error is not None)
        return over

    def trouble(self, run: Path | None) -> str:
        """Why the last measurement of a run that failed did so, until the next is asked for; empty when none has."""
        handle = self._failed.get(run)
        return "" if handle is None or handle.error is None else f"{sentence_of(handle)}: {handle.error.sentence()}"

    def stop(self, run: Path | None) -> None:
        """Asks those of a run to stop; what was answered stays."""
        for handle in self.open(run):
            handle.control.stop()

    def told(self, run: Path | None) -> str:
        """What is going on for a run, in words; empty when nothing is."""
        handles = self.open(run)
        if not handles:
            return ""
        handle = next((one for one in handles if one.status is JobStatus.RUNNING), handles[0])
        if handle.control.stop_requested:
            return "Stopping …"
        if handle.status is not JobStatus.RUNNING:
            return f"{sentence_of(handle)}: waits for its turn"
        progress = handle.request.progress  # type: ignore[union-attr]
        done = f"{progress.done:,} of {progress.total:,} answers" if progress.total else "loading the model"
        done += progress.pace.told()
        more = f", {len(handles) - 1} more to come" if len(handles) > 1 else ""
        return f"{sentence_of(handle)}: {done}{more}"


def _run_of(handle: JobHandle) -> Path | None:
    run = getattr(handle.request, "run", None)
    return run if isinstance(run, Path) else None


def sentence_of(handle: JobHandle) -> str:
    """What a measurement measures, in words."""
    request = handle.request
    if isinstance(request, RunBehaviour):
        return f"Behaviour tests, {request.label}"
    if isinstance(request, RunCanaries):
        return f"Canaries, {request.label}"
    if isinstance(request, PickCheckpoint):
        return f"Using step {request.use}" if request.use else "Checkpoints"
    label = request.label if isinstance(request, Benchmark) else ""
    return f"Benchmark of {label}"
