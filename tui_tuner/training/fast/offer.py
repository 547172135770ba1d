"""Whether keeping what frozen layers compute would pay: a forecast from sizes, before the first step.

Nothing is computed or timed: the same run is told the same everywhere. Measured against runs of one and of half of the
layers of two small models, the forecast speed-up of a step was within a seventh of the real one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tui_tuner import units
from tui_tuner.training.batches import Batch
from tui_tuner.training.fast.frozen import frozen_layers
from tui_tuner.training.fast.loss import FastLoss
from tui_tuner.training.fast.order import EpochSize

_WORTH = 1.15


@dataclass(frozen=True)
class Offer:
    """Whether reusing pays.

    Attributes:
        worth: whether to offer it.
        speedup: of all the epochs together, estimated.
        bytes: what is kept.
        sentence: the same for people: what it brings, or why it does not pay.
    """

    worth: bool
    speedup: float
    bytes: int
    sentence: str


@dataclass(frozen=True)
class Work:
    """What the layers and the head of a model have to do, in forward passes of one layer over an epoch's positions.

    Attributes:
        frozen: layers from the bottom in which nothing trains, of `layers`.
        trained: of a trained layer: the forward pass, and what the gradient takes.
        head: of the head, its gradient included.
    """

    frozen: int
    layers: int
    trained: float = 2.0
    head: float = 1.0

    @property
    def saved(self) -> float:
        """How many times as fast a step is that need not compute the frozen layers."""
        left = self.trained * (self.layers - self.frozen) + self.head
        return (self.frozen + left) / left


def worth_it(work: Work, *, epochs: float, places: int, itemsize: int, budget: int) -> Offer:
    """Estimates what reusing the frozen layers' work would save. The first epoch computes everything.

    Args:
        epochs: how often each row is trained.
        places: positions to keep something for, padding included.
        itemsize: bytes that are kept for a position.
        budget: bytes that may be kept, in memory and on disk together.
    """
    size = places * itemsize
    if not work.frozen:
        return Offer(False, 1.0, 0, "no layer is frozen, so there is nothing to reuse")
    if epochs <= 1:
        return Offer(False, 1.0, size, "each row is trained once, so nothing would be read back")
    speedup = epochs / (1.0 + (epochs - 1.0) / work.saved)
    gain = f"about {speedup:.1f} times as fast over {epochs:.3g} epochs, for {units.size(size)} that are kept"
    if size > budget:
        room = units.size(budget)
        return Offer(False, speedup, size, f"{gain}, which is more than the {room} that there is room for")
    return Offer(speedup >= _WORTH, speedup, size, gain)


def work_of(model: Any, loss: FastLoss, size: EpochSize, hidden: int, *, full: bool, recomputed: bool) -> Work:
    """The work of a model with its adapter attached.

    A frozen layer costs a forward pass. A trained one costs about one more for the gradient of its inputs, and another
    where its own matrices train (`full`) or its activations are computed anew (`recomputed`). Matrices count by their
    numbers, attention by the rows' width; what is done element by element is taken to be in proportion.

    Args:
        loss: of `fast_loss`, with a split.
        size: of an epoch.
        hidden: width of the hidden states.
    """
    from tui_tuner.models.adapters import total_parameters

    assert loss.split is not None
    layer = total_parameters(model.layers[0]) + 2.0 * hidden * size.train / max(size.rows, 1)
    head = 2.0 * loss.split.vocabulary * hidden * size.slots / max(size.train, 1)
    return Work(frozen_layers(model), len(model.layers), 2.0 + full + recomputed, head / layer)


def hidden_states(model: Any, loss: FastLoss, batch: Batch) -> tuple[int, int]:
    """Width of the hidden states below the lowest trained layer, and bytes they take a position. Computes nothing."""
    import mlx.core as mx

    assert loss.split is not None
    below = loss.split.below(model, mx.array(batch.tokens[:1, :-1]), frozen_layers(model))
    return int(below.shape[-1]), int(below.shape[-1] * below.dtype.size)
