"""Ranges, scales, ticks and labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.ui.charts.scale import Scale, fit, ticks
from tui_tuner.ui.charts.units import format_value

units = st.sampled_from(["plain", "integer", "bytes", "seconds", "percent", "rate"])
sane = st.floats(-1e12, 1e12, allow_nan=False)


def texts(low: float, high: float, limit: int, **more: object) -> list[str]:
    log = bool(more.pop("log", False))
    return [tick.label for tick in ticks(Scale(low, high, log), limit, **more)]  # type: ignore[arg-type]


@settings(max_examples=400, deadline=None)
@given(sane, st.floats(1e-9, 1e12), st.integers(1, 20), units)
def test_ticks_rise_stay_inside_and_differ(low: float, span: float, limit: int, unit: str) -> None:
    if low + span - low < 1e-9 * abs(low):
        return
    scale = Scale(low, low + span)
    found = ticks(scale, limit, unit)  # type: ignore[arg-type]
    assert len(found) <= limit
    values, labels = [tick.value for tick in found], [tick.label for tick in found]
    assert values == sorted(set(values))
    assert len(set(labels)) == len(labels), labels
    assert all(scale.low <= value <= scale.high for value in values)
    if unit not in {"integer"}:
        assert found, "there is always one round value to show"


@settings(max_examples=200, deadline=None)
@given(st.floats(-12, 12), st.floats(0.01, 20), st.integers(1, 20))
def test_log_ticks_rise_stay_inside_and_differ(power: float, decades: float, limit: int) -> None:
    scale = Scale(10.0**power, 10.0 ** (power + decades), log=True)
    found = ticks(scale, limit)
    values = [tick.value for tick in found]
    assert 0 < len(found) <= limit
    assert values == sorted(set(values))
    assert len({tick.label for tick in found}) == len(found)
    assert all(scale.low <= value <= scale.high for value in values)


@pytest.mark.parametrize(
    ("low", "high", "limit", "expected"),
    [
        (0, 2000, 5, ["0", "500", "1k", "1.5k", "2k"]),
        (0.0021, 0.0039, 4, ["0.0025", "0.0030", "0.0035"]),
        (0, 1e-4, 3, ["0", "5e-5", "1e-4"]),
        (999, 1001, 3, ["999", "1000", "1001"]),
        (1_200_000, 1_210_000, 3, ["1200k", "1205k", "1210k"]),
        (0, 1, 3, ["0", "0.5", "1.0"]),
        (-3, 7, 3, ["0", "5"]),
    ],
)
def test_plain_labels(low: float, high: float, limit: int, expected: list[str]) -> None:
    assert texts(low, high, limit) == expected


def test_units_have_their_own_steps_and_labels() -> None:
    assert texts(0, 90, 5, unit="seconds") == ["0s", "30s", "1m", "1m30s"]
    assert texts(0, 4e6, 5, unit="seconds") == ["0s", "10d", "20d", "30d", "40d"]
    assert texts(0, 3.2e9, 5, unit="bytes") == ["0 B", "1 GB", "2 GB", "3 GB"]
    assert texts(0.1, 0.45, 5, unit="percent") == ["10%", "20%", "30%", "40%"]
    assert texts(1, 3, 9, integer=True) == ["1", "2", "3"]
    assert texts(1e-6, 1e-3, 4, log=True) == ["1e-6", "1e-5", "1e-4", "0.001"]


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1.23456, "plain", "1.235"),
        (0.00012345, "plain", "1.234e-4"),
        (123456, "plain", "123.5k"),
        (123456, "integer", "123,456"),
        (1.5e9, "bytes", "1.500 GB"),
        (512, "bytes", "512 B"),
        (3725, "seconds", "1h02m"),
        (59.99, "seconds", "1m"),
        (0.25, "seconds", "0.25s"),
        (0.4567, "percent", "45.67%"),
        (0.001112, "rate", "1.11e-3"),
        (2e-5, "rate", "2e-5"),
        (0.0, "rate", "0"),
        (math.nan, "plain", "–"),
        (-math.inf, "plain", "-∞"),
    ],
)
def test_values_alone(value: float, unit: str, expected: str) -> None:
    assert format_value(value, unit) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0.0, 2.5, -3.0, 1e-300, 1e308, -1e308])
def test_a_flat_curve_lies_inside_its_scale(value: float) -> None:
    scale = fit((value, value))
    assert scale.low < scale.high
    assert 0 <= scale.fraction(min(max(value, -1e300), 1e300)) <= 1


def test_fitting_pads_but_does_not_invent_negative_values() -> None:
    assert fit((1.0, 2.0)) == Scale(0.95, 2.05)
    assert fit((0.0, 2.0)).low == 0.0
    assert fit(None) == Scale(0.0, 1.0)
    assert fit(None, log=True).log
    padded = fit((1.0, 100.0), log=True)
    assert padded.low < 1.0 < 100.0 < padded.high


def test_a_log_scale_turns_what_it_cannot_show_into_gaps() -> None:
    got = Scale(0.1, 10.0, log=True).fractions(np.array([0.1, 1.0, 10.0, 0.0, -1.0, math.nan]))
    np.testing.assert_allclose(got, [0.0, 0.5, 1.0, math.nan, math.nan, math.nan])


@given(st.floats(0, 1), st.booleans())
def test_value_and_fraction_are_inverse(fraction: float, log: bool) -> None:
    scale = Scale(0.5, 80.0, log)
    assert scale.fraction(scale.value(fraction)) == pytest.approx(fraction, abs=1e-9)


@pytest.mark.parametrize(("low", "high", "log"), [(1, 1, False), (2, 1, False), (0, 1, True), (math.nan, 1, False)])
def test_impossible_scales_are_refused(low: float, high: float, log: bool) -> None:
    with pytest.raises(ValueError, match="scale"):
        Scale(low, high, log)
