"""What every system tells: processor, memory, swap, one process, and on Linux heat and power as far as the kernel shows
them to everybody.

Rates are taken between two askings, so the first one of a sensor may know nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from tui_tuner.machine.apple import apple_sensors
from tui_tuner.machine.nvidia import Nvidia
from tui_tuner.machine.sampler import Sensor

OFTEN: Final = 1.0
"""Seconds between two askings of what costs microseconds."""
SELDOM: Final = 10.0
"""Seconds between two askings of what changes slowly."""
_SHORTEST: Final = 0.2
"""Seconds below which a rate would be noise: the system counts in hundredths."""
_CHIPS: Final = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal", "acpitz")
"""Names of the kernel's sensors that are a processor's, the best first."""


class Processor:
    """The share of all cores that is at work, and that of one process.

    Args:
        pid: the process that is told apart; None for none.
        library: psutil, or what a test has in its place.
        clock: seconds that only grow.
    """

    interval = OFTEN

    def __init__(self, pid: int | None, library: Any = psutil, clock: Callable[[], float] = time.monotonic) -> None:
        self._library, self._clock = library, clock
        self._process = library.Process(pid) if pid is not None else None
        self._cores = library.cpu_count() or 1
        self._before: tuple[float, float, float] | None = None
        self._process_before: tuple[float, float] | None = None

    def read(self) -> Mapping[str, object]:
        values: dict[str, object] = {}
        times = self._library.cpu_times()
        # A guest's time is counted in `user` as well.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        idle = times.idle + getattr(times, "iowait", 0.0)
        now = self._clock()
        before = self._before
        if before is None or now - before[0] >= _SHORTEST:
            self._before = (now, total, idle)
            if before is not None and total > before[1]:
                values["cpu"] = min(max(1 - (idle - before[2]) / (total - before[1]), 0.0), 1.0)
        return {**values, **self._of_process(now)}

    def _of_process(self, now: float) -> dict[str, object]:
        if self._process is None:
            return {}
        try:
            with self._process.oneshot():
                spent = self._process.cpu_times()
                values: dict[str, object] = {"process_memory": self._process.memory_info().rss}
        except psutil.Error:  # it has ended, or belongs to somebody else
            self._process_before = None
            return {}
        before = self._process_before
        if before is None or now - before[0] >= _SHORTEST:
            self._process_before = (now, spent.user + spent.system)
            if before is not None:
                cores = (spent.user + spent.system - before[1]) / (now - before[0])
                values["process_cpu"] = min(max(cores / self._cores, 0.0), 1.0)
        return values


class Memory:
    """What is in use of the machine's memory, and of swap where there is any."""

    interval = OFTEN

    def __init__(self, library: Any = psutil) -> None:
        self._library = library

    def read(self) -> Mapping[str, object]:
        memory = self._library.virtual_memory()
        values: dict[str, object] = {"memory": memory.total - memory.available, "memory_total": memory.total}
        try:
            swap = self._library.swap_memory()
        except (OSError, RuntimeError):
            return values
        # macOS makes swap when it is needed, so none there is a figure; elsewhere there is none to use.
        return values if not swap.total and sys.platform != "darwin" else {**values, "swap": swap.used}


class Heat:
    """The processor's temperature (its hottest part), and the fastest fan. Linux only; psutil has none on macOS."""

    interval = SELDOM

    def __init__(self, library: Any = psutil) -> None:
        self._library = library

    def read(self) -> Mapping[str, object]:
        chips: Mapping[str, Any] = getattr(self._library, "sensors_temperatures", dict)() or {}
        values: dict[str, object] = {}
        for chip in _CHIPS:
            if degrees := _known(entry.current for entry in chips.get(chip, ())):
                values["cpu_temperature"] = max(degrees)
                break
        fans: Mapping[str, Any] = getattr(self._library, "sensors_fans", dict)() or {}
        if speeds := _known(entry.current for entries in fans.values() for entry in entries):
            values["fan"] = max(speeds)
        return values


def _known(values: Iterable[object]) -> list[float]:
    return [float(value) for value in values if isinstance(value, (int, float)) and value == value]


class Battery:
    """How full the battery is; and on Linux, while it is being emptied, the power that the machine takes of it."""

    interval = SELDOM

    def __init__(self, library: Any = psutil, supplies: Path = Path("/sys/class/power_supply")) -> None:
        self._library, self._supplies = library, supplies

    def read(self) -> Mapping[str, object]:
        found = getattr(self._library, "sensors_battery", lambda: None)()
        if found is None or found.percent is None:
            return {}
        values: dict[str, object] = {"battery": found.percent / 100}
        if found.power_plugged is False:
            watts = [_number(place / "power_now") for place in sorted(self._supplies.glob("BAT*"))]
            values["power"] = sum(each for each in watts if each is not None) / 1e6
        return values


class Rapl:
    """The processor's power, by the counters of energy that Intel's and AMD's processors have.

    Most kernels show them to root only; then nothing is known.
    """

    interval = OFTEN

    def __init__(self, folder: Path = Path("/sys/class/powercap"), clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._before: tuple[float, float] | None = None

    def read(self) -> Mapping[str, object]:
        # `intel-rapl:0` is a whole package, `intel-rapl:0:0` a part of it.
        packages = [place for place in self._folder.glob("intel-rapl:*") if place.name.count(":") == 1]
        counted = [value for place in packages if (value := _number(place / "energy_uj")) is not None]
        if not counted:
            self._before = None
            return {}
        now, energy, before = self._clock(), sum(counted) / 1e6, self._before
        self._before = (now, energy)
        # A counter that began anew gives no figure this once.
        if before is None or now - before[0] < _SHORTEST or energy < before[1]:
            return {}
        return {"cpu_power": (energy - before[1]) / (now - before[0])}


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def sensors_of(pid: int | None, platform: str = sys.platform) -> list[Sensor]:
    """All that this machine may have.

    Args:
        pid: the process whose share is told apart; None for none.
        platform: as `sys.platform`.
    """
    found: list[Sensor] = [Memory(), Heat(), Battery()]
    try:
        found.insert(0, Processor(pid))
    except psutil.Error:  # it ended a moment ago
        found.insert(0, Processor(None))
    if platform == "darwin":
        return [*found, *apple_sensors()]
    return [*found, Rapl(), Nvidia(os.getpid() if pid is None else pid)]
