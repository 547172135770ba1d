"""Model folders of headers alone: every name, type and shape that a model may have, and no numbers; made in no time."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
"""Of a number, by its name in safetensors; of what is not listed, one."""
Tensors = Mapping[str, tuple[str, Sequence[int]]]


def write_header(file: Path, tensors: Tensors) -> int:
    """Writes a safetensors file whose numbers are a hole in it; returns the bytes of the numbers."""
    header: dict[str, Any] = {"__metadata__": {"format": "mlx"}}
    end = 0
    for name, (kind, shape) in tensors.items():
        begin, end = end, end + BYTES.get(kind, 1) * math.prod(shape)
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [begin, end]}
    raw = json.dumps(header).encode()
    with file.open("wb") as handle:
        handle.write(struct.pack("<Q", len(raw)) + raw)
        handle.truncate(8 + len(raw) + end)
    return end


def write_folder(folder: Path, config: Mapping[str, Any], tensors: Tensors, **tokenizer: Any) -> Path:
    """A model folder; further arguments are entries of its tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    write_header(folder / "model.safetensors", tensors)
    return folder


def llama(layers: int = 2, hidden: int = 64, inner: int = 128, kind: str = "BF16") -> dict[str, tuple[str, list[int]]]:
    """Tensors of the usual build, its head not tied, with 100 tokens."""
    found: dict[str, tuple[str, list[int]]] = {
        "model.embed_tokens.weight": (kind, [100, hidden]), "lm_head.weight": (kind, [100, hidden]),
        "model.norm.weight": (kind, [hidden]),
    }  # fmt: skip
    for layer in range(layers):
        inside = f"model.layers.{layer}."
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            found[f"{inside}self_attn.{name}.weight"] = (kind, [hidden, hidden])
        for name in ("gate_proj", "up_proj"):
            found[f"{inside}mlp.{name}.weight"] = (kind, [inner, hidden])
        found[f"{inside}mlp.down_proj.weight"] = (kind, [hidden, inner])
        for name in ("input_layernorm", "post_attention_layernorm"):
            found[f"{inside}{name}.weight"] = (kind, [hidden])
    return found


LLAMA = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
    "max_position_embeddings": 4096, "tie_word_embeddings": False,
}  # fmt: skip
"""A configuration for `llama()`."""


def packed(tensors: Tensors, bits: int, group: int = 32, sides: str = "BF16") -> dict[str, tuple[str, list[int]]]:
    """The same with every matrix quantized, as mlx stores it: words of 32 bits, and a scale and an offset a group."""
    found: dict[str, tuple[str, list[int]]] = {}
    for name, (kind, shape) in tensors.items():
        if len(shape) < 2:
            found[name] = (kind, list(shape))
            continue
        stem = name.removesuffix("weight")
        found[name] = ("U32", [*shape[:-1], shape[-1] * bits // 32])
        for side in ("scales", "biases"):
            found[f"{stem}{side}"] = (sides, [*shape[:-1], shape[-1] // group])
    return found
