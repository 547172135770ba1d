"""Which conversions a model's shapes allow, so that what cannot be done is not offered. Reads facts, loads nothing."""

from __future__ import annotations

import re
from typing import Any

from tui_tuner.models.facts import ModelFacts, Offers
from tui_tuner.models.learned.methods import AWQ_TYPES, METHODS, groups_for
from tui_tuner.models.scheme import DTYPES, MODES, RECIPES


def offers_for(facts: ModelFacts) -> Offers:
    """What can be done with a model.

    A group size is offered when at least one module has a width that it divides; a mixture when there is a module named
    down_proj, which mlx-lm's mixtures go by; a learned method when the model is unquantized and the method knows it;
    nothing to a model with a fault.
    """
    widths = [int(numbers[-1]) for _, shape in facts.modules if (numbers := re.findall(r"\d+", shape))]
    modes = {}
    for mode, (bits, groups) in MODES.items():
        fitting = tuple(group for group in groups if any(width % group == 0 for width in widths))
        if fitting:
            modes[mode] = (bits, fitting)
    mixed = "affine" in modes and any("down_proj" in name for name, _ in facts.modules)
    dtypes = tuple(dtype for dtype in DTYPES if dtype != facts.dtype)
    return Offers(modes, RECIPES if mixed else (), dtypes, facts.quantization != "none", _methods(facts, widths, modes))


def _methods(facts: ModelFacts, widths: list[int], modes: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The learned methods that apply, each with its group sizes."""
    if "affine" not in modes or facts.quantization != "none":
        return {}
    every = [*widths, *([facts.hidden] if facts.hidden else [])]  # embedding and head are as wide as the model
    known = [method for method in METHODS if method != "awq" or facts.architecture in AWQ_TYPES]
    found = {method: groups_for(method, every, modes["affine"][1]) for method in known}
    return {method: groups for method, groups in found.items() if groups}
