"""How far a job is, in parts or in bytes, as whoever watches it reads it."""

from __future__ import annotations

import time

from tui_tuner import units


class Work:
    """What a job does, and parts done and in all. Written by the worker, read by whoever shows it.

    Attributes:
        what: what is being done; empty before it begins.
        done, total: parts, or bytes.
        rate: bytes a second over the last seconds; 0 while it is not known, and for parts.
        bytes: whether bytes are counted.
        notes: sentences that were left for the watcher, oldest first.
    """

    def __init__(self) -> None:
        self.what, self.done, self.total = "", 0, 0
        self.rate, self.bytes = 0.0, False
        self.notes: list[str] = []
        self._moments: list[tuple[float, int]] = []

    def __call__(self, what: str, done: int, total: int) -> None:
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
            return f"{self.done:,} of {self.total:,}"
        told = f"{units.size(self.done, fine=True)} of {units.size(self.total, fine=True)}"
        if self.rate <= 0:
            return told
        left = (self.total - self.done) / self.rate
        return f"{told}, {units.size(self.rate, fine=True)}/s, {units.duration(left)} left"


_WINDOW = 5.0  # seconds that a rate is taken over
