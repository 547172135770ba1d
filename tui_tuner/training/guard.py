"""Keeps one bad batch from ending a run: what stood before a step can be put back.

mlx's arrays never change, so keeping what stood before costs only that the old ones are not freed until the step is
judged. That is small beside a model when an adapter is trained; for full fine-tuning it is the trained weights and the
optimizer's state once more, which is why the guard then holds on to nothing and relies on checkpoints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Before:
    """Trainable weights, optimizer state and kept gradients as they were before a step."""

    weights: Any
    optimizer: Any
    gradients: Any


def remember(model: Any, optimizer: Any, gradients: Any) -> Before:
    """Holds on to what a step is about to change."""
    return Before(model.trainable_parameters(), _containers(optimizer.state), gradients)


def put_back(before: Before, model: Any, optimizer: Any) -> Any:
    """Undoes a step; returns the gradients that were kept before it."""
    model.update(before.weights)
    _assign(optimizer.state, before.optimizer)
    return before.gradients


def is_sound(*values: float) -> bool:
    """Whether all figures of a step are numbers one can go on with."""
    return all(math.isfinite(value) for value in values)


def _containers(tree: Any) -> Any:
    """The tree with containers of its own and the same arrays."""
    if isinstance(tree, dict):
        return {key: _containers(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_containers(value) for value in tree]
    return tree


def _assign(target: Any, source: Any) -> None:
    """Puts arrays back into the very containers that a compiled step holds."""
    items = source.items() if isinstance(source, dict) else enumerate(source)
    for key, value in items:
        if isinstance(value, (dict, list)):
            _assign(target[key], value)
        else:
            target[key] = value
