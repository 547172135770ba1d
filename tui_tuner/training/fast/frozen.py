"""What frozen layers compute is computed once: from the second epoch on it is read back.

With adapters on the last layers only, the layers below them give the same hidden states for the same batch in every
epoch, and no gradient goes through them. They are kept in memory up to a budget, then on disk up to another, under a
hash of everything they depend on. It must never change a loss: the way around the layers is proven bit for bit on a
real batch before use, and not taken, with a reason, where anything below could differ from one epoch to the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from tui_tuner.training.batches import Batch
from tui_tuner.training.fast.activations import ActivationStore
from tui_tuner.training.fast.loss import FastLoss
from tui_tuner.training.fast.trunk import Split, dropouts, dropouts_beside_layers


class FrozenLoss:
    """`FastLoss` with the frozen layers' part of the work taken from a store. Same interface, same figures.

    Args:
        loss: the loss it stands in for, with a split.
        model: the model it is for; its training mode decides how hidden states are made.
        depth: how many layers from the bottom are frozen.
        store: where hidden states are kept.
        fingerprint: of the base's weights (and their quantization); part of every key.
    """

    def __init__(self, loss: FastLoss, model: Any, depth: int, store: ActivationStore, fingerprint: str) -> None:
        assert loss.split is not None
        self.depth, self.store = depth, store
        self._loss, self._split, self._model, self._fingerprint = loss, loss.split, model, fingerprint
        self._compiled: Callable[[Any], Any] | None = None

    @property
    def split(self) -> Split:
        return self._split

    @property
    def reason(self) -> str:
        return self._loss.reason

    def arrays(self, batch: Batch) -> tuple[Any, ...]:
        """The hidden states below the first trained layer (rows, width, hidden), then what `FastLoss.arrays` gives."""
        import mlx.core as mx

        rest = self._loss.arrays(batch)
        key = self._key(batch)
        hidden = self.store.get(key)
        if hidden is None:
            hidden = self._make(rest[0])
            mx.eval(hidden)
            self.store.put(key, hidden)
        return (hidden, *rest)

    def __call__(
        self, model: Any, hidden: Any, inputs: Any, positions: Any, targets: Any, counted: Any
    ) -> tuple[Any, Any]:
        """As `FastLoss.__call__`."""
        top = self._split.above(model, inputs, hidden, self.depth)
        return self._loss.of_hidden(model, top, positions, targets, counted)

    def _make(self, inputs: Any) -> Any:
        """Compiled while training and not while validating, as the rest is, because compiling can round otherwise."""
        import mlx.core as mx

        model = self._model
        if not model.training:
            return self._split.below(model, inputs, self.depth)
        if self._compiled is None:
            self._compiled = mx.compile(lambda tokens: self._split.below(model, tokens, self.depth))
        return self._compiled(inputs)

    def _key(self, batch: Batch) -> str:
        digest = hashlib.sha256(self._fingerprint.encode())
        mode = "train" if self._model.training else "eval"
        digest.update(f"|{self.depth}|{mode}|{batch.tokens.shape}|".encode())
        digest.update(batch.tokens.tobytes())
        return digest.hexdigest()


def frozen_loss(
    model: Any, loss: FastLoss, batch: Batch, store: ActivationStore, fingerprint: str
) -> tuple[FastLoss | FrozenLoss, str]:
    """The loss that reuses what frozen layers compute, or the one given and the reason why not.

    Args:
        model: with its adapter attached.
        loss: of `fast_loss` for this model.
        batch: a real batch, run through the model as the proof.
        store: where hidden states are kept.
        fingerprint: of the base's weights.
    """
    reason = obstacle(model, loss)
    if not reason:
        assert loss.split is not None
        reason = _disproof(model, loss, loss.split, frozen_layers(model), batch)
    if reason:
        return loss, f"frozen layers are computed anew each time, for {reason}"
    return FrozenLoss(loss, model, frozen_layers(model), store, fingerprint), ""


def frozen_layers(model: Any) -> int:
    """Number of layers from the bottom in which nothing trains; at most all but one."""
    from mlx.utils import tree_flatten

    count = 0
    for layer in model.layers:
        if tree_flatten(layer.trainable_parameters()):
            break
        count += 1
    return min(count, len(model.layers) - 1)


def obstacle(model: Any, loss: FastLoss) -> str:
    """What stands against reusing, as far as the model's make-up tells; empty when nothing does."""
    from mlx.utils import tree_flatten

    if loss.split is None:
        return "the model cannot be taken apart"
    depth = frozen_layers(model)
    if not depth:
        return "no layer is frozen"
    outside = loss.split.outside_layers(tree_flatten(model.trainable_parameters()))
    if any(name.startswith(f"{loss.split.path}.") for name, _ in outside):
        return "something beside the layers is trained (embeddings or norms)"
    if any(dropouts(layer) for layer in model.layers[:depth]):
        return "frozen layers have dropout"
    return "there is dropout beside the layers" if dropouts_beside_layers(model) else ""


def _disproof(model: Any, loss: FastLoss, split: Split, depth: int, batch: Batch) -> str:
    """Runs a batch both ways in training mode without dropout above; says what differs, or nothing."""
    import mlx.core as mx

    inputs = loss.arrays(batch)[0]
    key = mx.array(mx.random.state[0])
    training = model.training
    model.eval()
    for layer in model.layers[:depth]:
        layer.train()
    try:
        whole = split.trunk(model, inputs)
        first, second = split.below(model, inputs, depth), split.below(model, inputs, depth)
        # Other rows in between: what a layer below might have told one above by another way is then a wrong thing.
        split.trunk(model, inputs[:, ::-1])
        around = split.above(model, inputs, first, depth)
        mx.eval(whole, first, second, around)
    except Exception as error:  # what a foreign forward pass raises when called so is unknown
        return f"the layers cannot be called apart ({type(error).__name__})"
    finally:
        model.train(training)
    if not mx.array_equal(key, mx.random.state[0]).item() or not mx.array_equal(first, second).item():
        return "the frozen layers draw random numbers"
    if not mx.array_equal(whole, around).item():
        return "the layers give other figures when they are called apart"
    return ""
