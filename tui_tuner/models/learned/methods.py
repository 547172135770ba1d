"""The learned methods as plain data: what each is, its settings, and which models it can do anything for.

Imports no mlx, so that screens and commands can ask.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tui_tuner.errors import TunerError

METHODS = {
    "dynamic": "more bits for the modules that the outputs feel most",
    "awq": "weights scaled and clipped so that rounding hurts less where activations are large",
    "dwq": "scales and offsets trained until the outputs are the unquantized model's",
    "gptq": "each column's rounding error made good in the columns after it",
}
AWQ_TYPES = (
    "deepseek_v2",
    "gemma3",
    "gemma3_text",
    "llama",
    "llava",
    "ministral3",
    "mistral",
    "mistral3",
    "qwen2",
    "qwen3",
)
"""Architectures for which mlx-lm knows where AWQ's scales go, and which it can load."""
GPTQ_BITS = (2, 4, 8)
DWQ_BITS = (2, 3, 4, 5, 6)
_SAMPLES = {"dynamic": 128, "awq": 128, "dwq": 1024, "gptq": 128}
_REST = {"awq": (4, 32), "gptq": (6, 64)}
"""Bits and group of what AWQ and GPTQ do not reach, as in mlx-lm."""
_BITS = (2, 3, 4, 5, 6, 8)


@dataclass(frozen=True)
class Learned:
    """A learned method and its settings; None takes the method's own.

    Attributes:
        method: a key of `METHODS`.
        samples: rows that are looked at, at most.
        target_bits: dynamic: bits per weight of the whole model; None for halfway between what is possible.
        high_bits: dynamic: of the modules that get more.
        rest_bits: AWQ and GPTQ: of embeddings, and of what else the method does not reach.
        grid: AWQ: steps of its search for scales and clips.
        learning_rate: DWQ: of scales and offsets.
        iterations: DWQ: steps of four rows; None for each row once.
    """

    method: str
    samples: int | None = None
    target_bits: float | None = None
    high_bits: int | None = None
    rest_bits: int | None = None
    grid: int | None = None
    learning_rate: float | None = None
    iterations: int | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise bad_scheme(f'there is no learned method "{self.method}"', f"choose {', '.join(METHODS)}")
        for name, methods in _OWN.items():
            if getattr(self, name) is not None and self.method not in methods:
                raise bad_scheme(
                    f"{self.method} has no --{name.replace('_', '-')}", f"it belongs to {' and '.join(methods)}"
                )
        for name in ("samples", "grid", "iterations", "learning_rate", "target_bits"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise bad_scheme(f"--{name.replace('_', '-')} must be more than 0", "leave it out for the usual one")
        for name in ("high_bits", "rest_bits"):
            value = getattr(self, name)
            if value is not None and value not in _BITS:
                raise bad_scheme(f"--{name.replace('_', '-')} cannot be {value}", "choose 2, 3, 4, 5, 6 or 8")

    @property
    def rows(self) -> int:
        """Rows that are looked at, at most."""
        return self.samples or _SAMPLES[self.method]

    @property
    def rest(self) -> tuple[int, int]:
        """Bits and group of what the method does not reach."""
        bits, group = _REST[self.method]
        return self.rest_bits or bits, group

    @property
    def steps(self) -> int:
        """AWQ's grid."""
        return self.grid or 20

    @property
    def rate(self) -> float:
        """DWQ's learning rate."""
        return self.learning_rate or 1e-6

    def high(self, low: int) -> int:
        """Bits of the modules that get more, for those of the rest.

        Raises:
            TunerError: they would not be more.
        """
        found = self.high_bits or next((bits for bits in _BITS if bits > low), 0)
        if found <= low:
            raise bad_scheme(f"more than {low} bits are needed for the modules that get more", "lower --bits")
        return found

    def check_bits(self, bits: int) -> None:
        """Refuses bits that the method has not.

        Raises:
            TunerError: code "bad-scheme".
        """
        if self.method == "gptq" and bits not in GPTQ_BITS:
            raise bad_scheme(f"GPTQ has no {bits} bits", "choose 2, 4 or 8")
        if self.method == "dwq" and bits not in DWQ_BITS:
            raise bad_scheme(f"DWQ has nothing to learn at {bits} bits", "choose 2, 3, 4, 5 or 6")
        if self.method == "dynamic":
            self.high(bits)

    def as_json(self) -> dict[str, Any]:
        """The settings as they are used."""
        used = {
            "samples": self.rows,
            "target_bits": self.target_bits,
            "high_bits": self.high_bits,
            "rest_bits": self.rest[0] if self.method in _REST else None,
            "grid": self.steps,
            "learning_rate": self.rate,
            "iterations": self.iterations,
        }
        own = {name: value for name, value in used.items() if self.method in _OWN.get(name, METHODS)}
        return {"name": self.method, **own}


_OWN = {
    "target_bits": ("dynamic",),
    "high_bits": ("dynamic",),
    "rest_bits": ("awq", "gptq"),
    "grid": ("awq",),
    "learning_rate": ("dwq",),
    "iterations": ("dwq",),
}


def groups_for(method: str, widths: Iterable[int], groups: Iterable[int]) -> tuple[int, ...]:
    """The group sizes that a method can work with: dynamic and AWQ need one that divides every width."""
    every = list(widths)
    fits = all if method in ("dynamic", "awq") else any
    return tuple(group for group in groups if every and fits(width % group == 0 for width in every))


def check_model(method: str, architecture: str, *, quantized: bool) -> None:
    """Refuses a model that a method can do nothing for.

    Raises:
        TunerError: code "method-refused".
    """
    if quantized:
        raise refused(method, "learns from the unquantized model, and this one is quantized", "take the original")
    if method == "awq" and architecture not in AWQ_TYPES:
        raise refused(method, f"is not known for the architecture {architecture}", "take dynamic, dwq or gptq")


def refused(method: str, why: str, fix: str) -> TunerError:
    """A method that does not apply, in a sentence."""
    return TunerError(f"{method.upper() if method != 'dynamic' else method} {why}", code="method-refused", fix=fix)


def bad_scheme(message: str, fix: str) -> TunerError:
    """What is asked for cannot be, in a sentence."""
    return TunerError(message, code="bad-scheme", fix=fix, usage=True)
