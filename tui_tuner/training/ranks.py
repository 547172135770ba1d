"""The processes that train one model together, as the loop knows them; and the one that trains alone.

The loop computes its rows, has figures added up, and does only what rank 0 says, which makes every decision the same
at the same step. Alone, all of this is nothing: no array and no bit is touched. How several ranks do it is
`distributed`; nothing in here may import mlx at the top.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from tui_tuner.training.step import Loss

T = TypeVar("T")
Wait = Callable[[float | None], Any]


class Ranks(Protocol):
    """What the loop needs of the processes it trains with; rank 0 is the one that writes and is asked."""

    rank: int
    size: int

    def loss(self, loss: Loss, *, equal: bool = False) -> Loss:
        """The loss over this rank's rows of a batch, so weighed that the sum over all ranks is the batch's.

        Args:
            equal: weigh every rank alike, as mlx-lm does; otherwise by the tokens that count.
        """

    def sum(self, tree: Any) -> Any:
        """A tree of float arrays, each added up over all ranks; may be traced by mx.compile."""

    def total(self, tree: Any) -> Any:
        """The same, computed at once."""

    def gather(self, tree: Any) -> Any:
        """The arrays of all ranks one after another along a new first axis; as they are when there is one rank."""

    def lead(self, act: Callable[[], T]) -> T:
        """Has rank 0 do something and tells every rank what came of it, as JSON would; a stop in it stops all."""

    def idle(self, wait: Wait) -> None:
        """Waits until there may be something to do; `wait` is how rank 0 waits, with seconds or without an end."""

    def align(self, model: Any, optimizer: Any) -> bool:
        """Makes trained weights and optimizer state rank 0's where they differ; returns whether they did."""

    def lost(self, error: Exception) -> Exception | None:
        """What to say when an error inside mlx means that another rank is gone; None when it means something else."""


class Alone:
    """One process: nothing to share, nobody to ask."""

    rank, size = 0, 1

    def loss(self, loss: Loss, *, equal: bool = False) -> Loss:
        return loss

    def sum(self, tree: Any) -> Any:
        return tree

    def total(self, tree: Any) -> Any:
        return tree

    def gather(self, tree: Any) -> Any:
        return tree

    def lead(self, act: Callable[[], T]) -> T:
        return act()

    def idle(self, wait: Wait) -> None:
        wait(None)

    def align(self, model: Any, optimizer: Any) -> bool:
        return False

    def lost(self, error: Exception) -> Exception | None:
        return None


ALONE = Alone()
