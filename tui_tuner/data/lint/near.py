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
_BANDS = _HASHES // _BAND
_FEWEST = 8  # words; shorter texts have too few triples for a share to mean much
_COMPARED = 4  # members of a bucket that a newcomer is compared with
_BETWEEN = "\x00"
_WORD_OR_BETWEEN = re.compile(r"\w+|\x00")
_TOGETHER = 256  # texts
_NUMBERED = re.compile(r"\d+")
_random = np.random.RandomState(20260101)
_FACTORS = _random.randint(1, 2**31 - 1, _HASHES).astype(np.uint64) | np.uint64(1)
_SUMMANDS = _random.randint(0, 2**31 - 1, _HASHES).astype(np.uint64)


class NearDuplicates:
    """Collects texts, then tells which are nearly the same as an earlier one.

    Attributes:
        words: of each settled text the numbers of its words.
        numbers: of each settled text the runs of digits in it, in their order.
    """

    def __init__(self) -> None:
        # A number for every word; a new word gets the next one without a line of Python being run.
        self._ids: defaultdict[str, int] = defaultdict(count().__next__)
        self._between = self._ids[_BETWEEN]
        self._numbered = np.zeros(1, np.bool_)  # by word
        self._digits: dict[int, tuple[str, ...]] = {}
        self._waiting: list[str] = []
        self._long: list[int] = []  # texts that are long enough to be compared, and their bands
        self._bands: list[NDArray[np.uint64]] = [np.zeros((0, _BANDS), np.uint64)]
        self.words: list[NDArray[np.int32]] = []
        self.numbers: list[tuple[str, ...]] = []

    def add(self, text: str) -> None:
        """Takes one more text, its case folded already; its number is the count of those before it."""
        self._waiting.append(text)
        if len(self._waiting) >= _TOGETHER:
            self.settle()

    def settle(self) -> None:
        """Cuts the texts that wait into words, all at once: that takes half the time of one by one."""
        if not self._waiting:
            return
        texts, self._waiting = self._waiting, []
        found = _WORD_OR_BETWEEN.findall(_BETWEEN.join(text.replace(_BETWEEN, " ") for text in texts))
        before, settled = len(self._ids), len(self.words)
        ids = np.fromiter(map(self._ids.__getitem__, found), np.int32, len(found))
        self._learn(found, ids, before)
        with_numbers = self._numbered[ids]
        for part in np.split(np.arange(len(ids)), np.flatnonzero(ids == self._between)):
            # Every part but the first begins with what stands between.
            part = part[1:] if len(part) and ids[part[0]] == self._between else part
            some = ids[part]
            self.words.append(some)
            told = some[with_numbers[part]].tolist()
            self.numbers.append(tuple(number for word in told for number in self._digits[word]))
        long = [number for number in range(settled, len(self.words)) if len(self.words[number]) >= _FEWEST]
        if long:
            self._long += long
            self._bands.append(_bands(_signatures([self.words[number] for number in long])))

    def _learn(self, words: list[str], ids: NDArray[np.int32], before: int) -> None:
        """Notes the numbers in words that were not met before."""
        self._numbered = np.concatenate([self._numbered, np.zeros(len(self._ids) - before, np.bool_)])
        for at in np.flatnonzero(ids >= before).tolist():
            # Digits are word characters, so every number stands within a word.
            if not words[at].isalpha() and (numbers := _NUMBERED.findall(words[at])):
                self._digits[int(ids[at])] = tuple(numbers)
                self._numbered[ids[at]] = True

    def pairs(self) -> Iterator[tuple[int, int]]:
        """(number, number of an earlier text that it is like); at most one for each text, equal texts included."""
        self.settle()
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
        long, keys = np.array(self._long, np.int64), np.concatenate(self._bands)
        buckets = np.full(keys.shape, -1, np.int64)
        for band in range(_BANDS):
            _, found, counts = np.unique(keys[:, band], return_inverse=True, return_counts=True)
            several = counts[found] > 1
            buckets[several, band] = found[several] * _BANDS + band
        some = (buckets >= 0).any(axis=1)
        return long[some], buckets[some]

    def _alike(self, a: int, b: int) -> bool:
        if a == b or self.numbers[a] != self.numbers[b]:
            return False
        one, other = _triples(self.words[a]), _triples(self.words[b])
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
