"""What can be known of a machine: the figures, their units, and why one cannot be had.

A figure that is not known is absent from a reading. None is ever 0 because nobody could tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from tui_tuner import units

Unit = Literal["share", "bytes", "celsius", "watts", "rpm", "level"]

PRESSURES: Final = ("nominal", "moderate", "heavy", "trapping", "sleeping")
"""macOS's words for its thermal pressure, by level (`OSThermalNotification.h`)."""


@dataclass(frozen=True)
class Figure:
    """A figure of a machine.

    Attributes:
        label: a word or two for people.
        unit: of its values; shares are 0 to 1.
        zero: whether 0 can be true; else it is how a sensor says that it knows nothing.
    """

    label: str
    unit: Unit
    zero: bool = True

    def text(self, value: float) -> str:
        """A value as people read it."""
        if self.unit == "share":
            return f"{100 * value:.0f} %"
        if self.unit == "bytes":
            return units.size(value)
        if self.unit == "level":
            return PRESSURES[int(value)] if 0 <= value < len(PRESSURES) else f"level {value:.0f}"
        return f"{value:.0f} {_SIGNS[self.unit]}"


_SIGNS: Final = {"celsius": "°C", "watts": "W", "rpm": "rpm"}

FIGURES: Final[dict[str, Figure]] = {
    "cpu": Figure("processor", "share"),
    "process_cpu": Figure("this run's share", "share"),
    "memory": Figure("memory", "bytes", zero=False),
    "memory_total": Figure("memory there is", "bytes", zero=False),
    "process_memory": Figure("this run's memory", "bytes", zero=False),
    "swap": Figure("swap", "bytes"),
    "gpu": Figure("GPU", "share"),
    "gpu_memory": Figure("GPU memory", "bytes"),
    "gpu_memory_total": Figure("GPU memory there is", "bytes", zero=False),
    "mlx_active": Figure("mlx in use", "bytes"),
    "mlx_cache": Figure("mlx kept", "bytes"),
    "mlx_peak": Figure("mlx at most", "bytes"),
    "cpu_temperature": Figure("processor", "celsius", zero=False),
    "gpu_temperature": Figure("GPU", "celsius", zero=False),
    "fan": Figure("fan", "rpm"),
    "thermal_pressure": Figure("thermal pressure", "level"),
    "speed_limit": Figure("speed limit", "share", zero=False),
    "cpu_power": Figure("processor", "watts", zero=False),
    "gpu_power": Figure("GPU", "watts", zero=False),
    "power": Figure("machine", "watts", zero=False),
    "battery": Figure("battery", "share"),
}
"""By name, in the order in which they are told; an event `machine` has these fields."""


@dataclass(frozen=True)
class Reading:
    """What was known at a moment.

    Attributes:
        at: seconds since the epoch.
        values: by name of `FIGURES`; what is not known is not in it.
    """

    at: float
    values: Mapping[str, float] = field(default_factory=dict)

    def texts(self) -> Iterator[tuple[str, str]]:
        """Name and text of each figure that is known, in their order."""
        for name, figure in FIGURES.items():
            if name in self.values:
                yield name, figure.text(self.values[name])


def rounded(value: float) -> float | int:
    """A value with the digits that it is worth, so that lines are short."""
    return round(value) if abs(value) >= 1000 else round(value, 3)


def believed(found: Mapping[str, object]) -> dict[str, float]:
    """The values of a sensor that can be true: known names, finite, none below 0, and 0 only where it may be."""
    kept: dict[str, float] = {}
    for name, value in found.items():
        figure = FIGURES.get(name)
        if figure is None or isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        number = float(value)
        if math.isfinite(number) and (number > 0 or (number == 0 and figure.zero)):
            kept[name] = number
    return kept


_GROUPS: Final = (
    ("gpu", ("gpu",)),
    ("temperature", ("cpu_temperature", "gpu_temperature")),
    ("power", ("cpu_power", "gpu_power", "power")),
)
"""What people look for, and the figures of which any will do."""
LOOKED_FOR: Final = {"gpu": "GPU's load", "temperature": "temperature", "power": "power"}
"""What people look for, in words."""

_REASONS: Final[dict[str, dict[str, str]]] = {
    "darwin": {
        "gpu": "ioreg does not tell it on this Mac",
        "temperature": "macOS gives degrees to root only; the thermal pressure stands for them",
        "power": "macOS gives it to root only, but for a MacBook's power as a whole",
    },
    "linux": {
        "gpu": "only NVIDIA's cards tell it, with a driver and the package nvidia-ml-py (the extra `nvidia`)",
        "temperature": "the kernel shows no sensor; virtual machines and containers have none",
        "power": "processors tell it to root only on most systems, and cards with the extra `nvidia`",
    },
}


def missing(values: Mapping[str, float], platform: str) -> dict[str, str]:
    """What people look for (`LOOKED_FOR`) and cannot be had here, each with the reason.

    Args:
        values: of a reading.
        platform: as `sys.platform`.
    """
    reasons = _REASONS["darwin" if platform == "darwin" else "linux"]
    return {what: reasons[what] for what, names in _GROUPS if not any(name in values for name in names)}
