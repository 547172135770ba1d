"""The sizes that a model's memory and work follow from, read from its configuration and the headers of its weights.

No architecture is known by name: how many norms a layer has, which matrices share an input, whether there are experts
and what a soft cap costs is all told by names and shapes of tensors and by the configuration. Loads no weight, needs no
mlx, and takes milliseconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tui_tuner.models.describe import count_in, unpacked_shape
from tui_tuner.models.folder import read_header, read_model_config, weight_files
from tui_tuner.models.scheme import Params

Place = Literal["mixer in", "mixer out", "mlp in", "mlp out"]
"""Where in its layer a matrix stands: before or after attention (or what stands in its place), in or out of the MLP."""

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.(.+)$")
_EXPERT = re.compile(r"^(.*?)experts\.(\d+)\.(.+)$")
_MERGED = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}  # as mlx-lm names them once experts are stacked
_MIXER = ("attn", "attention", "mixer", "ssm", "mamba")
_OUT = ("o_proj", "out_proj", "dense", "c_proj", "wo", "attn_out", "down_proj", "w2", "fc2", "dense_4h_to_h")
_FUSED = ("qkv_proj", "wqkv", "query_key_value", "c_attn")
_HEADS = ("num_attention_heads", "n_head", "n_heads")
WIDTHS = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
"""Bytes of a number, by its name in safetensors; of what is not here, one."""


@dataclass(frozen=True)
class Matrix:
    """A linear module of a layer.

    Attributes:
        path: within the layer, as adapters name it.
        inputs, outputs: its width.
        experts: how many of it lie side by side; 1 where there are no experts.
        quantized: how it is stored; None as plain numbers.
    """

    path: str
    inputs: int
    outputs: int
    experts: int = 1
    quantized: Params | None = None

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs * self.experts

    @property
    def place(self) -> Place:
        block, last = self.path.split(".")[0].lower(), self.path.rsplit(".", 1)[-1].lower()
        where = "mixer" if any(mark in block for mark in _MIXER) else "mlp"
        return f"{where} {'out' if last in _OUT else 'in'}"  # type: ignore[return-value]


@dataclass(frozen=True)
class ModelShape:
    """A model's sizes.

    Attributes:
        layers, hidden, heads, kv_heads, head_dim, vocabulary: as its configuration has them.
        inner: width inside the MLP, of one expert.
        experts: how many experts a token goes through; 1 where there are none.
        element: bytes of a number in its activations.
        bytes: of all its weights in memory.
        parameters: number of weights, quantized ones counted unpacked.
        matrices: linear modules of a layer, of the first that has the most kinds.
        norms: norms over the whole width in a layer; `head_norms` whether queries and keys have their own.
        gated: whether the MLP has a gate; `smooth` whether its activation is a gelu, which keeps more than a silu.
        soft_capped: whether attention scores are capped by a tanh, which keeps them twice.
        head_capped: whether logits are.
        tied: whether the embedding's weights make the logits as well.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    vocabulary: int
    element: int
    bytes: int
    parameters: int
    matrices: tuple[Matrix, ...]
    experts: int = 1
    norms: int = 2
    head_norms: bool = False
    gated: bool = True
    smooth: bool = False
    soft_capped: bool = False
    head_capped: bool = False
    tied: bool = False

    @property
    def queries(self) -> int:
        """Width of all queries of a token."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all keys of a token."""
        return self.kv_heads * self.head_dim

    @property
    def fused(self) -> bool:
        """Whether one matrix makes queries, keys and values."""
        return any(matrix.path.rsplit(".", 1)[-1].lower() in _FUSED for matrix in self.matrices)

    @property
    def quantized(self) -> Params | None:
        """How its matrices are stored, by the first of them; None as plain numbers."""
        return next((matrix.quantized for matrix in self.matrices if matrix.quantized), None)

    @property
    def layer_weights(self) -> int:
        """Weights of a layer's matrices, all experts counted."""
        return sum(matrix.weights for matrix in self.matrices)

    @property
    def active_weights(self) -> int:
        """Weights of a layer's matrices that a token meets."""
        return sum(m.inputs * m.outputs * (self.experts if m.experts > 1 else 1) for m in self.matrices)

    def stored(self, bits: int, group: int = 64) -> ModelShape:
        """The same model with its matrices, embedding and head stored in so many bits, affine, in groups."""
        way = Params(bits, group)
        plain = self.layers * sum(m.weights for m in self.matrices if not _divides(m, group))
        rest = max(self.parameters - self._wide_weights() - plain, 0)
        size = self._wide_weights() * _bytes_a_weight(way, self.element)
        matrices = tuple(replace(m, quantized=way if _divides(m, group) else None) for m in self.matrices)
        return replace(self, matrices=matrices, bytes=int(size + (rest + plain) * self.element))

    def _wide_weights(self) -> int:
        """Weights that quantizing stores otherwise: of matrices, embedding and head."""
        tables = (1 if self.tied else 2) * self.vocabulary * self.hidden
        return min(self.layers * self.layer_weights + tables, self.parameters)


def _divides(matrix: Matrix, group: int) -> bool:
    return matrix.inputs % group == 0


def _bytes_a_weight(way: Params, element: int) -> float:
    return way.bits / 8 + 2 * element / way.group_size


def shape_of(folder: Path) -> ModelShape:
    """The sizes of the model in a folder.

    Raises:
        TunerError: when its configuration or a header cannot be read.
    """
    config = read_model_config(folder)
    tensors: dict[str, tuple[str, list[int]]] = {}
    for file in weight_files(folder):
        tensors.update(read_header(file))
    return shape_from(config, tensors)


def shape_from(config: dict[str, Any], tensors: dict[str, tuple[str, list[int]]]) -> ModelShape:
    """The sizes told by a configuration and by names, types and shapes of tensors."""
    nested = config.get("text_config")
    text: dict[str, Any] = {**config, **nested} if isinstance(nested, dict) else config
    quantization = config.get("quantization") or config.get("quantization_config") or {}
    found = _layer_tensors(tensors)
    number = max(found, key=lambda number: len(found[number]), default=0)
    first = found.get(number, {})
    matrices = _matrices(first, _ways_of_layer(number, quantization))
    hidden = count_in(text, "hidden_size", "n_embd", "d_model")
    heads = max(count_in(text, *_HEADS), 1)
    norms = [name for name, (_, shape) in first.items() if name.endswith(".weight") and shape == [hidden]]
    outs = [matrix for matrix in matrices if matrix.place == "mlp out"]
    inner = outs[0].inputs if outs else count_in(text, "intermediate_size") or 4 * hidden
    act = str(text.get("hidden_act") or text.get("hidden_activation") or text.get("activation_function") or "silu")
    floats = _float_sizes(tensors)
    return ModelShape(
        layers=count_in(text, "num_hidden_layers", "n_layer", "n_layers") or len(found) or 1,
        hidden=hidden,
        heads=heads,
        kv_heads=count_in(text, "num_key_value_heads", "n_head_kv") or heads,
        head_dim=count_in(text, "head_dim") or hidden // heads,
        inner=inner,
        vocabulary=count_in(text, "vocab_size"),
        element=max(floats, key=lambda size: floats[size]) if floats else 2,
        bytes=sum(WIDTHS.get(kind, 1) * math.prod(shape) for kind, shape in tensors.values()),
        parameters=sum(math.prod(unpacked_shape(name, tensors, quantization)) for name in tensors if _counts(name)),
        matrices=matrices,
        experts=count_in(text, "num_experts_per_tok", "moe_topk") or 1,
        norms=len(norms) or 2,
        head_norms=any("q_norm" in name for name in first),
        gated=sum(m.place == "mlp in" for m in matrices) > 1 or any(m.outputs == 2 * inner for m in matrices),
        smooth="gelu" in act,
        soft_capped=bool(text.get("attn_logit_softcapping")),
        head_capped=bool(text.get("final_logit_softcapping")),
        tied=not any(name.rpartition(".")[0].endswith(("lm_head", "output")) for name in tensors),
    )


def _counts(name: str) -> bool:
    return not name.endswith((".scales", ".biases"))


def _layer_tensors(tensors: dict[str, tuple[str, list[int]]]) -> dict[int, dict[str, tuple[str, list[int]]]]:
    """Tensors by layer, named from within it; experts that lie apart become one tensor with a first axis of them."""
    layers: dict[int, dict[str, tuple[str, list[int]]]] = {}
    counts: dict[tuple[int, str], int] = {}
    for name, (kind, shape) in tensors.items():
        match = _LAYER.search(name)
        if match is None:
            continue
        number, inner = int(match[1]), match[2]
        if apart := _EXPERT.match(inner):
            part, _, leaf = apart[3].rpartition(".")
            inner = f"{apart[1]}switch_mlp.{_MERGED.get(part, part)}.{leaf}"
            counts[number, inner] = counts.get((number, inner), 0) + 1
        layers.setdefault(number, {})[inner] = (kind, shape)
    for (number, inner), count in counts.items():
        kind, shape = layers[number][inner]
        layers[number][inner] = (kind, [count, *shape])
    return layers


def _matrices(layer: dict[str, tuple[str, list[int]]], ways: dict[str, Any]) -> tuple[Matrix, ...]:
    found = []
    for name in sorted(layer):
        path, _, leaf = name.rpartition(".")
        shape = layer[name][1]
        if leaf != "weight" or len(shape) not in (2, 3) or "conv" in path:
            continue
        way = _way(path, layer, ways)
        inputs = shape[-1] * 32 // way.bits if way else shape[-1]
        found.append(Matrix(path, inputs, shape[-2], shape[0] if len(shape) == 3 else 1, way))
    return tuple(found)


def _ways_of_layer(number: int, quantization: dict[str, Any]) -> dict[str, Any]:
    """What a configuration says of modules of a layer, by their path within it; under "" what it says of all."""
    ways = {"": quantization}
    for path, own in quantization.items():
        match = _LAYER.search(path) if isinstance(own, dict) else None
        if match is not None and int(match[1]) == number:
            ways[match[2]] = own
    return ways


def _way(path: str, layer: Iterable[str], ways: dict[str, Any]) -> Params | None:
    """How a module is quantized, by the configuration; None for not at all."""
    if f"{path}.scales" not in layer:
        return None
    own = ways.get(path, ways[""])
    bits, group = own.get("bits"), own.get("group_size")
    return Params(bits if isinstance(bits, int) and bits > 0 else 4, group if isinstance(group, int) else 64)


def _float_sizes(tensors: dict[str, tuple[str, list[int]]]) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for kind, shape in tensors.values():
        if kind in ("F32", "F16", "BF16"):
            sizes[WIDTHS[kind]] = sizes.get(WIDTHS[kind], 0) + math.prod(shape)
    return sizes
