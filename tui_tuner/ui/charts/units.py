"""Short, unambiguous labels for numbers on axes, in legends and in readouts.

Two kinds of text come from here. *Tick labels* are made for a whole axis at once (:func:`labels`), because how many
digits a tick needs depends on its neighbours. *Values* stand alone (:func:`format_value`) and carry four significant
digits, learning rates three, shares two decimals of a percent. Bytes use the decimal prefixes (1 kB = 1000 B), as mlx
and disk makers do.

This module must never import textual and never rounds two different ticks to the same label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Unit = Literal["plain", "integer", "bytes", "seconds", "percent", "rate"]

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_PLAIN_PREFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
_SPANS = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"))


def exponent(value: float) -> int:
    """Decimal exponent of a number other than zero: 1 → 0, 0.002 → -3."""
    return int(f"{abs(value):e}".partition("e")[2])


def format_value(value: float, unit: Unit = "plain") -> str:
    """One number for a legend or a readout, to four significant digits; ``–`` for NaN, ``∞`` for infinity."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit == "seconds":
        return _clock(value)
    if unit == "bytes":
        return _prefixed(value, "B")
    if unit == "rate" and value:
        return _scientific(value, 2)
    if unit == "percent":
        return f"{_trim(f'{value * 100:.2f}')}%"
    if unit == "integer" and value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e12):
        return _scientific(value, 3)
    if abs(value) >= 1e5:
        return _prefixed(value, "", _PLAIN_PREFIXES)
    return f"{value:.{_places(value)}f}"


def labels(values: Sequence[float], step: float, unit: Unit = "plain") -> list[str]:
    """Labels of the ticks of one axis, all different. ``step`` is the smallest distance between two of them."""
    if unit == "percent":
        return [f"{text}%" for text in labels([value * 100 for value in values], step * 100)]
    made = [_tick(value, step, unit) for value in values]
    digits = 4
    while len(set(made)) < len(set(values)) and digits <= 17:
        made = [f"{value:.{digits}g}" for value in values]
        digits += 1
    return made


def _tick(value: float, step: float, unit: Unit) -> str:
    if unit == "seconds" and step >= 1:
        return _clock(value)
    suffix = {"bytes": "B", "seconds": "s"}.get(unit, "")
    space = " " if unit == "bytes" else ""
    if value == 0:
        return f"0{space}{suffix}"
    largest = abs(value)
    if unit == "rate" or (unit != "bytes" and (largest < 1e-3 or (step < 1e-4 and largest < 1.0) or largest >= 1e15)):
        return f"{_scientific(value, max(0, exponent(value) - exponent(step)))}{suffix}"
    for factor, prefix in _PREFIXES if unit == "bytes" else _PLAIN_PREFIXES:
        digits = _digits(step / factor)
        if largest >= factor and (digits <= 2 or unit == "bytes"):
            return f"{_trim(f'{value / factor:.{digits}f}')}{space}{prefix}{suffix}"
    return f"{value:.{_digits(step)}f}{space}{suffix}"


def _digits(step: float) -> int:
    """Decimals that show every multiple of a 1-2-5 step exactly."""
    return max(0, -exponent(step))


def _places(value: float) -> int:
    """Decimals that make four significant digits of a number once it is rounded to them; none for 0."""
    return max(0, 3 - int(f"{value:.3e}".partition("e")[2])) if value else 0


def _trim(text: str) -> str:
    """Without the zeros that end a decimal fraction."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scientific(value: float, digits: int) -> str:
    mantissa, _, power = f"{value:.{min(digits, 16)}e}".partition("e")
    return f"{_trim(mantissa)}e{int(power)}"


def _prefixed(value: float, suffix: str, prefixes: Sequence[tuple[float, str]] = _PREFIXES) -> str:
    space = " " if suffix else ""
    for factor, prefix in prefixes:
        if abs(value) >= factor * 0.99995:
            scaled = value / factor
            return f"{scaled:.{_places(scaled)}f}{space}{prefix}{suffix}"
    return f"{_trim(f'{value:.1f}')}{space}{suffix}"


def _clock(seconds: float) -> str:
    """``0.25s``, ``45s``, ``1m30s``, ``2h05m``, ``3d04h``: at most two parts, so whole seconds below an hour."""
    sign = "-" if seconds < 0 else ""
    rest = abs(seconds)
    if rest < 59.95:
        return f"{sign}{_trim(f'{rest:.3g}' if rest >= 1e-3 or rest == 0 else _scientific(rest, 2))}s"
    for index, (span, name) in enumerate(_SPANS):
        below, below_name = (_SPANS[index + 1]) if index + 1 < len(_SPANS) else (1.0, "s")
        units = round(rest / below)
        per = round(span / below)
        if units >= per:
            whole, part = divmod(units, per)
            return f"{sign}{whole}{name}{part:02d}{below_name}" if part else f"{sign}{whole}{name}"
    return f"{sign}{rest:.0f}s"
