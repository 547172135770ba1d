"""How far a job is, in parts or in bytes, as whoever watches it reads it."""

from __future__ import annotations

import time

from tui_tuner import units


class Pace:
    """When counted parts will be done, told from how fast they came since the first that was seen.

    Attributes:
        left: seconds until all are done; None while it is not known, and when they are.
    """

    def __init__(self) -> None:
        self.left: float | None = None
        self._begun: tuple[float, int] | None = None
        self._seen = (0, 0)

    def moved(self, done: int, total: int, now: float | None = None) -> None:
        """Parts done and in all; fewer than before, or another number in all, begins anew.

        Args:
            now: seconds of any steady clock; None takes the system's.
        """
        now = time.monotonic() if now is None else now
        if self._begun is None or done < self._seen[0] or total != self._seen[1]:
            self._begun = (now, done)
        self._seen = (done, total)
        spent, came = now - self._begun[0], done - self._begun[1]
        self.left = (total - done) * spent / came if came > 0 and spent >= _SOON and done < total else None

    def told(self) -> str:
        """The time left as `, 31 s left`, to follow other words; empty while it is not known."""
        return "" if self.left is None else f", {units.duration(self.left)} left"


class Work:
    """What a job does, and parts done and in all. Written by the worker, read by whoever shows it.

    Attributes:
        what: what is being done; empty before it begins.
        done, total: parts, or bytes.
        rate: bytes a second over the last seconds; 0 while it is not known, and for parts.
        bytes: whether bytes are counted.
        notes: sentences that were left for the watcher, oldest first.
        pace: how long the rest of the parts takes.
    """

    def __init__(self) -> None:
        self.what, self.done, self.total = "", 0, 0
        self.rate, self.bytes = 0.0, False
        self.notes: list[str] = []
        self._moments: list[tuple[float, int]] = []
        self.pace = Pace()

    def __call__(self, what: str, done: int, total: int, now: float | None = None) -> None:
        """Parts done and in all.

        Args:
            now: seconds of any steady clock; None takes the system's.
        """
        if self.what != what:
            self.pace = Pace()
        self.pace.moved(done, total, now)
        self.what, self.done, self.total = what, done, total
        self.rate, self.bytes = 0.0, False

    def moved(self, what: str, done: int, total: int, now: float | None = None) -> None:
        """Bytes done and in all, which give a rate.

        Args:
            now: seconds of any steady clock; None takes the system's.
        """
        now = time.monotonic() if now is None else now
        if self.what != what:
            self._moments.clear()
        self.what, self.done, self.total, self.bytes = what, done, total, True
        self._moments.append((now, done))
        while len(self._moments) > 2 and now - self._moments[0][0] > _WINDOW:
            self._moments.pop(0)
        spent = now - self._moments[0][0]
        self.rate = max((done - self._moments[0][1]) / spent, 0.0) if spent > 0.2 else 0.0

    def told(self) -> str:
        """How far it is, such as `120 MB of 1.2 GB, 35 MB/s, 31 s left`; empty when there is nothing to tell."""
        if not self.total:
            return ""
        if not self.bytes:
            return f"{self.done:,} of {self.total:,}{self.pace.told()}"
        told = f"{units.size(self.done, fine=True)} of {units.size(self.total, fine=True)}"
        if self.rate <= 0:
            return told
        left = (self.total - self.done) / self.rate
        return f"{told}, {units.size(self.rate, fine=True)}/s, {units.duration(left)} left"


_SOON = 1.0  # seconds that parts must have come for, before the rest is told
_WINDOW = 5.0  # seconds that a rate is taken over
