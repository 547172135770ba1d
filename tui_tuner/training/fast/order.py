"""The order of the fast mode: batches of rows of the same length, no row left out, a shuffle that is easy to resume.

Which rows form a batch is fixed for all epochs, so that what frozen layers computed for a batch can be used again. In
which order the batches come is a pure function of the seed and the epoch: the position is two numbers. Validation is
complete and the same every time, and draws nothing. No generator but its own is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tui_tuner.data.examples import Example
from tui_tuner.errors import TunerError
from tui_tuner.training.batches import Batch, padded_width
from tui_tuner.training.fast.shapes import Shape, plan_shapes, quantised_slots, quantised_width

# Which of the seed's streams a draw is from: rows of equal length, and the order of batches in an epoch.
_TIES, _EPOCHS = 0, 1


@dataclass(frozen=True)
class FastBatch(Batch):
    """A batch that knows how much the loss will look at.

    Attributes:
        slots: length of the array of counted positions, padding included.
        stock_padding: share of padding in the batches that mlx-lm makes of the same rows, 0..1, over an epoch.
        part_slots: as `slots`, of the rows that one of several ranks computes; 0 where there is one rank.
    """

    slots: int
    stock_padding: float
    part_slots: int = 0


class EpochSize(NamedTuple):
    """Positions in the arrays of an epoch, padding included.

    Attributes:
        rows: rows trained.
        train: positions of the training batches that layers compute.
        slots: those of them that the head computes.
        valid: positions of one validation.
    """

    rows: int
    train: int
    slots: int
    valid: int


class PaddingReport(NamedTuple):
    """What ordering by length saves: shares of padding, 0..1, and how many times fewer positions a token costs."""

    fast: float
    stock: float
    speedup: float


class FastOrder:
    """Batches by true token length.

    Rows are sorted by their length, equal ones in an order drawn from the seed, and cut into batches from the shortest
    on; what remains is a smaller last batch. Each epoch shuffles the batches.

    Args:
        train: examples to train on, at least one.
        valid: examples to validate on; may be empty.
        batch_size: rows a step; fewer rows than that make one smaller batch.
        max_length: tokens a row is cut at.
        seed: of the order.
        ranks: how many share the rows of each batch.

    Raises:
        TunerError: when there is nothing to train on.
    """

    def __init__(
        self,
        train: Sequence[Example],
        valid: Sequence[Example],
        *,
        batch_size: int,
        max_length: int,
        seed: int,
        ranks: int = 1,
    ) -> None:
        if not train:
            raise TunerError("there are no rows to train on", code="no-rows", where="train", fix="add rows")
        self._train, self._valid = train, valid
        self._max_length, self._seed = max_length, seed
        self._train_rows = _by_length(train, batch_size, max_length, seed)
        self._valid_rows = _by_length(valid, batch_size, max_length, seed)
        wanted = [_needs(train, rows, max_length) for rows in self._train_rows]
        self._shapes = plan_shapes(wanted, most=max_length - 1)
        self._part_slots = self._slots_of_parts(ranks) if ranks > 1 else {}
        self.padding = _padding(train, self._shapes, batch_size, max_length)
        self._epoch, self._cursor = 0, 0
        self._permutation = self._shuffled(0)

    @property
    def batches_per_epoch(self) -> int:
        return len(self._train_rows)

    @property
    def epoch(self) -> int:
        """The epoch that the next batch belongs to, from 0."""
        return self._epoch + (self._cursor >= len(self._permutation))

    @property
    def shapes(self) -> set[Shape]:
        """The different shapes of the training batches: how often a compiled step is traced."""
        return set(self._shapes)

    def batch_sizes(self) -> list[Shape]:
        """The sizes of an epoch's batches, by their numbers."""
        return list(self._shapes)

    def batch(self, number: int) -> FastBatch:
        """The training batch of that number; the position stays as it is."""
        shape = self._shapes[number]
        return self._batch(self._train, self._train_rows[number], shape, self._part_slots.get(shape, 0))

    def next(self) -> FastBatch:
        """The next training batch; a new shuffle when an epoch begins."""
        if self._cursor >= len(self._permutation):
            self._epoch, self._cursor = self._epoch + 1, 0
            self._permutation = self._shuffled(self._epoch)
        index = self._permutation[self._cursor]
        self._cursor += 1
        return self.batch(index)

    def validation(self, limit: int = -1, *, extra: bool = False) -> Iterator[FastBatch]:
        """Validation batches, shortest first: all, or `limit` of them spread evenly over the lengths.

        `extra` makes no difference here: no validation draws anything.
        """
        for rows, shape in self._validation_shapes(limit):
            yield self._batch(self._valid, rows, shape)

    def validation_count(self, limit: int = -1) -> int:
        """How many batches `validation` will give; `limit` -1 means all."""
        return len(self._valid_rows) if limit < 0 else min(limit, len(self._valid_rows))

    def size(self, limit: int = -1) -> EpochSize:
        """How much an epoch computes, and a validation of `limit` batches."""
        return EpochSize(
            len(self._train),
            sum(shape.rows * shape.width for shape in self._shapes),
            sum(shape.slots for shape in self._shapes),
            sum(shape.rows * shape.width for _, shape in self._validation_shapes(limit)),
        )

    def _validation_shapes(self, limit: int) -> Iterator[tuple[list[int], Shape]]:
        total, count = len(self._valid_rows), self.validation_count(limit)
        for number in range(count):
            rows = self._valid_rows[(2 * number + 1) * total // (2 * count)]
            need = _needs(self._valid, rows, self._max_length)
            # Nothing is compiled for a validation, so it needs no common shapes.
            yield rows, need._replace(width=quantised_width(need.width, self._max_length - 1))

    def state(self) -> dict[str, Any]:
        """The position as JSON-able data."""
        return {"epoch": self._epoch, "cursor": self._cursor}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes back to a position that `state` gave."""
        self._epoch, self._cursor = int(state["epoch"]), int(state["cursor"])
        self._permutation = self._shuffled(self._epoch)

    def _shuffled(self, epoch: int) -> list[int]:
        return [int(i) for i in _generator(self._seed, _EPOCHS, epoch).permutation(len(self._train_rows))]

    def _slots_of_parts(self, ranks: int) -> dict[Shape, int]:
        """For each shape of a batch the slots that suffice for any rank's rows of any batch of that shape."""
        most: dict[Shape, int] = {}
        for rows, shape in zip(self._train_rows, self._shapes, strict=True):
            parts = (rows[rank::ranks] for rank in range(min(ranks, len(rows))))
            needed = max(_needs(self._train, part, self._max_length).slots for part in parts)
            most[shape] = max(needed, most.get(shape, 0))
        return {shape: quantised_slots(n, -(-shape.rows // ranks) * shape.width) for shape, n in most.items()}

    def _batch(self, examples: Sequence[Example], rows: list[int], shape: Shape, part_slots: int = 0) -> FastBatch:
        tokens = np.zeros((len(rows), shape.width + 1), np.int32)
        spans = np.zeros((len(rows), 2), np.int32)
        for line, row in enumerate(rows):
            kept = min(len(examples[row].tokens), self._max_length)
            tokens[line, :kept] = examples[row].tokens[:kept]
            spans[line] = (examples[row].offset, kept)
        padding = 1.0 - float(spans[:, 1].sum()) / tokens.size
        return FastBatch(tokens, spans, list(rows), padding, shape.slots, self.padding.stock, part_slots)


def padding_report(examples: Sequence[Example], batch_size: int, max_length: int) -> PaddingReport:
    """Padding in an epoch of the fast mode's batches and of mlx-lm's, and the speed-up that makes by itself.

    Args:
        examples: the rows to train on, at least one.
        batch_size: rows a step.
        max_length: tokens a row is cut at.
    """
    return FastOrder(examples, [], batch_size=batch_size, max_length=max_length, seed=0).padding


def _generator(seed: int, stream: int, epoch: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, stream, epoch])))


def _by_length(examples: Sequence[Example], size: int, max_length: int, seed: int) -> list[list[int]]:
    """Rows of each batch, shortest first; the last batch may be smaller."""
    lengths = np.array([min(len(e.tokens), max_length) for e in examples], np.int64)
    ties = _generator(seed, _TIES, 0).permutation(len(examples))
    rows = [int(row) for row in np.lexsort((ties, lengths))]
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _needs(examples: Sequence[Example], rows: Sequence[int], max_length: int) -> Shape:
    kept = [min(len(examples[row].tokens), max_length) for row in rows]
    counted = sum(max(length - max(examples[row].offset, 1), 0) for row, length in zip(rows, kept, strict=True))
    return Shape(len(rows), max(max(kept) - 1, 1), max(counted, 1))


def _padding(examples: Sequence[Example], shapes: Sequence[Shape], batch_size: int, max_length: int) -> PaddingReport:
    lengths = [min(len(e.tokens), max_length) for e in examples]
    fast_cells = sum(shape.rows * (shape.width + 1) for shape in shapes)
    size = min(batch_size, len(lengths))
    trained = len(lengths) // size * size
    stock_cells = sum(
        size * padded_width(max(lengths[start : start + size]), max_length) for start in range(0, trained, size)
    )
    fast, stock = sum(lengths) / fast_cells, sum(lengths[:trained]) / stock_cells
    return PaddingReport(1.0 - fast, 1.0 - stock, fast / stock)
