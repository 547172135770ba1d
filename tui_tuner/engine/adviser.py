"""Lets the run doctor listen to a run as it writes its events, and writes down what is new in what it says."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

from tui_tuner.config import Experiment
from tui_tuner.models.device import device_memory, too_large, weights_size
from tui_tuner.runs import Event, RunView
from tui_tuner.training.advice import Advice, MachineFacts, NewAdvice, diagnose

_INTERVAL = 2.0  # seconds; a diagnosis takes a few milliseconds, and steps may come a hundred a second
_SHARE = 0.005  # of the time of training, for a curve so long that a diagnosis takes more


class Adviser:
    """Feeds a run's events to the doctor: at every validation, else every two seconds, less often for long curves.

    Args:
        emit: where advice goes.
        clock: seconds, monotonic.
    """

    def __init__(self, emit: Callable[..., Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._emit, self._clock = emit, clock
        self._view = RunView()
        self._experiment: Experiment | None = None
        self._new = NewAdvice()
        self._due = -math.inf
        self._swap = 0
        self.memory_limit = 0
        """Bytes that training may take on this machine; 0 before `begin`."""

    def begin(self, events: Iterable[Event], experiment: Experiment) -> None:
        """Takes in what the log holds already, so that a resumed run is not told the same twice."""
        self._view.extend(events)
        self._experiment = experiment
        self._new = NewAdvice(said=self._view.advice)
        self._swap = _swap_used()
        self.memory_limit = device_memory().usable

    def hear(self, event: Event) -> None:
        """Takes in an event; may write advice."""
        self._view.extend([event])
        kind = event["type"]
        if self._experiment is None or kind not in ("train", "validation", "skipped_step"):
            return
        now = self._clock()
        if kind == "train" and now < self._due:
            return
        machine = MachineFacts(memory_limit=self.memory_limit, swap_growth=max(_swap_used() - self._swap, 0))
        self.say(*diagnose(self._view, self._experiment, machine))
        # Training waits for it, and it takes the longer the longer the curve is.
        self._due = now + max(_INTERVAL, (self._clock() - now) / _SHARE)

    def say(self, *advice: Advice) -> None:
        """Writes down what of this was not said before."""
        for each in self._new.take(advice):
            self._emit("advice", **each.as_fields(), step=self._view.step)

    def weigh(self, model: Path) -> None:
        """Says so when a model's weights are more than the device can have in use at a time. Before it is loaded."""
        weights, memory = weights_size(model), device_memory()
        if text := too_large(weights, memory):
            evidence = {"weights": float(weights), "working_set": float(memory.usable), "total": float(memory.total)}
            self.say(Advice("model-size", "warning", text, {}, evidence))


def _swap_used() -> int:
    with contextlib.suppress(OSError, RuntimeError):
        return int(psutil.swap_memory().used)
    return 0
