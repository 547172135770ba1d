"""A run's checkpoints as the training stage needs them: rank 0 writes, waiting for space on a full disk; all read."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tui_tuner.config import TrainSection
from tui_tuner.engine.patience import Patience
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.training.checkpoint import CheckpointStore, Snapshot
from tui_tuner.training.ranks import Ranks

_VISIBLE_WITHIN = 60.0  # seconds in which a network's file system shows on all machines what one has written
_LOOK = 0.5


def checkpoints(folder: RunFolder, train: TrainSection) -> CheckpointStore:
    """The checkpoints of a run, as many kept as its configuration says.

    Raises:
        TunerError: when their index is damaged.
    """
    best = train.average_best if train.keep == "average" else 1
    return CheckpointStore(folder.state, folder.adapters, train.keep_checkpoints, best)


class RunStore:
    """The `Store` of the loop, on every rank.

    Args:
        store: the checkpoints that rank 0 reads and writes; None on the others.
        open: opens the checkpoints as they are on the disk at this moment, for the others.
        patience: with which rank 0 writes.
    """

    def __init__(
        self, store: CheckpointStore | None, open: Callable[[], CheckpointStore], patience: Patience, ranks: Ranks
    ) -> None:
        self._store, self._open, self._patience, self._ranks = store, open, patience, ranks

    def save(self, snapshot: Snapshot, *, value: float | None = None, best: bool = False) -> Path:
        """See `CheckpointStore.save`; on another rank than 0 it only says what the file is called."""
        if self._store is None:
            return Path(f"{snapshot.progress.step:07d}_adapters.safetensors")
        return self._patience(self._store.save, snapshot, value=value, best=best)

    def load(self) -> tuple[Snapshot, list[str]] | None:
        """See `CheckpointStore.load`: the same checkpoint on every rank."""
        loaded = self._store.load() if self._store is not None else None
        snapshot = self.follow(loaded[0] if loaded else None)
        return (snapshot, loaded[1] if loaded else []) if snapshot is not None else None

    def follow(self, snapshot: Snapshot | None) -> Snapshot | None:
        """The checkpoint that rank 0 has in hand, read by the others.

        Raises:
            TunerError: when this machine does not find it.
        """
        step = self._ranks.lead(lambda: snapshot.progress.step if snapshot is not None else None)
        return snapshot if self._store is not None or step is None else self._read(step)

    def settle(self, keep: str, count: int) -> list[str]:
        """See `CheckpointStore.settle`; on another rank than 0 it does nothing."""
        return self._patience(self._store.settle, keep, count) if self._store is not None else []

    def _read(self, step: int) -> Snapshot:
        deadline = time.monotonic() + _VISIBLE_WITHIN
        while True:
            try:
                loaded = self._open().load()
            except TunerError:  # perhaps not all of it is here yet
                loaded = None
            if loaded is not None and loaded[0].progress.step == step:
                return loaded[0]
            if time.monotonic() > deadline:
                raise TunerError(
                    f"rank {self._ranks.rank} does not see the checkpoint of step {step} in the run folder",
                    code="rank-differs",
                    fix="put the run folder where all machines see the same files, then resume",
                )
            time.sleep(_LOOK)
