"""Lets the run doctor listen to a run as it writes its events, and writes down what is new in what it says."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

from tui_tuner.config import Experiment
from tui_tuner.runs import Event, RunView
from tui_tuner.training.advice import MachineFacts, NewAdvice, diagnose

_INTERVAL = 2.0  # seconds; a diagnosis takes a few milliseconds, and steps may come a hundred a second
_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_limit() -> int:
    """How much memory a run on this machine can take, in bytes: Metal's recommended working set, else all there is."""
    import mlx.core as mx

    with contextlib.suppress(Exception):  # each backend tells something else, and some nothing
        facts = mx.device_info()
        for key in ("max_recommended_working_set_size", "total_memory", "memory_size"):
            if isinstance(facts.get(key), int) and facts[key] > 0:
                return int(facts[key])
    return min([int(psutil.virtual_memory().total), *_group_limits()])


def _group_limits() -> list[int]:
    """What a control group lets this process have (cgroup v2 and v1), in bytes; a container has less than its host."""
    limits = []
    for place in _GROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no number
            limits.append(int(Path(place).read_text(encoding="ascii")))
    return [limit for limit in limits if limit > 0]


class Adviser:
    """Feeds a run's events to the doctor, at most every two seconds and at every validation.

    Args:
        emit: where advice goes.
        clock: seconds, monotonic.
    """

    def __init__(self, emit: Callable[..., Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._emit, self._clock = emit, clock
        self._view = RunView()
        self._experiment: Experiment | None = None
        self._new = NewAdvice()
        self._last = -_INTERVAL
        self._swap = 0
        self.memory_limit = 0
        """Bytes that training may take on this machine; 0 before `begin`."""

    def begin(self, events: Iterable[Event], experiment: Experiment) -> None:
        """Takes in what the log holds already, so that a resumed run is not told the same twice."""
        self._view.extend(events)
        self._experiment = experiment
        self._new = NewAdvice(said=self._view.advice)
        self._swap = _swap_used()
        self.memory_limit = memory_limit()

    def hear(self, event: Event) -> None:
        """Takes in an event; may write advice."""
        self._view.extend([event])
        kind = event["type"]
        if self._experiment is None or kind not in ("train", "validation", "skipped_step"):
            return
        now = self._clock()
        if kind == "train" and now - self._last < _INTERVAL:
            return
        self._last = now
        machine = MachineFacts(memory_limit=self.memory_limit, swap_growth=max(_swap_used() - self._swap, 0))
        for advice in self._new.take(diagnose(self._view, self._experiment, machine)):
            self._emit("advice", **advice.as_fields(), step=self._view.step)


def _swap_used() -> int:
    with contextlib.suppress(OSError, RuntimeError):
        return int(psutil.swap_memory().used)
    return 0
