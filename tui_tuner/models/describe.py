"""What a model is, read from its configuration and the headers of its weight files. Loads no weight, needs no mlx."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.models.facts import ModelFacts
from tui_tuner.models.folder import check_folder, locate, read_header, read_model_config, weight_files

_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")
_LAYER = re.compile(r"\.(?:layers|h)\.\d+\.")
_EXPERTS = ("switch_mlp", "experts")
_EMBEDDINGS = ("embed_tokens", "wte", "word_embeddings", "tok_embeddings", "embeddings")


_LARGEST = 1 << 53  # of what a configuration counts; more is damage, and no floating-point number


def describe_model(path: str, base: Path | None = None) -> ModelFacts:
    """The facts of a model given as `embedded:NAME`, folder or hub name; what is wrong with it is in `problems`.

    Raises:
        TunerError: when there is no such model, or no readable config.json in it.
    """
    folder = locate(path, base)
    config = read_model_config(folder)
    text = _text_config(config)
    problems: list[str] = []
    tensors: dict[str, tuple[str, list[int]]] = {}
    size = 0
    try:
        check_folder(folder)
        files = weight_files(folder)
        size = sum(file.stat().st_size for file in files)
        for file in files:
            tensors.update(read_header(file))
    except TunerError as error:
        problems.append(error.sentence())
    tokens, template = _tokenizer_facts(folder, problems)
    heads = count_in(text, "num_attention_heads", "n_head", "n_heads")
    quantization = config.get("quantization") or config.get("quantization_config") or {}
    return ModelFacts(
        path=str(folder),
        architecture=str(config["model_type"]),
        parameters=_parameters(tensors, quantization),
        layers=count_in(text, "num_hidden_layers", "n_layer", "n_layers"),
        hidden=count_in(text, "hidden_size", "n_embd", "d_model"),
        heads=heads,
        kv_heads=count_in(text, "num_key_value_heads", "n_head_kv") or heads,
        vocabulary=count_in(text, "vocab_size"),
        context=context_of(config),
        dtype=_common_dtype(tensors),
        quantization=_quantization_words(quantization),
        bytes=size,
        chat_template=template,
        modules=_modules(tensors, quantization),
        problems=problems,
        tokens=tokens,
    )


def context_of(config: dict[str, Any]) -> int:
    """How many tokens the context of a model with this `config.json` holds; 0 where it does not say."""
    return count_in(_text_config(config), "max_position_embeddings", "n_positions", "max_seq_len")


def _text_config(config: dict[str, Any]) -> dict[str, Any]:
    nested = config.get("text_config")
    return nested if isinstance(nested, dict) else config


def count_in(config: dict[str, Any], *names: str) -> int:
    """The first of these entries of a configuration that is a whole number; 0 where none is."""
    for name in names:
        value = config.get(name)
        if type(value) is int and abs(value) <= _LARGEST:
            return value
    return 0


def _packed(name: str, tensors: dict[str, tuple[str, list[int]]]) -> bool:
    return name.endswith(".weight") and name.removesuffix("weight") + "scales" in tensors


def _bits(name: str, quantization: dict[str, Any]) -> int:
    own = quantization.get(name.removesuffix(".weight"))
    bits = own.get("bits") if isinstance(own, dict) else quantization.get("bits")
    return bits if isinstance(bits, int) and bits > 0 else 4


def unpacked_shape(name: str, tensors: dict[str, tuple[str, list[int]]], quantization: dict[str, Any]) -> list[int]:
    """The shape of a tensor as if it were not quantized."""
    shape = list(tensors[name][1])
    if _packed(name, tensors) and shape:
        shape[-1] = shape[-1] * 32 // _bits(name, quantization)  # quantized values are packed into 32-bit words
    return shape


def _parameters(tensors: dict[str, tuple[str, list[int]]], quantization: dict[str, Any]) -> int:
    counted = (n for n in tensors if not n.endswith((".scales", ".biases")))
    return sum(math.prod(unpacked_shape(name, tensors, quantization)) for name in counted)


def _common_dtype(tensors: dict[str, tuple[str, list[int]]]) -> str:
    names = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
    sizes: dict[str, int] = {}
    for dtype, shape in tensors.values():
        if dtype in names:
            sizes[dtype] = sizes.get(dtype, 0) + math.prod(shape)
    return names[max(sizes, key=lambda d: sizes[d])] if sizes else "unknown"


def _quantization_words(quantization: dict[str, Any]) -> str:
    if not quantization:
        return "none"
    words = []
    if isinstance(quantization.get("bits"), int):
        words.append(f"{quantization['bits']} bits")
    if isinstance(quantization.get("group_size"), int):
        words.append(f"group {quantization['group_size']}")
    mode = quantization.get("mode") or quantization.get("quant_method")
    if mode and mode != "affine":
        words.append(str(mode))
    return ", ".join(words) or "yes"


def _modules(tensors: dict[str, tuple[str, list[int]]], quantization: dict[str, Any]) -> list[tuple[str, str]]:
    """Linear modules of the layers, by their path within one, with their shape as `out × in`; of experts that are kept
    in one tensor as `experts × out × in`."""
    found: dict[str, str] = {}
    for name in tensors:
        inner = within_layer(name.removesuffix(".weight")) if name.endswith(".weight") else ""
        if not inner or inner in found or any(e in inner for e in _EMBEDDINGS):
            continue
        shape = unpacked_shape(name, tensors, quantization)
        if len(shape) == 2 or (len(shape) == 3 and any(mark in inner for mark in _EXPERTS)):
            found[inner] = " × ".join(map(str, shape))
    return sorted(found.items())


def within_layer(path: str) -> str:
    """A module's path within its layer; empty for one that is in none."""
    found = _LAYER.search(f".{path}")
    return f".{path}"[found.end() :] if found else ""


def _tokenizer_facts(folder: Path, problems: list[str]) -> tuple[dict[str, str], str]:
    config: dict[str, Any] = {}
    path = folder / "tokenizer_config.json"
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
        config = loaded if isinstance(loaded, dict) else {}
    except FileNotFoundError:
        problems.append("there is no tokenizer_config.json: special tokens and chat template are unknown")
    except (ValueError, OSError, RecursionError):
        problems.append("tokenizer_config.json cannot be read: special tokens and chat template are unknown")
    template = config.get("chat_template") or ""
    separate = folder / "chat_template.jinja"
    try:
        template = separate.read_text(encoding="utf-8", errors="replace") if separate.is_file() else template
    except OSError:
        problems.append("chat_template.jinja cannot be read: the chat template is unknown")
    if isinstance(template, list):  # several named templates: the default one, else the first
        named = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}
        template = named.get("default") or next(iter(named.values()), "")
    if not template:
        problems.append("the tokenizer has no chat template: set model.chat_template, or take rows with `text` only")
    tokens = {}
    for role in _SPECIAL:
        value = config.get(role)
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str):
            tokens[role.removesuffix("_token")] = text
    return tokens, str(template)
