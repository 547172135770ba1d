"""Which row of one set of predictions belongs to which of another.

By their ids, or by what was asked and what is right; by their order only where every reference says the same, or where
there is nothing else to go by, and then that is told. Rows that cannot be told apart are left out rather than paired
by luck.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.outputs import Outputs
from tui_tuner.units import many

Pairs = list[tuple[int, int]]


@dataclass(frozen=True)
class Matched:
    """Rows of two sets that belong together.

    Attributes:
        pairs: numbers of rows in the first and in the second set, in the order of the first.
        by: what they were matched by.
        left_out: how many rows of each have no partner.
        notes: what a person should know.
    """

    pairs: Pairs
    by: str
    left_out: tuple[int, int]
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """How a document tells it."""
        left = {"a": self.left_out[0], "b": self.left_out[1]}
        return {"by": self.by, "rows": len(self.pairs), "left_out": left, "notes": self.notes}


def match(a: Outputs, b: Outputs) -> Matched:
    """Finds the partner of every row.

    Raises:
        TunerError: no row of one belongs to a row of the other, or nothing tells which.
    """
    notes: list[str] = []
    found = _by_id(a, b, notes) or _by_prompt(a, b, notes) or _by_reference(a, b, notes) or _by_order(a, b, notes)
    if found is None:
        raise TunerError(
            f"{a.name} ({many(len(a.rows), 'row')}) and {b.name} ({many(len(b.rows), 'row')}) have no row in common:"
            " neither ids,"
            " prompts nor references agree",
            code="different-rows",
            fix="compare predictions for the same rows",
            usage=True,
        )
    pairs, by = found
    left = len(a.rows) - len(pairs), len(b.rows) - len(pairs)
    if any(left):
        notes.append(
            f"without a partner, and left out: {many(left[0], 'row')} of the first and {left[1]:,} of the second"
        )
    return Matched(pairs, by, left, notes)


def _references(outputs: Outputs) -> list[Hashable]:
    """What is right for each row, without white space around."""
    rights = [row["reference"] for row in outputs.rows]
    return [one.strip() if isinstance(one, str) else tuple(sorted(text.strip() for text in one)) for one in rights]


def _column(outputs: Outputs, key: str) -> list[Hashable] | None:
    values = [row.get(key) for row in outputs.rows]
    return None if any(value is None for value in values) else [str(value).strip() for value in values]


def _agree(a: Outputs, b: Outputs, pairs: Pairs) -> bool:
    """Whether what is right is the same on both sides, as far as both say."""
    if not a.has_references or not b.has_references:
        return True
    first, second = _references(a), _references(b)
    return all(first[one] == second[other] for one, other in pairs)


def _by_id(a: Outputs, b: Outputs, notes: list[str]) -> tuple[Pairs, str] | None:
    first, second = _column(a, "id"), _column(b, "id")
    if first is None or second is None or len(set(first)) < len(first) or len(set(second)) < len(second):
        return None
    place = {key: number for number, key in enumerate(second)}
    pairs = [(number, place[key]) for number, key in enumerate(first) if key in place]
    if not pairs:
        return None
    if not _agree(a, b, pairs):
        notes.append(f'"{a.keys["id"]}" does not tell which rows belong together: references differ under it')
        return None
    name = a.keys["id"] if a.keys["id"] == b.keys["id"] else f"{a.keys['id']} and {b.keys['id']}"
    return pairs, f'"{name}"'


def _by_prompt(a: Outputs, b: Outputs, notes: list[str]) -> tuple[Pairs, str] | None:
    """By prompt and reference together; equal rows are partners in their order, for they are the same question."""
    first, second = _column(a, "prompt"), _column(b, "prompt")
    if first is None or second is None:
        return None
    by = "prompt"
    if a.has_references and b.has_references:
        by = "prompt and reference"
        first = list(zip(first, _references(a), strict=True))
        second = list(zip(second, _references(b), strict=True))
    places: dict[Hashable, list[int]] = {}
    for number, key in enumerate(second):
        places.setdefault(key, []).append(number)
    pairs = [(number, places[key].pop(0)) for number, key in enumerate(first) if places.get(key)]
    # Templates may differ between models: then a few prompts agree by chance at most.
    return (pairs, by) if 2 * len(pairs) >= min(len(first), len(second)) else None


def _by_reference(a: Outputs, b: Outputs, notes: list[str]) -> tuple[Pairs, str] | None:
    if not a.has_references or not b.has_references:
        return None
    first, second = _references(a), _references(b)
    if first == second:
        if len(set(first)) < len(first) and _column(a, "prompt") is not None and _column(b, "prompt") is not None:
            notes.append("prompts differ, and some references occur several times: rows were taken in their order")
        return [(number, number) for number in range(len(first))], "order, with equal references row by row"
    often, other = Counter(first), Counter(second)
    place = {key: number for number, key in enumerate(second)}
    pairs = [(number, place[key]) for number, key in enumerate(first) if often[key] == other[key] == 1]
    doubtful = sum(often[key] for key in often if other[key] and not often[key] == other[key] == 1)
    if not pairs:
        return None
    if doubtful:
        notes.append(f"{doubtful:,} rows share their reference with others, and nothing tells them apart")
    return pairs, "reference"


def _by_order(a: Outputs, b: Outputs, notes: list[str]) -> tuple[Pairs, str] | None:
    """The last resort: as many rows on both sides, and one side says nothing of what was asked or is right."""
    if (a.has_references and b.has_references) or len(a.rows) != len(b.rows):
        return None
    first, second = _column(a, "id"), _column(b, "id")
    if first is not None and second is not None and first != second:
        return None
    notes.append("nothing but their order tells which rows belong together")
    return [(number, number) for number in range(len(a.rows))], "order"


def joined(a: Outputs, b: Outputs, pairs: Sequence[tuple[int, int]]) -> tuple[list[dict[str, Any]], ...]:
    """The rows of both sides, partner by partner, each with the reference that either of them has.

    Raises:
        TunerError: neither has references.
    """
    if not a.has_references and not b.has_references:
        raise TunerError(
            "neither file has references to score by",
            code="no-such-key",
            where=f"{a.name}, {b.name}",
            fix="name their key with --reference-key",
            usage=True,
        )
    sides: tuple[list[dict[str, Any]], ...] = ([], [])
    for one, other in pairs:
        first, second = a.rows[one], b.rows[other]
        right = first["reference"] if a.has_references else second["reference"]
        split = first.get("split", second.get("split", ""))
        for side, row in zip(sides, (first, second), strict=True):
            side.append({**row, "reference": right, "split": split})
    return sides
