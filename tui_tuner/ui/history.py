"""Steps back and forth through the experiments that were set up, wherever in the app they were changed.

It holds experiments and nothing else: it must never touch a file or a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui_tuner.config.model import Experiment
    from tui_tuner.config.presets import Preset

MOST = 200
"""Steps that are remembered."""


@dataclass(frozen=True)
class SetUp:
    """An experiment as it was set up.

    Attributes:
        experiment: it.
        preset, base, overrides: as in `WorkbenchState`.
        origin: the experiment that it was made of, as preset or run have it; None where that is not known.
    """

    experiment: Experiment
    preset: Preset | None = None
    base: Path | None = None
    overrides: tuple[str, ...] = ()
    origin: Experiment | None = None

    @property
    def edited(self) -> bool:
        """Whether it is another than it was made of."""
        return self.experiment != self.origin


class History:
    """What was set up before, and what was taken back."""

    def __init__(self) -> None:
        self._past: list[SetUp] = []
        self._future: list[SetUp] = []
        self._merge = ""

    @property
    def can_undo(self) -> bool:
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        return bool(self._future)

    def note(self, before: SetUp, merge: str = "") -> None:
        """Remembers how it was before a change.

        Args:
            merge: changes in a row with the same name are one step; empty is never merged.
        """
        if not (merge and merge == self._merge and self._past):
            self._past.append(before)
            del self._past[:-MOST]
        self._merge = merge
        self._future.clear()

    def undo(self, now: SetUp) -> SetUp | None:
        """The one before, `now` being kept for `redo`; None where there is none."""
        return self._step(self._past, self._future, now)

    def redo(self, now: SetUp) -> SetUp | None:
        """The one that was taken back last; None where there is none."""
        return self._step(self._future, self._past, now)

    def _step(self, source: list[SetUp], target: list[SetUp], now: SetUp) -> SetUp | None:
        if not source:
            return None
        self._merge = ""
        target.append(now)
        return source.pop()
