"""The moving average against the loop that TensorBoard runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.ui.charts.smooth import Ema, ema


def slow(values: list[float], weight: float) -> list[float]:
    """The definition, one value after the other (TensorBoard's line chart, with its debiasing)."""
    average, count, out = 0.0, 0, []
    for value in values:
        if not math.isfinite(value):
            out.append(math.nan)
            continue
        average = average * weight + (1 - weight) * value
        count += 1
        out.append(average / (1 - weight**count))
    return out


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan), st.just(math.inf)), max_size=300),
    st.sampled_from([0.0, 1e-3, 0.1, 0.5, 0.6, 0.9, 0.99, 0.9999]),
)
def test_it_is_the_definition(values: list[float], weight: float) -> None:
    np.testing.assert_allclose(ema(np.array(values), weight), slow(values, weight), rtol=1e-9, atol=1e-6)


def test_long_curves_stay_exact() -> None:
    values = np.random.default_rng(3).normal(2.0, 1.0, 50_000)
    np.testing.assert_allclose(ema(values, 0.6), slow(values.tolist(), 0.6), rtol=1e-10)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_growing_gives_what_starting_over_gives(values: list[float], stops: list[int]) -> None:
    buffer = np.array(values)
    smoother = Ema(0.9)
    for stop in [*sorted(min(stop, len(values)) for stop in stops), len(values)]:
        np.testing.assert_allclose(smoother.update(buffer[:stop]), ema(buffer[:stop], 0.9), rtol=1e-12, atol=1e-12)


def test_other_values_start_over() -> None:
    smoother = Ema(0.5)
    smoother.update(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(smoother.update(np.array([5.0, 2.0, 3.0, 4.0])), slow([5, 2, 3, 4], 0.5))
    np.testing.assert_allclose(smoother.update(np.array([5.0])), [5.0])


def test_the_first_value_is_not_pulled_to_zero() -> None:
    assert ema(np.array([4.0, 4.0, 4.0]), 0.99).tolist() == pytest.approx([4.0, 4.0, 4.0])


def test_the_input_is_left_alone_and_the_view_is_read_only() -> None:
    values = np.array([1.0, math.nan, 3.0])
    view = Ema(0.9).update(values)
    assert values[0] == 1.0 and math.isnan(values[1])
    assert not view.flags.writeable


@pytest.mark.parametrize("weight", [-0.1, 1.0, math.nan])
def test_weights_outside_are_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        ema(np.array([1.0]), weight)
