"""Where a training stands, without a model: orders that go on from any position, the best so far, padded batches."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.config.model import TrainSection
from tui_tuner.data.examples import Example
from tui_tuner.errors import TunerError
from tui_tuner.runs.control import JobControl, StopRequested
from tui_tuner.training.batches import StockOrder, padded_width, stock_batch
from tui_tuner.training.best import Best
from tui_tuner.training.fast.order import FastOrder, padding_report
from tui_tuner.training.parts import look_is_due
from tui_tuner.training.ranks import ALONE
from tui_tuner.training.schedule import changes_by_itself, scheduled_rate, update_at, updates_of
from tui_tuner.training.wishes import Wishes

lengths = st.lists(st.integers(2, 70), min_size=1, max_size=25)


def examples(sizes: list[int]) -> list[Example]:
    return [Example([number + 1] * size, size // 3) for number, size in enumerate(sizes)]


def orders(sizes: list[int], batch: int, seed: int, valid: int = 5) -> list[Any]:
    options: dict[str, Any] = {"batch_size": min(batch, len(sizes)), "max_length": 48, "seed": seed}
    made = examples(sizes)
    return [kind(made, made[:valid], **options) for kind in (StockOrder, FastOrder)]


def seen(order: Any, count: int) -> list[list[int]]:
    return [order.next().rows for _ in range(count)]


# -- orders ------------------------------------------------------------------------------------------------------------
@given(lengths, st.integers(1, 6), st.integers(0, 99), st.integers(0, 12))
@settings(max_examples=40)
def test_an_order_goes_on_from_any_position_also_through_a_file(
    sizes: list[int], batch: int, seed: int, steps: int
) -> None:
    for order, twin in zip(orders(sizes, batch, seed), orders(sizes, batch, seed + 1 if steps else seed), strict=True):
        seen(order, steps)
        list(order.validation())
        position = json.loads(json.dumps(order.state()))
        ahead = seen(order, 7)
        if isinstance(order, StockOrder):
            twin.restore(position)
            assert seen(twin, 7) == ahead
        order.restore(position)
        assert seen(order, 7) == ahead


@given(lengths, st.integers(1, 6), st.integers(0, 99))
@settings(max_examples=40)
def test_an_epoch_has_every_row_once_and_stock_leaves_out_the_remainder(
    sizes: list[int], batch: int, seed: int
) -> None:
    stock, fast = orders(sizes, batch, seed)
    rows = sorted(row for each in seen(fast, fast.batches_per_epoch) for row in each)
    assert rows == list(range(len(sizes)))
    size = min(batch, len(sizes))
    rows = sorted(row for each in seen(stock, stock.batches_per_epoch) for row in each)
    assert rows == list(range(len(sizes) // size * size))


@given(lengths, st.integers(1, 6))
@settings(max_examples=30)
def test_a_batch_by_its_number_is_as_large_as_was_told_and_holds_its_rows(sizes: list[int], batch: int) -> None:
    made = examples(sizes)
    for order in orders(sizes, batch, 3):
        told = order.batch_sizes()
        assert len(told) == order.batches_per_epoch
        for number, size in enumerate(told):
            got = order.batch(number)
            assert got.tokens.shape == (size.rows, size.width + 1)
            for line, row in enumerate(got.rows):
                kept = min(len(made[row].tokens), 48)
                assert got.tokens[line].tolist() == [row + 1] * kept + [0] * (size.width + 1 - kept)
                assert got.lengths[line].tolist() == [made[row].offset, kept]
            assert got.padding == pytest.approx(float((got.tokens == 0).mean()))


@given(st.integers(0, 9), st.integers(-1, 9))
@settings(max_examples=30)
def test_a_validation_gives_as_many_batches_as_it_says(valid: int, limit: int) -> None:
    for order in orders([10] * 9, 2, 0, valid):
        for extra in (False, True):
            assert len(list(order.validation(limit, extra=extra))) == order.validation_count(limit)


def test_a_validation_that_stock_would_not_take_draws_nothing_from_its_generator() -> None:
    plain, looked = (orders([10] * 12, 2, 4)[0] for _ in range(2))
    list(looked.validation(extra=True))
    assert plain.state() == looked.state()
    assert seen(plain, 9) == seen(looked, 9)
    list(looked.validation())
    assert plain.state() != looked.state()  # which it does where stock does


def test_fewer_rows_than_a_batch_are_an_error_with_the_number_to_take() -> None:
    with pytest.raises(TunerError) as caught:
        StockOrder(examples([5, 5, 5]), [], batch_size=4, max_length=48, seed=0)
    assert caught.value.code == "fewer-rows-than-batch"
    assert caught.value.sentence() == (
        "train.batch_size: 3 training rows are fewer than one batch of 4; set it to 3 or less, or add rows."
    )
    with pytest.raises(TunerError, match="there are no rows to train on"):
        FastOrder([], [], batch_size=4, max_length=48, seed=0)


@given(st.integers(1, 5000), st.integers(1, 4096))
def test_a_padded_row_holds_its_tokens_or_all_that_are_allowed(longest: int, most: int) -> None:
    width = padded_width(longest, most)
    assert min(longest, most) <= width <= most
    assert width == most or (width - 1) % 32 == 0


def test_stock_pads_to_one_more_than_a_multiple_of_32_and_counts_it() -> None:
    batch = stock_batch(examples([5, 33]), [0, 1], 100)
    assert batch.tokens.shape == (2, 65)
    assert batch.padding == pytest.approx(1 - 38 / 130)


def test_equal_rows_save_nothing_by_their_length() -> None:
    report = padding_report(examples([33] * 8), 4, 100)
    assert report.stock == pytest.approx(1 - 33 / 65)
    assert report.speedup == pytest.approx((1 - report.fast) / (1 - report.stock))


# -- the best so far ---------------------------------------------------------------------------------------------------
values = st.floats(-5, 5) | st.just(math.nan) | st.just(math.inf)


@given(st.lists(values, max_size=20), st.integers(0, 4))
@settings(max_examples=60)
def test_the_best_are_the_lowest_numbers_in_order(given_: list[float], keep: int) -> None:
    best = Best()
    for step, value in enumerate(given_):
        is_best, among = best.add(value, step, keep)
        assert is_best is (best.step == step)
        assert among is any(at == step for _, at in best.values)
        assert is_best <= among
    finite = sorted((value, step) for step, value in enumerate(given_) if math.isfinite(value))
    assert best.values == finite[: max(keep, 1)]


@given(st.lists(values, max_size=20))
@settings(max_examples=40)
def test_patience_is_counted_since_the_last_best(given_: list[float]) -> None:
    best = Best()
    for step, value in enumerate(given_):
        best.add(value, step, 1)
    since = 0
    lowest = math.inf
    for value in given_:
        better = math.isfinite(value) and value < lowest
        since, lowest = (0, value) if better else (since + 1, lowest)
    assert best.waited == since
    assert not best.exhausted(0)  # no patience asked for is no end
    assert best.exhausted(1) is (since >= 1)


def test_the_same_step_counts_once_because_a_resumed_run_measures_it_again() -> None:
    best = Best()
    assert best.add(1.0, 10, 2) == (True, True)
    assert best.add(2.0, 20, 2) == (False, True)
    assert best.add(0.5, 20, 2) == (False, True)  # what it was first stays
    assert best.values == [(1.0, 10), (2.0, 20)]
    assert best.waited == 1


# -- when a look is due ------------------------------------------------------------------------------------------------
@given(st.integers(1, 60), st.integers(1, 25))
@settings(max_examples=40)
def test_stock_looks_before_its_first_step_every_so_often_and_before_its_last(iters: int, every: int) -> None:
    """`it == 1 or it % steps_per_eval == 0 or it == args.iters`, before the step: mlx_lm/tuner/trainer.py."""
    stock = TrainSection(mode="stock", iters=iters, eval_every=every)
    due = [step + 1 for step in range(iters) if look_is_due(stock, step)]
    assert due == [it for it in range(1, iters + 1) if it == 1 or it % every == 0 or it == iters]
    fast = stock.model_copy(update={"mode": "fast"})
    assert [step for step in range(iters) if look_is_due(fast, step)] == list(range(0, iters, every))


# -- schedules in plain arithmetic -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("schedule", "warmup", "itself"), [("constant", 0, False), ("constant", 5, True), ("cosine", 0, True)]
)
def test_a_schedule_is_what_changes_by_itself(schedule: str, warmup: int, itself: bool) -> None:
    assert changes_by_itself(TrainSection(schedule=schedule, warmup=warmup)) is itself


def test_a_cosine_is_halfway_down_in_the_middle_and_stays_at_its_end() -> None:
    """Loshchilov and Hutter, SGDR (2017), equation 5, without restarts."""
    train = TrainSection(learning_rate=1e-3, iters=100, schedule="cosine", warmup=0)
    found = [scheduled_rate(train, update) for update in (0, 25, 50, 100, 1000)]
    assert found == pytest.approx([1e-3, 1e-3 * (1 + math.sqrt(0.5)) / 2, 5e-4, 0.0, 0.0], abs=1e-12)


@given(st.integers(1, 500), st.integers(1, 9), st.integers(0, 600))
@settings(max_examples=40)
def test_updates_are_counted_by_what_is_accumulated(iters: int, accumulation: int, step: int) -> None:
    train = TrainSection(iters=max(iters, accumulation), grad_accumulation=accumulation)
    assert updates_of(train) == max(train.iters // accumulation, 1)
    at = update_at(train, step)
    assert at == (0 if step < accumulation else step // accumulation - 1)
    assert update_at(train, step + accumulation) in (at, at + 1)


# -- wishes ------------------------------------------------------------------------------------------------------------
def test_what_was_asked_before_is_asked_again_at_its_step_and_once() -> None:
    wishes = Wishes(JobControl(), ALONE, [(3, "evaluate", None), (3, "learning_rate", 0.1), (5, "evaluate", None)])
    assert wishes.due(1) == []
    assert wishes.due(3) == [("evaluate", None), ("learning_rate", 0.1)]
    assert wishes.due(3) == []  # a rollback comes by it again
    assert wishes.due(5) == [("evaluate", None)]


def test_a_new_wish_of_a_kind_makes_the_old_ones_of_that_kind_void() -> None:
    control = JobControl()
    wishes = Wishes(control, ALONE, [(5, "learning_rate", 0.1), (5, "finish_epoch", None)])
    control.request("learning_rate", 0.3)
    assert wishes.hear().requests == [("learning_rate", 0.3)]
    assert wishes.hear().requests == []
    assert wishes.due(5) == [("finish_epoch", None)]


def test_passing_by_takes_no_request_and_hears_a_stop() -> None:
    control = JobControl()
    wishes = Wishes(control, ALONE, [])
    control.request("checkpoint")
    wishes.pass_by()
    assert wishes.hear().requests == [("checkpoint", None)]
    control.stop("ada")
    with pytest.raises(StopRequested, match="ada"):
        wishes.pass_by()


def test_a_pause_is_waited_out_and_a_stop_ends_it() -> None:
    control = JobControl()
    control.pause()
    waited: list[int] = []

    class Ranks:
        """One process whose waiting ends by being told to go on, then by a stop."""

        lead = staticmethod(ALONE.lead)

        def idle(self, wait: Any) -> None:
            waited.append(1)
            control.proceed() if len(waited) == 1 else control.stop("grace")

    wishes = Wishes(control, Ranks(), [])  # type: ignore[arg-type]
    wishes.pass_by()
    assert len(waited) == 1
    control.pause()
    with pytest.raises(StopRequested, match="grace"):
        wishes.pass_by()
    assert len(waited) == 2


def test_small_tasks_are_taken_in_the_order_they_came() -> None:
    control, done = JobControl(), list[str]()
    for name in "ab":
        control.submit_interlude(lambda given_, name=name: done.append(f"{name}{given_}"))
    wishes = Wishes(control, ALONE, [])
    for task in wishes.tasks():
        task(1)
    assert done == ["a1", "b1"]
    assert wishes.tasks() == []


@given(st.integers(2, 80), st.integers(1, 20), st.integers(0, 3))
@settings(max_examples=25)
def test_a_row_longer_than_allowed_is_cut_and_keeps_its_prompt(length: int, most: int, prompt: int) -> None:
    batch = stock_batch([Example(list(range(1, length + 1)), prompt)], [0], most)
    kept = min(length, most)
    assert batch.lengths.tolist() == [[prompt, kept]]
    assert batch.tokens[0, :kept].tolist() == list(range(1, kept + 1))
    assert np.all(batch.tokens[0, kept:] == 0)
