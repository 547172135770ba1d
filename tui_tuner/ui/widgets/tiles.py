"""Numbers at a glance: a label, the newest value, and how it came about as a small curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from textual.content import Content
from textual.widget import Widget

from tui_tuner.ui.text import clip
from tui_tuner.ui.widgets.progress import bar

BARS = "▁▂▃▄▅▆▇█"


GROUP = 3
"""Tiles that stand together."""
_GAP = 2


@dataclass(frozen=True)
class Tile:
    """One number.

    Attributes:
        label: what it is, a word or two.
        value: the newest value, with its unit, as text.
        history: all values in order, NaN where absent; drawn as a small curve.
        note: a few words after the value, such as the best value so far.
        style: colour of the value; empty for the normal one.
        share: how much of a limit it is, 0 to 1; drawn as a bar in place of the curve.
        brief: the value where it does not fit; empty for one that is cut off there.
    """

    label: str
    value: str
    history: NDArray[np.float64] | None = None
    note: str = ""
    style: str = ""
    share: float | None = None
    brief: str = ""


def sparkline(values: Sequence[float] | NDArray[np.float64], width: int) -> str:
    """The values as `width` bars, each the mean of its share of them (or, of few values, one of them); blank where
    there is none.

    Args:
        values: numbers in order; NaN and infinities count as absent.
        width: cells.
    """
    array = np.asarray(values, dtype=np.float64)
    if width <= 0 or not len(array):
        return " " * max(0, width)
    if len(array) < width:
        array = array[np.arange(width) * len(array) // width]
    finite = np.isfinite(array)
    size, longer = divmod(len(array), width)
    starts = np.arange(width) * size + np.minimum(np.arange(width), longer)
    with np.errstate(invalid="ignore", over="ignore"):
        means = np.add.reduceat(np.where(finite, array, 0.0), starts) / np.add.reduceat(
            finite, starts, dtype=np.float64
        )
    known = means[np.isfinite(means)]
    if not len(known):
        return " " * width
    low, span = float(known.min()), float(known.max() - known.min())
    if not 0 < span < math.inf:
        return "".join(BARS[3] if math.isfinite(mean) else " " for mean in means.tolist())
    levels = np.minimum(7, np.nan_to_num((means - low) / span, nan=-1.0, posinf=-1.0, neginf=-1.0) * 8)
    return "".join(BARS[int(level)] if level >= 0 else " " for level in levels.tolist())


class Tiles(Widget):
    """Tiles in as many columns as fit; each has its curve below the number where there is room for all, else beside it.

    In one column a blank line parts every three of them, where there is room.
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._tiles: list[Tile] = []

    def show(self, tiles: list[Tile]) -> None:
        """Replaces the tiles."""
        self._tiles = tiles
        self.refresh(layout=False)

    def render(self) -> Content:
        width, height = self.size
        if not self._tiles or width < 20:
            return Content("")
        columns = max(1, min(len(self._tiles), GROUP, width // 24))
        if height < math.ceil(len(self._tiles) / columns):
            columns = min(len(self._tiles), max(1, width // 20))
        rows = math.ceil(len(self._tiles) / columns)
        tall = height >= rows * 2
        parted = not tall and columns == 1 and height >= rows + (rows - 1) // GROUP
        cell = (width - _GAP * (columns - 1)) // columns
        name = max(len(tile.label) for tile in self._tiles) if columns == 1 else 1
        lines: list[Content] = []
        for row in range(rows):
            tiles = self._tiles[row * columns : (row + 1) * columns]
            if parted and row and row % GROUP == 0:
                lines.append(Content(""))
            lines.append(Content(" " * _GAP).join([_head(tile, cell, 0 if tall else name) for tile in tiles]))
            if tall:
                lines.append(Content(" " * _GAP).join([_curve(tile, cell) for tile in tiles]))
                if height >= rows * 3:
                    lines.append(Content(""))
        return Content("\n").join(lines[:height])


def _head(tile: Tile, width: int, name: int) -> Content:
    """Label and value with, unless `name` is 0, the curve between them, which begins behind `name` cells."""
    label = Content.styled(tile.label.ljust(name), "$text-muted")
    room = width - label.cell_length - 1
    # One cell too many would push the end of the line, and with it another tile's value, out of sight.
    text = tile.value if len(tile.value) <= room else clip(tile.brief or tile.value, max(1, room))
    value = Content.styled(text, f"bold {tile.style or '$foreground'}")
    note = Content.styled(f"{tile.note}  ", tile.style or "$text-muted") if tile.note else Content("")
    if label.cell_length + value.cell_length + note.cell_length + 1 > width:
        note = Content("")
    free = width - label.cell_length - value.cell_length - note.cell_length
    if name and free >= 8 and (tile.history is not None or tile.share is not None):
        return label + Content("  ") + _curve(tile, free - 4) + Content("  ") + note + value
    return label + Content(" " * max(1, free)) + note + value


def _curve(tile: Tile, width: int) -> Content:
    if tile.share is not None:
        return Content.styled(bar(tile.share, width), f"{tile.style or '$primary'} on $panel")
    if tile.history is None:
        return Content(" " * width)
    return Content.styled(sparkline(tile.history, width), "$text-primary")
