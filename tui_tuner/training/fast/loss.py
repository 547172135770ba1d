"""The loss of the fast mode: mlx-lm's cross-entropy, computed only where it counts, in pieces that fit in memory.

mlx-lm makes logits for every position of a batch, prompts and padding included, and multiplies most of them by zero.
Here the hidden states of the counted positions are gathered first, and only they meet the vocabulary. Two things differ
from mlx-lm's figure: the order of a sum in the last digits, and one target a padded row: `steps <= lengths` there
counts the first padding token (id 0) as something to learn, which is left out here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_tuner.models.memory import LOGITS_BYTES
from tui_tuner.training.batches import Batch
from tui_tuner.training.fast.shapes import quantised_slots
from tui_tuner.training.fast.trunk import Split, dropouts_beside_layers, find_split


class FastLoss:
    """Mean cross-entropy in nats over the counted positions, and their number; for `nn.value_and_grad` and mx.compile.

    Args:
        split: where the model is taken apart; None computes all logits, with the same positions counted.
        reason: why there is no split; empty with one.
        logits_bytes: bound on the logits in memory at a time.
        recompute: make the logits of a piece anew in the backward pass instead of keeping them; not for a head with
            dropout, which would drop other values the second time.
    """

    def __init__(
        self, split: Split | None, reason: str = "", *, logits_bytes: int = LOGITS_BYTES, recompute: bool = True
    ) -> None:
        self.split, self.reason = split, reason
        self._logits_bytes, self._recompute = logits_bytes, recompute

    def arrays(self, batch: Batch) -> tuple[Any, ...]:
        """What `__call__` takes of a batch: inputs (rows, width), and positions, targets, counted (slots,)."""
        import mlx.core as mx

        positions, targets = counted_positions(batch)
        cells = batch.tokens.shape[0] * (batch.tokens.shape[1] - 1)
        slots = getattr(batch, "slots", None) or quantised_slots(len(positions), cells)
        padded = np.zeros((2, slots), np.int32)
        padded[0, : len(positions)] = positions
        padded[1, : len(positions)] = targets
        counted = np.arange(slots) < len(positions)
        return mx.array(batch.tokens[:, :-1]), mx.array(padded[0]), mx.array(padded[1]), mx.array(counted)

    def __call__(self, model: Any, inputs: Any, positions: Any, targets: Any, counted: Any) -> tuple[Any, Any]:
        """Mean loss (nats per counted token, float32 scalar) and the number of counted tokens."""
        if self.split is None:
            logits = model(inputs)
            chosen = logits.reshape(-1, logits.shape[-1])[positions]
            return _mean(_total(chosen[None], targets, counted), counted)
        return self.of_hidden(model, self.split.trunk(model, inputs), positions, targets, counted)

    def of_hidden(self, model: Any, hidden: Any, positions: Any, targets: Any, counted: Any) -> tuple[Any, Any]:
        """The loss when the trunk's answer (rows, width, hidden) is known already."""
        assert self.split is not None
        chosen = hidden.reshape(-1, hidden.shape[-1])[positions]
        slots = positions.shape[0]
        size = piece_size(slots, self.split.vocabulary, self._logits_bytes)
        if size >= slots:
            return _mean(_total(self._logits(model, chosen), targets, counted), counted)
        total = 0.0
        for start in range(0, slots, size):
            part = slice(start, start + size)
            total = total + self._piece(model, chosen[part], targets[part], counted[part])
        return _mean(total, counted)

    def _logits(self, model: Any, chosen: Any) -> Any:
        assert self.split is not None
        # The leading axis stays: taking it off would cost a copy of all logits in the backward pass.
        return self.split.head(model, chosen[None])

    def _piece(self, model: Any, chosen: Any, targets: Any, counted: Any) -> Any:
        """A piece's sum of losses. Its logits are made anew in the backward pass, so no two pieces' exist at once."""
        import mlx.core as mx
        from mlx.utils import tree_flatten, tree_unflatten

        assert self.split is not None
        if not self._recompute:
            return _total(self._logits(model, chosen), targets, counted)
        # A checkpoint gives gradients of its arguments and of nothing else: what trains in the head must be one, and
        # the targets, which have none, must not.
        own = self.split.outside_layers(tree_flatten(model.trainable_parameters()))

        def work(parameters: dict[str, Any], chosen: Any) -> Any:
            model.update(tree_unflatten(list(parameters.items())))
            try:
                return _total(self._logits(model, chosen), targets, counted)
            finally:
                model.update(tree_unflatten(own))

        return mx.checkpoint(work)(dict(own), chosen)


def fast_loss(model: Any, batch: Batch, *, logits_bytes: int = LOGITS_BYTES) -> FastLoss:
    """The loss for a model, after the proof that its head can be taken apart; `reason` says why when it cannot.

    Args:
        model: with its adapter attached.
        batch: a real batch; the beginnings of a few rows are run through the model.
        logits_bytes: bound on the logits in memory at a time.
    """
    split, reason = find_split(model, batch.tokens[:, :-1])
    if split is None:
        return FastLoss(None, f"all logits are computed, for {reason}", logits_bytes=logits_bytes)
    return FastLoss(split, logits_bytes=logits_bytes, recompute=not dropouts_beside_layers(model))


def counted_positions(batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Where the loss looks and what should come next there.

    Returns:
        Indices into the flattened inputs (rows × (width - 1)), and the target token of each, in the same order. The
        target `tokens[i]` of a row counts for max(prompt, 1) <= i < length.
    """
    steps = np.arange(1, batch.tokens.shape[1])
    mask = (steps >= batch.lengths[:, :1]) & (steps < batch.lengths[:, 1:])
    return np.flatnonzero(mask), batch.tokens[:, 1:][mask]


def piece_size(slots: int, vocabulary: int, logits_bytes: int) -> int:
    """Positions a piece: equal pieces, as few as keep a piece's float32 logits within the bound."""
    most = max(logits_bytes // (4 * max(vocabulary, 1)), 1)
    pieces = -(-slots // most)
    return -(-slots // max(pieces, 1))


def _total(logits: Any, targets: Any, counted: Any) -> Any:
    """Sum of the counted positions' losses, float32; logits (1, slots, vocabulary), targets and counted (slots,)."""
    import mlx.core as mx

    return (cross_entropy()(logits, targets[None])[0] * counted).astype(mx.float32).sum()


def cross_entropy() -> Callable[[Any, Any], Any]:
    """`nn.losses.cross_entropy` of logits (..., vocabulary) and targets (...), with a lean gradient on every device.

    On a GPU mlx has a fused kernel. On a processor it derives the gradient by four arrays as large as the logits;
    written out as softmax less one at the target it takes one beside them.
    """
    import mlx.core as mx
    import mlx.nn as nn

    if mx.default_device() == mx.gpu:
        return nn.losses.cross_entropy  # type: ignore[no-any-return]
    return _lean_cross_entropy()


@cache
def _lean_cross_entropy() -> Callable[[Any, Any], Any]:
    import mlx.core as mx

    def value(logits: Any, targets: Any) -> Any:
        score = mx.take_along_axis(logits, targets[..., None], axis=-1).squeeze(-1)
        return mx.logsumexp(logits, axis=-1) - score

    def gradient(given: tuple[Any, Any], cotangent: Any, _: Any) -> tuple[Any, Any]:
        logits, targets = given
        slope = mx.softmax(logits, axis=-1, precise=True) * cotangent[..., None]
        flat = slope.reshape(-1, slope.shape[-1])
        flat = flat.at[mx.arange(flat.shape[0]), targets.reshape(-1)].add(-cotangent.reshape(-1))
        return flat.reshape(slope.shape), mx.zeros_like(targets)

    losses: Callable[[Any, Any], Any] = mx.custom_function(value)
    losses.vjp(gradient)  # type: ignore[attr-defined]
    return losses


def _mean(total: Any, counted: Any) -> tuple[Any, Any]:
    number = counted.sum()
    return total / number, number
