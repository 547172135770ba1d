"""What a model folder says of itself, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class ModelFacts:
    """A model at a glance.

    Attributes:
        path: the folder.
        architecture: `model_type` of its configuration.
        parameters: number of weights (quantized ones counted unpacked).
        layers, hidden, heads, kv_heads, vocabulary, context: sizes; 0 where the configuration does not say.
        dtype: data type of the unquantized weights.
        quantization: such as `4 bits, group 64`, or `none`.
        bytes: size of the weight files on disk.
        chat_template: the template's source; empty when there is none.
        modules: (name inside a layer, shape as text) of the linear modules that an adapter can train.
        problems: sentences about what will not work.
        tokens: special tokens by role, such as `eos`.
    """

    path: str
    architecture: str
    parameters: int
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    vocabulary: int
    context: int
    dtype: str
    quantization: str
    bytes: int
    chat_template: str
    modules: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)


Fit = Literal["fits", "tight", "too large"]
_ROOM = 0.7
"""Of what a job can have: below it there is room for a longer text or a larger batch than the forecast is for."""
NEAR = 0.9
"""Of what can be in use at a time, as in mlx-lm: beyond it a job may wait for memory."""


def fit(needed: int, usable: int) -> Fit | None:
    """Whether a job that needs so many bytes finds room where so many can be in use; None where one is not known."""
    if needed <= 0 or usable <= 0:
        return None
    if needed <= _ROOM * usable:
        return "fits"
    return "tight" if needed <= NEAR * usable else "too large"


@dataclass(frozen=True)
class ListedModel:
    """A model in a line.

    Attributes:
        path: what to call it: `embedded:NAME`, a folder, or a repository.
        name: for a person.
        source: "embedded", "local", "cache" (of the Hub), or "absent": named by somebody, and not on this machine.
        folder: where it lies; empty for one that is absent.
        bytes: of its weights; 0 where that is not known.
        architecture, dtype, quantization: as in `ModelFacts`; empty where that is not known.
        parameters: number of weights, 0 where that is not known.
        memory: forecast bytes to `run` and to `train`; empty where that is not known.
        used: when it was last read, in seconds since the epoch; only of those in the cache.
        on_disk: bytes of all that a cached repository takes, older versions with it; 0 for others.
        named_by: runs and presets that name it.
        made_as: how it was converted; empty for what was not converted here.
        problem: why it will not do, in a sentence; empty where nothing is seen.
    """

    path: str
    name: str
    source: Literal["embedded", "local", "cache", "absent"]
    folder: str = ""
    bytes: int = 0
    architecture: str = ""
    dtype: str = ""
    quantization: str = ""
    parameters: int = 0
    memory: dict[str, int] = field(default_factory=dict)
    used: float | None = None
    on_disk: int = 0
    named_by: list[str] = field(default_factory=list)
    made_as: str = ""
    problem: str = ""

    @property
    def bits(self) -> float | None:
        """Bits a weight on average; None where that is not known."""
        return 8 * self.bytes / self.parameters if self.parameters and self.bytes else None

    def as_json(self, usable: int = 0) -> dict[str, Any]:
        """As `models --json` lists it.

        Args:
            usable: bytes that a job can have on this machine.
        """
        fits = {use: fit(needed, usable) for use, needed in self.memory.items()}
        return {**asdict(self), "bits_per_weight": self.bits, "fits": fits}


@dataclass(frozen=True)
class Offers:
    """Which conversions a model's shapes allow.

    Attributes:
        modes: bits and group sizes by mode; what would leave every module as it is is not there.
        recipes: mixtures of bits.
        dtypes: data types other than its own.
        dequantize: whether there is quantization to take off.
        methods: group sizes by learned method, of those that apply to it.
    """

    modes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    recipes: tuple[str, ...]
    dtypes: tuple[str, ...]
    dequantize: bool
    methods: dict[str, tuple[int, ...]] = field(default_factory=dict)
