"""A language model taken apart where its layers end: the trunk makes hidden states, the head makes logits of them.

No architecture is known by name. The trunk is the submodule that owns the layers; the head is *everything else*, got by
calling the whole model while its trunk answers with given hidden states, so that soft caps, logit scales and tied
embeddings stay in. In the same way the layers are taken apart at any depth. Whether it holds for a model is proven with
numbers before use. What is patched is one instance's class, within a `with` block, and always put back: another model
of the same class never notices, and neither `state` nor parameter names ever change.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_PROOF_ROWS, _PROOF_WIDTH = 2, 64
# Of the largest logit: the same operations on other array sizes round differently.
_ROUNDING = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 4e-2}
_SAME = 1e-6


@dataclass(frozen=True)
class Split:
    """Where a model is taken apart.

    Attributes:
        path: the trunk's path within the model.
        layers: the path of the list of layers.
        vocabulary: logits of a position.
    """

    path: str
    layers: str
    vocabulary: int

    def trunk(self, model: Any, inputs: Any) -> Any:
        """Hidden states after the last norm: (rows, width, hidden) of token ids (rows, width)."""
        return self._module(model)(inputs)

    def head(self, model: Any, hidden: Any) -> Any:
        """Logits (rows, width, vocabulary) of hidden states (rows, width, hidden)."""
        import mlx.core as mx

        with calling(self._module(model), lambda *_, **__: hidden):
            return model(mx.zeros(hidden.shape[:2], mx.int32))

    def below(self, model: Any, inputs: Any, depth: int) -> Any:
        """What the layer number `depth` (from 0) is given: (rows, width, hidden)."""

        def reached(given: Any, *_: Any, **__: Any) -> Any:
            raise _Reached(given)

        with calling(model.layers[depth], reached):
            try:
                self.trunk(model, inputs)
            except _Reached as stop:
                return stop.given
        raise ValueError(f"the trunk does not call its layer {depth}")

    def above(self, model: Any, inputs: Any, hidden: Any, depth: int) -> Any:
        """The trunk's answer when the layer number `depth` is given `hidden`; `inputs` only shape masks."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(calling(model.layers[0], lambda *_, **__: hidden))
            for layer in model.layers[1:depth]:
                stack.enter_context(calling(layer, lambda given, *_, **__: given))
            return self.trunk(model, inputs)

    def outside_layers(self, parameters: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """Those of flattened parameters that are in no layer."""
        return [(name, value) for name, value in parameters if not name.startswith(f"{self.layers}.")]

    def _module(self, model: Any) -> Any:
        module = model
        for part in self.path.split("."):
            module = module[int(part)] if part.isdigit() else getattr(module, part)
        return module


class _Reached(Exception):  # noqa: N818  no error: the way out of a forward pass
    def __init__(self, given: Any) -> None:
        self.given = given


@contextlib.contextmanager
def calling(module: Any, answer: Callable[..., Any]) -> Iterator[None]:
    """While open, calling this very module calls `answer` instead."""
    kind = type(module)
    patched = type(kind.__name__, (kind,), {"__call__": lambda _self, *args, **kwargs: answer(*args, **kwargs)})
    object.__setattr__(module, "__class__", patched)
    try:
        yield
    finally:
        object.__setattr__(module, "__class__", kind)


@contextlib.contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode (no dropout) while open; then the mode it was in."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def find_split(model: Any, tokens: Any) -> tuple[Split | None, str]:
    """Where the model can be taken apart, proven on real rows; or None and the reason why not.

    Args:
        model: a language model of mlx-lm, with or without adapters.
        tokens: (rows, width) int32 numpy array of a real batch; a few rows' beginnings are used.
    """
    import mlx.core as mx

    path = _layers_path(model)
    if path is None:
        return None, "the model's layers are not a list of one of its modules"
    sample = mx.array(tokens[:_PROOF_ROWS, :_PROOF_WIDTH])
    why = "the layers belong to the model itself"
    owner = path.rpartition(".")[0]
    with evaluating(model):
        while owner:
            split = Split(owner, path, 0)
            try:
                vocabulary, why = _proven(model, split, sample)
            except Exception as error:  # a candidate that cannot be called so raises anything
                why = f"{owner} cannot be called by itself ({type(error).__name__})"
            else:
                if not why:
                    return Split(owner, path, vocabulary), ""
            owner = owner.rpartition(".")[0]
    return None, why


def _layers_path(model: Any) -> str | None:
    """Where, within the model, the list with `model.layers` in it is."""
    first = model.layers[0]
    for path, module in model.named_modules():
        for name, value in module.items():
            if isinstance(value, list) and any(each is first for each in value):
                return f"{path}.{name}" if path else str(name)
    return None


def _proven(model: Any, split: Split, sample: Any) -> tuple[int, str]:
    """The number of logits, and what is wrong with the split; empty when nothing is."""
    import mlx.core as mx

    whole = model(sample)
    hidden = split.trunk(model, sample)
    if not isinstance(hidden, mx.array) or hidden.ndim != 3 or hidden.shape[:2] != sample.shape:
        return 0, f"{split.path} does not answer with one hidden state a token"
    again = split.head(model, hidden)
    # Backwards and as one row, as the loss will ask: shows that the head looks at each position by itself, at nothing
    # but the hidden states, and at those it was given.
    width = hidden.shape[0] * hidden.shape[1]
    turned = split.head(model, hidden.reshape(1, width, -1)[:, ::-1])[:, ::-1].reshape(whole.shape)
    scale = mx.maximum(mx.abs(whole).max(), 1e-3)
    difference = float((mx.abs(whole - again).max() / scale).item())
    moved = float((mx.abs(whole - turned).max() / scale).item())
    if not difference <= _SAME:  # NaN too
        return 0, f"the logits of {split.path} and the rest differ from the model's by {difference:.1e}"
    if not moved <= _ROUNDING.get(str(whole.dtype).rpartition(".")[2], _SAME):
        return 0, f"the model's head does not look at each position by itself (difference {moved:.1e})"
    return int(whole.shape[-1]), ""


def dropouts(module: Any) -> list[Any]:
    """The modules in a module that drop values at random while they train."""
    import mlx.nn as nn

    kinds = (nn.Dropout, nn.Dropout2d, nn.Dropout3d)
    # mlx keeps the probability to keep a value in a private field; a field gone counts as dropping.
    return [m for m in module.modules() if isinstance(m, kinds) and getattr(m, "_p_1", 0.0) < 1.0]


def dropouts_beside_layers(model: Any) -> list[Any]:
    """Those that are in no layer: of embeddings, head or their adapters."""
    inside = {id(module) for layer in model.layers for module in layer.modules()}
    return [module for module in dropouts(model) if id(module) not in inside]
