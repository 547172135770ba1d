"""The fast mode's order: every row once an epoch, by length, resumable; and shapes that are few and wide enough."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.data.examples import Example
from tui_tuner.errors import TunerError
from tui_tuner.training.batches import StockOrder
from tui_tuner.training.fast.order import FastOrder, padding_report
from tui_tuner.training.fast.shapes import LIMIT, Shape, plan_shapes, quantised_slots, quantised_width


def rows(count: int, *, low: int = 2, high: int = 90, seed: int = 0) -> list[Example]:
    rng = random.Random(seed)
    lengths = [rng.randint(low, high) for _ in range(count)]
    return [Example(rng.choices(range(1, 99), k=n), rng.randint(0, n - 1)) for n in lengths]


def order(examples: list[Example], valid: list[Example] | None = None, **options: int) -> FastOrder:
    settings = {"batch_size": 4, "max_length": 64, "seed": 7, **options}
    return FastOrder(examples, valid or [], **settings)


def epoch(source: FastOrder) -> list[list[int]]:
    return [source.next().rows for _ in range(source.batches_per_epoch)]


def test_every_row_once_an_epoch_and_remainders_too() -> None:
    source = order(rows(23))
    assert source.batches_per_epoch == 6
    for number in range(3):
        assert source.epoch == number
        batches = epoch(source)
        assert sorted(row for batch in batches for row in batch) == list(range(23))
        assert sorted(map(len, batches)) == [3, 4, 4, 4, 4, 4]


def test_rows_of_a_batch_are_of_one_length() -> None:
    examples = rows(40)
    batches = epoch(order(examples))
    spans = sorted((min(len(examples[r].tokens) for r in b), max(len(examples[r].tokens) for r in b)) for b in batches)
    capped = [(min(low, 64), min(high, 64)) for low, high in spans]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(capped))


def test_batches_stay_and_their_order_changes() -> None:
    source = order(rows(40))
    first, second = epoch(source), epoch(source)
    assert first != second
    assert sorted(first) == sorted(second)
    assert epoch(order(rows(40))) == first
    assert epoch(order(rows(40), seed=8)) != first


def test_ties_are_broken_by_the_seed() -> None:
    examples = [Example([1] * 10, 2) for _ in range(12)]
    compositions = {tuple(sorted(map(tuple, map(sorted, epoch(order(examples, seed=s)))))) for s in range(5)}
    assert len(compositions) > 1


def test_global_generator_is_not_touched() -> None:
    np.random.seed(3)
    before = np.random.get_state()[1].tolist()
    source = order(rows(20), rows(9))
    epoch(source)
    list(source.validation())
    assert np.random.get_state()[1].tolist() == before


@pytest.mark.parametrize("steps", [0, 1, 5, 6, 7, 17])
def test_a_restored_position_goes_on_as_if_nothing_had_been(steps: int) -> None:
    whole = order(rows(23), rows(9, seed=1))
    for _ in range(steps):
        whole.next()
    state = json.loads(json.dumps(whole.state()))
    broken = order(rows(23), rows(9, seed=1))
    broken.restore(state)
    assert broken.epoch == whole.epoch
    for _ in range(15):
        a, b = whole.next(), broken.next()
        assert a.rows == b.rows
        assert np.array_equal(a.tokens, b.tokens)
    list(whole.validation())
    assert whole.state() == broken.state()


def test_what_a_batch_holds() -> None:
    examples = rows(30)
    source = order(examples)
    for _ in range(source.batches_per_epoch):
        batch = source.next()
        counted = 0
        for line, row in enumerate(batch.rows):
            kept = min(len(examples[row].tokens), 64)
            assert batch.lengths[line].tolist() == [examples[row].offset, kept]
            assert batch.tokens[line, :kept].tolist() == examples[row].tokens[:kept]
            assert not batch.tokens[line, kept:].any()
            counted += kept - max(examples[row].offset, 1) if examples[row].offset < kept else 0
        assert batch.tokens.dtype == np.int32
        assert batch.tokens.shape[1] <= 64
        assert counted <= batch.slots <= batch.tokens.shape[0] * (batch.tokens.shape[1] - 1)
        assert batch.padding == pytest.approx(1 - batch.lengths[:, 1].sum() / batch.tokens.size)


def test_validation_is_complete_and_always_the_same() -> None:
    source = order(rows(20), rows(11, seed=1))
    first = list(source.validation())
    assert source.validation_count() == len(first) == 3
    assert sorted(row for batch in first for row in batch.rows) == list(range(11))
    state = source.state()
    source.next()
    again = list(source.validation())
    assert [b.rows for b in again] == [b.rows for b in first]
    assert state == {"epoch": 0, "cursor": 0}


def test_a_limited_validation_is_spread_over_the_lengths() -> None:
    source = order(rows(8), rows(40, seed=1))
    everything = [b.rows for b in source.validation()]
    some = [b.rows for b in source.validation(3)]
    assert source.validation_count(3) == 3
    assert some == [everything[1], everything[5], everything[8]]
    assert [b.rows for b in source.validation(99)] == everything
    assert list(source.validation(0)) == []
    assert order(rows(8)).validation_count() == 0
    assert list(order(rows(8)).validation()) == []


def test_fewer_rows_than_a_batch_make_a_smaller_one() -> None:
    source = order(rows(3))
    assert source.batches_per_epoch == 1
    assert sorted(source.next().rows) == [0, 1, 2]
    with pytest.raises(TunerError) as caught:
        order([])
    assert caught.value.code == "no-rows"


def test_padding_is_counted_as_the_batches_have_it() -> None:
    examples = rows(50, high=70)
    report = padding_report(examples, 4, 64)
    fast, stock = order(examples, seed=0), StockOrder(examples, [], batch_size=4, max_length=64, seed=0)

    def share(source: FastOrder | StockOrder) -> float:
        batches = [source.next() for _ in range(source.batches_per_epoch)]
        return 1 - sum(int(b.lengths[:, 1].sum()) for b in batches) / sum(b.tokens.size for b in batches)

    assert report.fast == pytest.approx(share(fast))
    assert report.stock == pytest.approx(share(stock))
    assert report.speedup == pytest.approx((1 - report.fast) / (1 - report.stock))
    assert report.speedup > 1.2
    assert fast.next().stock_padding == pytest.approx(report.stock)


def test_one_row() -> None:
    report = padding_report([Example([1, 2, 3], 1)], 4, 64)
    assert 0 <= report.fast < 1
    assert order([Example([1, 2, 3], 1)]).next().tokens.tolist() == [[1, 2, 3, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("needed", "width"), [(1, 8), (8, 8), (9, 16), (129, 136), (256, 256), (257, 272), (513, 544), (1000, 1000)]
)
def test_widths_are_rounded(needed: int, width: int) -> None:
    assert quantised_width(needed, 1000) == width


def test_slots_are_rounded_and_never_above_the_cells() -> None:
    assert quantised_slots(1, 64) == 4
    assert quantised_slots(33, 64) == 36
    assert quantised_slots(99, 100) == 100
    assert quantised_slots(3, 8) == 3


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 1999), st.floats(0, 1)), min_size=1, max_size=150),
    st.integers(1, 8),
    st.integers(1, 6),
)
def test_shapes_hold_what_is_needed_and_are_few(sizes: list[tuple[int, float]], rows: int, limit: int) -> None:
    wanted = [Shape(rows, width, max(int(rows * width * part), 1)) for width, part in sizes]
    most = 1999
    shapes = plan_shapes(wanted, most, limit)
    assert len(set(shapes)) <= limit
    for need, shape in zip(wanted, shapes, strict=True):
        assert shape.rows == need.rows
        assert need.width <= shape.width <= most
        assert need.slots <= shape.slots <= shape.rows * shape.width
    assert plan_shapes(wanted, most, limit) == shapes


def test_many_lengths_make_few_shapes_and_little_padding() -> None:
    rng = random.Random(1)
    lengths = [min(int(rng.lognormvariate(5, 0.8)) + 4, 2048) for _ in range(5000)]
    examples = [Example([1] * n, rng.randint(1, n - 1)) for n in lengths]
    for size in (1, 4):
        source = FastOrder(examples, [], batch_size=size, max_length=2048, seed=0)
        assert len(source.shapes) <= LIMIT
        assert source.padding.fast < 0.08


def test_a_shape_that_is_hardly_used_is_not_worth_a_trace() -> None:
    wanted = [Shape(1, 64, 32)] * 50 + [Shape(1, 56, 28)]
    assert len(set(plan_shapes(wanted, 100))) == 1
    wanted = [Shape(1, 64, 32)] * 50 + [Shape(1, 56, 28)] * 50
    assert Counter(plan_shapes(wanted, 100)).most_common() == [(Shape(1, 64, 32), 50), (Shape(1, 56, 30), 50)]
