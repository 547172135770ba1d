"""How jobs tell of their progress: an event now and then, never one for every row or batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

_INTERVAL = 0.25


class Emit(Protocol):
    """Takes an event: its type and its fields (`EventLog.append` is one)."""

    def __call__(self, type: str, **fields: Any) -> Any: ...


class Throttle:
    """Emits `progress` events of a stage, at most four a second, and always the last one.

    Args:
        emit: where events go.
        stage: the stage's name.
        total: how many there are to do.
        clock: seconds, monotonic.
    """

    def __init__(self, emit: Emit, stage: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._emit, self._stage, self._total, self._clock = emit, stage, total, clock
        self._last = -_INTERVAL

    def __call__(self, done: int, text: str = "") -> None:
        now = self._clock()
        if done < self._total and now - self._last < _INTERVAL:
            return
        self._last = now
        self._emit("progress", stage=self._stage, done=done, total=self._total, text=text)
