"""Small models of further families on disk, with random weights, and the tokenizer and chat template of their kin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.models import make_model

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama-tied": ("llama", {"tie_word_embeddings": True}),
    "mistral": ("llama", {"model_type": "mistral"}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen2", {"model_type": "qwen3", "head_dim": 16, "tie_word_embeddings": True}),
    "gemma": ("gemma", {}),
    "gemma2": ("gemma", {"model_type": "gemma2", "query_pre_attn_scalar": 16}),
    "gemma3": (
        "gemma",
        {
            "model_type": "gemma3_text",
            "query_pre_attn_scalar": 16,
            "sliding_window": 32,
            "sliding_window_pattern": 2,
        },
    ),
}
"""Decoders of the usual build, by a name of ours: whose tokenizer they take, and their settings."""
ODD: dict[str, tuple[str, dict[str, Any]]] = {
    "mixtral": ("llama", {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen2_moe": (
        "qwen2",
        {
            "model_type": "qwen2_moe",
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 64,
            "shared_expert_intermediate_size": 128,
        },
    ),
    "mamba": (
        "llama",
        {
            "model_type": "mamba",
            "state_size": 16,
            "conv_kernel": 4,
            "use_bias": False,
            "use_conv_bias": True,
            "time_step_rank": 8,
            "tie_word_embeddings": True,
        },
    ),
}
"""Mixtures of experts, and one without attention."""


def make_family(folder: Path, name: str, **options: Any) -> Path:
    """Writes a model of a family; options as of `make_model`."""
    kind, settings = {**FAMILIES, **ODD}[name]
    return make_model(folder, kind, settings=settings, **options)
