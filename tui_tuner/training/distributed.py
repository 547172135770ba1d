"""Several processes that train one model together, over mlx's collectives.

Each rank runs the same loop on its own rows of every batch. What they add up is the figure of the whole batch, and
rank 0's word is taken at the same step by all, so that every decision is the same everywhere. All ranks must call the
same collectives in the same order: nothing in here may depend on what only one rank knows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tui_tuner.errors import TunerError
from tui_tuner.runs.control import StopRequested
from tui_tuner.training.batches import Batch, padded_width
from tui_tuner.training.fast.order import FastBatch
from tui_tuner.training.guard import Before, Guard
from tui_tuner.training.ranks import Wait
from tui_tuner.training.step import Loss, StockLoss

T = TypeVar("T")
_FRAME = 128  # numbers of the first message of `lead`: a length, and as many bytes as usually suffice
_IDLE = 0.5
"""Seconds between two looks of ranks that have nothing to do; inside a collective they would keep a core busy."""
_GROUP_BYTES = 32 << 20
_BACKENDS = ("[ring]", "[jaccl]", "[nccl]", "[mpi]")


# -- shares of a batch ------------------------------------------------------------------------------------------------
def counted_tokens(batch: Batch, *, stock: bool) -> NDArray[np.int64]:
    """How many tokens of each row the loss counts; in stock mode one of padding besides, where there is any."""
    first = np.maximum(batch.lengths[:, 0], 1).astype(np.int64)
    ends = np.minimum(batch.lengths[:, 1] + stock, batch.tokens.shape[1])
    return np.maximum(ends - first, 0)


def part_of(batch: Batch, rank: int, size: int, *, stock: bool) -> Batch:
    """Every `size`-th row of a batch from row `rank` on; without any, or none that counts, the row that counts most.

    In fast mode the width stays the batch's, so that few shapes are compiled; in stock mode it is what mlx-lm makes of
    these rows.
    """
    counted = counted_tokens(batch, stock=stock)
    lines = np.arange(rank, len(counted), size)
    if not counted[lines].any():
        lines = np.array([int(counted.argmax())])
    spans = batch.lengths[lines]
    width = batch.tokens.shape[1]
    if stock:
        width = padded_width(int(spans[:, 1].max()), width)
    tokens = np.ascontiguousarray(batch.tokens[lines, :width])
    rows = [batch.rows[line] for line in lines]
    padding = 1.0 - float(spans[:, 1].sum()) / tokens.size
    if isinstance(batch, FastBatch) and batch.part_slots:
        return FastBatch(tokens, spans, rows, padding, batch.part_slots, batch.stock_padding)
    return Batch(tokens, spans, rows, padding)


def weight_of(batch: Batch, rank: int, size: int, *, stock: bool, equal: bool) -> float:
    """What this rank's mean loss is multiplied by, so that the sum over ranks is the batch's mean."""
    if equal:
        return 1.0 / size
    counted = counted_tokens(batch, stock=stock)
    total = int(counted.sum())
    return float(counted[rank::size].sum()) / total if total else float("nan")


class SharedLoss:
    """A loss over one rank's rows of a batch. The sum of it over all ranks is the loss over all rows.

    Args:
        loss: of rows, whichever they are.
        equal: weigh every rank alike instead of by its tokens.
    """

    def __init__(self, loss: Loss, rank: int, size: int, *, equal: bool) -> None:
        self._loss, self._rank, self._size, self._equal = loss, rank, size, equal
        self._stock = isinstance(loss, StockLoss)

    def arrays(self, batch: Batch) -> tuple[Any, ...]:
        """What the loss takes of this rank's rows; then their weight, and how many tokens count in the whole batch."""
        import mlx.core as mx

        part = part_of(batch, self._rank, self._size, stock=self._stock)
        weight = weight_of(batch, self._rank, self._size, stock=self._stock, equal=self._equal)
        tokens = int(counted_tokens(batch, stock=self._stock).sum())
        return (*self._loss.arrays(part), mx.array(weight, mx.float32), mx.array(tokens))

    def __call__(self, model: Any, *arrays: Any) -> tuple[Any, Any]:
        """This rank's part of the mean loss, in nats per token, and the tokens of all ranks."""
        *rest, weight, tokens = arrays
        value, _ = self._loss(model, *rest)
        return value * weight, tokens


# -- the group --------------------------------------------------------------------------------------------------------
class Group:
    """`Ranks` over a group of mlx's. On the MLX thread only.

    Args:
        group: what `mx.distributed.init` gave.
    """

    def __init__(self, group: Any) -> None:
        self._group = group
        self.rank, self.size = int(group.rank()), int(group.size())

    def loss(self, loss: Loss, *, equal: bool = False) -> Loss:
        """See `Ranks.loss`."""
        return SharedLoss(loss, self.rank, self.size, equal=equal)

    def sum(self, tree: Any) -> Any:
        """See `Ranks.sum`. Added in float32 and given in each array's own type."""
        import mlx.core as mx
        from mlx.utils import tree_flatten, tree_unflatten

        flat = tree_flatten([tree])  # in a list, because a lone array is no tree to it
        added, last = [], None
        for members in _grouped([value.size for _, value in flat]):
            parts = [flat[index][1].astype(mx.float32).reshape(-1) for index in members]
            whole = mx.concatenate(parts) if len(parts) > 1 else parts[0]
            if last is not None:  # one after another on every rank, in this order
                whole = mx.depends([whole], [last])[0]
            last = self._all_sum(whole)
            ends = np.cumsum([flat[index][1].size for index in members])[:-1].tolist()
            for index, piece in zip(members, mx.split(last, ends), strict=True):
                name, value = flat[index]
                added.append((name, piece.reshape(value.shape).astype(value.dtype)))
        return tree_unflatten(added)[0]

    def total(self, tree: Any) -> Any:
        """See `Ranks.total`."""
        return self._now(self.sum(tree))

    def gather(self, tree: Any) -> Any:
        """See `Ranks.gather`."""
        from mlx.utils import tree_flatten, tree_unflatten

        # One at a time: on every rank in this order.
        stacked = [(name, self._now(self._all_gather(value[None]))) for name, value in tree_flatten([tree])]
        return tree_unflatten(stacked)[0]

    def lead(self, act: Callable[[], T]) -> T:
        """See `Ranks.lead`. What comes of it must be JSON-able; it is given as JSON reads it back, on rank 0 too."""
        said = b""
        if self.rank == 0:
            try:
                said = json.dumps({"value": act()}).encode()
            except StopRequested as stop:
                said = json.dumps({"stop": str(stop)}).encode()
        answer = json.loads(self._tell(said))
        if "stop" in answer:
            raise StopRequested(answer["stop"])
        return answer["value"]  # type: ignore[no-any-return]

    def idle(self, wait: Wait) -> None:
        """See `Ranks.idle`: rank 0 waits for half a second at most, the others as long."""
        if self.rank == 0:
            wait(_IDLE)
        else:
            time.sleep(_IDLE)

    def align(self, model: Any, optimizer: Any) -> bool:
        """See `Ranks.align`. The same machines compute the same; different ones may round differently."""
        import mlx.core as mx

        guard = Guard(model, optimizer)  # knows the very places that a compiled step holds
        own = guard.remember(None).arrays
        sums = self.gather(_checksum(own))
        if mx.all(sums == sums[0]).item():
            return False
        guard.put_back(Before([self._of_first(array) for array in own], None))
        return True

    def lost(self, error: Exception) -> Exception | None:
        """See `Ranks.lost`."""
        if not any(name in str(error) for name in _BACKENDS):
            return None
        return TunerError(
            "another rank is gone, so this one cannot go on",
            code="rank-lost",
            fix="see its log in the run folder, then resume the run with the same ranks",
        )

    def _of_first(self, array: Any) -> Any:
        """Rank 0's array, on every rank, to the last bit."""
        import mlx.core as mx

        own = array if self.rank == 0 else mx.zeros_like(array)
        return self._now(self._all_sum(own))

    def _tell(self, said: bytes) -> bytes:
        """Rank 0's bytes, on every rank."""
        frame = np.zeros(_FRAME, np.int32)
        head = said[: _FRAME - 1]
        frame[0] = len(said)
        frame[1 : 1 + len(head)] = np.frombuffer(head, np.uint8)
        first = self._add_integers(frame)
        length = int(first[0])
        told = first[1 : 1 + min(length, _FRAME - 1)].astype(np.uint8).tobytes()
        if length <= _FRAME - 1:
            return told
        rest = np.zeros(length - len(told), np.int32)
        if self.rank == 0:
            rest[:] = np.frombuffer(said[_FRAME - 1 :], np.uint8)
        return told + self._add_integers(rest).astype(np.uint8).tobytes()

    def _add_integers(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        import mlx.core as mx

        return np.array(self._now(self._all_sum(mx.array(values))))

    def _all_sum(self, array: Any) -> Any:
        import mlx.core as mx

        return mx.distributed.all_sum(array, group=self._group)

    def _all_gather(self, array: Any) -> Any:
        import mlx.core as mx

        return mx.distributed.all_gather(array, group=self._group)

    def _now(self, tree: Any) -> Any:
        import mlx.core as mx

        try:
            mx.eval(tree)
        except RuntimeError as error:
            raise self.lost(error) or error from error
        return tree


def _grouped(sizes: list[int]) -> Iterator[list[int]]:
    """Indices of arrays of so many numbers, in groups of about the size that is sent at once."""
    members: list[int] = []
    held = 0
    for index, size in enumerate(sizes):
        members.append(index)
        held += 4 * size
        if held >= _GROUP_BYTES:
            yield members
            members, held = [], 0
    if members:
        yield members


def _checksum(arrays: list[Any]) -> Any:
    """A number that differs where any bit of the arrays does, but for a chance of one in four billion: (1,) uint32."""
    import mlx.core as mx

    kinds = {1: mx.uint8, 2: mx.uint16, 4: mx.uint32, 8: mx.uint32}
    total = mx.array(0, mx.uint32)
    for array in arrays:
        words = array.reshape(-1).view(kinds[array.dtype.size]).astype(mx.uint32)
        # Each word counts by where it stands, all modulo 2^32.
        places = mx.arange(1, words.size + 1, dtype=mx.uint32) * mx.array(2654435761, mx.uint32)
        total = total * mx.array(31, mx.uint32) + (words * places).sum()
    return total.reshape(1)
