"""How a model's weights are stored: data types, quantization, and mixtures of it, planned before anything is changed.

A plan says for every module what becomes of it and why, what all of it will take, and is then carried out module by
module, so that progress can be shown and the work be stopped. A module whose width a group does not divide stays as it
is, and is named. Called on the MLX thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.models.scheme import Params, Scheme

_ENTRY = 66
"""Bytes of a tensor's type, shape and place in the header of a safetensors file, about; its name comes on top."""


@dataclass(frozen=True)
class Part:
    """One module that could be quantized.

    Attributes:
        path: from the model's root.
        shape: of its weights, unpacked.
        before: how it is quantized now; None for not at all.
        after: how it shall be; None for not at all.
        reason: why it stays as it is although quantization is asked for; empty otherwise.
    """

    path: str
    shape: tuple[int, ...]
    before: Params | None
    after: Params | None
    reason: str = ""

    @property
    def weights(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Plan:
    """What becomes of a model.

    Attributes:
        scheme: what was asked for.
        parts: every module that can be quantized, in the model's order.
        parameters: weights of the whole model.
        bytes_before: of all weights as they are.
        bytes_after: of all weights as they will be, which is also what they take in memory.
        notes: what a person should know before.
        header: bytes of the names and places of all tensors in the weight files, about.
        memory: bytes that making it needs, about, where that is more than the model itself; 0 otherwise.
    """

    scheme: Scheme
    parts: list[Part]
    parameters: int
    bytes_before: int
    bytes_after: int
    notes: list[str] = field(default_factory=list)
    header: int = 0
    memory: int = 0

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.bytes_after / max(self.parameters, 1)

    @property
    def kept(self) -> list[Part]:
        """Modules that stay unquantized although quantization is asked for."""
        return [part for part in self.parts if part.reason]

    def as_json(self) -> dict[str, Any]:
        """The forecast as `convert --plan` prints it."""
        return {
            "scheme": self.scheme.text(),
            "parameters": self.parameters,
            "bytes_before": self.bytes_before,
            "bytes": self.bytes_after,
            "bytes_on_disk": self.bytes_after + self.header,
            "bits_per_weight": self.bits_per_weight,
            "unquantized": [{"module": part.path, "reason": part.reason} for part in self.kept],
            "notes": self.notes,
            "method": self.scheme.learned.as_json() if self.scheme.learned is not None else None,
            "memory_to_make": self.memory or None,
        }


def params_of(module: Any) -> Params | None:
    """How a module is quantized; None for not at all."""
    bits = getattr(module, "bits", None)
    if bits is None or "scales" not in module:
        return None
    return Params(int(bits), int(module.group_size), str(getattr(module, "mode", "affine")))


def unpacked_shape(module: Any) -> tuple[int, ...]:
    """The shape of a module's weights as if it were not quantized."""
    shape = tuple(module.weight.shape)
    params = params_of(module)
    return shape if params is None else (*shape[:-1], shape[-1] * 32 // params.bits)


def stored_bytes(shape: tuple[int, ...], params: Params | None, float_bytes: int) -> int:
    """Bytes of weights of that shape: packed values, and for each group a scale (and with affine, an offset)."""
    weights = math.prod(shape)
    if params is None:
        return weights * float_bytes
    side = 2 * float_bytes if params.mode == "affine" else 1
    return weights * params.bits // 8 + weights // params.group_size * side


def quantizable(model: Any) -> Iterator[tuple[str, Any]]:
    """The modules that are quantized or could be: paths and modules, in the model's order."""
    for path, module in model.named_modules():
        if params_of(module) is not None or (hasattr(module, "to_quantized") and "weight" in module):
            yield path, module


Choice = Callable[[str, Any], Params | None]
"""How a module, given by path and itself, shall be quantized; None for not at all."""


def plan(model: Any, scheme: Scheme, adjust: Callable[[Choice], Choice] = lambda choose: choose) -> Plan:
    """What a scheme would make of a model. Looks at shapes only; nothing is changed or evaluated.

    Args:
        adjust: gets what scheme and architecture want for a module, and gives what a method makes of it.

    Raises:
        TunerError: when the recipe does not fit the model, or no module can be quantized as asked.
    """
    from mlx.utils import tree_flatten

    choose = adjust(_chooser(model, scheme))
    parts = [_part(path, module, choose(path, module), scheme) for path, module in quantizable(model)]
    if scheme.quantize is not None and not any(part.after for part in parts):
        width = max((part.shape[-1] for part in parts), default=0)
        raise TunerError(
            f"no module can be quantized in groups of {scheme.quantize.group_size}: the widest has {width} inputs",
            code="nothing-quantizable",
            fix="choose a smaller group size, or another mode",
        )
    quantized = {part.path for part in parts}
    floats = _float_bytes(model, scheme.dtype)
    before = after = rest = header = 0
    for name, value in tree_flatten(model.parameters()):
        before += value.nbytes
        owner, _, leaf = name.rpartition(".")
        if owner in quantized and leaf in ("weight", "scales", "biases"):
            continue
        after += value.size * floats(name, value)
        rest += value.size
        header += _ENTRY + len(name)
    modules = dict(quantizable(model))
    for part in parts:
        module = modules[part.path]
        weight = module.scales if part.before else module.weight
        float_bytes = floats(f"{part.path}.weight", weight) if _is_float(weight) else 2
        after += stored_bytes(part.shape, part.after, float_bytes)
        leaves = () if part.after is None else ("scales", "biases") if part.after.mode == "affine" else ("scales",)
        header += sum(_ENTRY + len(part.path) + 1 + len(leaf) for leaf in ("weight", *leaves))
    parameters = rest + sum(part.weights for part in parts)
    return Plan(scheme, parts, parameters, before, after, _notes(parts, scheme), header)


def changes(model: Any, made: Plan) -> bool:
    """Whether a plan would change anything about a model, which is one that it was made for."""
    from mlx.utils import tree_flatten

    if made.scheme.learned is not None or any(part.before != part.after for part in made.parts):
        return True
    return bool(made.scheme.dtype) and any(
        _is_float(value) and _castable(model, name) and str(value.dtype) != f"mlx.core.{made.scheme.dtype}"
        for name, value in tree_flatten(model.parameters())
    )


def apply(
    model: Any,
    made: Plan,
    *,
    tell: Callable[[int, int, str], None] = lambda done, total, path: None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Carries a plan out on a module tree, which must be one's own.

    Args:
        tell: called with modules done, modules in all, and the path of the next.
        check: called between modules; it may raise to end the work, after which the tree is of no use.
    """
    import mlx.core as mx
    from mlx.utils import tree_map_with_path, tree_unflatten

    modules = dict(quantizable(model))
    for done, part in enumerate(made.parts):
        check()
        tell(done, len(made.parts), part.path)
        if part.before == part.after and not made.scheme.dtype:
            continue
        module = modules.pop(part.path)
        plain = dequantized(module)
        if made.scheme.dtype and _castable(model, f"{part.path}.weight"):
            plain.weight = plain.weight.astype(getattr(mx, made.scheme.dtype))
        if part.after is not None:
            plain = plain.to_quantized(part.after.group_size, part.after.bits, part.after.mode)
        mx.eval(plain.parameters())
        model.update_modules(tree_unflatten([(part.path, plain)]))
    tell(len(made.parts), len(made.parts), "")
    if made.scheme.dtype:
        dtype = getattr(mx, made.scheme.dtype)
        side = {f"{part.path}.{leaf}" for part in made.parts if part.after for leaf in ("weight", "scales", "biases")}

        def cast(name: str, value: Any) -> Any:
            return value.astype(dtype) if name not in side and _is_float(value) and _castable(model, name) else value

        model.update(tree_map_with_path(cast, model.parameters()))
    mx.eval(model.parameters())


def quantization_config(model: Any) -> dict[str, Any] | None:
    """What `config.json` has to say under `quantization` for a module tree as it is; None when nothing is quantized.

    The most frequent way stands for all, and every module that differs by itself, which is how mlx-lm reads it.
    """
    found = {path: params for path, module in quantizable(model) if (params := params_of(module)) is not None}
    if not found:
        return None
    ways = list(found.values())
    usual = max(ways, key=ways.count)
    others = {path: params.as_config() for path, params in found.items() if params != usual}
    return {**usual.as_config(), **others}


def dequantized(module: Any) -> Any:
    """A module's unquantized twin, or the module itself where it is not quantized."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx_lm.models.switch_layers import SwitchLinear

    params = params_of(module)
    if params is None:
        return module
    weight = mx.dequantize(
        module.weight,
        module.scales,
        module.get("biases"),
        group_size=params.group_size,
        bits=params.bits,
        mode=params.mode,
    )
    bias = "bias" in module
    if isinstance(module, nn.QuantizedEmbedding):
        plain: Any = nn.Embedding(1, 1)
    elif len(weight.shape) == 3:
        plain = SwitchLinear(1, 1, 1, bias=bias)
    else:
        plain = nn.Linear(1, 1, bias=bias)
    plain.weight = weight
    if bias:
        plain.bias = module.bias
    return plain


def _chooser(model: Any, scheme: Scheme) -> Choice:
    """What the scheme, the recipe or the model itself wants for a module."""
    wanted = scheme.quantize
    if wanted is None:
        return lambda path, module: None if scheme.dequantize else params_of(module)
    rule = getattr(model, "quant_predicate", None)
    if scheme.recipe:
        from mlx_lm.convert import mixed_quant_predicate_builder

        try:
            rule = mixed_quant_predicate_builder(scheme.recipe, model, wanted.group_size)
        except ValueError as error:
            raise TunerError(
                f"the recipe {scheme.recipe} does not fit this architecture, which has no module named down_proj",
                code="bad-scheme",
                fix="quantize with the same bits everywhere",
            ) from error

    def choose(path: str, module: Any) -> Params | None:
        answer = rule(path, module) if rule is not None else True
        if isinstance(answer, dict):
            return Params(int(answer["bits"]), int(answer["group_size"]), str(answer.get("mode", "affine")))
        return wanted if answer else None

    return choose


def _part(path: str, module: Any, wanted: Params | None, scheme: Scheme) -> Part:
    shape, before = unpacked_shape(module), params_of(module)
    if scheme.quantize is None:
        return Part(path, shape, before, wanted)
    if wanted is None:
        return Part(path, shape, before, None, "the architecture keeps it as it is")
    if shape[-1] % wanted.group_size:
        return Part(path, shape, before, None, f"its width of {shape[-1]} is no multiple of {wanted.group_size}")
    return Part(path, shape, before, wanted)


def _notes(parts: list[Part], scheme: Scheme) -> list[str]:
    notes = []
    if kept := [part for part in parts if part.reason]:
        share = sum(part.weights for part in kept) / max(sum(part.weights for part in parts), 1)
        notes.append(
            f"{len(kept)} of {len(parts)} modules stay unquantized ({share:.0%} of their weights):"
            f" {kept[0].path}, {kept[0].reason}"
        )
    if scheme.quantize is not None and any(part.before for part in parts):
        notes.append("the model is quantized already; what that lost is not got back")
    if scheme.dequantize and any(part.before for part in parts):
        notes.append("de-quantizing makes the model larger and not better: what quantization lost stays lost")
    return notes


def _float_bytes(model: Any, dtype: str) -> Callable[[str, Any], int]:
    sizes = {"float16": 2, "bfloat16": 2, "float32": 4}

    def size(name: str, value: Any) -> int:
        cast = bool(dtype) and _is_float(value) and _castable(model, name)
        return sizes[dtype] if cast else int(value.dtype.size)

    return size


def _is_float(value: Any) -> bool:
    import mlx.core as mx

    return bool(mx.issubdtype(value.dtype, mx.floating))


def _castable(model: Any, name: str) -> bool:
    predicate = getattr(model, "cast_predicate", None)
    return bool(predicate(name)) if predicate is not None else True
