"""What the training loop is put together from: where rows come from, where checkpoints go, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tui_tuner.config import TrainSection
from tui_tuner.training.batches import Batch
from tui_tuner.training.checkpoint import Snapshot
from tui_tuner.training.fast.shapes import Shape


class Order(Protocol):
    """Which rows come when; `StockOrder` and `FastOrder` are two."""

    @property
    def batches_per_epoch(self) -> int: ...
    def batch_sizes(self) -> list[Shape]: ...
    def batch(self, number: int) -> Batch: ...
    def next(self) -> Batch: ...
    def validation(self, limit: int = -1, *, extra: bool = False) -> Iterator[Batch]: ...
    def validation_count(self, limit: int = -1) -> int: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...


class Probing(Protocol):
    """Fixed prompts that are answered at steps of a run, outside of what is trained."""

    def ask(self, step: int) -> None:
        """Answers what has no answer after `step` updates yet. A stop raises `StopRequested` between two tokens."""

    def admit(self, value: Any) -> bool:
        """Takes in a wish: a new prompt, or None for the prompts there are; whether there is anything to ask."""

    def rewind(self, step: int) -> None:
        """What was answered beyond `step` was said by weights that are no more."""


def look_is_due(train: TrainSection, step: int) -> bool:
    """Whether to validate and to ask the probes after `step` updates, before the next one.

    Every eval_every updates, from none on. mlx-lm, and so stock mode, does it before its first step, before every
    eval_every-th, and before its last.
    """
    if train.mode == "fast":
        return step % train.eval_every == 0
    number = step + 1
    return number in (1, train.iters) or number % train.eval_every == 0


@dataclass(frozen=True)
class TrainOutcome:
    """How training ended: `finished` or `stopped`, after which step, why, and the best validation."""

    status: str
    step: int
    reason: str
    best_step: int | None


@dataclass(frozen=True)
class Hooks:
    """What others do at the loop's own moments, on its thread.

    Attributes:
        probes: what is asked at every moment of validation, with or without rows to validate on.
        score: a task metric of the model as it is, higher is better; used when `best_by` is a metric.
        interlude: handed to every small task that is let in between two steps.
        replay: (step, what, value) of requests that an earlier, interrupted part of the run took after its last
            checkpoint; each is taken again at the same step, once, so that a resumed run equals an uninterrupted one.
    """

    probes: Probing | None = None
    score: Callable[[], float | None] | None = None
    interlude: Any = None
    replay: list[tuple[int, str, Any]] = field(default_factory=list)


class Store(Protocol):
    """Where checkpoints go; `CheckpointStore` is one."""

    def save(self, snapshot: Snapshot, *, value: float | None = None, best: bool = False) -> Path: ...
    def load(self) -> tuple[Snapshot, list[str]] | None: ...
    def settle(self, keep: str, count: int) -> list[str]: ...
