"""The schedule's plain arithmetic is mlx's, and a wish for another rate is granted exactly or refused whole."""

from __future__ import annotations

import itertools

import pytest

from tui_tuner.config import TrainSection
from tui_tuner.errors import TunerError
from tui_tuner.training.optimizers import build_optimizer, build_schedule
from tui_tuner.training.schedule import changes_by_itself, scheduled_rate, update_at, updates_of

pytestmark = pytest.mark.mlx


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
@pytest.mark.parametrize(("warmup", "accumulation"), [(0, 1), (7, 1), (5, 3)])
def test_the_schedule_is_that_of_mlx(schedule: str, warmup: int, accumulation: int) -> None:
    train = TrainSection(iters=90, learning_rate=3e-4, schedule=schedule, warmup=warmup, grad_accumulation=accumulation)
    real = build_schedule(train)
    assert changes_by_itself(train) is callable(real)
    for update in range(updates_of(train) + 3):
        there = real(update) if callable(real) else real
        assert scheduled_rate(train, update) == pytest.approx(float(there), rel=1e-5, abs=1e-10), update


def parameters() -> dict[str, object]:
    import mlx.core as mx

    return {"w": mx.zeros((2,))}


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_rate_in_force_after_a_step_is_that_of_the_last_update(accumulation: int) -> None:
    train = TrainSection(iters=40, learning_rate=1e-3, schedule="cosine", warmup=5, grad_accumulation=accumulation)
    optimizer, _ = build_optimizer(train)
    weights = parameters()
    optimizer.init(weights)
    for step in range(train.iters + 1):
        if step and step % accumulation == 0:
            optimizer.update(weights, weights)
        expected = scheduled_rate(train, update_at(train, step))
        assert float(optimizer.learning_rate.item()) == pytest.approx(expected, rel=1e-5, abs=1e-9), step


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_factor_and_the_rate_it_makes_are_the_same_wish(schedule: str) -> None:
    """What the log keeps of a factor is a number; taken again from there, it leads to the same rates, bit by bit."""
    train = TrainSection(iters=30, learning_rate=1e-3, schedule=schedule)
    rates: list[list[float]] = []
    recorded: object = "x0.5"
    for _ in range(2):
        optimizer, rate = build_optimizer(train)
        weights = parameters()
        optimizer.init(weights)
        seen = []
        for step in range(train.iters):
            if step == 10:
                before, recorded = rate.take(optimizer, recorded)
                assert before == pytest.approx(scheduled_rate(train, 9), rel=1e-5)
                assert recorded == pytest.approx(before / 2, rel=1e-6)
            optimizer.update(weights, weights)
            seen.append(float(optimizer.learning_rate.item()))
        rates.append(seen)
    assert rates[0] == rates[1]
    for update, seen in itertools.islice(enumerate(rates[0]), 10, None):
        assert seen == pytest.approx(scheduled_rate(train, update) / 2, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_two_factors_before_an_update_are_both_taken(schedule: str) -> None:
    """As somebody expects who halves it twice while the run is paused."""
    train = TrainSection(iters=30, learning_rate=1e-3, schedule=schedule)
    optimizer, rate = build_optimizer(train)
    weights = parameters()
    optimizer.init(weights)
    optimizer.update(weights, weights)
    (first, half), (again, quarter) = rate.take(optimizer, "x0.5"), rate.take(optimizer, "x0.5")
    assert (half, again, quarter) == pytest.approx((first / 2, first / 2, first / 4))
    optimizer.update(weights, weights)
    assert float(optimizer.learning_rate.item()) == pytest.approx(scheduled_rate(train, 1) / 4)


def test_a_schedule_that_stands_at_zero_is_not_changed() -> None:
    optimizer, rate = build_optimizer(TrainSection(iters=30, warmup=5))
    optimizer.init(parameters())
    for wish in (1e-4, "x2"):
        with pytest.raises(TunerError, match="stands at a rate of 0"):
            rate.take(optimizer, wish)
    assert rate.factor == 1.0


@pytest.mark.parametrize("wish", [None, "fast", [1e-4], True, 0, -1e-4, float("nan"), "x0", 11])
def test_what_is_no_rate_changes_nothing(wish: object) -> None:
    optimizer, rate = build_optimizer(TrainSection(learning_rate=1e-3))
    optimizer.init(parameters())
    with pytest.raises(TunerError) as caught:
        rate.take(optimizer, wish)
    assert caught.value.code == "bad-rate"
    assert float(optimizer.learning_rate.item()) == pytest.approx(1e-3)
