"""What the training loop is put together from: where rows come from, where checkpoints go, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tui_tuner.training.batches import Batch
from tui_tuner.training.checkpoint import Snapshot


class Order(Protocol):
    """Which rows come when; `StockOrder` and `FastOrder` are two."""

    @property
    def batches_per_epoch(self) -> int: ...
    def next(self) -> Batch: ...
    def validation(self, limit: int = -1, *, extra: bool = False) -> Iterator[Batch]: ...
    def validation_count(self, limit: int = -1) -> int: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...


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
        after_validation: called with the step, the model being in training mode; for samples.
        score: a task metric of the model as it is, higher is better; used when `best_by` is a metric.
        interlude: handed to every small task that is let in between two steps.
        replay: (step, what, value) of requests that an earlier, interrupted part of the run took after its last
            checkpoint; each is taken again at the same step, once, so that a resumed run equals an uninterrupted one.
    """

    after_validation: Callable[[int], None] | None = None
    score: Callable[[], float | None] | None = None
    interlude: Any = None
    replay: list[tuple[int, str, Any]] = field(default_factory=list)


class Store(Protocol):
    """Where checkpoints go; `CheckpointStore` is one."""

    def save(self, snapshot: Snapshot, *, value: float | None = None, best: bool = False) -> Path: ...
    def load(self) -> tuple[Snapshot, list[str]] | None: ...
    def settle(self, keep: str, count: int) -> list[str]: ...
