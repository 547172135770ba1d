"""Merges an adapter into its base, in several ways: what mlx-lm would write, and what keeps more of the fine-tune.

On a quantized base the merged weights have to be quantized again, and steps of 4 bits are often larger than what
training changed, so that most of it is lost. The ways differ in what the touched modules become; those that no adapter
touched stay bit for bit. Called on the MLX thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tui_tuner.models.quantize import dequantized, params_of, quantizable
from tui_tuner.models.scheme import Params


@dataclass(frozen=True)
class Way:
    """One way of merging.

    Attributes:
        name: as commands have it.
        text: what becomes of the touched modules, for a person.
        touched: how they are quantized; None for as the base was.
        plain: whether they are not quantized at all.
        everything: whether the untouched ones are de-quantized too.
    """

    name: str
    text: str
    touched: Params | None = None
    plain: bool = False
    everything: bool = False


STOCK = Way("stock", "as mlx-lm does it: the merged weights are quantized as the base is")
FINER = Way("finer", "the touched modules in groups of 32, at the base's bits")
EIGHT = Way("8bit", "the touched modules at 8 bits", Params(8, 32))
TOUCHED = Way("float", "the touched modules unquantized", plain=True)
WHOLE = Way("dequantized", "everything unquantized", plain=True, everything=True)
PLAIN = Way("plain", "merged into unquantized weights")


def ways_for(base: Any) -> list[Way]:
    """The ways that make a difference for a base, the smallest result first."""
    found = [params for _, module in quantizable(base) if (params := params_of(module)) is not None]
    if not found:
        return [PLAIN]
    usual = max(found, key=found.count)
    ways = [STOCK]
    if usual.mode == "affine" and usual.group_size > 32:
        ways.append(Way(FINER.name, FINER.text, Params(usual.bits, 32)))
    if usual.bits < 8:
        ways.append(EIGHT)
    return [*ways, TOUCHED, WHOLE]


def fuse(base: Any, adapted: Any, tree: Any, way: Way) -> Any:
    """Merges by one way.

    Args:
        base: the base's own tree, which is not changed.
        adapted: a tree with the adapter on it, which is not changed.
        tree: a fresh tree on the base's arrays; it becomes the result. For a full fine-tune, `adapted` is the result
            already, and its weights are put into it.
        way: one of `ways_for`.

    Returns:
        `tree`.
    """
    import mlx.core as mx
    from mlx.utils import tree_unflatten

    merged = {path: module.fuse(dequantize=True) for path, module in _adapters(adapted)}
    if not merged:  # a full fine-tune changes weights in place
        tree.update(adapted.parameters())
        return tree
    homes = dict(quantizable(base))
    for path, module in merged.items():
        was = params_of(homes[path]) if path in homes else None
        after = None if way.plain else way.touched or was
        if was is not None and after is not None and module.weight.shape[-1] % after.group_size == 0:
            module = module.to_quantized(after.group_size, after.bits, after.mode)
        mx.eval(module.parameters())
        tree.update_modules(tree_unflatten([(path, module)]))
    if way.everything:
        for path, module in list(quantizable(tree)):
            if params_of(module) is not None:
                plain = dequantized(module)
                mx.eval(plain.parameters())
                tree.update_modules(tree_unflatten([(path, plain)]))
    tree.eval()
    return tree


def size_of(model: Any) -> int:
    """Bytes of all weights of a tree."""
    from mlx.utils import tree_flatten

    return sum(value.nbytes for _, value in tree_flatten(model.parameters()))


def _adapters(adapted: Any) -> Iterator[tuple[str, Any]]:
    return ((path, module) for path, module in adapted.named_modules() if hasattr(module, "fuse"))
