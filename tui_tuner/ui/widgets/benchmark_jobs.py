"""What the Benchmark screen has asked of the engine. Answers are looked at and remembered, never waited for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.engine.requests import TokenLosses
from tui_tuner.engine.results import RowLosses

if TYPE_CHECKING:
    from tui_tuner.engine.protocol import Engine, JobHandle
    from tui_tuner.evaluation.stored import Pair

_KEPT = 64
"""Rows whose losses are remembered."""


class LossesAsked:
    """The losses of one row at a time; what was answered once is not asked again."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int], RowLosses] = {}
        self._asked: tuple[tuple[Path, int], JobHandle] | None = None

    def forget(self) -> None:
        """Lets go of all that was answered: the adapter may be another one."""
        self._drop()
        self._known.clear()

    def of(self, engine: Engine, run: Path, row: Pair) -> RowLosses | str:
        """The losses of a row of a run, or in words why they are not there yet."""
        key = (run, row.index)
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
