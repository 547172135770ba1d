"""Numbers and times as people read them. Pure functions; None and NaN are shown as a dash, never as `nan`."""

from __future__ import annotations

import math
import time

DASH = "–"


def _missing(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def duration(seconds: float | None) -> str:
    """Seconds as `0.4 s`, `12 s`, `3:05` or `2:03:05`."""
    if seconds is None or _missing(seconds):
        return DASH
    if seconds < 0:
        return "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size(count: float | None) -> str:
    """Bytes with a decimal unit, as systems and model cards count: `1.9 GB`."""
    if count is None or _missing(count):
        return DASH
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or abs(value) >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def number(value: float | None, digits: int = 4) -> str:
    """A measured number with `digits` significant digits: `0.4731`, `12.3`, `1,840`."""
    if value is None or _missing(value):
        return DASH
    magnitude = abs(value)
    if magnitude == 0:
        return "0"
    if magnitude < 1e-3:
        return f"{value:.1e}".replace("e-0", "e-")
    if magnitude >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    places = max(0, digits - 1 - max(0, math.floor(math.log10(magnitude))))
    return f"{value:.{min(places, digits)}f}"


def rate(value: float | None) -> str:
    """A learning rate: the shortest exact-looking form, `1e-5` or `2.5e-4`."""
    if value is None or _missing(value):
        return DASH
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def count(value: float | None) -> str:
    """A whole number with thousands separators."""
    return DASH if value is None or _missing(value) else f"{value:,.0f}"


def percent(part: float, whole: float) -> str:
    """`part` of `whole` in whole percent, rounded down, so that 100 % means done."""
    return f"{int(100 * part / whole) if whole > 0 else 0} %"


def ago(then: float, now: float | None = None) -> str:
    """How long ago `then` (seconds since the epoch) was: `just now`, `5 min ago`, `3 days ago`."""
    seconds = (time.time() if now is None else now) - then
    if seconds < 60:
        return "just now"
    for limit, unit, name in ((3600, 60, "min"), (86400, 3600, "h"), (86400 * 60, 86400, "day")):
        if seconds < limit:
            amount = int(seconds / unit)
            return f"{amount} {name}{'s' if name == 'day' and amount != 1 else ''} ago"
    return time.strftime("%Y-%m-%d", time.localtime(then))
