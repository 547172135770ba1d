"""What is read of a machine: with sensors that are there, that are not, that fail, and that say what cannot be true."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tui_tuner.machine import sensors
from tui_tuner.machine.figures import FIGURES, LOOKED_FOR, Reading, believed, missing
from tui_tuner.machine.sampler import SHARE, STALE, Sampler
from tui_tuner.runs.vocabulary import EVENT_FIELDS

GB = 10**9


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Told:
    """A sensor that says what a test wants, and how long it took over it."""

    def __init__(self, clock: Clock, *answers: Any, interval: float = 1.0, takes: float = 0.0) -> None:
        self.interval, self.asked = interval, 0
        self._clock, self._answers, self._takes = clock, answers, takes

    def read(self) -> Mapping[str, object]:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        self._clock.now += self._takes
        if isinstance(answer, Exception):
            raise answer
        return answer


# -- figures ---------------------------------------------------------------------------------------------------------


def test_an_event_has_all_figures_in_their_order() -> None:
    assert EVENT_FIELDS["machine"] == tuple(FIGURES)


def test_only_what_can_be_true_is_believed() -> None:
    told = {"cpu": 0, "gpu": math.nan, "gpu_power": 0.0, "cpu_temperature": 0, "gpu_temperature": -1, "swap": None,
            "memory": "1", "fan": True, "power": math.inf, "made up": 3.0, "battery": 0.5}  # fmt: skip
    assert believed(told) == {"cpu": 0.0, "battery": 0.5}


def test_figures_are_told_in_their_units() -> None:
    values = {
        "cpu": 0.934,
        "memory": 12.3 * GB,
        "cpu_temperature": 61.4,
        "gpu_power": 41.6,
        "thermal_pressure": 1.0,
        "fan": 0.0,
    }
    assert dict(Reading(0.0, values).texts()) == {
        "cpu": "93 %", "memory": "12.3 GB", "cpu_temperature": "61 °C", "gpu_power": "42 W",
        "thermal_pressure": "moderate", "fan": "0 rpm",
    }  # fmt: skip
    assert FIGURES["thermal_pressure"].text(9) == "level 9"


def test_what_cannot_be_had_is_said_with_its_reason() -> None:
    assert set(missing({}, "darwin")) == set(missing({}, "linux")) == set(LOOKED_FOR) == {"gpu", "temperature", "power"}
    assert "root" in missing({"gpu": 1.0}, "darwin")["temperature"]
    assert missing({"gpu": 0.1, "gpu_temperature": 50.0, "cpu_power": 9.0}, "linux") == {}


# -- sampling --------------------------------------------------------------------------------------------------------


def test_a_sensor_that_fails_takes_nothing_from_the_others() -> None:
    clock = Clock()
    bad, good = Told(clock, RuntimeError("driver")), Told(clock, {"cpu": 0.5, "swap": None})
    reading = Sampler([bad, good], clock, wall=lambda: 7.0).sample()
    assert reading == Reading(7.0, {"cpu": 0.5})


def test_a_sensor_is_asked_when_its_time_has_come_and_holds_until_then() -> None:
    clock = Clock()
    slow = Told(clock, {"gpu": 0.2}, {"gpu": 0.9}, interval=10.0)
    sampler = Sampler([slow], clock)
    seen = []
    for _ in range(7):
        seen.append(sampler.sample().values["gpu"])
        clock.now += 2.0
    assert seen == [0.2] * 5 + [0.9] * 2
    assert slow.asked == 2


def test_what_failed_is_no_longer_told() -> None:
    clock = Clock()
    sampler = Sampler([Told(clock, {"gpu": 0.2}, OSError())], clock)
    assert sampler.sample().values == {"gpu": 0.2}
    clock.now += 2.0
    assert sampler.sample().values == {}


def test_a_slow_sensor_is_asked_so_seldom_that_it_costs_next_to_nothing_and_grows_stale() -> None:
    clock = Clock()
    slow = Told(clock, {"gpu": 0.2}, takes=0.5)
    sampler = Sampler([slow], clock)
    begun, values = clock.now, []
    for _ in range(1000):
        values.append(sampler.sample().values)
        clock.now += 2.0
    assert slow.asked * 0.5 / (clock.now - begun) <= SHARE * 2  # the first asking is for nothing
    assert values[10] == {"gpu": 0.2}
    assert values[int(STALE)] == {}


# -- what every system tells -----------------------------------------------------------------------------------------


class FakeProcess:
    def __init__(self, pid: int) -> None:
        if pid == 404:
            raise psutil.NoSuchProcess(pid)
        self.spent, self.gone = 0.0, False

    def oneshot(self) -> Any:
        import contextlib

        return contextlib.nullcontext()

    def cpu_times(self) -> Any:
        if self.gone:
            raise psutil.NoSuchProcess(1)
        return SimpleNamespace(user=self.spent, system=0.0)

    def memory_info(self) -> Any:
        return SimpleNamespace(rss=3 * GB)


class Times(tuple[float, ...]):
    """Processor times as psutil has them, with a guest's counted twice."""

    user = property(lambda self: self[0])
    idle = property(lambda self: self[1])
    iowait = property(lambda self: self[2])
    guest = property(lambda self: self[3])


def library(**more: Any) -> Any:
    return SimpleNamespace(Process=FakeProcess, cpu_count=lambda: 4, **more)


def test_the_processor_is_what_was_not_idle_between_two_readings() -> None:
    times = [Times((10, 100, 5, 1)), Times((16, 101, 6, 4))]  # six at work, one idle, one waiting
    clock, psutil_ = Clock(), library(cpu_times=lambda: times[0])
    processor = sensors.Processor(1, psutil_, clock)
    assert processor.read() == {"process_memory": 3 * GB}
    clock.now += 0.05
    assert processor.read() == {"process_memory": 3 * GB}  # too short for a rate
    clock.now += 1.95
    times.pop(0)
    processor._process.spent = 6.0
    assert processor.read() == {"cpu": 0.75, "process_memory": 3 * GB, "process_cpu": 0.75}


def test_a_process_that_has_ended_leaves_the_machine() -> None:
    clock = Clock()
    processor = sensors.Processor(1, library(cpu_times=lambda: Times((1, 1, 0, 0))), clock)
    processor._process.gone = True
    assert processor.read() == {}
    assert sensors.Processor(None, library(cpu_times=lambda: Times((1, 1, 0, 0))), clock).read() == {}


@pytest.mark.parametrize(
    ("swap", "platform", "expected"),
    [
        (SimpleNamespace(total=8 * GB, used=GB), "linux", {"swap": GB}),
        (SimpleNamespace(total=0, used=0), "linux", {}),
        (SimpleNamespace(total=0, used=0), "darwin", {"swap": 0}),
        (RuntimeError("no vmstat"), "linux", {}),
    ],
)
def test_memory_and_swap(swap: Any, platform: str, expected: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped() -> Any:
        if isinstance(swap, Exception):
            raise swap
        return swap

    monkeypatch.setattr(sys, "platform", platform)
    psutil_ = library(virtual_memory=lambda: SimpleNamespace(total=16 * GB, available=10 * GB), swap_memory=swapped)
    assert sensors.Memory(psutil_).read() == {"memory": 6 * GB, "memory_total": 16 * GB, **expected}


def entries(*degrees: Any) -> list[Any]:
    return [SimpleNamespace(current=each) for each in degrees]


def test_heat_is_the_hottest_part_of_the_processor() -> None:
    chips = {"nvme": entries(70), "acpitz": entries(30), "k10temp": entries(51.5, None, math.nan, 63.0)}
    psutil_ = library(sensors_temperatures=lambda: chips, sensors_fans=lambda: {"a": entries(900, 1200)})
    assert sensors.Heat(psutil_).read() == {"cpu_temperature": 63.0, "fan": 1200}


def test_no_sensors_of_heat_is_no_heat() -> None:
    assert sensors.Heat(library()).read() == {}  # macOS: psutil has no such functions
    none = library(sensors_temperatures=lambda: None, sensors_fans=dict)
    assert sensors.Heat(none).read() == {}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, {}),
        (SimpleNamespace(percent=None, power_plugged=None), {}),
        (SimpleNamespace(percent=80, power_plugged=True), {"battery": 0.8}),
        (SimpleNamespace(percent=80, power_plugged=False), {"battery": 0.8, "power": 12.5}),
    ],
)
def test_battery(found: Any, expected: dict[str, float], tmp_path: Path) -> None:
    for name, text in (("BAT0", "12500000\n"), ("BAT1", "unknown")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "power_now").write_text(text)
    assert sensors.Battery(library(sensors_battery=lambda: found), tmp_path).read() == expected
    assert sensors.Battery(library(), tmp_path).read() == {}


def test_the_processors_power_is_its_packages_energy_over_time(tmp_path: Path) -> None:
    clock = Clock()
    rapl = sensors.Rapl(tmp_path, clock)
    assert rapl.read() == {}  # none there, or for root only
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text("1000000\n")
    assert rapl.read() == {}
    clock.now += 2.0
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        (tmp_path / name / "energy_uj").write_text("31000000\n")
    assert rapl.read() == {"cpu_power": 30.0}
    clock.now += 2.0
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("5\n")  # it began anew
    assert rapl.read() == {}


def test_each_system_has_sensors_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "apple_sensors", lambda: ["apple"])
    kinds = {type(each).__name__ for each in sensors.sensors_of(None, "linux")}
    assert kinds == {"Processor", "Memory", "Heat", "Battery", "Rapl", "Nvidia"}
    assert sensors.sensors_of(None, "darwin")[-1] == "apple"


def test_a_process_that_is_gone_already_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made = sensors.Processor
    monkeypatch.setattr(sensors, "Processor", lambda pid: made(pid, library()))
    assert isinstance(sensors.sensors_of(404, "linux")[0], made)


def test_this_machine_can_be_read() -> None:
    values = Sampler(sensors.sensors_of(psutil.Process().pid)).sample().values
    assert 0 < values["memory"] < values["memory_total"]
    assert values["process_memory"] > 1_000_000
