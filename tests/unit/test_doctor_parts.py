"""What the rules of the doctor stand on: statistics that odd values cannot move, changes that are accepted, words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.curves import experiment, run
from tui_tuner.config import Experiment
from tui_tuner.training.doctor import changes, words
from tui_tuner.training.doctor.case import Case
from tui_tuner.training.doctor.robust import (
    above_before,
    difference_error,
    median_error,
    noise,
    spread,
    window_medians,
)

curves = st.lists(st.floats(-100, 100, width=32), min_size=0, max_size=40).map(lambda v: np.array(v, np.float64))


# -- statistics --------------------------------------------------------------------------------------------------------
@given(curves, st.floats(-50, 50), st.floats(0.1, 10))
@settings(max_examples=40)
def test_noise_knows_neither_level_nor_slope_and_grows_with_the_scale(values: Any, level: float, scale: float) -> None:
    slope = 0.25 * np.arange(len(values))
    assert noise(values + level) == pytest.approx(noise(values), abs=1e-9)
    assert noise(values + slope) == pytest.approx(noise(values), abs=1e-9)
    assert noise(scale * values) == pytest.approx(scale * noise(values), rel=1e-9, abs=1e-9)
    assert spread(values) >= noise(values) >= 0


@pytest.mark.parametrize("sigma", [0.01, 0.5, 3.0])
def test_noise_and_spread_are_the_sigma_of_normal_noise(sigma: float) -> None:
    values = np.random.default_rng(7).normal(2.0, sigma, 4000)
    assert noise(values) == pytest.approx(sigma, rel=0.06)
    assert spread(values) == pytest.approx(sigma, rel=0.06)


def test_a_fifth_of_the_values_may_be_anything() -> None:
    values = np.random.default_rng(3).normal(0.0, 1.0, 400)
    values[::10] = 1e6
    assert noise(values) < 2.0
    assert spread(values) < 2.0


def test_fewer_than_five_values_say_nothing_of_their_noise() -> None:
    for count in range(5):
        assert noise(np.arange(count) ** 2.0) == spread(np.arange(count) ** 2.0) == 0.0


def test_the_error_of_a_median_shrinks_with_the_root_of_its_values() -> None:
    """1.2533 σ/√n: the asymptotic efficiency of the median of normal values is 2/π."""
    assert median_error(2.0, 100) == pytest.approx(2.0 * math.sqrt(math.pi / 2) / 10, rel=1e-4)
    assert median_error(2.0, 0) == median_error(2.0, 1)
    assert difference_error(1.0, 4, 4) == pytest.approx(math.sqrt(2) * median_error(1.0, 4))


@given(curves, st.integers(1, 12))
@settings(max_examples=40)
def test_windows_stand_at_the_end_and_look_at_what_came_before(values: Any, width: int) -> None:
    medians = window_medians(values, width)
    assert len(medians) == len(values) // width
    for number, found in enumerate(reversed(medians.tolist())):
        end = len(values) - number * width
        assert found == pytest.approx(float(np.median(values[end - width : end])))
    above = above_before(values, width)
    assert len(above) == max(len(values) - width, 0)
    for at, found in enumerate(above.tolist()):
        assert found == pytest.approx(values[at + width] - float(np.median(values[at : at + width])), abs=1e-9)


# -- changes -----------------------------------------------------------------------------------------------------------
def case(view: Any = None, **sections: dict[str, Any]) -> Case:
    return Case(view or run([1.0, 0.9]), experiment(**sections))


@given(st.integers(1, 64), st.integers(1, 8), st.integers(1, 500))
@settings(max_examples=40)
def test_a_smaller_batch_trains_no_fewer_rows_in_as_many_updates(batch: int, accumulation: int, updates: int) -> None:
    train = {"batch_size": batch, "grad_accumulation": accumulation, "iters": updates * accumulation}
    change = changes.smaller_batch(case(train=train))
    if batch == 1:
        assert change == {}
        return
    size, more, iters = (change[f"train.{name}"] for name in ("batch_size", "grad_accumulation", "iters"))
    assert size == batch // 2
    assert batch * accumulation <= size * more <= 1.5 * batch * accumulation
    assert iters // more == updates


def test_epochs_count_themselves() -> None:
    change = changes.smaller_batch(case(train={"batch_size": 4, "epochs": 2}))
    assert "train.iters" not in change


@pytest.mark.parametrize(
    ("train", "change"),
    [
        ({"iters": 500, "warmup": 10}, {"train.iters": 100}),
        ({"iters": 500, "warmup": 200}, {"train.iters": 100, "train.warmup": 10}),
        ({"iters": 500, "warmup": 100}, {"train.iters": 100, "train.warmup": 10}),
        ({"epochs": 3, "warmup": 0}, {"train.iters": 100, "train.epochs": 0.0}),
        ({"iters": 500, "warmup": 30, "grad_accumulation": 5}, {"train.iters": 100, "train.warmup": 2}),
    ],
)
def test_ending_sooner_leaves_a_warm_up_that_fits(train: dict[str, Any], change: dict[str, Any]) -> None:
    assert changes.stop_at(case(train=train), 100) == change
    assert Experiment.model_validate({**_plain(), "train": {**train, **_keys(change)}})


def _plain() -> dict[str, Any]:
    return {"model": {"path": "m"}, "data": {"source": "d"}}


def _keys(change: dict[str, Any]) -> dict[str, Any]:
    return {key.partition(".")[2]: value for key, value in change.items()}


def test_memory_is_saved_by_what_costs_least_first() -> None:
    train: dict[str, Any] = {"grad_checkpoint": False, "batch_size": 2, "max_seq_length": 512}
    seen = []
    for _ in range(3):
        change = changes.less_memory(case(train=train))
        seen.append(sorted(key.partition(".")[2] for key in change))
        train.update(_keys(change))
    assert [names[0] for names in seen] == ["grad_checkpoint", "batch_size", "max_seq_length"]
    assert train["max_seq_length"] == 256


def test_without_a_configuration_nothing_is_changed_that_is_not_known() -> None:
    unknown = Case(run([1.0]))
    assert changes.other_rate(unknown, 0.5) == {}
    assert changes.smaller_batch(unknown) == changes.less_memory(unknown) == changes.gentler_start(unknown, 0.5) == {}
    assert changes.stop_at(unknown, 7) == {"train.iters": 7}


def test_a_gentler_start_warms_up_a_tenth_where_there_was_no_warm_up() -> None:
    rates = run([1.0, 0.9], steps=200, columns={"learning_rate": 1e-3})
    assert changes.gentler_start(case(rates, train={"iters": 200}), 0.5) == {
        "train.learning_rate": 5e-4,
        "train.warmup": 20,
    }
    assert "train.warmup" not in changes.gentler_start(case(rates, train={"iters": 200, "warmup": 3}), 0.5)
    assert "train.warmup" not in changes.gentler_start(case(run([1.0], steps=9), train={"iters": 9}), 0.5)


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        ({"train.iters": 300, "train.batch_size": 4}, {"train.iters": 300}),  # four it is already
        ({"train.batch_size": 0}, {}),
        ({"train.warmup": 10_000}, {}),
        ({}, {}),
    ],
)
def test_only_what_the_configuration_accepts_is_offered(change: dict[str, Any], accepted: dict[str, Any]) -> None:
    assert changes.acceptable(change, experiment(train={"batch_size": 4, "iters": 100})) == accepted
    assert changes.acceptable(change, None) == change


def test_an_adapter_that_was_begun_with_keeps_its_shape() -> None:
    begun = experiment(adapter={"start_from": "a"})
    assert changes.acceptable({"adapter.rank": 64}, begun) == {}
    assert changes.acceptable({"train.iters": 7}, begun) == {"train.iters": 7}


# -- a case ------------------------------------------------------------------------------------------------------------
def test_the_rate_is_the_one_that_was_last_set_of_a_constant_and_the_configured_one_of_a_schedule() -> None:
    view = run([1.0, 0.9, 0.8], columns={"learning_rate": [1e-3, 1e-3, 5e-4]})
    train = {"learning_rate": 2e-3}
    assert Case(view, experiment(train=train)).learning_rate == 5e-4
    assert Case(view, experiment(train={**train, "schedule": "cosine"})).learning_rate == 2e-3
    assert Case(view).learning_rate == 1e-3
    assert Case(run([1.0]), experiment(train=train)).learning_rate == 2e-3
    assert Case(run([1.0])).learning_rate is None
    assert Case(run([1.0], columns={"learning_rate": 0.0})).learning_rate is None


def test_losses_that_are_no_numbers_are_left_out_of_the_curve() -> None:
    curve = Case(run([1.0, math.nan, 0.5, math.inf, 0.25], every=10)).train
    assert curve.steps.tolist() == [10, 30, 50]
    assert curve.after(30).losses.tolist() == [0.5, 0.25]
    assert len(curve.after(51)) == 0


# -- words -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "text"),
    [(1.23456, "1.235"), (0.01, "0.010"), (0.001234, "1.2e-03"), (0.0, "0.000"), (-2.0, "-2.000"), (123.4, "123.400")],
)
def test_losses_have_three_places_or_two_digits(value: float, text: str) -> None:
    assert words.loss(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1e-5, "1e-5"), (2.5e-4, "2.5e-4"), (3e-10, "3e-10"), (0.1, "1e-1"), (20.0, "2e1")]
)
def test_rates_are_written_as_people_do(value: float, text: str) -> None:
    assert words.rate(value) == text


def test_shares_and_steps() -> None:
    assert (words.percent(0.256), words.percent(1.0), words.percent(0.0)) == ("26 %", "100 %", "0 %")
    assert (words.step(1234567), words.step(999.0)) == ("1,234,567", "999")
