"""Turn curves into braille cells, as pure arithmetic.

A *dot column* is one Python integer used as a bit mask: bit ``r`` set means the dot in row ``r`` (counted from the top)
is lit. A vertical run ``a..b`` costs one shift, whatever its length, and a curve is reduced to one minimum and one
maximum per dot column before anything is drawn, so that a frame costs the same for a thousand points and a million.

A braille cell is two dot columns wide and four dots high. Its eight dots are one byte here: the left column in the low
nibble and the right column in the high nibble, top dot first. A glyph table turns that byte into a character.

This module must never import textual, know about colours, or look at a clock. It accepts numbers and returns numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Cells = NDArray[np.uint8]

DOTS_ACROSS = 2
DOTS_DOWN = 4

ROW_LIMIT = 1 << 20
"""Rows are clipped to ±this before drawing: far outside any terminal, and small enough that no product overflows."""
COLUMN_LIMIT = 1 << 26
"""The same for columns, which zooming in can push far outside the canvas."""

_LEFT = np.array(
    [sum(bit for i, bit in enumerate((0x01, 0x02, 0x04, 0x40)) if n >> i & 1) for n in range(16)], dtype=np.uint32
)
_RIGHT = np.array(
    [sum(bit for i, bit in enumerate((0x08, 0x10, 0x20, 0x80)) if n >> i & 1) for n in range(16)], dtype=np.uint32
)


def _braille_table() -> NDArray[np.uint32]:
    """Character of each cell byte; the empty cell is a plain space, because some fonts draw U+2800 as hollow dots."""
    codes = np.arange(256)
    table: NDArray[np.uint32] = np.uint32(0x2800) + _LEFT[codes & 15] + _RIGHT[codes >> 4]
    table[0] = ord(" ")
    return table


def _coarse_table(glyphs: str) -> NDArray[np.uint32]:
    """Character of each cell byte from 16 glyphs indexed by lit quarter: 1 top left, 2 bottom left, 4 and 8 right."""
    table = np.zeros(256, dtype=np.uint32)
    for code in range(256):
        quarters = (bool(code & 0x03), bool(code & 0x0C), bool(code & 0x30), bool(code & 0xC0))
        table[code] = ord(glyphs[sum(1 << i for i, lit in enumerate(quarters) if lit)])
    return table


GLYPHS: dict[str, NDArray[np.uint32]] = {
    "braille": _braille_table(),
    "blocks": _coarse_table(" ▘▖▌▝▀▞▛▗▚▄▙▐▜▟█"),
    "ascii": _coarse_table(" '.:':/:.\\.::::#"),
}
"""256 code points each, indexed by cell byte. ``blocks`` and ``ascii`` are for terminals without braille."""


@dataclass(frozen=True, slots=True)
class Reduced:
    """A curve reduced to one entry per visited dot column and stroke, in drawing order.

    ``column`` never decreases within a stroke. ``first`` and ``last`` are where the curve enters and leaves the column,
    ``low`` and ``high`` its extremes there; all four are values of the curve, not rows.
    """

    column: Ints
    stroke: Ints
    first: Floats
    last: Floats
    low: Floats
    high: Floats

    @classmethod
    def empty(cls) -> Reduced:
        """Nothing to draw."""
        values = np.empty(0, dtype=np.float64)
        columns = np.empty(0, dtype=np.int64)
        return cls(columns, columns, values, values, values, values)


def dot_columns(x: Floats, low: float, high: float, width: int) -> Ints:
    """Dot column of each x: ``low`` falls on column 0 and ``high`` on column ``width - 1`` (rounded half up).

    Values outside ``low..high`` get columns outside the canvas. A range without extent puts all on the middle column.
    """
    span = high - low
    if not span > 1e-290:
        return np.full(len(x), (width - 1) // 2, dtype=np.int64)
    scaled = np.floor((x - low) * ((width - 1) / span) + 0.5)
    return np.clip(scaled, -COLUMN_LIMIT, COLUMN_LIMIT).astype(np.int64)


def column_edges(low: float, high: float, width: int) -> Floats:
    """Where each dot column begins on x, and behind the last one where it ends: ``width + 1`` rising values.

    ``low < high``. A point is in column ``c`` when ``edges[c] <= x < edges[c + 1]``; the outer edges lie half a column
    outside the range, as the rounding of :func:`dot_columns` has it.
    """
    edges: Floats = low + (np.arange(width + 1, dtype=np.float64) - 0.5) * ((high - low) / max(1, width - 1))
    return edges


def reduce_curve(x: Floats, values: Floats, usable: Bools, window: tuple[float, float], width: int) -> Reduced:
    """Reduce a curve to its first, last, lowest and highest value per dot column and stroke.

    ``x`` must not decrease; points outside the window should be few, since each stays an entry of its own. A point that
    is not ``usable`` is not drawn and ends its stroke. No pass over the points computes a column: as x is sorted, the
    edges of the columns are looked up in it instead.
    """
    count = len(x)
    low, high = window
    if not count:
        return Reduced.empty()
    if low < high:
        edges = column_edges(low, high, width)
        cuts = np.searchsorted(x, edges, side="left")
        outside = np.concatenate((np.arange(cuts[0]), np.arange(cuts[-1], count)))
        starts = np.concatenate((outside, cuts[:-1]))
    else:
        starts = np.zeros(1, dtype=np.int64)
    bad = np.flatnonzero(~usable)
    starts = np.sort(np.concatenate((starts, bad, bad + 1)))
    starts = starts[np.append(True, starts[1:] != starts[:-1]) & (starts < count)]
    ends = np.append(starts[1:], count) - 1
    drawn = usable[starts]
    lows, highs = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    starts, ends = starts[drawn], ends[drawn]
    column = dot_columns(x[starts], low, high, width)
    if low < high:
        inner = (starts >= cuts[0]) & (starts < cuts[-1])
        column[inner] = np.searchsorted(edges, x[starts[inner]], side="right") - 1
        column[starts < cuts[0]] = np.minimum(column[starts < cuts[0]], -1)
        column[starts >= cuts[-1]] = np.maximum(column[starts >= cuts[-1]], width)
    return Reduced(column, np.searchsorted(bad, starts), values[starts], values[ends], lows[drawn], highs[drawn])


def to_rows(fractions: Floats, height: int) -> Ints:
    """Dot row of each fraction of the height (0 is the bottom, 1 the top), rounded half up, clipped far outside."""
    rows = np.floor((1.0 - fractions) * (height - 1) + 0.5)
    return np.clip(rows, -ROW_LIMIT, ROW_LIMIT).astype(np.int64)


class Canvas:
    """``width`` dot columns of ``height`` dots each, all dark at first."""

    def __init__(self, width: int, height: int) -> None:
        if width < 0 or height < 0:
            raise ValueError(f"a canvas cannot measure {width} by {height} dots")
        self.width = width
        self.height = height
        self.columns: list[int] = [0] * width

    def run(self, column: int, start: int, end: int) -> None:
        """Light the rows ``start..end`` (either order) of a column; what lies outside the canvas is left out."""
        if start > end:
            start, end = end, start
        start = max(start, 0)
        end = min(end, self.height - 1)
        if start <= end and 0 <= column < self.width:
            self.columns[column] |= ((1 << (end - start + 1)) - 1) << start

    def strokes(self, column: Ints, stroke: Ints, first: Ints, last: Ints, top: Ints, bottom: Ints) -> None:
        """Draw a reduced curve whose values have become dot rows.

        Each entry lights ``top..bottom``. Two entries of one stroke are joined: over the columns between them by the
        straight line (one dot a column, rounded half up), and between neighbouring columns by runs that meet half way.
        """
        if not len(column):
            return
        column, stroke, first, last, top, bottom = self._bridge(column, stroke, first, last, top, bottom)
        joined = (stroke[1:] == stroke[:-1]) & (column[1:] == column[:-1] + 1)
        leave, enter = last[:-1], first[1:]
        middle = (leave + enter) >> 1
        below = np.where(enter > leave, middle + 1, np.where(enter < leave, middle, enter))
        above = np.where(enter > leave, middle, np.where(enter < leave, middle + 1, leave))
        starts, ends = np.minimum(top, bottom), np.maximum(top, bottom)
        starts[:-1] = np.where(joined, np.minimum(starts[:-1], above), starts[:-1])
        ends[:-1] = np.where(joined, np.maximum(ends[:-1], above), ends[:-1])
        starts[1:] = np.where(joined, np.minimum(starts[1:], below), starts[1:])
        ends[1:] = np.where(joined, np.maximum(ends[1:], below), ends[1:])
        np.maximum(starts, 0, out=starts)
        np.minimum(ends, self.height - 1, out=ends)
        visible = (starts <= ends) & (column >= 0) & (column < self.width)
        masks = self.columns
        for at, start, end in zip(
            column[visible].tolist(), starts[visible].tolist(), ends[visible].tolist(), strict=True
        ):
            masks[at] |= ((1 << (end - start + 1)) - 1) << start

    def _bridge(
        self, column: Ints, stroke: Ints, first: Ints, last: Ints, top: Ints, bottom: Ints
    ) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
        """Insert the straight line's points in the columns a stroke skips: the visible ones and one to each side."""
        start = np.maximum(column[:-1] + 1, -1)
        stop = np.minimum(column[1:], self.width + 1)
        missing = np.where(stroke[1:] == stroke[:-1], np.maximum(stop - start, 0), 0)
        total = int(missing.sum())
        if not total:
            return column, stroke, first, last, top, bottom
        origin = np.repeat(np.arange(len(missing)), missing)
        offset = np.arange(total) - np.repeat(np.cumsum(missing) - missing, missing)
        between = start[origin] + offset
        across = column[origin + 1] - column[origin]
        rise = first[origin + 1] - last[origin]
        rows = last[origin] + (2 * rise * (between - column[origin]) + across) // (2 * across)
        place = origin + 1
        return (
            np.insert(column, place, between),
            np.insert(stroke, place, stroke[origin]),
            np.insert(first, place, rows),
            np.insert(last, place, rows),
            np.insert(top, place, rows),
            np.insert(bottom, place, rows),
        )

    def dash(self, pattern: Sequence[bool]) -> None:
        """Leave dark the columns where ``pattern``, repeated from the left, says so."""
        for at in range(self.width):
            if not pattern[at % len(pattern)]:
                self.columns[at] = 0

    def cells(self) -> Cells:
        """The canvas as cell bytes, shaped (rows of cells, columns of cells); odd edges are padded with dark dots."""
        down = -(-self.height // DOTS_DOWN)
        across = -(-self.width // DOTS_ACROSS)
        if not down or not across:
            return np.zeros((down, across), dtype=np.uint8)
        size = -(-down // 2)
        packed = b"".join([mask.to_bytes(size, "little") for mask in self.columns])
        if self.width % DOTS_ACROSS:
            packed += bytes(size)
        columns = np.frombuffer(packed, dtype=np.uint8).reshape(across * DOTS_ACROSS, size)
        nibbles = np.empty((across * DOTS_ACROSS, size * 2), dtype=np.uint8)
        nibbles[:, 0::2] = columns & 15
        nibbles[:, 1::2] = columns >> 4
        joined: Cells = np.bitwise_or(nibbles[0::2], np.left_shift(nibbles[1::2], 4))
        return joined.T[:down]


def merge(layers: Sequence[Cells], background: Sequence[bool]) -> tuple[Cells, NDArray[np.int16]]:
    """Lay cell layers over each other, the last one topmost; return the merged cells and who owns each (-1: nobody).

    A cell can have only one colour, so it belongs to the topmost layer with a dot in it and shows that layer's dots
    alone: dots of a covered curve would take a colour that is not theirs and move the curve in front to where it never
    was. Background layers (raw values behind a smoothed curve) lie below all others, wherever they are in the list.
    """
    if not layers:
        raise ValueError("nothing to merge")
    merged = np.zeros_like(layers[0])
    owner = np.full(layers[0].shape, -1, dtype=np.int16)
    for index in sorted(range(len(layers)), key=lambda index: not background[index]):
        lit = layers[index] != 0
        merged[lit] = layers[index][lit]
        owner[lit] = index
    return merged, owner
