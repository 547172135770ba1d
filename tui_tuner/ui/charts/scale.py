"""Axes as arithmetic: which range to show, where a value falls in it, and which ticks stand beside it.

Ranges look at finite values only (on a log axis: at positive ones). Ticks stand on 1-2-5 steps (on clock-friendly ones
for seconds), lie inside the range, increase, and never share a label.

This module must never import textual and never knows how many cells a label will cost; it is told how many ticks fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui_tuner.ui.charts.units import Unit, exponent, labels

Floats = NDArray[np.float64]

_CLOCK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_SMALLEST = 1e-300
_LARGEST = 1e300


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis. ``value`` lies inside the axis' range."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values in ``low..high`` to 0..1, linearly or by their logarithm. ``low < high`` (ValueError otherwise)."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a scale needs finite low < high, not {self.low}..{self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a log scale starts above zero, not at {self.low}")

    def fractions(self, values: Floats) -> Floats:
        """Where values fall: 0 at ``low``, 1 at ``high``, beyond outside; NaN for NaN and, on a log scale, for ≤ 0."""
        if not self.log:
            result: Floats = values / (self.high - self.low) - self.low / (self.high - self.low)
            return result
        positive = np.where(values > 0, values, np.nan)
        low, high = math.log10(self.low), math.log10(self.high)
        scaled: Floats = (np.log10(positive) - low) / (high - low)
        return scaled

    def fraction(self, value: float) -> float:
        """The same for one value."""
        return float(self.fractions(np.array([value]))[0])

    def value(self, fraction: float) -> float:
        """The value that falls on a fraction: the inverse of :meth:`fraction`."""
        if not self.log:
            return self.low + fraction * (self.high - self.low)
        low, high = math.log10(self.low), math.log10(self.high)
        return float(10.0 ** (low + fraction * (high - low)))


def fit(found: tuple[float, float] | None, log: bool = False, padding: float = 0.05) -> Scale:
    """A scale around a range, with ``padding`` (a fraction of its extent) above and below.

    One value (a flat curve, a single point) is put in the middle. Without any value the scale is 0..1 (log: 0.1..1).
    """
    if found is None:
        return Scale(0.1, 1.0, log=True) if log else Scale(0.0, 1.0)
    if log:
        low, high = (math.log10(min(max(value, _SMALLEST), _LARGEST)) for value in found)
        margin = (high - low) * padding if high - low > 1e-9 else 0.05
        return Scale(float(10.0 ** (low - margin)), float(10.0 ** (high + margin)), log=True)
    low, high = (min(max(value, -_LARGEST), _LARGEST) for value in found)
    middle = max(abs(low), abs(high))
    margin = (high - low) * padding
    if high - low <= middle * 1e-12:
        margin = middle * 0.05 if middle > _SMALLEST else 1.0
    padded_low = low - margin
    if low >= 0 > padded_low:
        padded_low = 0.0
    return Scale(padded_low, high + margin)


def ticks(scale: Scale, limit: int, unit: Unit = "plain", integer: bool = False) -> list[Tick]:
    """At most ``limit`` ticks on round values. ``integer`` keeps them on whole numbers (steps, rows)."""
    if limit < 1:
        return []
    if scale.log:
        chosen = _decades(scale, limit)
        if len(chosen) >= min(3, limit):
            return [Tick(value, labels([value], value, unit)[0]) for value in chosen]
    return _linear(scale, limit, unit, integer or unit == "integer")


def _linear(scale: Scale, limit: int, unit: Unit, integer: bool) -> list[Tick]:
    span = scale.high - scale.low
    finest: list[float] = []
    for step in _steps(span / (limit + 1), unit, integer):
        values = _multiples(scale, step, 4 * limit + 4)
        if values is None:
            continue
        if len(values) <= limit:
            if not values and finest:
                step, values = finest[0], [finest[1 + (len(finest) - 1) // 2]]
            return [
                Tick(min(max(value, scale.low), scale.high), label)
                for value, label in zip(values, labels(values, step, unit), strict=True)
            ]
        finest = [step, *values]
    return []


def _steps(least: float, unit: Unit, integer: bool) -> Iterable[float]:
    """Steps of growing size, from a little below ``least``."""
    if unit == "seconds" and least >= 0.5:
        yield from (float(step) for step in _CLOCK_STEPS if step >= least / 2)
        least = max(least, 86400.0)
        yield from (86400.0 * step for step in _steps(least / 86400.0, "plain", True))
        return
    power = exponent(max(least, 5e-324)) - 1
    if integer:
        power = max(power, 0)
    for _ in range(12):
        for factor in (1, 2, 5):
            step = float(f"{factor}e{power}")
            if step > 0 and math.isfinite(step):
                yield step
        power += 1


def _multiples(scale: Scale, step: float, most: int) -> list[float] | None:
    """Multiples of a step inside the range (a hair of rounding allowed), all different; None when beyond ``most``."""
    slack = 1e-9
    first, last = scale.low / step, scale.high / step
    if not (math.isfinite(first) and math.isfinite(last)) or last - first > most:
        return None
    start, stop = math.ceil(first - slack), math.floor(last + slack)
    digits = min(-exponent(step), 300)
    values = [index * step if step >= 1 else round(index * step, digits) for index in range(start, stop + 1)]
    return sorted({value + 0.0 for value in values})


def _decades(scale: Scale, limit: int) -> list[float]:
    """Powers of ten inside a log range, thinned to the limit, or with 2 and 5 between them where these fit."""
    low, high = exponent(scale.low) - 1, exponent(scale.high) + 1

    def inside(factors: tuple[int, ...], every: int = 1) -> list[float]:
        powers = [power for power in range(low, high + 1) if power % every == 0]
        found = (float(f"{factor}e{power}") for power in powers for factor in factors)
        return [value for value in found if scale.low <= value <= scale.high]

    dense = inside((1, 2, 5))
    if len(dense) <= limit:
        return dense
    every = 1
    while len(inside((1,), every)) > limit:
        every += 1
    return inside((1,), every)
