"""mlx's random key: what training draws dropout from. It belongs to the thread: only the MLX thread may ask."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


def random_key() -> list[int]:
    """The generator's present key, two words."""
    import mlx.core as mx

    return [int(word) for word in mx.random.state[0].tolist()]


def set_random_key(key: list[int]) -> None:
    """Goes back to a key that `random_key` gave."""
    import mlx.core as mx

    mx.random.seed((key[0] << 32) | key[1])


@contextlib.contextmanager
def key_kept() -> Iterator[None]:
    """Whatever draws or seeds while this is open, what comes after draws as if it had not."""
    key = random_key()
    try:
        yield
    finally:
        set_random_key(key)
