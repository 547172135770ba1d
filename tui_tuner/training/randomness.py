"""mlx's random key: what training draws dropout from. It belongs to the thread: only the MLX thread may ask."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np


def random_key() -> list[int]:
    """The generator's present key, two words."""
    import mlx.core as mx

    return [int(word) for word in mx.random.state[0].tolist()]


def set_random_key(key: list[int]) -> None:
    """Goes back to a key that `random_key` gave."""
    import mlx.core as mx

    mx.random.seed((key[0] << 32) | key[1])


def first_key(*numbers: int) -> list[int]:
    """A key that follows from some numbers, of which no two rows give the same: a seed and a rank, say."""
    return [int(word) for word in np.random.SeedSequence(numbers).generate_state(2)]


@contextlib.contextmanager
def key_kept() -> Iterator[None]:
    """Whatever draws or seeds while this is open, what comes after draws as if it had not."""
    key = random_key()
    try:
        yield
    finally:
        set_random_key(key)
