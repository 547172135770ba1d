"""How weights can be stored, as plain data: what mlx knows, what is asked for, and whether that can be.

Never looks at a model, and imports no mlx.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.models.learned.methods import Learned, bad_scheme
from tui_tuner.units import listed

MODES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "affine": ((2, 3, 4, 5, 6, 8), (32, 64, 128)),
    "mxfp4": ((4,), (32,)),
    "nvfp4": ((4,), (16,)),
    "mxfp8": ((8,), (32,)),
}
"""The bits and group sizes that each mode of mlx knows."""
DEFAULTS = {"affine": (4, 64), "mxfp4": (4, 32), "nvfp4": (4, 16), "mxfp8": (8, 32)}
RECIPES = ("mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6")
"""mlx-lm's mixtures: the lower bits for most modules, the higher ones for those that suffer most."""
DTYPES = ("float16", "bfloat16", "float32")


@dataclass(frozen=True)
class Params:
    """How one module is quantized."""

    bits: int
    group_size: int
    mode: str = "affine"

    def as_config(self) -> dict[str, Any]:
        """As `config.json` has it."""
        return {"group_size": self.group_size, "bits": self.bits, "mode": self.mode}

    def text(self) -> str:
        words = f"{self.bits} bits, group {self.group_size}"
        return words if self.mode == "affine" else f"{self.mode} ({words})"


@dataclass(frozen=True)
class Scheme:
    """What is asked for.

    Attributes:
        quantize: how modules are quantized; None leaves them as they are, or takes quantization off.
        recipe: one of `RECIPES`, which chooses bits by module; empty for the same everywhere.
        dtype: of what is not quantized; empty keeps the model's.
        dequantize: takes quantization off.
        learned: a method that looks at rows first; None rounds without.
    """

    quantize: Params | None = None
    recipe: str = ""
    dtype: str = ""
    dequantize: bool = False
    learned: Learned | None = None

    def __post_init__(self) -> None:
        if self.quantize is None and not self.dtype and not self.dequantize:
            raise TunerError(
                "nothing is asked for",
                code="nothing-to-do",
                fix="give --bits, --mode, --recipe, --dtype or --dequantize",
                usage=True,
            )
        if self.dtype and self.dtype not in DTYPES:
            raise bad_scheme(f'"{self.dtype}" is no data type of weights', f"choose {listed(DTYPES, 'or')}")
        if self.quantize is not None:
            _check(self.quantize, self.recipe, dequantize=self.dequantize)
            if self.learned is not None:
                self._check_learned(self.learned, self.quantize)

    def _check_learned(self, learned: Learned, params: Params) -> None:
        if params.mode != "affine":
            raise bad_scheme("learned methods know the affine mode only", "leave --mode out")
        if self.recipe and learned.method != "dwq":
            raise bad_scheme(f"{learned.method} chooses bits itself, without a recipe", "leave --recipe out")
        if self.dtype:
            raise bad_scheme("learned methods keep the model's data type", "leave --dtype out")
        if not self.recipe:
            learned.check_bits(params.bits)

    def text(self) -> str:
        """The scheme in a few words."""
        parts = []
        if self.dequantize and self.quantize is None:
            parts.append("not quantized")
        if self.quantize is not None:
            parts += [self.learned.method] if self.learned is not None else []
            parts.append(f"{self.recipe}, group {self.quantize.group_size}" if self.recipe else self._bits())
        if self.dtype:
            parts.append(self.dtype)
        return ", ".join(parts)

    def _bits(self) -> str:
        assert self.quantize is not None
        if self.learned is None or self.learned.method != "dynamic":
            return self.quantize.text()
        low = self.quantize.bits
        return f"{low} or {self.learned.high(low)} bits, group {self.quantize.group_size}"


def scheme_of(
    bits: int | None = None,
    group_size: int | None = None,
    mode: str = "affine",
    recipe: str = "",
    dtype: str = "",
    *,
    dequantize: bool = False,
    learned: Learned | None = None,
) -> Scheme:
    """A scheme with mlx-lm's own choices for what is not given.

    Raises:
        TunerError: for what mlx cannot do (code "bad-scheme"), or when nothing is asked for.
    """
    if mode not in MODES:
        raise bad_scheme(f'there is no quantization mode "{mode}"', f"choose {listed(MODES, 'or')}")
    wanted = bits is not None or group_size is not None or bool(recipe) or mode != "affine" or learned is not None
    of_mode = DEFAULTS[mode]
    quantize = Params(bits or of_mode[0], group_size or of_mode[1], mode) if wanted else None
    return Scheme(quantize, recipe, dtype, dequantize, learned)


def _check(params: Params, recipe: str, *, dequantize: bool) -> None:
    if dequantize:
        raise bad_scheme("a model cannot be quantized and de-quantized in one", "leave one of the two out")
    if params.mode not in MODES:
        raise bad_scheme(f'there is no quantization mode "{params.mode}"', f"choose {listed(MODES, 'or')}")
    bits, groups = MODES[params.mode]
    if params.bits not in bits:
        raise bad_scheme(f"{params.mode} has no {params.bits} bits", f"choose {listed(bits, 'or')}")
    if params.group_size not in groups:
        raise bad_scheme(f"{params.mode} has no groups of {params.group_size}", f"choose {listed(groups, 'or')}")
    if recipe and recipe not in RECIPES:
        raise bad_scheme(f'there is no recipe "{recipe}"', f"choose {listed(RECIPES, 'or')}")
    if recipe and params.mode != "affine":
        raise bad_scheme("recipes mix bits of the affine mode only", "leave --mode out")
