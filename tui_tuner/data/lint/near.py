"""Texts that are nearly the same: MinHash over word triples, banded, then compared exactly.

Broder, "On the resemblance and containment of documents" (1997): the share of equal minima of random hashes estimates
the Jaccard similarity of two sets. Rows that differ in a number are other facts, not near duplicates, so texts must
agree in all their numbers. Deterministic; memory is 128 bytes and the words of a row.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray

LIKE = 0.85
"""Jaccard similarity of word triples from which on two texts count as nearly the same."""
_HASHES, _BAND = 32, 4
_FEWEST = 8  # words; shorter texts have too few triples for a share to mean much
_CHUNK = 2000
_COMPARED = 4  # members of a bucket that a newcomer is compared with
_WORD = re.compile(r"\w+")
_NUMBERED = re.compile(r"\d+")
_random = np.random.RandomState(20260101)
_FACTORS = _random.randint(1, 2**31 - 1, _HASHES).astype(np.uint64) | np.uint64(1)
_SUMMANDS = _random.randint(0, 2**31 - 1, _HASHES).astype(np.uint64)


class NearDuplicates:
    """Collects texts, then tells which are nearly the same as an earlier one."""

    def __init__(self) -> None:
        # A number for every word; a new word gets the next one without a line of Python being run.
        self._ids: defaultdict[str, int] = defaultdict(count().__next__)
        self._words: list[NDArray[np.int32]] = []
        self._digits: list[int] = []

    def add(self, text: str) -> None:
        """Takes one more text; its number is the count of those before it."""
        words = _WORD.findall(text.casefold())
        found = list(map(self._ids.__getitem__, words))
        self._words.append(np.array(found, np.int32))
        self._digits.append(hash(tuple(_NUMBERED.findall(text))))

    def pairs(self) -> Iterator[tuple[int, int]]:
        """(number, number of an earlier text that it is like); at most one for each text, equal texts included."""
        buckets: dict[tuple[int, bytes], list[int]] = {}
        for start in range(0, len(self._words), _CHUNK):
            yield from self._of_chunk(start, buckets)

    def _of_chunk(self, start: int, buckets: dict[tuple[int, bytes], list[int]]) -> Iterator[tuple[int, int]]:
        words = self._words[start : start + _CHUNK]
        long = [index for index, ids in enumerate(words) if len(ids) >= _FEWEST]
        if not long:
            return
        signatures = _signatures([words[index] for index in long])
        for index, signature in zip(long, signatures, strict=True):
            number = start + index
            like = None
            for band in range(_HASHES // _BAND):
                key = (band, signature[band * _BAND : (band + 1) * _BAND].tobytes())
                bucket = buckets.setdefault(key, [])
                if like is None:
                    like = next((other for other in bucket if self._alike(number, other)), None)
                if len(bucket) < _COMPARED:
                    bucket.append(number)
            if like is not None:
                yield number, like

    def _alike(self, a: int, b: int) -> bool:
        if a == b or self._digits[a] != self._digits[b]:
            return False
        one, other = _triples(self._words[a]), _triples(self._words[b])
        common = len(np.intersect1d(one, other))
        return common >= LIKE * (len(np.unique(one)) + len(np.unique(other)) - common)


def _triples(ids: NDArray[np.int32]) -> NDArray[np.uint64]:
    """A number for every three words in a row."""
    words = ids.astype(np.uint64) + np.uint64(1)
    return (words[:-2] * np.uint64(0x9E3779B1) + words[1:-1]) * np.uint64(0x85EBCA77) + words[2:]


def _signatures(texts: list[NDArray[np.int32]]) -> NDArray[np.uint32]:
    """Minima of all hashes: (texts, 32)."""
    triples = [_triples(ids) for ids in texts]
    starts = np.cumsum([0, *(len(t) for t in triples[:-1])])
    flat = np.concatenate(triples)
    flat ^= flat >> np.uint64(29)
    out = np.empty((len(texts), _HASHES), np.uint32)
    for index in range(_HASHES):
        hashed = ((flat * _FACTORS[index] + _SUMMANDS[index]) >> np.uint64(32)).astype(np.uint32)
        out[:, index] = np.minimum.reduceat(hashed, starts)
    return out
