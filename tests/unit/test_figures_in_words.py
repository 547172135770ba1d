"""Numbers, times and sizes as screens show them: short, never `nan`, and right where they are rounded over an edge."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.ui import format as fmt

MISSING = (None, math.nan, math.inf, -math.inf)
NOW = 1_760_000_000.0  # Thursday, 9 October 2025, 08:53:20 UTC
finite = st.floats(-1e300, 1e300)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fmt.time, "localtime", time.gmtime)


@pytest.mark.parametrize("tell", [fmt.duration, fmt.expected, fmt.share, fmt.size, fmt.number, fmt.rate, fmt.count])
def test_what_is_not_known_is_a_dash(tell: object) -> None:
    assert [tell(value) for value in MISSING] == [fmt.DASH] * 4  # type: ignore[operator]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3.0, "0 s"),
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.95, "10 s"),
        (59.49, "59 s"),
        (59.5, "1:00"),
        (3599.4, "59:59"),
        (3599.6, "1:00:00"),
        (86_400.0, "24:00:00"),
        (360_005.0, "100:00:05"),
    ],
)
def test_a_duration_never_shows_sixty_of_anything(seconds: float, text: str) -> None:
    assert fmt.duration(seconds) == text


@given(st.floats(0, 1e7))
def test_a_duration_can_be_read_back_to_within_its_last_digit(seconds: float) -> None:
    text = fmt.duration(seconds)
    if text.endswith(" s"):
        value, error = float(text.removesuffix(" s")), 0.05 if seconds < 9.95 else 0.5
    else:
        parts = [int(part) for part in text.split(":")]
        assert all(part < 60 for part in parts[1:])
        value, error = float(sum(part * 60**power for power, part in enumerate(reversed(parts)))), 0.5
    assert abs(value - seconds) <= error + 1e-9


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (-0.47312, 4, "-0.473"),
        (9.9996, 4, "10.00"),
        (999.96, 4, "1,000"),
        (-999.96, 4, "-1,000"),
        (0.99996, 4, "1.000"),
        (0.0009996, 4, "1.0e-3"),
        (0.001, 4, "0.001"),
        (12.345, 3, "12.3"),
        (99.96, 3, "100"),
        (-2e-12, 4, "-2.0e-12"),
        (999_999_999.0, 4, "999,999,999"),
        (999_999_999.7, 4, "1.0e9"),
        (3.4e38, 4, "3.4e38"),
    ],
)
def test_a_number_keeps_its_digits_where_rounding_makes_it_longer(value: float, digits: int, text: str) -> None:
    assert fmt.number(value, digits) == text


@given(finite, st.sampled_from([3, 4]))
def test_a_number_fits_its_column_and_is_what_was_measured(value: float, digits: int) -> None:
    """A diverging loss of 1e30 would else push all else off the line."""
    text = fmt.number(value, digits)
    assert len(text) <= 12
    shown = float(text.replace(",", ""))
    assert shown == pytest.approx(value, rel=0.051, abs=0.5 * 10.0 ** (1 - digits))
    assert (shown < 0) == (value < 0) or shown == 0


@given(st.floats(1e-12, 10.0))
def test_a_learning_rate_is_told_to_three_digits(value: float) -> None:
    text = fmt.rate(value)
    assert float(text) == pytest.approx(value, rel=0.0051)
    mantissa = text.partition("e")[0]
    assert not mantissa.endswith((".", "0")) or mantissa == "0"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0994, "9.9 %"), (0.0996, "10 %"), (1.0, "100 %"), (-0.05, "-5.0 %"), (2.5, "250 %")]
)
def test_a_share_has_a_decimal_only_where_it_is_small(value: float, text: str) -> None:
    assert fmt.share(value) == text


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_hundred_percent_is_never_shown_too_early(part: int, whole: int) -> None:
    shown = int(fmt.percent(part, whole).removesuffix(" %"))
    assert (shown >= 100) == (part >= whole)


@pytest.mark.parametrize(
    ("seconds", "low", "high", "text"),
    [
        (99.4, 98.0, 101.0, "99 s (98–101)"),
        (99.6, 98.0, 101.0, "1.7 min (1.6–1.7)"),
        (5_969.0, 5_900.0, 6_100.0, "99 min (98–102)"),
        (5_971.0, 5_971.0, 5_971.0, "1.7 h"),
        (1.0, -4.0, 2.0, "1 s (0–2)"),
        (30.0, 20.0, None, "30 s"),
        (30.0, math.nan, 40.0, "30 s"),
    ],
)
def test_an_interval_is_in_the_unit_of_its_time(seconds: float, low: float, high: float | None, text: str) -> None:
    assert fmt.expected(seconds, low, high) == text


@pytest.mark.usefixtures("utc")
def test_a_moment_of_another_day_names_it() -> None:
    midnight = NOW - 8 * 3600 - 53 * 60 - 20 + 86_400
    assert fmt.moment(midnight - 1, NOW) == "23:59"
    assert fmt.moment(midnight, NOW) == "Fri 00:00"
    assert fmt.moment(NOW + 6 * 86_400 - 1, NOW) == "Wed 08:53"
    assert fmt.moment(NOW + 6 * 86_400, NOW) == "15 Oct"
    assert fmt.moment(math.nan, NOW) == fmt.DASH


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (59.9, "just now"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (86_399, "23 h ago"),
        (2 * 86_400, "2 days ago"),
        (60 * 86_400, "2025-08-10"),
        (-3_601, "2025-10-09"),
        (-math.inf, "–"),
        (math.nan, "–"),
    ],
)
def test_how_long_ago_goes_from_seconds_to_a_date(seconds: float, text: str) -> None:
    assert fmt.ago(NOW - seconds, NOW) == text


def test_how_long_ago_is_reckoned_from_now_where_nothing_else_is_said() -> None:
    assert fmt.ago(time.time() - 7_250) == "2 h ago"
