"""How long a run has been at work, going by the times of its events; the gaps before resumptions do not count."""

from __future__ import annotations


class WorkClock:
    """Adds up the sessions of a run; each begins with a `run_started`. All times are seconds since the epoch."""

    def __init__(self) -> None:
        self._earlier = 0.0
        self._start: float | None = None
        self._last = 0.0
        self._over = False

    def begin(self, moment: float) -> None:
        """A session begins; an open one ended with its last event."""
        if self._start is not None:
            self._earlier += max(0.0, self._last - self._start)
        self._start = self._last = moment
        self._over = False

    def note(self, moment: float) -> None:
        """Something happened; after the end it no longer counts."""
        if self._over:
            return
        if self._start is None:
            self._start = self._last = moment
        self._last = max(self._last, moment)

    def end(self) -> None:
        """The session is over."""
        self._over = True

    def elapsed(self, now: float | None = None) -> float:
        """Seconds at work up to `now`, or up to the last event; after the end it no longer grows."""
        if self._start is None:
            return self._earlier
        end = self._last if self._over or now is None else max(now, self._last)
        return self._earlier + max(0.0, end - self._start)
