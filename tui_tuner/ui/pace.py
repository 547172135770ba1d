"""How often what goes on is drawn anew: often while somebody is at the keys, else as seldom as nobody minds.

What the screen takes, the model beside it lacks: both want the interpreter's lock, and a matrix product that is spread
over all cores waits for the core that draws. So drawing gets a small share of one core while nobody touches the app,
but a new point of a run is never older than three seconds, and of an answer that grows no word older than a third of
one. A key is not slowed by this: it is answered when it comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SHARE: Final = 0.02
"""The share of one core that drawing a run may take while nobody is at the keys."""
QUICK: Final = 0.2
"""Seconds from one drawing to the next while somebody is, and wherever drawing costs next to nothing."""
SLOW: Final = 2.8
"""Seconds from one drawing to the next at most; with the beat that looks for news, a point is three seconds old."""
ATTENTION: Final = 5.0
"""Seconds after the last key for which somebody is taken to look."""


class Pace:
    """Says when the next drawing is due; as it is made by default, for a run.

    Args:
        quick, slow: seconds from one drawing to the next at least and at most.
        share: of one core that drawing may take, as far as `slow` allows.
        attention: seconds after the last key for which drawing takes what it needs.
        clock: seconds that only grow.
        spent: seconds of processor time that the calling thread has taken so far.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.thread_time,
        *,
        quick: float = QUICK,
        slow: float = SLOW,
        share: float = SHARE,
        attention: float = ATTENTION,
    ) -> None:
        self._clock, self._spent = clock, spent
        self._quick, self._slow, self._share, self._attention = quick, slow, share, attention
        self._touched = clock()
        self._drawn = -1e9
        self._spent_then = spent()
        self._cost = 0.0

    @property
    def attended(self) -> bool:
        """Whether somebody was at the keys a moment ago."""
        return self._clock() - self._touched < self._attention

    @property
    def interval(self) -> float:
        """Seconds from one drawing to the next as things stand."""
        if self.attended:
            return self._quick
        return min(max(self._cost / self._share, self._quick), self._slow)

    def touch(self) -> None:
        """Somebody pressed a key or moved the mouse."""
        self._touched = self._clock()

    def hurry(self) -> None:
        """The next drawing is due at once, what was done before it is not counted, and drawing is cheap until known."""
        self._drawn, self._spent_then, self._cost = -1e9, self._spent(), 0.0

    def due(self) -> bool:
        """Whether it is time to draw; if so, it counts as drawn."""
        now = self._clock()
        # Looks come in beats that are never quite on time; half of one early is nearer than a whole one late.
        if now - self._drawn < self.interval - self._quick / 2:
            return False
        self.drawn()
        return True

    def drawn(self) -> None:
        """It is drawn now. All that the thread did since the drawing before counts as that one's cost."""
        spent = self._spent()
        self._cost, self._spent_then = spent - self._spent_then, spent
        self._drawn = self._clock()
