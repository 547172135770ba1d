"""Texts that are nearly the same: MinHash over word triples, banded, then compared exactly.

Broder, "On the resemblance and containment of documents" (1997): the share of equal minima of random hashes estimates
the Jaccard similarity of two sets. Rows that differ in a number are other facts, not near duplicates, so texts must
agree in all their numbers. Deterministic; memory is 128 bytes and the words of a row.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import count, filterfalse

import numpy as np
from numpy.typing import NDArray

LIKE = 0.85
"""Jaccard similarity of word triples from which on two texts count as nearly the same."""
_HASHES, _BAND = 32, 4
_BANDS = _HASHES // _BAND
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
        """Takes one more text, its case folded already; its number is the count of those before it."""
        words = _WORD.findall(text)
        self._words.append(np.fromiter(map(self._ids.__getitem__, words), np.int32, len(words)))
        # Digits are word characters, so every number stands within a word.
        self._digits.append(hash(tuple(_NUMBERED.findall(" ".join(filterfalse(str.isalpha, words))))))

    def pairs(self) -> Iterator[tuple[int, int]]:
        """(number, number of an earlier text that it is like); at most one for each text, equal texts included."""
        buckets: dict[int, list[int]] = defaultdict(list)
        numbers, shared = self._shared()
        for number, keys in zip(numbers.tolist(), shared.tolist(), strict=True):
            like = None
            for key in keys:
                if key < 0:
                    continue
                bucket = buckets[key]
                if like is None:
                    like = next((other for other in bucket if self._alike(number, other)), None)
                if len(bucket) < _COMPARED:
                    bucket.append(number)
            if like is not None:
                yield number, like

    def _shared(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The texts that share a band with another: their numbers (n,), and for each band the bucket (n, 8) or -1.

        A text that is alone in all its buckets can be like none, so most need no bucket at all.
        """
        long = np.array([number for number, ids in enumerate(self._words) if len(ids) >= _FEWEST], np.int64)
        keys = np.empty((len(long), _BANDS), np.uint64)
        for start in range(0, len(long), _CHUNK):
            chunk = long[start : start + _CHUNK]
            keys[start : start + _CHUNK] = _bands(_signatures([self._words[number] for number in chunk.tolist()]))
        buckets = np.full(keys.shape, -1, np.int64)
        for band in range(_BANDS):
            _, found, counts = np.unique(keys[:, band], return_inverse=True, return_counts=True)
            several = counts[found] > 1
            buckets[several, band] = found[several] * _BANDS + band
        some = (buckets >= 0).any(axis=1)
        return long[some], buckets[some]

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


def _bands(signatures: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """One number for every four minima in a row: (texts, 32) → (texts, 8)."""
    pairs = signatures.astype(np.uint64).reshape(len(signatures), _BANDS, _BAND)
    high = pairs[..., 0] << np.uint64(32) | pairs[..., 1]
    low = pairs[..., 2] << np.uint64(32) | pairs[..., 3]
    mixed: NDArray[np.uint64] = (high ^ high >> np.uint64(29)) * np.uint64(0x9E3779B97F4A7C15) + low
    return mixed


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
