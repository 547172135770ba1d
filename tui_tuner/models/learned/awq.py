"""AWQ (Lin et al. 2024, arXiv 2306.00978): channels with large activations are scaled up before rounding, then down.

Search and arithmetic are mlx-lm's, for the architectures of which it knows where the scales go; its loop over the
layers is done here, because it can neither be stopped nor say how far it is. Called on the MLX thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tui_tuner.models.learned.planning import awq_layers
from tui_tuner.models.quantize import Plan
from tui_tuner.models.scheme import Params


def learn_awq(
    tree: Any,
    config: dict[str, Any],
    made: Plan,
    rows: Sequence[Sequence[int]],
    tell: Callable[[str, int, int], None],
    check: Callable[[], None],
) -> Plan:
    """Quantizes a module tree of one's own; returns the plan with what happened noted.

    Args:
        config: the model's `config.json`.
        rows: token ids.
    """
    import mlx.core as mx

    root, known, prefix = awq_layers(tree, config)
    after = {part.path: part.after for part in made.parts}
    assert made.scheme.quantize is not None and made.scheme.learned is not None
    layers = list(root.layers)
    embed = f"{prefix}model.{known.embed}"
    _round(tree, {embed: after.get(embed)})
    x, masks = _entered(root, packed(rows))
    worse = 0
    for number, block in enumerate(layers):
        check()
        tell("layers", number, len(layers))
        inside = {
            path.removeprefix(f"{prefix}model.layers.{number}."): params
            for path, params in after.items()
            if path.startswith(f"{prefix}model.layers.{number}.")
        }
        x, better = _layer(
            block, x, masks[number], inside, known, made.scheme.quantize, made.scheme.learned.steps, check
        )
        worse += not better
        mx.eval(block)
        mx.clear_cache()
    _round(tree, {path: params for path, params in after.items() if not path.startswith(f"{prefix}model.layers.")})
    mx.eval(tree.parameters())
    notes = (
        [f"{worse} of {len(layers)} layers were rounded as they are, for scaling did not help them"] if worse else []
    )
    return replace(made, notes=[*notes, *made.notes])


def packed(rows: Sequence[Sequence[int]]) -> Any:
    """Rows one after another in sequences as long as the longest row, (sequences, tokens); what is left over goes."""
    import mlx.core as mx

    long = max(len(row) for row in rows)
    stream = [token for row in rows for token in row]
    return mx.array([stream[at : at + long] for at in range(0, len(stream) - long + 1, long)])


def _entered(root: Any, tokens: Any) -> tuple[Any, list[Any]]:
    """What goes into the first layer, (sequences, tokens, width), and each layer's mask, as the model itself has it."""
    import mlx.nn as nn

    seen: list[tuple[Any, Any]] = []

    class Passing(nn.Module):
        def __init__(self, layer: Any) -> None:
            super().__init__()
            self.layer = layer

        def __getattr__(self, name: str) -> Any:
            if (layer := self.get("layer")) is None:
                raise AttributeError(name)
            return layer if name == "layer" else getattr(layer, name)

        def __call__(self, x: Any, mask: Any = None, *args: Any, **kwargs: Any) -> Any:
            seen.append((x, mask))
            return x

    layers = root.model.layers
    root.model.layers = [Passing(layer) for layer in layers]
    try:
        root.model(tokens)
    finally:
        root.model.layers = layers
    return seen[0][0], [mask for _, mask in seen]


def _layer(
    block: Any,
    x: Any,
    mask: Any,
    inside: dict[str, Params | None],
    known: Any,
    params: Params,
    grid: int,
    check: Callable[[], None],
) -> tuple[Any, bool]:
    """Scales, clips and quantizes a layer; returns its unquantized outputs, and whether scaling helped."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx_lm.quant.awq import clip_block, mse, run_layer, scale_block

    def rounded(weight: Any) -> Any:
        check()  # called at every step of the search
        packed = mx.quantize(weight, bits=params.bits, group_size=params.group_size)
        return mx.dequantize(*packed, bits=params.bits, group_size=params.group_size)

    def error() -> float:
        return float((mse(y, run_layer(block, x, mask=mask)).sum() / y.size).item())

    leaves = block.leaf_modules()
    y = _caught(block, x, mask)
    _round(block, inside)
    before = error()
    block.update_modules(leaves)
    own = block.parameters()
    scale_block(
        block=block, configs=known.scale_configs, quantize_func=rounded, n_grid=grid, layer_kwargs={"mask": mask}
    )
    clip_block(
        block=block, no_clip_keys=known.no_clip, quantize_func=rounded, group_size=params.group_size, n_grid=grid
    )
    _round(block, inside)
    better = error() <= before
    if not better:
        block.update_modules(leaves)
        block.update(own)
        _round(block, inside)
    for module in block.modules():
        if isinstance(module, nn.Module):
            module.pop("input_feat", None)
            module.pop("indices", None)
    return y, better


def _caught(block: Any, x: Any, mask: Any) -> Any:
    """Runs a layer; each linear module gets what went into it as `input_feat`, where mlx-lm's search looks for it."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_map
    from mlx_lm.models.switch_layers import SwitchLinear
    from mlx_lm.quant.awq import run_layer

    def add(module: Any, name: str, value: Any) -> None:
        had = module.get(name)
        setattr(module, name, value if had is None else mx.concatenate([had, value], axis=0))

    def catching(module: Any) -> Any:
        if not isinstance(module, (nn.Linear, SwitchLinear)):
            return module

        class Catcher(nn.Module):
            def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
                add(module, "input_feat", x)
                if isinstance(module, SwitchLinear):
                    add(module, "indices", args[0])
                return module(x, *args, **kwargs)

        return Catcher()

    leaves = block.leaf_modules()
    block.update_modules(tree_map(catching, leaves, is_leaf=nn.Module.is_module))
    try:
        return run_layer(block, x, mask=mask)
    finally:
        block.update_modules(leaves)


def _round(tree: Any, wanted: dict[str, Params | None]) -> None:
    """Quantizes modules, given by path, as they are."""
    from mlx.utils import tree_unflatten

    modules = dict(tree.named_modules())
    for path, params in wanted.items():
        if params is not None and hasattr(modules[path], "to_quantized"):
            new = modules[path].to_quantized(params.group_size, params.bits, params.mode)
            tree.update_modules(tree_unflatten([(path, new)]))
