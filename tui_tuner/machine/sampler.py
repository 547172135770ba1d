"""Puts readings together from sensors, and sees to it that asking them costs next to nothing.

A sensor says how often it wants to be asked. One that takes long is asked less often, so that all its askings together
stay below a share of one core, whatever the system makes of them. It must never raise: a sensor that fails knows
nothing this time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from tui_tuner.machine.figures import Reading, believed

SHARE: Final = 0.001
"""The share of one core that a single sensor may take, counted as if it computed all the time that it takes."""
STALE: Final = 120.0
"""Seconds after which what a sensor said no longer holds, however seldom it is asked."""
_EARLY: Final = 0.5
"""Seconds by which a sensor may be asked before its time, so that it keeps step with whoever samples."""


class Sensor(Protocol):
    """Something that can be asked.

    Attributes:
        interval: seconds between two askings, at least.
    """

    interval: float

    def read(self) -> Mapping[str, object]:
        """Figures by name; what is not known is absent, None or not finite. May raise anything."""


@dataclass
class _Place:
    sensor: Sensor
    due: float = -math.inf
    asked: float = -math.inf
    values: dict[str, float] = field(default_factory=dict)


class Sampler:
    """Asks sensors. One thread at a time.

    Args:
        sensors: in order; of two that tell the same figure the later one counts.
        clock: seconds that only grow.
        wall: seconds since the epoch.
    """

    def __init__(
        self,
        sensors: Sequence[Sensor],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._places = [_Place(sensor) for sensor in sensors]
        self._clock, self._wall = clock, wall

    def sample(self) -> Reading:
        """What is known now. A figure is at most as old as `STALE`."""
        values: dict[str, float] = {}
        for place in self._places:
            begun = self._clock()
            if begun >= place.due - _EARLY:
                place.values = _asked(place.sensor)
                place.asked = ended = self._clock()
                place.due = max(begun + place.sensor.interval, ended + (ended - begun) / SHARE)
            if begun - place.asked <= STALE:
                values.update(place.values)
        return Reading(self._wall(), values)


def _asked(sensor: Sensor) -> dict[str, float]:
    try:
        return believed(sensor.read())
    except Exception:  # drivers and systems fail in ways of their own, and none is worth a run
        return {}
