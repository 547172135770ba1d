"""How long a run has been at work, going by the times of its events; the gaps before resumptions do not count.

The times are those of the machine's clock, which can be set, and of a machine that can sleep: a gap without any event
counts an hour at most, and a clock that was set back takes nothing away.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

LONGEST_GAP: Final = 3600.0
"""Seconds that pass at most between two events of a run at work; reports and progress come far more often."""


class WorkClock:
    """Adds up the sessions of a run; each begins with a `run_started`. All times are seconds since the epoch."""

    def __init__(self) -> None:
        self._earlier = 0.0
        self._start: float | None = None
        self._last = 0.0
        self._over = False
        self._sessions: list[tuple[float, float]] = []  # when each began, and what was worked before it
        self._ends: list[float] = []  # the last event of each but the one that is open

    def begin(self, moment: float) -> None:
        """A session begins; an open one ended with its last event."""
        if self._start is not None:
            self._earlier += self._last - self._start
            self._ends.append(self._last)
        self._start = self._last = moment
        self._over = False
        self._sessions.append((moment, self._earlier))

    @property
    def sessions(self) -> list[float]:
        """When each session began."""
        return [start for start, _ in self._sessions]

    def note(self, moment: float) -> None:
        """Something happened; after the end it no longer counts."""
        if self._over:
            return
        if self._start is None:
            self._start = self._last = moment
            self._sessions.append((moment, 0.0))
        gap = moment - self._last
        if not 0.0 <= gap <= LONGEST_GAP:
            self._earlier += self._last - self._start + min(max(gap, 0.0), LONGEST_GAP)
            self._ends.append(self._last)
            self._start = moment
            self._sessions.append((moment, self._earlier))
        self._last = moment

    def end(self) -> None:
        """The session is over."""
        self._over = True

    def elapsed(self, now: float | None = None) -> float:
        """Seconds at work up to `now`, or up to the last event; after the end it no longer grows."""
        if self._start is None:
            return self._earlier
        worked = self._earlier + self._last - self._start
        return worked if self._over or now is None else worked + min(max(now - self._last, 0.0), LONGEST_GAP)

    def at(self, moments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Seconds at work up to each of several moments; they do not fall. NaN for a moment that is none.

        Args:
            moments: shape (n,), as events have them, in their order.
        """
        if not self._sessions or not len(moments):
            return np.full(len(moments), np.nan)
        starts, earlier = (np.array(column) for column in zip(*self._sessions, strict=True))
        if (np.diff(starts) < 0).any():
            session = self._sessions_of(moments)
        else:
            session = np.maximum(np.searchsorted(starts, moments, side="right") - 1, 0)
        worked = earlier[session] + np.maximum(moments - starts[session], 0.0)
        # A clock that was set back must not make work undone.
        return np.where(np.isfinite(moments), np.fmax.accumulate(worked), np.nan)

    def _sessions_of(self, moments: NDArray[np.float64]) -> NDArray[np.intp]:
        """In which session each moment is, by their order: where the clock was set back, moments alone do not tell."""
        ends = [*self._ends, float("inf")]
        found = np.zeros(len(moments), dtype=np.intp)
        session, before = 0, float("-inf")
        for index, moment in enumerate(moments):
            if math.isnan(moment):
                continue
            while session + 1 < len(self._sessions) and not before <= moment <= ends[session]:
                session, before = session + 1, float("-inf")
            found[index] = session
            before = moment
        return found
