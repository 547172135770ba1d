"""What a model folder says of itself, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModelFacts:
    """A model at a glance.

    Attributes:
        path: the folder, or the hub name it was asked for by.
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
