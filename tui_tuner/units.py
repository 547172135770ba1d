"""Quantities in words: bytes, seconds, and a figure with its interval.

One way for sentences, reports and commands alike. The screens' own forms, which know a dash for what is missing, build
on it (`ui/format.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any


def size(count: float, *, fine: bool = False) -> str:
    """Bytes with a decimal unit, as systems and model cards count: `1.9 GB`.

    Args:
        fine: three digits (`1.94 GB`), for what is compared, or watched while it grows.
    """
    value, unit, larger = float(count), "B", ["TB", "GB", "MB", "kB"]
    while abs(value) >= 999.5 and larger:
        value, unit = value / 1000, larger.pop()
    if unit == "B" or 99.95 <= abs(value) < 999.5:
        return f"{value:.0f} {unit}"
    return f"{value:.{2 if fine and abs(value) < 9.995 else 1}f} {unit}"


def many(count: int, one: str, more: str = "") -> str:
    """The count with the words that go with it: `1 row`, `1,234 rows`; `1 row is`, `2 rows are`.

    Args:
        more: for a plural that does not just end in s.
    """
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def listed(words: Iterable[object], last: str = "and") -> str:
    """Words one after another: `a`, `a and b`, `a, b and c`; empty for none."""
    *rest, end = [*map(str, words)] or [""]
    return f"{', '.join(rest)} {last} {end}" if rest else end


def duration(seconds: float) -> str:
    """Seconds in words: `0.4 s`, `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def interval(figure: Mapping[str, Any] | None, places: int = 3) -> str:
    """A figure with its interval, such as `0.412 (0.380 to 0.447)`; a dash for none, or one that is no number.

    Args:
        figure: its `value`, and `low` and `high` where they are known.
        places: after the decimal point.
    """
    value, low, high = ((figure or {}).get(name) for name in ("value", "low", "high"))
    if not _is_number(value):
        return "–"
    between = f" ({low:.{places}f} to {high:.{places}f})" if _is_number(low) and _is_number(high) else ""
    return f"{value:.{places}f}{between}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
