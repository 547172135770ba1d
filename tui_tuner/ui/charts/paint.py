"""Paint a chart onto a grid of characters: axes, ticks, curves, markers and crosshair.

Painting is a pure function of what it is given, with no terminal and no clock, so it can be tested line by line. The
layers, from behind: grid lines; crosshair, marks and levels, none of which covers another; raw curves, smoothed curves,
point markers. Only curves and their markers may cover one another; everything else gives way to data. This module must
never import textual.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tui_tuner.ui.charts.grid import (
    AXIS,
    CROSSHAIR,
    EMPTY,
    GRID,
    LABEL,
    MARKER,
    SERIES,
    Grid,
    Span,
    fit_line,
    plain,
    shorten,
)
from tui_tuner.ui.charts.header import Look, explained, fill, legend, readout, title_line, wrap
from tui_tuner.ui.charts.marks import Level, Mark, near, ruled, visible
from tui_tuner.ui.charts.raster import (
    DOTS_ACROSS,
    DOTS_DOWN,
    GLYPHS,
    Canvas,
    Floats,
    Ints,
    Reduced,
    dot_columns,
    merge,
    to_rows,
)
from tui_tuner.ui.charts.scale import Scale, Tick, fit, ticks
from tui_tuner.ui.charts.series import Series

DASHES = tuple(tuple(sign == "-" for sign in pattern) for pattern in ("-", "------  ", "--  ", "--------  --  "))
"""What of a line is drawn, dot column by dot column: solid, dashed, dotted, dash and dot."""
_STAGGER = 24
_BLANK, _RULE, _DASH = ord(" "), ord("┊"), ord("╌")


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything a picture depends on. ``window`` is the shown x range; ``share`` its part of all data, in percent."""

    look: Look
    series: Sequence[Series]
    marks: Sequence[Mark]
    window: tuple[float, float]
    crosshair: float | None = None
    share: float | None = None
    follow: bool = True
    levels: Sequence[Level] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """Where the curves ended up, in cells: the widget turns mouse positions into x with it."""

    left: int
    top: int
    width: int
    height: int
    window: tuple[float, float]

    def x_at(self, column: int) -> float:
        """The x in the middle of a cell column of the widget."""
        low, high = self.window
        dots = max(1, self.width * DOTS_ACROSS - 1)
        dot = min(max((column - self.left) * DOTS_ACROSS + 0.5, 0.0), float(dots))
        return low + (high - low) * dot / dots

    def cell_span(self) -> float:
        """How much of x one cell covers."""
        return (self.window[1] - self.window[0]) / max(1, self.width)


def paint(scene: Scene, width: int, height: int) -> tuple[list[list[Span]], Plot]:
    """The whole chart as ``height`` lines of exactly ``width`` cells, and where its plot is."""
    lines = [fit_line(line, width) for line in _head(scene, width, height)]
    rows = height - len(lines)
    if rows <= 0 or width <= 0:
        return [*lines, *([] for _ in range(rows))][:height], Plot(0, len(lines), 0, 0, scene.window)
    found = _extremes(scene, scene.look.log_y)
    grid = Grid(width, rows)
    if found is None:
        _say(grid, _why_empty(scene))
        return [*lines, *grid.lines()], Plot(0, len(lines), 0, 0, scene.window)
    area = _Area(scene, fit(found, scene.look.log_y), grid)
    area.draw()
    return [*lines, *grid.lines()], Plot(area.left, len(lines), area.width, area.height, scene.window)


def _head(scene: Scene, width: int, height: int) -> list[list[Span]]:
    """Title and legend lines; small charts drop the legend first, then the title."""
    lines: list[list[Span]] = []
    pointed = _pointed_at(scene, width)
    titled = height >= 5 and bool(scene.look.title or scene.look.y_label)
    if titled:
        lines.append(title_line(scene.look, width, scene.share, scene.follow, pointed))
    if height < 7 or not scene.series or not scene.look.legend:
        return lines
    at = scene.window[1] if scene.crosshair is None else scene.crosshair
    plain_legend = wrap(legend(scene.series, scene.look), width)
    values = wrap(readout(scene.series, scene.look, at, [] if titled else pointed), width)
    # As many lines with the crosshair as without, so that it does not make the plot jump.
    count = min(max(len(plain_legend), len(values)), max(1, height // 3))
    shown = (plain_legend if scene.crosshair is None else values)[:count]
    if scene.crosshair is None:
        fill(shown, explained(visible(scene.marks, scene.window, width)), width)
    return lines + shown + [[] for _ in range(count - len(shown))]


def _pointed_at(scene: Scene, width: int) -> list[Mark]:
    """Marks less than half a cell away from the crosshair."""
    if scene.crosshair is None:
        return []
    return near(scene.marks, scene.crosshair, (scene.window[1] - scene.window[0]) / max(1, width) / 2)


def _extremes(scene: Scene, log: bool) -> tuple[float, float] | None:
    """Lowest and highest drawable value of all series in the window."""
    found = [ends for one in scene.series if (ends := one.extremes(scene.window, log)) is not None]
    if not found:
        return None
    found += [(level.y, level.y) for level in scene.levels if level.wanted and (level.y > 0 or not log)]
    return min(low for low, _ in found), max(high for _, high in found)


def _why_empty(scene: Scene) -> str:
    if all(one.last() is None for one in scene.series):
        return scene.look.empty
    if scene.look.log_y and _extremes(scene, log=False):
        return "nothing above zero here: a log axis cannot show it"
    return "no points in this range"


def _say(grid: Grid, text: str) -> None:
    """A few words in the middle, on as many lines as they need and there are."""
    lines = textwrap.wrap(plain(text), max(1, min(grid.width - 2, 60)))[: grid.height]
    for number, line in enumerate(lines):
        grid.put((grid.height - len(lines)) // 2 + number, max(0, (grid.width - len(line)) // 2), line, EMPTY)


def _solid(label: str) -> str:
    """A label whose blanks nothing is drawn through."""
    return label.replace(" ", "\N{NO-BREAK SPACE}")


class _Area:
    """The plot with its axes on one grid: the gutter for y labels at the left, axis and x labels below."""

    def __init__(self, scene: Scene, scale: Scale, grid: Grid) -> None:
        self.scene = scene
        self.scale = scale
        self.grid = grid
        self.height = grid.height - 2 if grid.height >= 4 else grid.height
        self.below = grid.height > self.height
        self.y_ticks = (
            ticks(scale, max(2, min(3, (self.height + 1) // 2), (self.height + 2) // 3), scene.look.unit)
            if self.height > 1
            else []
        )
        gutter = max((len(tick.label) for tick in self.y_ticks), default=0) + 1
        if self.below and len(scene.look.x_label) <= 6:
            gutter = max(gutter, len(scene.look.x_label) + 1)
        self.left = gutter + 1 if grid.width >= gutter + 9 else 0
        self.width = grid.width - self.left
        self.marks = visible(scene.marks, scene.window, self.width)
        self.dots = (self.width * DOTS_ACROSS, self.height * DOTS_DOWN)

    def draw(self) -> None:
        grid = self.grid
        self._y_axis()
        if self.below:
            self._x_axis()
        inner = Grid(self.width, self.height)
        glyphs = self._curves(inner)
        self._levels(inner)
        self._vertical_marks(inner)
        if self.scene.crosshair is not None:
            self._crosshair(inner, self.scene.crosshair)
        for row, column, glyph, style in glyphs:
            inner.put(row, column, glyph, style)
        self._rules(inner)
        grid.codes[: self.height, self.left :] = inner.codes
        grid.styles[: self.height, self.left :] = inner.styles

    def _tick_rows(self) -> list[tuple[int, Tick]]:
        rows = to_rows(self.scale.fractions(np.array([tick.value for tick in self.y_ticks])), self.dots[1])
        return [(int(row) // DOTS_DOWN, tick) for row, tick in zip(rows, self.y_ticks, strict=True)]

    def _y_axis(self) -> None:
        if not self.left:
            return
        for row in range(self.height):
            self.grid.put(row, self.left - 1, "│", AXIS)
        for row, tick in self._tick_rows():
            self.grid.put(row, self.left - 2 - len(tick.label), tick.label, LABEL)
            self.grid.put(row, self.left - 1, "┤", AXIS)

    def _rules(self, inner: Grid) -> None:
        """Faint lines at the y ticks, in cells that nothing else needs."""
        for row, _ in self._tick_rows():
            blank = inner.codes[row] == _BLANK
            inner.codes[row][blank] = ord("┈")
            inner.styles[row][blank] = GRID

    def _column(self, x: float) -> int:
        return int(dot_columns(np.array([x]), *self.scene.window, self.dots[0])[0]) // DOTS_ACROSS

    def _x_axis(self) -> None:
        row = self.height
        self.grid.put(row, max(0, self.left - 1), ("└" if self.left else "") + "─" * self.width, AXIS)
        for column, tick, start in self._x_ticks():
            self.grid.put(row, self.left + column, "┬", AXIS)
            self.grid.put(row + 1, start, tick.label, LABEL)
        label = plain(self.scene.look.x_label)
        spot = self.left - 2 - len(label)
        if label and spot >= 0 and self.grid.free(row + 1, spot, self.left - 1):
            self.grid.put(row + 1, spot, label, LABEL)
        elif label and self.grid.free(row + 1, self.grid.width - len(label) - 2, self.grid.width):
            self.grid.put(row + 1, self.grid.width - len(label), label, LABEL)
        for mark in self.marks:
            column = self._column(mark.x)
            if 0 <= column < self.width:
                self.grid.put(row, self.left + column, plain(mark.glyph)[:1] or "┴", MARKER)

    def _x_ticks(self) -> list[tuple[int, Tick, int]]:
        """Cell column, tick and first label cell of the most ticks whose labels stay two cells apart."""
        low, high = self.scene.window
        look = self.scene.look
        if not low < high:
            low, high = low - 0.5, high + 0.5
        for limit in range(max(1, self.width // 8), 0, -1):
            placed: list[tuple[int, Tick, int]] = []
            clash = False
            for tick in ticks(Scale(low, high), limit, look.x_unit, look.x_unit == "integer"):
                column = self._column(tick.value)
                start = self.left + column - (len(tick.label) - 1) // 2
                start = min(max(start, 0), self.grid.width - len(tick.label))
                clash = clash or (bool(placed) and start < placed[-1][2] + len(placed[-1][1].label) + 2)
                placed.append((column, tick, start))
            if not clash:
                return placed
        return []

    def _rows(self, values: Floats) -> Ints:
        return to_rows(self.scale.fractions(values), self.dots[1])

    def _curves(self, inner: Grid) -> list[tuple[int, int, str, int]]:
        """Draw all curves; return the point markers, which go on top of everything."""
        layers, behind, styles = [], [], []
        glyphs: list[tuple[int, int, str, int]] = []
        lines = sum(one.style == "line" for one in self.scene.series)
        for index, one in enumerate(self.scene.series):
            style = SERIES + 2 * index
            smooth = one.smoothed(self.scene.look.smoothing)
            front = one.reduced(one.y if smooth is None else smooth, self.scene.window, self.dots[0], self.scale.log)
            if smooth is not None:
                raw = one.reduced(one.y, self.scene.window, self.dots[0], self.scale.log)
                layers.append(self._layer(raw))
                behind.append(True)
                styles.append(style + 1)
            if one.style == "line":
                layers.append(self._layer(front))
                if one.dash:
                    layers[-1].dash(DASHES[one.dash % len(DASHES)])
                behind.append(False)
                styles.append(style)
            glyphs += [(row, column, one.glyph, style) for row, column in self._glyph_cells(one, front, lines)]
        if layers:
            cells, owner = merge([layer.cells() for layer in layers], behind)
            inner.codes[:] = GLYPHS[self.scene.look.glyphs][cells]
            inner.styles[:] = np.array([*styles, 0], dtype=np.int16)[owner]
        return glyphs

    def _layer(self, reduced: Reduced) -> Canvas:
        canvas = Canvas(*self.dots)
        first, last, low, high = (
            self._rows(values) for values in (reduced.first, reduced.last, reduced.low, reduced.high)
        )
        canvas.strokes(reduced.column, reduced.stroke, first, last, high, low)
        return canvas

    def _glyph_cells(self, one: Series, front: Reduced, lines: int) -> list[tuple[int, int]]:
        """Cells that carry the series' marker: every point when there are few, else a few along the curve."""
        if one.style == "points":
            part = one.inside(*self.scene.window)
            usable = one.usable(part, self.scale.log)
            across = dot_columns(one.x[part][usable], *self.scene.window, self.dots[0]) // DOTS_ACROSS
            down = self._rows(one.y[part][usable]) // DOTS_DOWN
            return [divmod(cell, self.width) for cell in np.unique(down * self.width + across).tolist()]
        columns = front.column // DOTS_ACROSS
        rows = self._rows(front.last) // DOTS_DOWN
        seen = (columns >= 0) & (columns < self.width)
        part = one.inside(*self.scene.window)
        if part.stop - part.start > max(1, self.width // 6):
            if lines < 2:
                return []
            phase = (_STAGGER // 2 + 7 * one.slot) % _STAGGER
            _, once = np.unique(columns, return_index=True)
            first = np.zeros(len(columns), dtype=np.bool_)
            first[once] = True
            seen &= (columns % _STAGGER == phase) & first
        rows, columns = rows[seen], columns[seen]
        return list(zip(rows.tolist(), columns.tolist(), strict=True))

    def _levels(self, inner: Grid) -> None:
        for level in self.scene.levels:
            if self.scale.log and level.y <= 0:
                continue
            row = int(self._rows(np.array([level.y]))[0]) // DOTS_DOWN
            if not 0 <= row < self.height:
                continue
            blank = inner.codes[row] == _BLANK
            inner.codes[row][blank] = _DASH
            inner.styles[row][blank] = MARKER
            label = _solid(shorten(plain(level.label), self.width))
            for at in (row + 1, row - 1):  # below first: a limit stands at the top
                for start in (1, self.width - len(label) - 1):
                    if label and start >= 0 and inner.free(at, start, start + len(label)):
                        inner.put(at, start, label, MARKER)
                        label = ""

    def _vertical_marks(self, inner: Grid) -> None:
        for mark in ruled(self.marks, self.width):
            column = self._column(mark.x)
            if not 0 <= column < self.width:
                continue
            blank = inner.codes[:, column] == _BLANK
            inner.codes[blank, column] = _RULE
            inner.styles[blank, column] = MARKER
            label = _solid(shorten(plain(mark.label), 20))
            spots = ((row, start) for row in (0, 1) for start in (column + 1, column - len(label)))
            for row, start in spots if label else ():
                if inner.free(row, max(start - 1, 0) if start < column else start, min(start + len(label), self.width)):
                    if start < 0 or start + len(label) > self.width:
                        continue
                    inner.put(row, start, label, MARKER)
                    break

    def _crosshair(self, inner: Grid, x: float) -> None:
        column = self._column(x)
        if not 0 <= column < self.width:
            return
        blank = np.isin(inner.codes[:, column], (_BLANK, _RULE, _DASH))
        inner.codes[blank, column] = ord("│")
        inner.styles[blank, column] = CROSSHAIR
        for index, one in enumerate(self.scene.series):
            found = one.at(x)
            if found is None or self._column(float(one.x[found[0]])) != column:
                continue
            smooth = one.smoothed(self.scene.look.smoothing)
            value = float((one.y if smooth is None else smooth)[found[0]])
            row = int(self._rows(np.array([value]))[0]) // DOTS_DOWN if not self.scale.log or value > 0 else -1
            inner.put(row, column, one.glyph, SERIES + 2 * index)
