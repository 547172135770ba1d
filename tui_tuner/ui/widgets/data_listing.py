"""Which rows are listed, in which order: all, those of a problem, those with a text; as they come, or by length.

A listing knows places (split and number within it), never rows, so that one of a million rows costs an array of whole
numbers at most. Nothing here may ask the engine for anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from tui_tuner.ui.format import count

if TYPE_CHECKING:
    from tui_tuner.data.findings import Problem
    from tui_tuner.data.scan import Report

Place = tuple[str, int]
"""A split, and the number of a row within it, from 0."""
Order = Literal["", "longest first", "shortest first"]
ORDERS: tuple[Order, ...] = ("", "longest first", "shortest first")
_PARTS = ("train", "valid", "test", "unseen")  # in the order in which a report and a preview have them


class Listing:
    """Places in an order.

    Attributes:
        title: what is listed.
        order: how, empty for the order of the file.
    """

    title: str = "Rows"
    order: Order = ""

    def __len__(self) -> int:
        raise NotImplementedError

    def place(self, at: int) -> Place:
        """The place at a position."""
        raise NotImplementedError

    def find(self, place: Place) -> int | None:
        """The position of a place; None when it is not listed."""
        raise NotImplementedError


class Everything(Listing):
    """All rows of all splits, one split after the other.

    Args:
        counts: rows by split.
    """

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._starts: list[tuple[int, str]] = []
        self._count = 0
        for split in (*_PARTS, *(name for name in counts if name not in _PARTS)):
            if counts.get(split):
                self._starts.append((self._count, split))
                self._count += counts[split]

    def __len__(self) -> int:
        return self._count

    def place(self, at: int) -> Place:
        start, split = next((start, split) for start, split in reversed(self._starts) if start <= at)
        return split, at - start

    def find(self, place: Place) -> int | None:
        ends = [start for start, _ in self._starts[1:]] + [self._count]
        for (start, split), end in zip(self._starts, ends, strict=True):
            if split == place[0]:
                return start + place[1] if 0 <= place[1] < end - start else None
        return None


@dataclass
class Places(Listing):
    """Places that were named one by one."""

    places: Sequence[Place]
    title: str = "Rows"
    _at: dict[Place, int] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.places)

    def place(self, at: int) -> Place:
        return self.places[at]

    def find(self, place: Place) -> int | None:
        if self._at is None:
            self._at = {known: at for at, known in enumerate(self.places)}
        return self._at.get(place)


@dataclass
class Sorted(Listing):
    """Rows of a report, by their positions in its arrays."""

    report: Report
    positions: NDArray[np.int64]
    title: str = "Rows"
    order: Order = ""

    def __len__(self) -> int:
        return len(self.positions)

    def place(self, at: int) -> Place:
        position = self.positions[at]
        return _PARTS[self.report.split[position]], int(self.report.number[position])

    def find(self, place: Place) -> int | None:
        if place[0] not in _PARTS:
            return None
        report, part = self.report, _PARTS.index(place[0])
        here = (report.split[self.positions] == part) & (report.number[self.positions] == place[1])
        found = np.flatnonzero(here)
        return int(found[0]) if len(found) else None


def by_length(listing: Listing, report: Report, order: Order) -> Listing:
    """The same rows in another order; rows of the same length stay in the order of the file.

    Rows that could not be rendered have no length, and come last.
    """
    if isinstance(listing, Sorted):
        positions = np.sort(listing.positions)
    elif isinstance(listing, Everything):
        positions = np.arange(len(report.lengths))
    else:
        known = _positions(report)
        named = [known[place] for at in range(len(listing)) if (place := listing.place(at)) in known]
        positions = np.array(sorted(named), np.int64)
    if not order:
        return Sorted(report, positions, listing.title)
    lengths = report.lengths[positions].astype(np.int64)
    keys = -lengths if order == "longest first" else np.where(lengths > 0, lengths, np.iinfo(np.int64).max)
    return Sorted(report, positions[np.argsort(keys, kind="stable")], listing.title, order)


def _positions(report: Report) -> dict[Place, int]:
    return {
        (_PARTS[split], number): at
        for at, (split, number) in enumerate(zip(report.split.tolist(), report.number.tolist(), strict=True))
    }


def of_problem(problem: Problem, report: Report) -> Listing:
    """The rows that a problem hits: all that the report knows, else those that the problem itself lists."""
    title = f"Rows: {problem.code}"
    hits = report.hits.get(problem.code)
    if hits is not None and len(hits) >= len(problem.rows):
        return Sorted(report, hits.astype(np.int64), title)
    return Places(problem.rows, title)


def problems_at(report: Report, place: Place) -> list[str]:
    """The codes of the problems that hit the row at a place, gravest first."""
    if place[0] not in _PARTS:
        return []
    at = int(np.searchsorted(report.split, _PARTS.index(place[0]))) + place[1]  # splits lie one behind the other
    hit = {code for code, found in report.hits.items() if _has(found, at)}
    return [problem.code for problem in report.problems if problem.code in hit or place in problem.rows]


def _has(found: NDArray[np.int32], at: int) -> bool:
    """Whether a number is among ascending ones."""
    spot = int(np.searchsorted(found, at))
    return spot < len(found) and int(found[spot]) == at


def sought(text: str, current: Place | None, counts: Mapping[str, int]) -> Place:
    """The place that `[split] row` means; rows count from 0 within their split.

    Args:
        text: as typed: `12`, `valid 3`, `v 3`.
        current: the selected row, whose split is meant where none is named.
        counts: rows by split.

    Raises:
        ValueError: there is no such row; the text says which there are.
    """
    *before, number = text.replace(",", "").split() or [""]
    if not (number.isascii() and number.isdigit()) or len(before) > 1:
        raise ValueError("A row is asked for by its number, with its split if it is in another one: valid 3.")
    wanted = before[0].lower() if before else current[0] if current is not None else ""
    split = next((name for name, rows in counts.items() if rows and name.startswith(wanted)), None)
    if split is None:
        there = ", ".join(name for name, rows in counts.items() if rows)
        raise ValueError(f"There is no split {wanted}; there are {there or 'no rows at all'}.")
    if int(number) >= counts[split]:
        raise ValueError(f"There is no row {number}: {split} has rows 0 to {count(counts[split] - 1)}.")
    return split, int(number)
