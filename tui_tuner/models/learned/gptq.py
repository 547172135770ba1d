"""GPTQ (Frantar et al. 2023, arXiv 2210.17323): each column's rounding error is made good in the columns after it.

The arithmetic is that of mlx-lm's `gptq_quantize`, whose loop over the modules can neither be stopped nor say how far
it is; a test compares the results. Here sums of squares are in float32 whatever the model's type is, for float16 holds
none above 65,504. Called on the MLX thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tui_tuner.models.learned.planning import gptq_reaches
from tui_tuner.models.quantize import Plan, quantizable
from tui_tuner.models.scheme import Params

_DAMP = 1e-2
"""Of the mean of the diagonal, added to it, as in mlx-lm."""


def learn_gptq(
    tree: Any,
    made: Plan,
    rows: Sequence[Sequence[int]],
    tell: Callable[[str, int, int], None],
    check: Callable[[], None],
) -> Plan:
    """Quantizes a module tree of one's own; returns the plan with what happened noted.

    Args:
        rows: token ids.
    """
    import mlx.core as mx
    from mlx.utils import tree_unflatten

    modules = dict(quantizable(tree))
    reached = [part.path for part in made.parts if gptq_reaches(modules[part.path], part.after)]
    squares = _squares(tree, {path: modules[path] for path in reached}, rows, tell, check)
    plain = []
    for done, part in enumerate(made.parts):
        check()
        tell("modules", done, len(made.parts))
        if part.after is None:
            continue
        module = modules.pop(part.path)
        new = module.to_quantized(part.after.group_size, part.after.bits, part.after.mode)
        if part.path in squares and not _solved(new, module, squares.pop(part.path), part.after, check):
            plain.append(part.path)
        mx.eval(new.parameters())
        tree.update_modules(tree_unflatten([(part.path, new)]))
    notes = [f"{len(plain)} modules were rounded as they are, for no row reaches them: {plain[0]}"] if plain else []
    return replace(made, notes=[*notes, *made.notes])


def _squares(
    tree: Any,
    modules: dict[str, Any],
    rows: Sequence[Sequence[int]],
    tell: Callable[[str, int, int], None],
    check: Callable[[], None],
) -> dict[str, Any]:
    """Of each module the sum of x xᵀ over all that goes into it: (inputs, inputs) in float32."""
    import mlx.core as mx

    with _caught(tree, modules) as catchers:
        for done, row in enumerate(rows):
            check()
            tell("rows looked at", done, len(rows))
            tree(mx.array([list(row)]))
            mx.eval([catcher.squares for catcher in catchers.values()])
        return {path: catcher.squares for path, catcher in catchers.items()}


@contextmanager
def _caught(tree: Any, modules: dict[str, Any]) -> Any:
    """Has modules add up the squares of what goes into them while open."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_unflatten

    class Catcher(nn.Module):
        def __init__(self, module: Any) -> None:
            super().__init__()
            self.module = module
            self.squares = mx.array(0.0)

        def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            flat = x.flatten(0, -2).astype(mx.float32)
            self.squares = self.squares + flat.T @ flat
            return self.module(x, *args, **kwargs)

    catchers = {path: Catcher(module) for path, module in modules.items()}
    tree.update_modules(tree_unflatten(list(catchers.items())))
    try:
        yield catchers
    finally:
        tree.update_modules(tree_unflatten(list(modules.items())))


def _solved(new: Any, module: Any, squares: Any, params: Params, check: Callable[[], None]) -> bool:
    """Gives a quantized module GPTQ's values; False where the rows say nothing about its inputs."""
    import mlx.core as mx
    from mlx_lm.quant.gptq import quantize

    inverse = _inverse_root(squares)
    if inverse is None:
        return False
    weight = module.weight.astype(mx.float32)
    rounded, scales, biases = [], [], []
    for start in range(0, weight.shape[-1], params.group_size):
        check()
        stop = start + params.group_size
        block, errors, scale, bias = _group(weight[..., start:stop], inverse[start:stop, start:stop], params)
        weight[..., stop:] -= errors @ inverse[start:stop, stop:]
        mx.eval(weight, block, scale, bias)
        rounded.append(block)
        scales.append(scale)
        biases.append(bias)
    scale, bias = mx.concatenate(scales, axis=-1), mx.concatenate(biases, axis=-1)
    new.weight = quantize(mx.concatenate(rounded, axis=-1), params.bits, scale, bias)
    new.scales, new.biases = scale.astype(module.weight.dtype), bias.astype(module.weight.dtype)
    return True


def _inverse_root(squares: Any) -> Any:
    """The upper Cholesky factor of the damped inverse; None where there is none. On the CPU, which alone has it."""
    import mlx.core as mx

    if squares.ndim != 2 or not (mean := mx.mean(mx.diag(squares))).item() > 0:
        return None
    lower = mx.linalg.cholesky(squares + _DAMP * mean * mx.eye(squares.shape[0]), stream=mx.cpu)
    inverse = mx.linalg.cholesky_inv(lower, stream=mx.cpu)
    root = mx.linalg.cholesky(inverse, upper=True, stream=mx.cpu)
    try:
        return root if bool(mx.all(mx.isfinite(root)).item()) else None
    except RuntimeError:  # LAPACK's, for a matrix that has no root
        return None


def _group(weights: Any, inverse: Any, params: Params) -> tuple[Any, Any, Any, Any]:
    """Rounds the columns of one group: rounded (…, group), errors (…, group), scales and offsets (…, 1)."""
    import mlx.core as mx

    _, scales, biases = mx.quantize(weights, bits=params.bits, group_size=params.group_size)
    errors = []
    top = 2**params.bits - 1
    for k in range(params.group_size):
        column = weights[..., k : k + 1]
        nearest = scales * mx.clip(mx.round((column - biases) / scales), 0.0, top) + biases
        error = (column - nearest) / inverse[k, k]
        weights[..., k:] -= error @ inverse[k : k + 1, k:]
        errors.append(error)
    return weights, mx.concatenate(errors, axis=-1), scales, biases
