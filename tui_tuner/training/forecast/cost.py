"""How much a run computes, in products and in bytes moved, by stage. Sizes only; `speed.py` makes seconds of it.

A product of matrices counts 2 for each multiplication, as usual. Attention is counted whole, for mlx computes what the
causal mask hides. What is done element by element is counted by the bytes that the forward pass keeps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tui_tuner.config import EvaluationSection, TrainSection
from tui_tuner.models.memory import Adapted, BatchSize, kept
from tui_tuner.models.shape import ModelShape
from tui_tuner.training.forecast.workload import Lengths, Workload

TRACE_SECONDS = 0.0023
"""What a compiled step takes to be traced for another size, for each layer; measured on a processor."""
_FORWARD_MOVES, _BACKWARD_MOVES, _LOGITS_MOVES = 3.0, 6.0, 8.0


@dataclass(frozen=True)
class Work:
    """Something to be computed: products (`flops`) and bytes read and written element by element (`moved`)."""

    flops: float = 0.0
    moved: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.moved + other.moved)

    def __mul__(self, times: float) -> Work:
        return Work(self.flops * times, self.moved * times)


def step_work(shape: ModelShape, chosen: Adapted, train: TrainSection, batch: BatchSize) -> Work:
    """One iteration: forward, backward, and what gradient checkpointing computes anew."""
    anew = 1 if train.grad_checkpoint else 0
    layers, reach = shape.layers, chosen.reach
    matrices = 2.0 * shape.active_weights * (layers + reach * (1 + anew))
    if chosen.method == "full":
        matrices += 2.0 * shape.active_weights * chosen.layers
    attention = 4.0 * batch.width * shape.queries * (layers + reach * (2 + anew))
    places = batch.tokens if train.mode == "stock" else batch.slots
    head = 4.0 * places * shape.vocabulary * shape.hidden
    size = kept(shape, chosen, batch.width)
    moved = batch.tokens * size * (_FORWARD_MOVES * (layers + anew * reach) + _BACKWARD_MOVES * reach)
    moved += _LOGITS_MOVES * places * shape.vocabulary * shape.element
    adapter = 6.0 * chosen.count * batch.tokens if chosen.method != "full" else 0.0
    return Work(batch.tokens * (matrices + attention) + adapter + head, moved)


def forward_work(shape: ModelShape, chosen: Adapted, train: TrainSection, batch: BatchSize) -> Work:
    """One batch of a validation."""
    places = batch.tokens if train.mode == "stock" else batch.slots
    layer = 2.0 * shape.active_weights + 4.0 * batch.width * shape.queries
    head = 2.0 * places * shape.vocabulary * shape.hidden
    moved = batch.tokens * kept(shape, chosen, batch.width) * _FORWARD_MOVES * shape.layers
    return Work(batch.tokens * layer * shape.layers + head, moved + 3.0 * places * shape.vocabulary * shape.element)


def training_work(shape: ModelShape, chosen: Adapted, train: TrainSection, work: Workload) -> Work:
    """All iterations."""
    an_epoch = sum((step_work(shape, chosen, train, size) * n for size, n in _gathered(work.sizes)), Work())
    return an_epoch * (work.steps / max(work.steps_per_epoch, 1))


def validation_work(shape: ModelShape, chosen: Adapted, train: TrainSection, work: Workload) -> Work:
    """All validations."""
    once = sum((forward_work(shape, chosen, train, size) * n for size, n in _gathered(work.valid)), Work())
    return once * work.validations


def _gathered(sizes: dict[BatchSize, int]) -> list[tuple[BatchSize, int]]:
    """Sizes of as many rows and positions as one, with their slots averaged: work grows in proportion to those."""
    counts: dict[tuple[int, int], list[int]] = {}
    for size, count in sizes.items():
        both = counts.setdefault((size.rows, size.width), [0, 0])
        both[0] += count
        both[1] += count * size.slots
    return [(BatchSize(*key, round(slots / count)), count) for key, (count, slots) in counts.items()]


@dataclass(frozen=True)
class Answers:
    """What a benchmark answers, of one pass over the test rows.

    Attributes:
        rows: how many are answered.
        prompt: tokens of all their prompts.
        longest: tokens of the longest prompt.
        expected: tokens of an answer, on the average, if they are as long as the references.
        most: tokens of an answer at most.
        together: answered at once.
        besides: answers to behaviour cases and canaries, taken to be as long as the prompts and answers here.
    """

    rows: int
    prompt: int
    longest: int
    expected: float
    most: int
    together: int
    besides: int = 0

    @property
    def all(self) -> int:
        return self.rows + self.besides


def answers(settings: EvaluationSection, lengths: Lengths, prompts: Lengths, besides: int = 0) -> Answers | None:
    """What a benchmark of these test rows answers; None when there is none.

    Args:
        besides: answers to behaviour cases and canaries.
    """
    count = min(settings.rows, len(lengths)) if settings.rows else len(lengths)
    if not settings.enabled or not count:
        return None
    lengths, prompts = lengths[:count], prompts[:count]
    expected = float(np.minimum(lengths - prompts, settings.max_tokens).clip(min=1).mean())
    longest = int(prompts.max())
    together = min(settings.batch_size, count)
    tokens = int(prompts.sum() * (count + besides) / count)
    return Answers(count, tokens, longest, expected, settings.max_tokens, together, besides)


def answer_work(shape: ModelShape, asked: Answers, tokens: float) -> Work:
    """One pass over the test rows, with answers of so many tokens on the average.

    Every token of an answer reads all weights once, for all rows that are answered at once.
    """
    layer = 2.0 * shape.active_weights * shape.layers
    head = 2.0 * shape.vocabulary * shape.hidden
    made = asked.all * tokens
    passes = math.ceil(asked.all / asked.together) * tokens
    return Work(asked.prompt * layer + made * (layer + head), passes * shape.bytes + made * 40.0 * shape.hidden)
