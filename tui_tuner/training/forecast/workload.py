"""What a run goes through: the sizes of its batches, how often each comes, and what is answered. Lengths only.

The same numbers as the orders of training make (`training/fast/order.py`, `training/batches.py`), as far as they can be
had without making a batch: only the merging of nearly equal shapes is left out, which moves a width by a few positions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tui_tuner.config import TrainSection
from tui_tuner.data.examples import Example
from tui_tuner.models.memory import BatchSize
from tui_tuner.training.batches import padded_width
from tui_tuner.training.fast.shapes import LIMIT, quantised_slots, quantised_width

if TYPE_CHECKING:
    from tui_tuner.data.scan import Report

Lengths = NDArray[np.int64]
_NONE: Lengths = np.zeros(0, np.int64)


@dataclass(frozen=True)
class RowLengths:
    """Tokens of the rows of a data set, uncut, and how many of them are prompt, in the order of the file.

    Attributes:
        train, valid, test: tokens of each row.
        train_prompts, valid_prompts, test_prompts: how many of them are prompt.
        known: whether they were counted; otherwise they stand for rows that are as long as can be.
    """

    train: Lengths
    train_prompts: Lengths
    valid: Lengths = field(default_factory=lambda: _NONE)
    valid_prompts: Lengths = field(default_factory=lambda: _NONE)
    test: Lengths = field(default_factory=lambda: _NONE)
    test_prompts: Lengths = field(default_factory=lambda: _NONE)
    known: bool = True


def lengths_of(report: Report) -> RowLengths:
    """The lengths that a scan of the data has found; rows that could not be rendered are left out."""

    def part(split: str) -> tuple[Lengths, Lengths]:
        chosen = np.flatnonzero(report.of(split) & (report.lengths > 0))
        chosen = chosen[np.argsort(report.number[chosen], kind="stable")]
        return report.lengths[chosen].astype(np.int64), report.offsets[chosen].astype(np.int64)

    return RowLengths(*part("train"), *part("valid"), *part("test"))


def lengths_from(train: Sequence[Example], valid: Sequence[Example], test: Sequence[Example]) -> RowLengths:
    """The lengths of rows that are tokens already."""

    def part(examples: Sequence[Example]) -> tuple[Lengths, Lengths]:
        sizes = [(len(example.tokens), example.offset) for example in examples]
        both = np.array(sizes, np.int64).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    return RowLengths(*part(train), *part(valid), *part(test))


def longest_rows(train: TrainSection) -> RowLengths:
    """Lengths for data that is not known: one batch of rows as long as the configuration allows, all of it counted."""
    full = np.full(train.batch_size, train.max_seq_length, np.int64)
    return RowLengths(full, np.zeros_like(full), known=False)


@dataclass(frozen=True)
class Workload:
    """What training goes through.

    Attributes:
        sizes: the sizes of an epoch's batches, and how many have each.
        valid: the same of one validation.
        steps: iterations in all.
        validations: how many there are.
        traces: how many different sizes a compiled step meets.
        truncated: training rows that are cut.
        known: whether the lengths are the data's own.
    """

    sizes: dict[BatchSize, int]
    valid: dict[BatchSize, int]
    steps: int
    validations: int
    traces: int
    truncated: int
    known: bool

    @property
    def steps_per_epoch(self) -> int:
        return sum(self.sizes.values())

    @property
    def epochs(self) -> float:
        return self.steps / max(self.steps_per_epoch, 1)


def workload(lengths: RowLengths, train: TrainSection) -> Workload:
    """What a training section makes of rows of these lengths."""
    sizes = _sizes(lengths.train, lengths.train_prompts, train)
    valid = _sizes(lengths.valid, lengths.valid_prompts, train, whole=True) if len(lengths.valid) else Counter()
    if train.eval_batches > 0 and (count := sum(valid.values())) > train.eval_batches:
        share = train.eval_batches / count
        valid = Counter({size: max(round(times * share), 1) for size, times in valid.items()})
    an_epoch = max(sum(sizes.values()), 1)
    steps = train.iterations(an_epoch)
    looks = (steps - 1) // train.eval_every + 2 if valid else 0  # before the first step, between, and after the last
    return Workload(
        dict(sizes),
        dict(valid),
        steps,
        looks,
        min(len(sizes), LIMIT),
        int((lengths.train > train.max_seq_length).sum()),
        lengths.known,
    )


def largest(work: Workload, weigh: int) -> list[BatchSize]:
    """The batches among which the one that needs most memory is.

    Args:
        weigh: how many positions of the trunk one position of the head is worth, as a bound.
    """
    by_tokens = sorted(work.sizes, key=lambda size: (size.tokens * size.width, size.slots))
    by_slots = sorted(work.sizes, key=lambda size: size.tokens + weigh * size.slots)
    return list(dict.fromkeys([*by_tokens[-4:], *by_slots[-4:]]))


def _sizes(lengths: Lengths, prompts: Lengths, train: TrainSection, *, whole: bool = False) -> Counter[BatchSize]:
    """Sizes of batches; `whole` keeps the remainder that stock mode leaves out of training."""
    most = train.max_seq_length
    kept = np.minimum(lengths, most)
    size = min(train.batch_size, len(kept)) or 1
    if train.mode == "stock":
        count = len(kept) // size
        widest = kept[: count * size].reshape(count, size).max(axis=1) if count else kept[:0]
        widths = [padded_width(int(each), most) - 1 for each in widest]
        return Counter(BatchSize(size, max(width, 1), size * max(width, 1)) for width in widths)
    order = np.argsort(kept, kind="stable")
    kept, offsets = kept[order], np.minimum(prompts[order], kept[order])
    starts = np.arange(0, len(kept), size)
    if not len(starts):
        return Counter()
    ends = np.minimum(starts + size, len(kept))
    needed = np.maximum(np.add.reduceat(np.maximum(kept - np.maximum(offsets, 1), 0), starts), 1)
    longest, place = np.unique(np.maximum(kept[ends - 1] - 1, 1), return_inverse=True)
    wide = np.array([quantised_width(int(each), most - 1) for each in longest])[place]
    wanted = np.stack([ends - starts, wide, needed], axis=1)
    found: Counter[BatchSize] = Counter()
    for (rows, width, slots), count in Counter(map(tuple, wanted.tolist())).items():
        found[BatchSize(rows, width, quantised_slots(slots, rows * width))] += count
    return found
