"""Which rows of a benchmark are listed, and in which order. Pure functions over rows that were read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tui_tuner.evaluation.stored import Pair

Order = Literal["index", "worst", "best", "most", "longest", "shortest"]
ORDERS: tuple[Order, ...] = ("index", "worst", "best", "most", "longest", "shortest")
ORDER_NAMES: dict[Order, str] = {
    "index": "in order",
    "worst": "most lost first",
    "best": "most gained first",
    "most": "largest change first",
    "longest": "longest first",
    "shortest": "shortest first",
}

Filter = Literal["all", "changed", "gained", "lost", "capped", "empty"]
FILTERS: tuple[Filter, ...] = ("all", "changed", "gained", "lost", "capped", "empty")
FILTER_NAMES: dict[Filter, str] = {
    "all": "",
    "changed": "another answer",
    "gained": "gained",
    "lost": "lost",
    "capped": "cut off at the token limit",
    "empty": "empty answer",
}

LARGE = 256 * 1024
"""Bytes of result files above which they are not read on the event loop."""
DUST = 5e-4
"""A difference below this is none: it would be written as 0.000."""


@dataclass(frozen=True)
class Choice:
    """What is to be listed.

    Attributes:
        order, filter: as above.
        split: only rows of this part; empty for all.
        text: only rows with this in prompt, reference or an answer, whatever its case.
    """

    order: Order = "index"
    filter: Filter = "all"
    split: str = ""
    text: str = ""

    @property
    def told(self) -> str:
        """What is left out, in words; empty when nothing is."""
        parts = [FILTER_NAMES[self.filter], self.split, f"“{self.text}”" if self.text else ""]
        return ", ".join(part for part in parts if part)


def chosen(rows: Sequence[Pair], choice: Choice, metric: str, higher_is_better: bool = True) -> list[Pair]:
    """The rows that a choice lists, in its order."""
    keep = _keeps(choice.filter, metric, 1 if higher_is_better else -1)
    text = choice.text.casefold()
    found = [
        row
        for row in rows
        if keep(row) and (not choice.split or row.split == choice.split) and (not text or _has(row, text))
    ]
    return ordered(found, choice.order, metric, higher_is_better)


def _has(row: Pair, text: str) -> bool:
    texts = [row.prompt, row.reference, *(answer.prediction for answer in row.answers)]
    return any(text in part.casefold() for part in texts)


def _keeps(name: Filter, metric: str, sign: int) -> Callable[[Pair], bool]:
    if name == "changed":
        return lambda row: row.changed
    if name == "gained":
        return lambda row: sign * (row.difference(metric) or 0.0) >= DUST
    if name == "lost":
        return lambda row: sign * (row.difference(metric) or 0.0) <= -DUST
    if name == "capped":
        return lambda row: row.capped
    if name == "empty":
        return lambda row: row.empty
    return lambda row: True


def ordered(rows: Sequence[Pair], order: Order, metric: str, higher_is_better: bool = True) -> list[Pair]:
    """The rows in an order; those without a difference come last, and ties keep the order of the rows."""
    if order == "index":
        return list(rows)
    if order in ("longest", "shortest"):
        return sorted(rows, key=lambda row: row.length, reverse=order == "longest")
    better = 1 if higher_is_better else -1

    def key(row: Pair) -> tuple[bool, float, int]:
        difference = row.difference(metric)
        gain = better * (difference or 0.0)
        return (difference is None, {"worst": gain, "best": -gain}.get(order, -abs(gain)), row.index)

    return sorted(rows, key=key)
