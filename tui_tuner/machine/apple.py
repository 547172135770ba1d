"""What macOS tells without root, by its own programs: the GPU's load and memory, thermal pressure, a MacBook's power.

Degrees, and the power of processor and GPU apart, are given to root only (`powermetrics`); nothing here tries. The
programs are called by their full paths, with nothing of ours in the call, and for two seconds at most.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tui_tuner.machine.sampler import Sensor

Run = Callable[[Sequence[str]], str]

IOREG: Final = "/usr/sbin/ioreg"
NOTIFYUTIL: Final = "/usr/bin/notifyutil"
PMSET: Final = "/usr/bin/pmset"
PRESSURE: Final = "com.apple.system.thermalpressurelevel"
_PATIENCE: Final = 2.0  # seconds


def output_of(command: Sequence[str]) -> str:
    """What a program prints.

    Raises:
        OSError: it is not there, or cannot be started.
        subprocess.SubprocessError: it failed, or did not end in time.
    """
    # With its full path and without closing files (which Python closes by itself) it is spawned, not forked: a fork
    # would copy the page tables of a process that holds a model.
    done = subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_PATIENCE,
        close_fds=False,
        check=True,
    )
    return done.stdout.decode("utf-8", "replace")


class Accelerator:
    """The GPU's load and the memory that it has in use, of all processes, from the registry of devices."""

    interval = 10.0

    def __init__(self, run: Run = output_of) -> None:
        self._run = run

    def read(self) -> Mapping[str, object]:
        text = self._run([IOREG, "-r", "-d", "1", "-w", "0", "-c", "IOAccelerator"])
        values: dict[str, object] = {}
        # A Mac with two GPUs has two entries: the busier one counts.
        if loads := _numbers(text, "Device Utilization %"):
            values["gpu"] = min(max(loads) / 100, 1.0)
        if sizes := _numbers(text, "In use system memory"):
            values["gpu_memory"] = max(sizes)
        return values


class Telemetry:
    """What a MacBook takes as a whole, from its battery's controller, which renews it every 10 to 60 seconds."""

    interval = 30.0

    def __init__(self, run: Run = output_of) -> None:
        self._run = run

    def read(self) -> Mapping[str, object]:
        loads = _numbers(self._run([IOREG, "-r", "-d", "1", "-w", "0", "-n", "AppleSmartBattery"]), "SystemLoad")
        return {"power": loads[0] / 1000} if loads else {}


class Pressure:
    """The thermal pressure, 0 (nominal) to 4 (sleeping): how far macOS holds the machine back for its heat."""

    interval = 30.0

    def __init__(self, run: Run = output_of) -> None:
        self._run = run

    def read(self) -> Mapping[str, object]:
        found = re.search(rf"{re.escape(PRESSURE)}\s+(\d+)", self._run([NOTIFYUTIL, "-g", PRESSURE]))
        return {"thermal_pressure": int(found[1])} if found else {}


class SpeedLimit:
    """The share of its speed that macOS lets the processor have. Told by Intel Macs; others tell it under pressure."""

    interval = 60.0

    def __init__(self, run: Run = output_of) -> None:
        self._run = run

    def read(self) -> Mapping[str, object]:
        found = re.search(r"CPU_Speed_Limit\s*=\s*(\d+)", self._run([PMSET, "-g", "therm"]))
        return {"speed_limit": int(found[1]) / 100} if found else {}


def _numbers(text: str, key: str) -> list[int]:
    """The values of a key in the text of `ioreg`; a key with more behind it is another one."""
    return [int(value) for value in re.findall(rf'"{re.escape(key)}"\s*=\s*(\d+)', text)]


def apple_sensors(there: Callable[[str], bool] = lambda program: Path(program).exists()) -> list[Sensor]:
    """The sensors whose programs are there."""
    wanted: list[tuple[str, Sensor]] = [
        (IOREG, Accelerator()),
        (IOREG, Telemetry()),
        (NOTIFYUTIL, Pressure()),
        (PMSET, SpeedLimit()),
    ]
    return [sensor for program, sensor in wanted if there(program)]
