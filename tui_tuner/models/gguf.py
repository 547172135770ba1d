"""GGUF files: what can be said in one, and writing it.

mlx-lm knows names and sizes of llama, mistral and mixtral; those are taken from it. What it leaves out would make
llama.cpp read text or positions otherwise than the model was trained to, and is put right here: the merges of the
tokenizer and the order they come in, and the experts' names. What has no form is refused before anything is computed.
Called on the MLX thread, but for `check_gguf`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tui_tuner.errors import TunerError, brief

ARCHITECTURES = ("llama", "mistral", "mixtral")
"""What mlx-lm's writer of GGUF knows."""
_SPLITS = {
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+"
    ): "llama-bpe",
}
"""What llama.cpp calls the ways of cutting text into words, by their expression."""
_UNUSED = 5
"""llama.cpp's type of a token that no text has."""


def check_gguf(config: dict[str, Any], folder: Path) -> None:
    """Refuses what a GGUF file of mlx-lm's cannot say.

    Raises:
        TunerError: architecture, positions or tokenizer have no form in it (code "gguf-unsupported").
    """
    kind = str(config["model_type"])
    if kind not in ARCHITECTURES:
        raise _unsupported(f"mlx-lm writes GGUF for {', '.join(ARCHITECTURES)} only, and this is {kind}", folder)
    scaling = config.get("rope_scaling") or {}
    way = scaling.get("rope_type") or scaling.get("type") or "default"
    if way not in ("default", "linear"):
        raise _unsupported(f"mlx-lm writes no GGUF with positions scaled as {way}", folder)
    _vocabulary(folder)


def write_gguf(file: Path, weights: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    """Writes a model in half precision.

    Args:
        file: to be made.
        weights: unquantized, by mlx-lm's names.
        config: the model's.
        folder: where its tokenizer is.

    Raises:
        TunerError: as `check_gguf`.
        RuntimeError: mlx cannot write the file.
    """
    import mlx.core as mx
    from mlx_lm.gguf import HfVocab, permute_weights, prepare_metadata, translate_weight_names

    check_gguf(config, folder)
    tensors = {}
    for name, value in weights.items():
        if "self_attn.q_proj.weight" in name:
            value = permute_weights(value, config["num_attention_heads"], config["num_attention_heads"])
        elif "self_attn.k_proj.weight" in name:
            heads = config["num_attention_heads"]
            value = permute_weights(value, heads, config.get("num_key_value_heads") or heads)
        for part in ("gate", "up", "down"):
            name = name.replace(f"block_sparse_moe.switch_mlp.{part}_proj", f"ffn_{part}_exps")
        precise = "norm" in name or "block_sparse_moe.gate" in name
        tensors[translate_weight_names(name)] = value.astype(mx.float32 if precise else mx.float16)
    try:
        metadata = prepare_metadata(config, HfVocab.load(folder))
    except (ValueError, KeyError, AssertionError, OSError) as error:
        raise _unsupported(f"mlx-lm cannot write this tokenizer as GGUF ({brief(error)})", folder) from error
    metadata |= _said_of(_vocabulary(folder), metadata["tokenizer.ggml.tokens"])
    _fill_up(metadata, tensors["token_embd.weight"].shape[0])
    mx.save_gguf(str(file), tensors, metadata)


def _vocabulary(folder: Path) -> dict[str, Any]:
    """What the tokenizer is to llama.cpp: `model`, `pre` (empty where it has none) and `merges`, best first."""
    try:
        found = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        model, before = found["model"], found.get("pre_tokenizer")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unsupported(
            "a GGUF file is made from a tokenizer.json, and there is none that can be read", folder
        ) from (error)
    if model.get("type") != "BPE":
        raise _unsupported(f"mlx-lm writes no GGUF with a {model.get('type')} tokenizer", folder)
    merges = [one if isinstance(one, str) else " ".join(one) for one in model.get("merges", [])]
    if model.get("byte_fallback"):
        return {"model": "llama", "pre": "", "merges": merges}
    steps = (before or {}).get("pretokenizers") or [before or {}]
    patterns = [step["pattern"].get("Regex", "") for step in steps if step.get("type") == "Split"]
    last = steps[-1]
    if last.get("type") == "ByteLevel":
        pre = "gpt-2" if not patterns and last.get("use_regex", True) else _SPLITS.get("".join(patterns), "")
        if pre:
            return {"model": "gpt2", "pre": pre, "merges": merges}
    raise _unsupported("this tokenizer's way of cutting text into words has no form in GGUF that is known here", folder)


def _said_of(vocabulary: dict[str, Any], tokens: list[str]) -> dict[str, Any]:
    """The metadata of a tokenizer that mlx-lm leaves out or has placeholders for."""
    import mlx.core as mx

    found: dict[str, Any] = {"tokenizer.ggml.model": vocabulary["model"]}
    if vocabulary["model"] == "gpt2":
        return {**found, "tokenizer.ggml.pre": vocabulary["pre"], "tokenizer.ggml.merges": vocabulary["merges"]}
    # There, llama.cpp merges what gives the token with the highest score first.
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(vocabulary["merges"]):
        ranks.setdefault(merge.replace(" ", ""), rank)
    found["tokenizer.ggml.scores"] = mx.array([-float(ranks.get(token, len(ranks))) for token in tokens])
    return found


def _fill_up(metadata: dict[str, Any], rows: int) -> None:
    """Names rows of the embedding that no token has: llama.cpp wants a token for each."""
    import mlx.core as mx

    missing = rows - len(metadata["tokenizer.ggml.tokens"])
    if missing <= 0:
        return
    metadata["tokenizer.ggml.tokens"] = [*metadata["tokenizer.ggml.tokens"], *(f"[PAD{n}]" for n in range(missing))]
    for key, value in (("scores", -1e6), ("token_type", _UNUSED)):
        known = metadata[f"tokenizer.ggml.{key}"]
        more = mx.full((missing,), value, dtype=known.dtype) if isinstance(known, mx.array) else [value] * missing
        metadata[f"tokenizer.ggml.{key}"] = (
            mx.concatenate([known, more]) if isinstance(known, mx.array) else [*known, *more]
        )


def _unsupported(message: str, folder: Path) -> TunerError:
    return TunerError(
        message,
        code="gguf-unsupported",
        where=str(folder),
        fix="merge it unquantized with `tui-tuner fuse` and convert that with llama.cpp's convert_hf_to_gguf.py",
    )
