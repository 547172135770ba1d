"""What stands in a plot besides curves: marks at an x (something happened) and levels at a y (a limit, a comparison).

This is the arithmetic of which of them are shown where there is no room for all; :mod:`.paint` puts them in place. It
must never import textual.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

QUIET = 0
"""Rank of marks that are left out where they would stand too close together."""
_APART = 8
"""Cells that quiet marks need each."""
_RULES_APART = 12
"""Cells that vertical lines need each."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something at ``x``: a glyph on the axis and, with ``rule``, a vertical line with its label where there is room.

    ``label`` names the kind in a word or two; the legend explains glyphs without a rule by it. ``detail`` is what the
    crosshair says (empty: the label). Where marks fall on one cell, the one of the highest ``rank`` shows.
    """

    x: float
    glyph: str
    label: str
    detail: str = ""
    rank: int = 1
    rule: bool = True

    @property
    def told(self) -> str:
        """What the crosshair says of it."""
        return self.detail or self.label


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line at ``y`` with a label; ``wanted`` makes the y axis reach so far."""

    y: float
    label: str
    wanted: bool = True


def visible(marks: Iterable[Mark], window: tuple[float, float], width: int) -> list[Mark]:
    """The marks that the axis shows on ``width`` cells, in the order of drawing: the most important last."""
    low, high = window
    inside = [mark for mark in marks if low <= mark.x <= high]
    crowds = Counter(mark.glyph for mark in inside if mark.rank <= QUIET)
    shown = [mark for mark in inside if mark.rank > QUIET or crowds[mark.glyph] * _APART <= width]
    return sorted(shown, key=lambda mark: mark.rank)


def ruled(shown: Sequence[Mark], width: int) -> list[Mark]:
    """Those of the visible marks that get a vertical line: the most important ones, as many as do not hide the plot."""
    wanted = [mark for mark in shown if mark.rule]
    return wanted[-max(1, width // _RULES_APART) :]


def near(marks: Iterable[Mark], x: float, reach: float) -> list[Mark]:
    """The marks no farther than ``reach`` from ``x``, the most important first."""
    return sorted((mark for mark in marks if abs(mark.x - x) <= reach), key=lambda mark: -mark.rank)


def kinds(shown: Iterable[Mark]) -> list[tuple[str, str]]:
    """Glyph and label of each kind that has no line to stand beside, the most important first."""
    found: dict[tuple[str, str], int] = {}
    for mark in shown:
        if not mark.rule and mark.label:
            found[mark.glyph, mark.label] = mark.rank
    return sorted(found, key=lambda kind: -found[kind])
