"""Keeps one bad batch from ending a run: what stood before a step can be put back.

mlx's arrays never change, so keeping what stood before costs only that the old ones are not freed until the step is
judged. That is small beside a model when an adapter is trained; for full fine-tuning it is the trained weights and the
optimizer's state once more, which is why the guard then holds on to nothing and relies on checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Before:
    """Trainable weights and optimizer state as they were before a step, and the gradients kept until then."""

    arrays: list[Any]
    gradients: Any


class Guard:
    """Holds on to what a step is about to change, and undoes the step.

    Where arrays stand (which dict or list, under which key) is found once, because walking a module tree before every
    step costs as much as a hundredth of the step. The places are those a compiled step holds too: a guard lasts as
    long as the step that was compiled beside it.

    Args:
        model: whose trainable parameters are watched.
        optimizer: initialised with them.
    """

    def __init__(self, model: Any, optimizer: Any) -> None:
        from mlx.utils import tree_flatten

        names = [name.split(".") for name, _ in tree_flatten(model.trainable_parameters())]
        self._places = [_place(model, path) for path in names]
        self._places += _places(optimizer.state)

    def remember(self, gradients: Any) -> Before:
        """What stands now, with the gradients that earlier steps left."""
        return Before([container[key] for container, key in self._places], gradients)

    def put_back(self, before: Before) -> Any:
        """Undoes a step; returns the gradients that were kept before it."""
        for (container, key), array in zip(self._places, before.arrays, strict=True):
            container[key] = array
        return before.gradients


def is_sound(*values: float) -> bool:
    """Whether all figures of a step are numbers one can go on with."""
    return all(math.isfinite(value) for value in values)


def _place(tree: Any, path: list[str]) -> tuple[Any, Any]:
    """The container at a path, and the key in it. A module is a dict of its own arrays and modules."""
    for part in path[:-1]:
        tree = tree[_key(tree, part)]
    return tree, _key(tree, path[-1])


def _key(container: Any, part: str) -> Any:
    return int(part) if isinstance(container, list) else part


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """The places of all that is no dict or list."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(value, (dict, list)):
            yield from _places(value)
        else:
            yield tree, key
