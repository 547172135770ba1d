"""Ranks in threads of one process: mlx's collectives played with a barrier, for what needs no compiled step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from tui_tuner.training.distributed import Group

LONG = 60.0  # seconds after which a rank counts as stuck


class _Table:
    """Where the ranks put their arrays for all to see."""

    def __init__(self, size: int) -> None:
        self.places: list[Any] = [None] * size
        self.barrier = threading.Barrier(size, timeout=LONG)


class FakeGroup(Group):
    """One rank of several in a process. Arrays travel as numpy's, because mlx's belong to their threads."""

    def __init__(self, rank: int, table: _Table) -> None:
        self.rank, self.size = rank, len(table.places)
        self._table = table

    def _all(self, array: Any) -> list[Any]:
        self._table.places[self.rank] = np.array(array)
        self._table.barrier.wait()
        everything = list(self._table.places)
        self._table.barrier.wait()
        return everything

    def _all_sum(self, array: Any) -> Any:
        import mlx.core as mx

        return mx.array(sum(self._all(array)))

    def _all_gather(self, array: Any) -> Any:
        import mlx.core as mx

        return mx.array(np.concatenate(self._all(array)))


def on_ranks(size: int, act: Callable[[FakeGroup], Any]) -> list[Any]:
    """What each rank's `act` gives; the first failure of any is raised."""
    import mlx.core as mx

    table, results, failures = _Table(size), [None] * size, list[BaseException]()

    def work(rank: int) -> None:
        try:
            results[rank] = act(FakeGroup(rank, table))
        except BaseException as failure:
            failures.append(failure)
            table.barrier.abort()
        finally:
            mx.clear_streams()  # a thread that ends with mlx's streams in hand ends the interpreter

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    if failures:
        raise next((f for f in failures if not isinstance(f, threading.BrokenBarrierError)), failures[0])
    return results
