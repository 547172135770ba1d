"""Numbers and times as people read them. Pure functions; None and NaN are shown as a dash, never as `nan`."""

from __future__ import annotations

import math
import time

from tui_tuner import units

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


def expected(seconds: float | None, low: float | None = None, high: float | None = None) -> str:
    """A time that is predicted, rounded to what can be known of it, with its interval: `12 min (10–15)`.

    The interval is left out where it is unknown, or rounds to nothing.
    """
    if seconds is None or _missing(seconds):
        return DASH
    span, name = next((span, name) for span, name, most in _SPANS if seconds < most)
    text = f"{_rounded(seconds / span)} {name}"
    if low is None or high is None or _missing(low) or _missing(high):
        return text
    ends = _rounded(low / span), _rounded(high / span)
    return text if ends[0] == ends[1] else f"{text} ({ends[0]}–{ends[1]})"


_SPANS = ((1.0, "s", 99.5), (60.0, "min", 99.5 * 60), (3600.0, "h", math.inf))


def _rounded(value: float) -> str:
    """A whole number from 10 on, below with one decimal; nothing falls below 0."""
    value = max(0.0, value)
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}".removesuffix(".0")


def moment(at: float, now: float) -> str:
    """A time of day to come, both in seconds since the epoch: `14:32`, `Tue 14:32`, `3 Mar`."""
    if _missing(at) or abs(at) > 1e11:
        return DASH
    then, today = time.localtime(at), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    if at - now < 6 * 86400:
        return time.strftime("%a %H:%M", then)
    return f"{then.tm_mday} {time.strftime('%b', then)}"


def share(value: float | None) -> str:
    """A share between 0 and 1 in percent: `3.1 %`, `28 %`."""
    if value is None or _missing(value):
        return DASH
    return f"{100 * value:.0f} %" if abs(value) >= 0.0995 else f"{100 * value:.1f} %"


def size(count: float | None) -> str:
    """Bytes with a decimal unit, as systems and model cards count: `1.9 GB`."""
    if count is None or _missing(count):
        return DASH
    return units.size(count)


def size_of(part: float, whole: float) -> str:
    """Bytes of how many there are, `5.2 of 25.3 GB`: the unit is said once where both have the same."""
    text, unit = f"{size(part)} of {size(whole)}", size(whole)[-3:]
    return text.replace(unit, "", 1) if text.count(unit) > 1 else text


def number(value: float | None, digits: int = 4) -> str:
    """A measured number in `digits` digits, a zero before the point being one: `0.473`, `12.35`, `1,840`.

    Below a thousandth, and from a thousand millions on, in powers of ten: `1.2e-5`, `3.0e12`.
    """
    if value is None or _missing(value):
        return DASH
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 999_999_999.5:
        mantissa, _, power = f"{value:.1e}".partition("e")
        return f"{mantissa}e{int(power)}"
    magnitude = abs(float(f"{value:.{digits - 1}e}"))  # as it is when rounded, which may be one digit longer
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
    """How long ago `then` (seconds since the epoch) was: `just now`, `5 min ago`, `3 days ago`, or its date.

    What lies ahead is told by its date as well: a clock was wrong then, or is now.
    """
    seconds = (time.time() if now is None else now) - then
    if -3600 < seconds < 60:
        return "just now"
    for limit, unit, name in ((3600, 60, "min"), (86400, 3600, "h"), (86400 * 60, 86400, "day")):
        if 0 <= seconds < limit:
            amount = int(seconds / unit)
            return f"{amount} {name}{'s' if name == 'day' and amount != 1 else ''} ago"
    try:
        return time.strftime("%Y-%m-%d", time.localtime(then))
    except (OverflowError, OSError, ValueError):
        return DASH  # no calendar has that day
