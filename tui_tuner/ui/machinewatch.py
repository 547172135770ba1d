"""Looks at this machine while somebody looks at the machine of a run that goes on here; else it does nothing.

The sensors are asked on a thread of its own, for some take long. It must never touch a widget: whoever draws takes the
last reading.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from tui_tuner.machine.figures import Reading

INTERVAL: Final = 2.0
"""Seconds between two readings."""
_FRESH: Final = 10.0
"""Seconds after which a reading is no longer what is so now."""


class Sampled(Protocol):
    """What gives readings."""

    def sample(self) -> Reading: ...


def _sampler(pid: int) -> Sampled:
    from tui_tuner.machine.sampler import Sampler
    from tui_tuner.machine.sensors import sensors_of

    return Sampler(sensors_of(pid))


class MachineWatch:
    """Readings of this machine and of one of its processes, for as long as they are wanted.

    Args:
        sampler: gives what reads, for a process's number; called on the thread that reads.
        clock: seconds that only grow.
        interval: seconds between two readings.
    """

    def __init__(
        self,
        sampler: Callable[[int], Sampled] = _sampler,
        clock: Callable[[], float] = time.monotonic,
        interval: float = INTERVAL,
    ) -> None:
        self._sampler, self._clock, self._interval = sampler, clock, interval
        self._pid: int | None = None
        self._over = threading.Event()
        self._latest: tuple[float, Reading] | None = None

    @property
    def reading(self) -> Reading | None:
        """What is so now, None when that is not known (yet)."""
        latest = self._latest
        return latest[1] if latest is not None and self._clock() - latest[0] <= _FRESH else None

    def want(self, pid: int | None) -> None:
        """Has a process of this machine and the machine looked at from here on; None: nothing more."""
        if pid == self._pid:
            return
        self._over.set()
        self._pid, self._latest, self._over = pid, None, threading.Event()
        if pid is not None:
            # A daemon: a sensor that hangs must not keep the app from ending.
            threading.Thread(target=self._look, args=(pid, self._over), name="machine-watch", daemon=True).start()

    def _look(self, pid: int, over: threading.Event) -> None:
        sampler = self._sampler(pid)
        sampler.sample()  # rates are taken between two readings
        while not over.wait(self._interval):
            reading = sampler.sample()
            if not over.is_set():
                self._latest = (self._clock(), reading)
