"""One training step and one validation pass, compiled, on the MLX thread. No events, files or control in here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from tui_tuner.training.batches import Batch

_TOGETHER = 1 << 22
"""Numbers that gradients are put together to for their norm: 16 MB."""


class Loss(Protocol):
    """A loss and the arrays it takes."""

    def arrays(self, batch: Batch) -> tuple[Any, ...]:
        """A batch as mlx arrays."""

    def __call__(self, model: Any, *arrays: Any) -> tuple[Any, Any]:
        """Mean loss in nats per counted token, and the number of counted tokens."""


class StockLoss:
    """mlx-lm's loss: mean cross-entropy in nats over the counted positions, and their number.

    It counts one padding token after each row that is shorter than its batch (`steps <= lengths` is one too many);
    kept, because equality with mlx-lm is what this loss is for.
    """

    def __init__(self) -> None:
        from mlx_lm.tuner.trainer import default_loss

        self._loss = default_loss

    def arrays(self, batch: Batch) -> tuple[Any, ...]:
        """Tokens (rows, width) and lengths (rows, 2), both int32."""
        import mlx.core as mx

        return mx.array(batch.tokens), mx.array(batch.lengths)

    def __call__(self, model: Any, *arrays: Any) -> tuple[Any, Any]:
        value, tokens = self._loss(model, *arrays)
        return value, tokens


@dataclass(frozen=True)
class StepResult:
    """What a step gave: the loss as an array, counted tokens, gradients kept for the next step, gradient norm."""

    loss: Any
    tokens: Any
    gradients: Any
    norm: Any


def _as_it_is(tree: Any) -> Any:
    return tree


def squared_norm(gradients: Any) -> Any:
    """Sum of squares of all gradients, in float32: a scalar array.

    Small arrays, as those of an adapter, are squared together: each by itself they cost more in being scheduled than
    in arithmetic (measured: three hundredths of a step of 30 ms, where together they take one).
    """
    import mlx.core as mx
    from mlx.utils import tree_flatten

    total, places = mx.array(0.0), 0
    together: list[Any] = []
    for _, gradient in tree_flatten(gradients):
        if gradient.size > _TOGETHER:
            total = total + mx.square(gradient.astype(mx.float32)).sum()
            continue
        if places + gradient.size > _TOGETHER:
            total = total + mx.square(mx.concatenate(together)).sum()
            together, places = [], 0
        together.append(gradient.astype(mx.float32).reshape(-1))
        places += gradient.size
    return total + mx.square(mx.concatenate(together)).sum() if together else total


def compile_step(
    model: Any,
    optimizer: Any,
    loss: Loss,
    *,
    accumulation: int,
    clip_norm: float,
    extra_state: Any,
    add_up: Callable[[Any], Any] = _as_it_is,
) -> Callable[[tuple[Any, ...], Any, bool], StepResult]:
    """The step function: arrays of a batch, gradients so far, whether to update → `StepResult`.

    The norm is that of the (averaged) gradient before clipping, and 0 in a step without update. Without clipping the
    arithmetic is that of `mlx_lm.tuner.trainer.train`; the norm is read beside it and changes nothing.

    Args:
        extra_state: a tree of arrays that steer the step from outside and may change between calls.
        add_up: adds a tree of arrays up over all who train together; gradients only where there is an update.
    """
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_map

    value_and_grad = nn.value_and_grad(model, loss)
    state = [model.state, optimizer.state, mx.random.state, extra_state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(arrays: tuple[Any, ...], previous: Any, update: bool) -> tuple[Any, Any, Any, Any]:
        (value, tokens), gradient = value_and_grad(model, *arrays)
        if previous is not None:
            gradient = tree_map(lambda x, y: x + y, gradient, previous)
        norm = mx.array(0.0)
        if not update:
            value = add_up(value)
        else:
            value, gradient = add_up((value, gradient))
            if accumulation > 1:
                gradient = tree_map(lambda x: x / accumulation, gradient)
            norm = mx.sqrt(squared_norm(gradient))
            if clip_norm:
                factor = mx.minimum(clip_norm / (norm + 1e-6), 1.0)
                gradient = tree_map(lambda x: x * factor.astype(x.dtype), gradient)
            optimizer.update(model, gradient)
            gradient = None
        return value, tokens, gradient, norm

    def run(arrays: tuple[Any, ...], previous: Any, update: bool) -> StepResult:
        result = step(arrays, previous, update)
        mx.eval(state, result)
        return StepResult(*result)

    return run


def validate(
    model: Any,
    batches: Iterable[Batch],
    loss: Loss,
    between: Callable[[int], None],
    add_up: Callable[[Any], Any] = _as_it_is,
) -> tuple[float, int]:
    """Token-weighted mean loss (nats per token) over batches, and the number of counted tokens.

    Args:
        between: called after each batch with how many are done; it may raise to end the pass.
        add_up: adds the sum of losses up over all who validate together; each knows the number of tokens.
    """
    import mlx.core as mx

    model.eval()
    total, count = mx.array(0.0), mx.array(0)
    try:
        for done, batch in enumerate(batches, 1):
            value, tokens = loss(model, *loss.arrays(batch))
            total += value * tokens
            count += tokens
            mx.eval(total, count)
            between(done)
    finally:
        model.train()
    total = add_up(total)
    tokens_seen = int(count.item())
    # The division in float32, as in mlx-lm: float64 would differ from its figure in the last digits.
    return (float((total / count).item()) if tokens_seen else float("nan")), tokens_seen


@contextlib.contextmanager
def checkpointed_layers(model: Any, active: bool) -> Iterator[None]:
    """Recomputes activations in the backward pass while open (gradient checkpointing).

    mlx-lm patches the layer's class for good, and twice when asked twice; this puts the class back.
    """
    if not active:
        yield
        return
    from mlx_lm.tuner.trainer import grad_checkpoint

    kind = type(model.layers[0])
    original = kind.__call__
    grad_checkpoint(model.layers[0])
    try:
        yield
    finally:
        kind.__call__ = original
