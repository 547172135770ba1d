"""Numbers at a glance: a label, the newest value, and how it came about as a small curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from textual.content import Content
from textual.widget import Widget

BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Tile:
    """One number.

    Attributes:
        label: what it is, a word or two.
        value: the newest value, with its unit, as text.
        history: all values in order, NaN where absent; drawn as a small curve.
        note: a few words after the value, such as the best value so far.
        style: colour of the value; empty for the normal one.
    """

    label: str
    value: str
    history: NDArray[np.float64] | None = None
    note: str = ""
    style: str = ""


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
    means = [_mean(part) for part in np.array_split(array, width)]
    known = [mean for mean in means if math.isfinite(mean)]
    if not known:
        return " " * width
    low, high = min(known), max(known)
    span = high - low
    return "".join(
        " " if not math.isfinite(mean) else BARS[3] if span == 0 else BARS[min(7, int((mean - low) / span * 8))]
        for mean in means
    )


def _mean(part: NDArray[np.float64]) -> float:
    known = part[np.isfinite(part)]
    return float(known.mean()) if len(known) else math.nan


class Tiles(Widget):
    """Tiles in as many columns as fit. With `rows=2` a tile has its curve below the number, else beside it."""

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
        columns = max(1, min(len(self._tiles), 3, width // 26))
        if height < math.ceil(len(self._tiles) / columns):
            columns = min(len(self._tiles), max(1, width // 20))
        rows = math.ceil(len(self._tiles) / columns)
        tall = height >= rows * 2
        gap = 2
        cell = (width - gap * (columns - 1)) // columns
        lines: list[Content] = []
        for row in range(rows):
            tiles = self._tiles[row * columns : (row + 1) * columns]
            lines.append(Content(" " * gap).join([_head(tile, cell, tall) for tile in tiles]))
            if tall:
                lines.append(Content(" " * gap).join([_curve(tile, cell) for tile in tiles]))
                if height >= rows * 3:
                    lines.append(Content(""))
        return Content("\n").join(lines[:height])


def _head(tile: Tile, width: int, tall: bool) -> Content:
    label = Content.styled(tile.label, "$text-muted")
    value = Content.styled(tile.value, f"bold {tile.style or '$foreground'}")
    note = Content.styled(f"{tile.note}  ", "$text-muted") if tile.note else Content("")
    if label.cell_length + value.cell_length + note.cell_length + 1 > width:
        note = Content("")
    free = width - label.cell_length - value.cell_length - note.cell_length
    if not tall and tile.history is not None and free >= 8:
        curve = Content.styled(sparkline(tile.history, free - 4), "$text-primary")
        return label + Content("  ") + curve + Content("  ") + note + value
    return label + Content(" " * max(1, free)) + note + value


def _curve(tile: Tile, width: int) -> Content:
    if tile.history is None:
        return Content(" " * width)
    return Content.styled(sparkline(tile.history, width), "$text-primary")
