"""What a model has read of a conversation, kept so that the next turn reads only what is new. On the MLX thread only.

A conversation that was edited shares its beginning with what was read: the rest is trimmed off. Where a model's state
cannot be trimmed (a window that has moved on, a recurrent state) it can only be gone on from, as it was at the end of
the answer, or of the prompt before it. Nothing is ever shared between two models that differ by a single weight.
"""

from __future__ import annotations

import contextlib
import copy
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

_PIECE = 512
"""Tokens that are read at a time: a stop is heard between two pieces."""
_VOICES = 8


@dataclass(frozen=True)
class _Read:
    """A model's state after some tokens."""

    tokens: list[int]
    cache: list[Any]

    @property
    def size(self) -> int:
        total = 0
        for layer in self.cache:
            with contextlib.suppress(NotImplementedError):
                total += int(layer.nbytes)
        return total


class PromptCaches:
    """What was read by each voice last.

    Args:
        most_bytes: of all that is kept; what was used longest ago goes first.
        most: voices that something is kept of.
    """

    def __init__(self, most_bytes: int, most: int = _VOICES) -> None:
        self._most_bytes, self._most = most_bytes, most
        self._kept: OrderedDict[Hashable, list[_Read]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes of all that is kept."""
        return sum(read.size for reads in self._kept.values() for read in reads)

    def take(self, voice: Hashable, tokens: Sequence[int]) -> tuple[list[Any], int] | None:
        """The state from which a voice can go on to read these tokens, and how many of them it has read.

        What was kept of the voice is handed over or let go of. At least one token is always left to read.
        """
        best: tuple[int, _Read] = (0, _Read([], []))
        for kept in self._kept.pop(voice, []):
            shared = min(_shared(kept.tokens, tokens), len(tokens) - 1)
            if shared > best[0] and (shared == len(kept.tokens) or _can_trim(kept.cache)):
                best = (shared, kept)
        shared, kept = best
        if not shared or not _trim(kept.cache, len(kept.tokens) - shared):
            return None
        return kept.cache, shared

    def keep(self, voice: Hashable, *reads: tuple[list[int], list[Any]]) -> None:
        """Keeps a voice's states, each with the tokens that were read for it."""
        self._kept[voice] = [_Read(tokens, cache) for tokens, cache in reads]
        while self._kept and (len(self._kept) > self._most or self.size > self._most_bytes):
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Lets go of everything."""
        self._kept.clear()


def read(
    model: Any, tokens: Sequence[int], cache: list[Any], stopped: Callable[[], bool] = lambda: False
) -> tuple[int, bool]:
    """Has a model read tokens into its state.

    Args:
        tokens: token ids, shape (n,).
        stopped: is asked after each piece.

    Returns:
        How many it has read, and whether that is all of them.
    """
    import mlx.core as mx

    done = 0
    while done < len(tokens):
        piece = tokens[done : done + _PIECE]
        model(mx.array(piece)[None], cache=cache)
        mx.eval([layer.state for layer in cache])
        done += len(piece)
        if done < len(tokens):
            mx.clear_cache()
            if stopped():
                return done, False
    return done, not stopped()


def copied(cache: list[Any]) -> list[Any] | None:
    """A copy of a state that could not be trimmed later; None of one that can. The numbers themselves are shared."""
    from mlx_lm.models.cache import KVCache, QuantizedKVCache

    return None if all(isinstance(layer, KVCache | QuantizedKVCache) for layer in cache) else copy.deepcopy(cache)


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences have in common at their beginning."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(first), len(second)))


def _can_trim(cache: list[Any]) -> bool:
    return all(layer.is_trimmable() for layer in cache)


def _trim(cache: list[Any], count: int) -> bool:
    """Takes the last tokens out of a state; False when that has left it unusable."""
    return not count or all(layer.trim(count) == count for layer in cache)
