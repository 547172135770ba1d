"""Writes down what the machine is at while a run is at work: an event `machine`, often at first, then less and less.

A thread of its own asks the sensors, because some take long. It must never hold up the run or fail it, keep a disk that
is full from being waited for by whoever writes what matters, or write after it was closed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Protocol

from tui_tuner.errors import TunerError
from tui_tuner.machine.figures import Reading, rounded
from tui_tuner.machine.sampler import Sampler
from tui_tuner.machine.sensors import sensors_of
from tui_tuner.models.device import memory_in_use

FIRST: Final = 2.0
"""Seconds between two events at first."""
LAST: Final = 60.0
"""Seconds between two events at most: a day's run has about two thousand of them, half a megabyte."""
GROWTH: Final = 200
"""How many events there are before their distance begins to grow: each then stands for this part of the time so far."""
_PATIENCE: Final = 1.0  # seconds that closing waits for a sensor


class Sampled(Protocol):
    """What gives readings."""

    def sample(self) -> Reading: ...


class MlxMemory:
    """mlx's memory of this process."""

    interval = 1.0

    def read(self) -> Mapping[str, object]:
        return memory_in_use()


def distance(elapsed: float) -> float:
    """Seconds to the next event, `elapsed` seconds after the beginning."""
    return min(max(elapsed / GROWTH, FIRST), LAST)


class Recorder:
    """Records while open.

    Args:
        append: writes an event; may raise `TunerError`.
        sampler: gives the readings; this process's by default.
        clock: seconds that only grow.
        wait: waits so many seconds or until it is over, and says whether it is.
    """

    def __init__(
        self,
        append: Callable[..., Any],
        sampler: Sampled | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._append, self._sampler, self._clock = append, sampler, clock
        self._over = threading.Event()
        self._wait = wait or self._over.wait
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._record, name="machine", daemon=True)

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        with self._writing:  # what is being written is whole; nothing is written from here on
            pass
        self._thread.join(_PATIENCE)  # a sensor that hangs is left to itself

    def _record(self) -> None:
        begun = self._clock()
        sampler = self._sampler or Sampler([*sensors_of(os.getpid()), MlxMemory()])
        sampler.sample()  # rates are taken between two readings
        while not self._wait(distance(self._clock() - begun)):
            reading = sampler.sample()
            with self._writing:
                if self._over.is_set():
                    return
                self._write(reading)

    def _write(self, reading: Reading) -> None:
        if not reading.values:
            return
        try:
            self._append("machine", **{name: rounded(value) for name, value in reading.values.items()})
        except TunerError:
            pass  # a full disk, say: the run waits for space and tells of it
