"""Rows of a batch shared among ranks: every row once, and what is weighed adds up to the batch."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.data.examples import Example
from tui_tuner.training.batches import Batch, StockOrder
from tui_tuner.training.distributed import counted_tokens, part_of, weight_of
from tui_tuner.training.fast.loss import counted_positions
from tui_tuner.training.fast.order import FastBatch, FastOrder


def rows(count: int, seed: int = 0, high: int = 60) -> list[Example]:
    rng = random.Random(seed)
    lengths = [rng.randint(2, high) for _ in range(count)]
    # At least one token of each counts, also when it is cut at 48: no other rows get as far as a batch.
    return [Example(rng.choices(range(1, 99), k=n), rng.randint(0, min(n, 48) - 1)) for n in lengths]


def fast(count: int, batch_size: int, ranks: int, seed: int = 0) -> FastOrder:
    return FastOrder(rows(count, seed), rows(7, 1), batch_size=batch_size, max_length=48, seed=3, ranks=ranks)


def owners(batch: Batch, size: int) -> list[int]:
    """The rows of all ranks that have a weight."""
    return sorted(
        row
        for rank in range(size)
        if weight_of(batch, rank, size, stock=False, equal=False)
        for row in part_of(batch, rank, size, stock=False).rows
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 9), st.integers(2, 5), st.integers(0, 99))
def test_every_row_has_one_rank_and_the_weights_add_up(count: int, batch_size: int, ranks: int, seed: int) -> None:
    source = fast(count, batch_size, ranks, seed)
    for _ in range(source.batches_per_epoch):
        batch = source.next()
        assert owners(batch, ranks) == sorted(batch.rows)
        weights = [weight_of(batch, rank, ranks, stock=False, equal=False) for rank in range(ranks)]
        assert sum(weights) == pytest.approx(1.0, abs=1e-12)
        for rank, weight in enumerate(weights):
            part = part_of(batch, rank, ranks, stock=False)
            assert isinstance(part, FastBatch)
            assert part.tokens.shape[1] == batch.tokens.shape[1]
            positions, _ = counted_positions(part)
            assert 0 < len(positions) <= part.slots
            if weight:
                assert len(positions) == round(weight * counted_tokens(batch, stock=False).sum())


def test_a_rank_without_rows_computes_one_that_counts_and_weighs_nothing() -> None:
    batch = next(b for b in (fast(9, 4, 2).next() for _ in iter(int, 1)) if len(b.rows) == 4)
    alone = Batch(batch.tokens[:1], batch.lengths[:1], batch.rows[:1], 0.0)
    assert part_of(alone, 1, 2, stock=False).rows == alone.rows
    assert [weight_of(alone, rank, 2, stock=False, equal=False) for rank in (0, 1)] == [1.0, 0.0]


def test_a_rank_whose_rows_do_not_count_computes_another_that_does() -> None:
    """A mean over no tokens would be no number, and no number times nothing is none either."""
    tokens = np.arange(1, 13, dtype=np.int32).reshape(2, 6)
    batch = Batch(tokens, np.array([[1, 6], [6, 6]], np.int32), [7, 8], 0.0)
    assert counted_tokens(batch, stock=False).tolist() == [5, 0]
    assert part_of(batch, 1, 2, stock=False).rows == [7]
    assert weight_of(batch, 1, 2, stock=False, equal=False) == 0.0


def test_tokens_are_counted_as_the_losses_count_them() -> None:
    import mlx.core as mx
    from mlx_lm.tuner.trainer import default_loss

    class Even:
        """A model that finds all of 99 tokens alike."""

        def __call__(self, inputs: mx.array) -> mx.array:
            return mx.zeros((*inputs.shape, 99))

    order = StockOrder(rows(24, 5, high=80), [], batch_size=4, max_length=48, seed=0)
    for batch in (order.next() for _ in range(order.batches_per_epoch)):
        _, tokens = default_loss(Even(), mx.array(batch.tokens), mx.array(batch.lengths))
        assert counted_tokens(batch, stock=True).sum() == tokens.item()
        assert counted_tokens(batch, stock=False).sum() == len(counted_positions(batch)[0])


def test_in_stock_mode_a_rank_gets_the_batch_that_mlx_lm_makes_of_its_rows() -> None:
    from mlx_lm.tuner.datasets import CacheDataset
    from mlx_lm.tuner.trainer import iterate_batches

    class Rows(CacheDataset):  # type: ignore[misc]
        """Rows whose length mlx-lm takes to be their number of keys, as it does with its own."""

        def __init__(self) -> None:
            self.pairs = [(e.tokens, e.offset) for e in examples]

        def __len__(self) -> int:
            return len(self.pairs)

        def __getitem__(self, index: int) -> tuple[list[int], int]:
            return self.pairs[index]

        def itemlen(self, index: int) -> int:
            return 2

    class Place:
        def __init__(self, rank: int) -> None:
            self._rank = rank

        def rank(self) -> int:
            return self._rank

        def size(self) -> int:
            return 2

    examples = rows(24, 6, high=80)
    for rank in (0, 1):
        order = StockOrder(examples, [], batch_size=4, max_length=64, seed=9)
        theirs = iterate_batches(Rows(), 4, 64, loop=False, seed=9, comm_group=Place(rank))
        for tokens, lengths in theirs:
            part = part_of(order.next(), rank, 2, stock=True)
            assert np.array_equal(part.tokens, np.array(tokens))
            assert np.array_equal(part.lengths, np.array(lengths))


def test_ranks_add_no_shape_of_an_array() -> None:
    """A shape is traced for each different size of arrays, so the parts of like batches must be alike."""
    source = fast(200, 8, 2)
    whole, parts = set(), set()
    for _ in range(source.batches_per_epoch):
        batch = source.next()
        whole.add((*batch.tokens.shape, batch.slots))
        for rank in (0, 1):
            part = part_of(batch, rank, 2, stock=False)
            assert isinstance(part, FastBatch)
            parts.add((*part.tokens.shape, part.slots))
    assert len(parts) <= len(whole)
    assert sum(rows * width for rows, width, _ in parts) < sum(rows * width for rows, width, _ in whole)


def test_one_rank_has_no_parts() -> None:
    assert {fast(20, 4, 1).next().part_slots} == {0}
