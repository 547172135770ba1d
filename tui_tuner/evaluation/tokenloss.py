"""How surprised a model is by each token of a text. Called on the MLX thread only; it never changes the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def token_losses(model: Any, tokens: Sequence[int], offset: int) -> list[float]:
    """The negative log-likelihood of each token from `offset` on, given all before it.

    Args:
        model: a module tree in evaluation mode.
        tokens: token ids of the whole text, shape (n,).
        offset: how many of them are only context; the first token is never predicted.

    Returns:
        n - max(offset, 1) values in nats, computed in float32 from the model's logits.
    """
    import mlx.core as mx
    import mlx.nn as nn

    first = max(offset, 1)
    if len(tokens) <= first:
        return []
    ids = mx.array(list(tokens))[None]
    logits = model(ids[:, :-1])[:, first - 1 :].astype(mx.float32)
    losses = nn.losses.cross_entropy(logits, ids[:, first:], reduction="none")[0]
    found: list[float] = losses.tolist()
    return found
