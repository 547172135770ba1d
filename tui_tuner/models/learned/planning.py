"""What a learned method would make of a model, before it has looked at a row. Called on the MLX thread.

Which modules dynamic gives more bits is known only afterwards; its forecast is the size that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tui_tuner import units
from tui_tuner.errors import TunerError
from tui_tuner.models.learned.methods import GPTQ_BITS, Learned, check_model, groups_for, refused
from tui_tuner.models.quantize import Choice, Part, Plan, params_of, plan, quantizable
from tui_tuner.models.scheme import Params, Scheme

LONGEST = 512
"""Tokens of a row that are looked at."""
_DOING = {
    "dynamic": "forward twice and backward once",
    "awq": "forward, layer by layer and once for each step of its search",
    "dwq": "forward twice and backward once",
    "gptq": "forward once, then solves for each module, which takes longest",
}


def plan_learned(model: Any, config: dict[str, Any], scheme: Scheme) -> Plan:
    """The plan of a scheme, of whichever kind. Looks at shapes only.

    Args:
        model: the module tree.
        config: the model's `config.json`.

    Raises:
        TunerError: the scheme or the method does not fit the model.
    """
    learned = scheme.learned
    if learned is None:
        return plan(model, scheme)
    modules = [module for _, module in quantizable(model)]
    check_model(
        learned.method, str(config["model_type"]), quantized=any(params_of(module) is not None for module in modules)
    )
    made = plan(model, scheme, _adjusted(model, config, scheme, learned))
    _check_widths(made, scheme, learned)
    if learned.method == "dynamic":
        made = _of_dynamic(made, model, scheme, learned)
    memory = made.bytes_before + _extra(model, made, learned)
    note = (
        f"needs the unquantized model in memory, about {units.size(memory)} in all; passes over up to {learned.rows:,} "
        f"of your rows ({LONGEST} tokens each) {_DOING[learned.method]}"
    )
    return replace(made, notes=[note, *made.notes], memory=memory)


def high_modules(made: Plan, felt: dict[str, float], low: Params, high_bits: int, target: float) -> set[str]:
    """The modules that get more bits: those with the largest sensitivity, as many as the target has room for.

    Args:
        made: with the lower bits everywhere.
        felt: sensitivity by module.
        target: bits per weight of the whole model.
    """
    room = target * made.parameters / 8 - made.bytes_after
    chosen = set()
    for part in sorted(_free(made.parts, low), key=lambda part: -felt[part.path]):
        room -= part.weights * (high_bits - low.bits) // 8
        if room < 0:
            break
        chosen.add(part.path)
    return chosen


def with_high(model: Any, scheme: Scheme, chosen: set[str], high_bits: int) -> Plan:
    """The plan in which the chosen modules have the higher bits."""
    assert scheme.quantize is not None
    more = replace(scheme.quantize, bits=high_bits)

    def adjust(choose: Choice) -> Choice:
        return lambda path, module: more if path in chosen else choose(path, module)

    return plan(model, scheme, adjust)


def target_of(made: Plan, low: Params, learned: Learned) -> float:
    """The bits per weight that dynamic aims at, for a plan with the lower bits everywhere.

    Raises:
        TunerError: what is asked for is out of reach (code "bad-scheme").
    """
    more = sum(part.weights for part in _free(made.parts, low)) * (learned.high(low.bits) - low.bits) / 8
    least, most = made.bits_per_weight, 8 * (made.bytes_after + more) / made.parameters
    if learned.target_bits is None:
        return (least + most) / 2
    if not least <= learned.target_bits <= most:
        raise TunerError(
            f"with {low.bits} and {learned.high(low.bits)} bits the model has {least:.2f} to {most:.2f} bits a weight, "
            f"not {learned.target_bits:g}",
            code="bad-scheme",
            fix="choose --target-bits within them, or other bits",
            usage=True,
        )
    return learned.target_bits


def awq_layers(model: Any, config: dict[str, Any]) -> tuple[Any, Any, str]:
    """The part of a model that AWQ works on, mlx-lm's configuration for it, and that part's path with its dot.

    Raises:
        TunerError: the model is not built as mlx-lm's AWQ expects (code "method-refused").
    """
    from mlx_lm.quant.awq import AWQ_MODEL_CONFIGS, submodule_from_key

    known = AWQ_MODEL_CONFIGS[config["model_type"]]
    try:
        root = model if known.lm_key is None else model[known.lm_key]
        for block in root.layers:
            for one in known.scale_configs:
                if one.use_config is not None and not one.use_config(block):
                    continue
                submodule_from_key(block, one.prev)
                inner = block if one.block is None else block[one.block]
                for name in one.layers:
                    submodule_from_key(inner, name)
    except (KeyError, AttributeError, TypeError) as error:
        raise refused("awq", f"finds no module {error} in this model", "take dynamic, dwq or gptq") from error
    return root, known, "" if known.lm_key is None else f"{known.lm_key}."


def gptq_reaches(module: Any, params: Params | None) -> bool:
    """Whether GPTQ's arithmetic is for a module: linear, affine, and of bits that fill a word."""
    import mlx.nn as nn
    from mlx_lm.models.switch_layers import SwitchLinear

    fits = params is not None and params.mode == "affine" and params.bits in GPTQ_BITS
    return fits and type(module) in (nn.Linear, SwitchLinear)


def _adjusted(model: Any, config: dict[str, Any], scheme: Scheme, learned: Learned) -> Callable[[Choice], Choice]:
    """What the method makes of what scheme and architecture want."""
    if learned.method in ("dynamic", "dwq"):
        return lambda choose: choose
    bits, group = learned.rest
    rest = Params(bits, group)
    if learned.method == "gptq":

        def reached(path: str, module: Any, params: Params) -> bool:
            return gptq_reaches(module, params)
    else:
        _, _, prefix = awq_layers(model, config)
        inside = f"{prefix}model.layers."

        def reached(path: str, module: Any, params: Params) -> bool:
            return path.startswith(inside)

    def adjust(choose: Choice) -> Choice:
        def chosen(path: str, module: Any) -> Params | None:
            wanted = choose(path, module)
            return wanted if wanted is None or wanted != scheme.quantize or reached(path, module, wanted) else rest

        return chosen

    return adjust


def _check_widths(made: Plan, scheme: Scheme, learned: Learned) -> None:
    assert scheme.quantize is not None
    group = scheme.quantize.group_size
    odd = next((part for part in made.parts if part.reason and part.shape[-1] % group), None)
    if odd is not None and not groups_for(learned.method, [part.shape[-1] for part in made.parts], [group]):
        raise refused(
            learned.method,
            f"needs groups that divide all widths, and {group} does not divide the {odd.shape[-1]} of {odd.path}",
            "choose a smaller --group-size, or another method",
        )


def _of_dynamic(made: Plan, model: Any, scheme: Scheme, learned: Learned) -> Plan:
    assert scheme.quantize is not None
    target = target_of(made, scheme.quantize, learned)
    note = f"about {target:.2f} bits a weight; which modules get more is found on your rows"
    return replace(made, bytes_after=round(target * made.parameters / 8), notes=[note, *made.notes])


def _free(parts: list[Part], low: Params) -> list[Part]:
    """Modules whose bits are dynamic's to choose, and not the architecture's."""
    return [part for part in parts if part.after == low]


def _extra(model: Any, made: Plan, learned: Learned) -> int:
    """Bytes beside the unquantized model that a method needs, the activations of a step not counted."""
    modules = dict(quantizable(model))
    if learned.method == "dynamic":  # a rounded copy, its gradients, and their sum in float32
        return sum(2 * modules[part.path].weight.nbytes + 4 * part.weights for part in made.parts)
    if learned.method == "dwq":  # the student; its scales and offsets with gradient and Adam's two moments in float32
        groups = sum(part.weights // part.after.group_size for part in made.parts if part.after is not None)
        return made.bytes_after + 2 * groups * 4 * 4
    if learned.method == "gptq":  # for each module a square of its inputs
        reached = [part for part in made.parts if gptq_reaches(modules[part.path], part.after)]
        return sum(4 * part.shape[-1] ** 2 for part in reached) + made.bytes_after
    inside = [part for part in made.parts if ".layers.0." in part.path]  # what goes into the modules of one layer
    floats = max((modules[part.path].weight.itemsize for part in inside), default=2)
    return made.bytes_after + learned.rows * LONGEST * floats * sum(part.shape[-1] for part in inside)
