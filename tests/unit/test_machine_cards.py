"""What macOS's programs and NVIDIA's driver tell of a machine: both when they are there, and when they fail."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.test_machine_sampling import GB, Clock
from tui_tuner.machine import apple
from tui_tuner.machine.nvidia import Nvidia
from tui_tuner.machine.sampler import Sampler

# -- Apple -----------------------------------------------------------------------------------------------------------

# The shape of what `ioreg -r -d 1 -w 0 -c IOAccelerator` prints on Apple Silicon, shortened.
ACCELERATOR = """+-o AGXAcceleratorG14X  <class AGXAcceleratorG14X, id 0x100000460, registered, matched, active, busy 0>
    {
      "PerformanceStatistics" = {"In use system memory (driver)"=0,"Tiler Utilization %"=3,\
"Renderer Utilization %"=96,"Device Utilization %"=97,"In use system memory"=5412356096}
      "IOClass" = "AGXAcceleratorG14X"
    }
"""
BATTERY = '"PowerTelemetryData" = {"SystemPowerIn"=17126,"SystemLoad"=42100,"BatteryPower"=0}'


class Printed:
    """Programs that print what a test wants."""

    def __init__(self, text: str | Exception) -> None:
        self.text, self.commands = text, []

    def __call__(self, command: Sequence[str]) -> str:
        self.commands.append(list(command))
        if isinstance(self.text, Exception):
            raise self.text
        return self.text


@pytest.mark.parametrize(
    ("sensor", "text", "expected"),
    [
        (apple.Accelerator, ACCELERATOR, {"gpu": 0.97, "gpu_memory": 5412356096}),
        (apple.Accelerator, ACCELERATOR + ACCELERATOR.replace("=97", "=4"), {"gpu": 0.97, "gpu_memory": 5412356096}),
        (apple.Accelerator, '"In use system memory (driver)"=7', {}),
        (apple.Accelerator, "", {}),
        (apple.Telemetry, BATTERY, {"power": 42.1}),
        (apple.Telemetry, '"ExternalConnected" = Yes', {}),
        (apple.Pressure, "com.apple.system.thermalpressurelevel 2\n", {"thermal_pressure": 2}),
        (apple.Pressure, "failed\n", {}),
        (
            apple.SpeedLimit,
            "CPU Power notify\n\tCPU_Scheduler_Limit \t= 100\n\tCPU_Speed_Limit \t= 87\n",
            {"speed_limit": 0.87},
        ),
        (apple.SpeedLimit, "Note: No thermal warning level has been recorded\n", {}),
    ],
)
def test_what_macos_prints_is_read(sensor: Any, text: str, expected: dict[str, float]) -> None:
    printed = Printed(text)
    assert sensor(printed).read() == expected
    assert all(Path(command[0]).is_absolute() for command in printed.commands)


def test_programs_of_macos_that_fail_or_are_not_there_tell_nothing() -> None:
    clock = Clock()
    failing = [
        apple.Accelerator(Printed(OSError())),
        apple.Pressure(Printed(subprocess.TimeoutExpired("notifyutil", 2))),
        apple.SpeedLimit(Printed(subprocess.CalledProcessError(1, "pmset"))),
    ]
    assert Sampler(failing, clock).sample().values == {}
    assert apple.apple_sensors(lambda program: False) == []
    assert [type(each).__name__ for each in apple.apple_sensors(lambda program: program == apple.IOREG)] == [
        "Accelerator", "Telemetry",
    ]  # fmt: skip


def test_a_program_is_called_and_its_failures_are_failures() -> None:
    assert apple.output_of([sys.executable, "-c", "print('a')"]) == "a\n"
    with pytest.raises(subprocess.CalledProcessError):
        apple.output_of([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(OSError):
        apple.output_of(["/no/such/program"])


# -- NVIDIA ----------------------------------------------------------------------------------------------------------


class Nvml:
    """NVML's module with two cards; of the second one some things are not supported."""

    NVML_TEMPERATURE_GPU = 0

    def __init__(self, computing: Mapping[int, int] | None = None) -> None:
        self.computing, self.begun = computing or {}, 0

    def nvmlInit(self) -> None:
        self.begun += 1

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        return {"GPU-b": 1}[uuid]

    def nvmlDeviceGetComputeRunningProcesses(self, card: int) -> list[Any]:
        return [SimpleNamespace(pid=pid) for pid, on in self.computing.items() if on == card]

    def nvmlDeviceGetUtilizationRates(self, card: int) -> Any:
        return SimpleNamespace(gpu=[90, 30][card])

    def nvmlDeviceGetMemoryInfo(self, card: int) -> Any:
        return SimpleNamespace(used=[20, 2][card] * GB, total=80 * GB)

    def nvmlDeviceGetTemperature(self, card: int, kind: int) -> int:
        return [66, 40][card]

    def nvmlDeviceGetPowerUsage(self, card: int) -> int:
        if card == 1:
            raise RuntimeError("not supported")
        return 310_500


FIRST = {"gpu": 0.9, "gpu_memory": 20 * GB, "gpu_memory_total": 80 * GB, "gpu_temperature": 66, "gpu_power": 310.5}
SECOND = {"gpu": 0.3, "gpu_memory": 2 * GB, "gpu_memory_total": 80 * GB, "gpu_temperature": 40}
BOTH = {"gpu": 0.6, "gpu_memory": 22 * GB, "gpu_memory_total": 160 * GB, "gpu_temperature": 66, "gpu_power": 310.5}


@pytest.mark.parametrize(
    ("computing", "visible", "expected"),
    [
        ({}, None, FIRST),
        ({}, "1,0", SECOND),
        ({}, "GPU-b", SECOND),
        ({}, "7", FIRST),
        ({}, "GPU-gone", FIRST),
        ({5: 1}, "0", SECOND),
        ({6: 1}, None, FIRST),
    ],
)
def test_the_cards_that_a_process_computes_on_count(
    computing: dict[int, int], visible: str | None, expected: dict[str, float]
) -> None:
    nvml = Nvml(computing)
    sensor = Nvidia(5, lambda: nvml, visible)
    assert sensor.read() == sensor.read() == expected
    assert nvml.begun == 1


def test_several_cards_are_one() -> None:
    nvml = Nvml()
    nvml.nvmlDeviceGetComputeRunningProcesses = lambda card: [SimpleNamespace(pid=5)]  # type: ignore[method-assign]
    assert Nvidia(5, lambda: nvml, None).read() == BOTH


def test_without_the_package_or_the_driver_nothing_is_known_and_nobody_asks_again() -> None:
    asked = []

    def absent() -> Any:
        asked.append(1)
        raise ImportError("no pynvml")

    sensor = Nvidia(1, absent, None)
    assert sensor.read() == sensor.read() == {}
    assert len(asked) == 1
    broken = Nvml()
    broken.nvmlInit = lambda: (_ for _ in ()).throw(RuntimeError("no driver"))  # type: ignore[method-assign]
    assert Nvidia(1, lambda: broken, None).read() == {}


def test_a_card_that_fell_off_the_bus_is_no_failure() -> None:
    clock, nvml = Clock(), Nvml()
    nvml.nvmlDeviceGetCount = lambda: (_ for _ in ()).throw(RuntimeError("lost"))  # type: ignore[method-assign]
    assert Sampler([Nvidia(1, lambda: nvml, None)], clock).sample().values == {}
