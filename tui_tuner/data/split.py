"""Which record goes to train, which to validation, which to the test: by seed, and never into two of them.

Works on positions and identities only, never on text. Two records that come out as the same rows count as one for this
purpose: where one of them is held out, its copies are left out of training, because a test on rows that were trained on
measures nothing.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from tui_tuner.errors import TunerError

HELD_OUT_SHARE = 10
"""One record in so many is held out for validation, and again for the test, when nothing is asked for."""


@dataclass(frozen=True)
class Split:
    """Positions of the records of each part, in the order of use; `left_out` are copies of held-out ones."""

    train: list[int]
    valid: list[int]
    test: list[int]
    left_out: list[int]


def shuffled(count: int, seed: int) -> list[int]:
    """0 … count-1 in an order that depends on the seed alone, on every platform and Python version.

    Only `Random.random` is promised to give the same numbers for ever, so the order is a sort by it, not a shuffle.
    """
    generator = random.Random(seed)
    keys = [generator.random() for _ in range(count)]
    return sorted(range(count), key=keys.__getitem__)


def sample(count: int, wanted: int, seed: int) -> list[int]:
    """`wanted` of `count` positions by seed, in their own order."""
    return sorted(shuffled(count, seed)[:wanted])


def split_records(
    identities: Sequence[Hashable],
    *,
    train: int,
    valid: int,
    test: int,
    seed: int,
    where: str,
    groups: Sequence[Hashable] | None = None,
    parts: int = 2,
) -> Split:
    """Divide records among train, validation and test.

    The test is drawn first, then validation, then train, so that asking for more or fewer training records leaves the
    held-out ones as they were.

    Args:
        identities: one per record; equal ones are copies of each other.
        train: records wanted, 0 for all that are left.
        valid: records wanted, 0 for a tenth (at least one).
        test: likewise.
        seed: of the order.
        where: the source's name, for errors.
        groups: one per record; records of a group stay on one side, so that a part may get a few more than wanted.
        parts: 1 to hold back a test only.

    Raises:
        TunerError: more is asked for than there is (code "too-few-rows"); names all counts.
    """
    count = len(identities)
    share = max(1, count // HELD_OUT_SHARE)
    valid, test = (valid or share) if parts > 1 else 0, test or share
    if max(train, 1) + valid + test > count:
        raise _too_few(train, valid, test, count, where, "")
    order = shuffled(count, seed)
    if groups is not None:
        return _split_groups(_joined(identities, groups), order, train, valid, test, where)
    seen: set[Hashable] = set()
    firsts = [index for index in order if not (identities[index] in seen or seen.add(identities[index]))]  # type: ignore[func-returns-value]
    if valid + test >= len(firsts):
        raise _too_few(train, valid, test, count, where, f", {len(firsts):,} of them different")
    held_out = {identities[index] for index in firsts[: test + valid]}
    chosen = set(firsts[: test + valid])
    pool = [index for index in order if identities[index] not in held_out]
    if train > len(pool):
        raise _too_few(train, valid, test, count, where, f", {len(firsts):,} of them different")
    left_out = [index for index in order if identities[index] in held_out and index not in chosen]
    return Split(pool[: train or None], firsts[test : test + valid], firsts[:test], left_out)


def _joined(identities: Sequence[Hashable], groups: Sequence[Hashable]) -> list[int]:
    """A number for each record, the same for those that share a group or are copies, however indirectly."""
    parent = list(range(len(groups)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[tuple[int, Hashable], int] = {}
    for index, names in enumerate(zip(groups, identities, strict=True)):
        for kind, name in enumerate(names):
            other = first.setdefault((kind, name), index)
            low, high = sorted((root(other), root(index)))
            parent[high] = low
    return [root(index) for index in range(len(groups))]


def _split_groups(members: list[int], order: list[int], train: int, valid: int, test: int, where: str) -> Split:
    """Whole groups in drawn order: to the test until it has enough, then to validation, the rest to train."""
    of_group: dict[int, list[int]] = {}
    for index in order:
        of_group.setdefault(members[index], []).append(index)
    sides: list[list[int]] = [[], [], []]
    for group in of_group.values():
        side = 0 if len(sides[0]) < test else 1 if len(sides[1]) < valid else 2
        sides[side].extend(group)
    held_test, held_valid, pool = sides
    if not pool or len(held_valid) < valid or train > len(pool):
        raise _too_few(train, valid, test, len(order), where, f" in {len(of_group):,} groups that stay together")
    return Split(pool[: train or None], held_valid, held_test, [])


def _too_few(train: int, valid: int, test: int, count: int, where: str, different: str) -> TunerError:
    asked = f"{train:,}" if train else "at least 1"
    return TunerError(
        f"{asked} training, {valid:,} validation and {test:,} test records were asked for,"
        f" but there are {count:,}{different}",
        code="too-few-rows",
        where=where,
        fix="lower data.train, data.valid or data.test, or bring more records",
    )
