"""Models of many architectures in memory, with random weights and without a tokenizer, for tests of arithmetic."""

from __future__ import annotations

import random
from typing import Any

from tui_tuner.data.examples import Example

VOCABULARY = 96
_COMMON: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "layer_norm_eps": 1e-5,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 512,
    "original_max_position_embeddings": 512,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "phi3": {"num_key_value_heads": 4},
    "llama": {},
    "qwen2": {},
    "qwen2 tied": {"tie_word_embeddings": True},
    "gemma2": {"head_dim": 8, "final_logit_softcapping": 3.0},  # low, so that the cap bends these small logits
    "cohere": {"logit_scale": 0.5},
    "gpt2": {"n_ctx": 512, "n_embd": 32, "n_head": 4, "n_layer": 4, "n_positions": 512, "layer_norm_epsilon": 1e-5},
    "qwen3_5": {
        "text_config": {
            **_COMMON,
            "model_type": "qwen3_5_text",
            "head_dim": 8,
            "linear_num_value_heads": 2,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "linear_conv_kernel_dim": 4,
            "full_attention_interval": 2,
        }
    },
}


SLIDING: dict[str, dict[str, Any]] = {
    "gemma3_text": {"head_dim": 8, "sliding_window": 12, "sliding_window_pattern": 2, "query_pre_attn_scalar": 8},
}
"""Architectures whose layers see a window of the last tokens only, kept in a cache that rotates."""


def build(name: str, *, seed: int = 3, bits: int | None = None) -> Any:
    """A model with larger random weights than mlx's own start has, so that its layers make a difference.

    Args:
        name: a key of `ARCHITECTURES` or `SLIDING`.
        bits: quantize linear layers and embeddings to so many bits, in groups of 32.
    """
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_map
    from mlx_lm.utils import _get_classes

    config = {**_COMMON, "model_type": name.split()[0], **{**ARCHITECTURES, **SLIDING}[name]}
    mx.random.seed(seed)
    kind, arguments = _get_classes(config)
    model = kind(arguments.from_dict(config))
    model.update(tree_map(lambda w: w + 0.1 * mx.random.normal(w.shape), model.parameters()))
    if bits:
        nn.quantize(model, group_size=32, bits=bits)
    mx.eval(model.parameters())
    return model


def make_examples(count: int, *, seed: int = 0, low: int = 4, high: int = 40, masked: bool = True) -> list[Example]:
    """Rows of random tokens with lengths between `low` and `high`; about half of a masked one is prompt."""
    rng = random.Random(seed)
    lengths = [rng.randint(low, high) for _ in range(count)]
    return [
        Example([rng.randrange(VOCABULARY) for _ in range(n)], rng.randint(1, n - 1) if masked else 0) for n in lengths
    ]
