"""The order in which rows are trained, and the arrays they become.

`StockOrder` reproduces `mlx_lm.tuner.trainer.iterate_batches` draw for draw, including what its validations do to the
training order, but with a generator of its own: nothing here may touch numpy's global one. Its whole position can be
saved and restored, so that a resumed run sees the rows an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_tuner.data.examples import Example
from tui_tuner.errors import TunerError
from tui_tuner.training.fast.shapes import Shape

_PAD_TO = 32


@dataclass(frozen=True)
class Batch:
    """Rows as arrays.

    Attributes:
        tokens: (rows, width) int32, zero-padded on the right.
        lengths: (rows, 2) int32: prompt tokens and total tokens of each row.
        rows: indices of the rows within their split.
        padding: share of `tokens` that is padding, 0..1.
    """

    tokens: NDArray[np.int32]
    lengths: NDArray[np.int32]
    rows: list[int]
    padding: float


def padded_width(longest: int, max_length: int) -> int:
    """Tokens a row of mlx-lm's batch takes: one more than a multiple of 32, never beyond `max_length`."""
    return min(1 + _PAD_TO * ((longest + _PAD_TO - 1) // _PAD_TO), max_length)


def stock_batch(examples: Sequence[Example], rows: Sequence[int], max_length: int) -> Batch:
    """Pads rows as mlx-lm does: to one more than a multiple of 32, never beyond `max_length`."""
    lengths = [len(examples[row].tokens) for row in rows]
    width = padded_width(max(lengths), max_length)
    tokens = np.zeros((len(rows), width), np.int32)
    spans = np.zeros((len(rows), 2), np.int32)
    for line, row in enumerate(rows):
        kept = min(lengths[line], max_length)
        tokens[line, :kept] = examples[row].tokens[:kept]
        spans[line] = (examples[row].offset, kept)
    padding = 1.0 - float(spans[:, 1].sum()) / tokens.size
    return Batch(tokens, spans, list(rows), padding)


class StockOrder:
    """mlx-lm's order: consecutive rows form a batch, remainder rows are left out, batches are permuted each epoch.

    (mlx-lm means to sort by length first, but compares the number of keys of each row, which is the same for all, so
    its order is the file's.) One generator serves training and validation, as numpy's global one does there.

    Args:
        train: examples to train on, at least `batch_size`.
        valid: examples to validate on; may be empty.
        batch_size: rows a step.
        max_length: tokens a row is cut at.
        seed: of the order.
    """

    def __init__(
        self, train: Sequence[Example], valid: Sequence[Example], *, batch_size: int, max_length: int, seed: int
    ) -> None:
        if len(train) < batch_size:
            raise TunerError(
                f"{len(train)} training rows are fewer than one batch of {batch_size}",
                code="fewer-rows-than-batch",
                where="train.batch_size",
                fix=f"set it to {max(len(train), 1)} or less, or add rows",
            )
        self._train, self._valid = train, valid
        self._max_length = max_length
        self._train_rows = _consecutive(len(train), batch_size)
        # mlx-lm refuses a validation set smaller than a batch; here it becomes one smaller batch.
        self._valid_rows = _consecutive(len(valid), min(batch_size, len(valid)) or 1)
        self._random = np.random.RandomState(seed)
        self._permutation: list[int] = []
        self._cursor = 0

    @property
    def batches_per_epoch(self) -> int:
        return len(self._train_rows)

    def batch_sizes(self) -> list[Shape]:
        """The sizes of an epoch's batches, by their numbers."""
        found = []
        for rows in self._train_rows:
            width = padded_width(max(len(self._train[row].tokens) for row in rows), self._max_length) - 1
            found.append(Shape(len(rows), width, len(rows) * width))
        return found

    def batch(self, number: int) -> Batch:
        """The training batch of that number; the position stays as it is."""
        return stock_batch(self._train, self._train_rows[number], self._max_length)

    def next(self) -> Batch:
        """The next training batch; draws a new permutation when an epoch begins."""
        if self._cursor >= len(self._permutation):
            self._permutation = [int(i) for i in self._random.permutation(len(self._train_rows))]
            self._cursor = 0
        rows = self._train_rows[self._permutation[self._cursor]]
        self._cursor += 1
        return stock_batch(self._train, rows, self._max_length)

    def validation(self, limit: int = -1, *, extra: bool = False) -> Iterator[Batch]:
        """Validation batches in the order mlx-lm would take them; `limit` -1 means all.

        Draws from the generator, as mlx-lm does, unless it is an `extra` validation that mlx-lm would not have made.
        """
        if limit == 0 or not self._valid_rows:
            return
        count = len(self._valid_rows)
        order = np.arange(count) if extra else self._random.permutation(count)
        for index in order if limit < 0 else order[:limit]:
            yield stock_batch(self._valid, self._valid_rows[int(index)], self._max_length)

    def validation_count(self, limit: int = -1) -> int:
        """How many batches `validation` will give."""
        return len(self._valid_rows) if limit < 0 else min(limit, len(self._valid_rows))

    def state(self) -> dict[str, Any]:
        """The position as JSON-able data."""
        kind, keys, position, has_gauss, cached = self._random.get_state(legacy=True)
        return {
            "generator": [str(kind), [int(k) for k in keys], int(position), int(has_gauss), float(cached)],
            "permutation": list(self._permutation),
            "cursor": self._cursor,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes back to a position that `state` gave."""
        kind, keys, position, has_gauss, cached = state["generator"]
        self._random.set_state((kind, np.array(keys, np.uint32), position, has_gauss, cached))
        self._permutation = list(state["permutation"])
        self._cursor = int(state["cursor"])


def _consecutive(count: int, size: int) -> list[list[int]]:
    return [list(range(start, start + size)) for start in range(0, count - size + 1, size)]
