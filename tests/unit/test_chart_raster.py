"""The rasteriser against a slow implementation that lights one dot at a time."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.ui.charts.raster import (
    GLYPHS,
    Canvas,
    column_edges,
    dot_columns,
    merge,
    reduce_curve,
    to_rows,
)

GAP = math.nan


def slow(points: list[tuple[int, float]], width: int, height: int, low: float, high: float) -> set[tuple[int, int]]:
    """Dots of a curve: every pair of neighbours joined column by column, nothing reduced."""
    lit: set[tuple[int, int]] = set()

    def run(column: int, start: int, end: int) -> None:
        for row in range(min(start, end), max(start, end) + 1):
            if 0 <= column < width and 0 <= row < height:
                lit.add((column, row))

    before: tuple[int, int] | None = None
    for column, value in points:
        if not math.isfinite(value):
            before = None
            continue
        row = math.floor((1.0 - (value - low) / (high - low)) * (height - 1) + 0.5)
        run(column, row, row)
        if before is not None:
            path = [before]
            across = column - before[0]
            for between in range(before[0] + 1, column):
                rise = row - before[1]
                path.append((between, before[1] + (2 * rise * (between - before[0]) + across) // (2 * across)))
            path.append((column, row))
            for (c1, r1), (c2, r2) in pairwise(path):
                if c1 == c2:
                    run(c1, r1, r2)
                    continue
                middle = (r1 + r2) // 2
                run(c1, r1, middle if r2 > r1 else middle + 1 if r2 < r1 else r1)
                run(c2, middle + 1 if r2 > r1 else middle if r2 < r1 else r2, r2)
        before = (column, row)
    return lit


def fast(x: list[float], y: list[float], width: int, height: int, window: tuple[float, float]) -> Canvas:
    values = np.array(y, dtype=float)
    reduced = reduce_curve(np.array(x, dtype=float), values, np.isfinite(values), window, width)
    canvas = Canvas(width, height)
    rows = [to_rows(part, height) for part in (reduced.first, reduced.last, reduced.high, reduced.low)]
    canvas.strokes(reduced.column, reduced.stroke, *rows)
    return canvas


def dots(canvas: Canvas) -> set[tuple[int, int]]:
    return {(c, r) for c, mask in enumerate(canvas.columns) for r in range(canvas.height) if mask >> r & 1}


value = st.one_of(st.integers(-16, 80).map(lambda n: n / 64), st.just(GAP), st.just(math.inf))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-40, 120), value), max_size=40),
    st.integers(2, 30),
    st.integers(1, 40),
    st.integers(1, 8),
)
def test_a_curve_lights_the_dots_of_the_slow_reference(
    points: list[tuple[int, float]], width: int, height: int, zoom: int
) -> None:
    points = sorted(points, key=lambda point: point[0])
    window = (0.0, float((width - 1) * zoom))
    columns = [math.floor(x / zoom + 0.5) for x, _ in points]
    expected = slow([(c, y) for c, (_, y) in zip(columns, points, strict=True)], width, height, 0.0, 1.0)
    assert dots(fast([x for x, _ in points], [y for _, y in points], width, height, window)) == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=200), st.integers(2, 60), st.integers(2, 60))
def test_an_unbroken_curve_has_no_hole(values: list[float], width: int, height: int) -> None:
    canvas = fast(list(range(len(values))), values, width, height, (0.0, len(values) - 1.0))
    assert all(canvas.columns)
    for left, right in pairwise(canvas.columns):
        assert left & (right | right << 1 | right >> 1), "neighbouring columns touch"


def test_nan_ends_a_stroke_and_a_lonely_point_is_one_dot() -> None:
    canvas = fast([0, 1, 2, 3, 4], [0.0, GAP, 1.0, GAP, 0.0], 9, 5, (0.0, 4.0))
    assert dots(canvas) == {(0, 4), (4, 0), (8, 4)}


def test_a_gap_inside_one_column_does_not_join_its_neighbours() -> None:
    canvas = fast([0, 10, 10.2, 10.4, 20], [0.5, 0.5, GAP, 0.5, 0.5], 3, 3, (0.0, 20.0))
    assert dots(canvas) == {(0, 1), (1, 1), (2, 1)}
    apart = fast([0, 10, 10.2, 20], [0.5, 0.5, GAP, 0.5], 5, 3, (0.0, 20.0))
    assert dots(apart) == {(0, 1), (1, 1), (2, 1), (4, 1)}


def test_lines_reach_the_edges_when_their_ends_lie_outside() -> None:
    canvas = fast([-1000, 1000], [0.5, 0.5], 10, 9, (0.0, 1.0))
    assert dots(canvas) == {(column, 4) for column in range(10)}


def test_a_window_without_extent_puts_all_in_the_middle() -> None:
    assert dots(fast([5, 5, 5], [0.0, 1.0, 0.5], 9, 4, (5.0, 5.0))) == {(4, row) for row in range(4)}


def test_nothing_to_draw() -> None:
    assert dots(fast([], [], 5, 5, (0.0, 1.0))) == set()
    assert dots(fast([1, 2], [GAP, GAP], 5, 5, (0.0, 3.0))) == set()


def test_far_values_stay_outside_without_overflow() -> None:
    x, y = [0.0, 1e-9, 1e9], [-1e300, 1e300, 0.5]
    assert dots(fast(x, y, 20, 20, (0.0, 1.0)))


def test_edges_and_columns_agree() -> None:
    edges = column_edges(2.0, 12.0, 21)
    x = np.linspace(2.0, 12.0, 997)
    assert (np.searchsorted(edges, x, side="right") - 1 == dot_columns(x, 2.0, 12.0, 21)).all()


@settings(max_examples=100, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 8), st.integers(0, 10))), st.integers(1, 9), st.integers(1, 11))
def test_braille_cells_show_every_dot(lit: set[tuple[int, int]], width: int, height: int) -> None:
    canvas = Canvas(width, height)
    for column, row in lit:
        canvas.run(column, row, row)
    cells = canvas.cells()
    assert cells.shape == (-(-height // 4), -(-width // 2))
    offsets = {(0, 0): 1, (0, 1): 2, (0, 2): 4, (1, 0): 8, (1, 1): 16, (1, 2): 32, (0, 3): 64, (1, 3): 128}
    for (row, column), cell in np.ndenumerate(cells):
        code = 0x2800
        for (across, down), bit in offsets.items():
            if (2 * column + across, 4 * row + down) in lit and 2 * column + across < width and 4 * row + down < height:
                code += bit
        assert chr(GLYPHS["braille"][cell]) == (" " if code == 0x2800 else chr(code))


@pytest.mark.parametrize("name", ["blocks", "ascii"])
def test_coarse_glyphs_are_blank_only_for_the_empty_cell(name: str) -> None:
    assert [code for code in range(256) if chr(GLYPHS[name][code]) == " "] == [0]


def test_the_topmost_curve_owns_a_cell_and_shows_its_own_dots_only() -> None:
    first, second, raw = (np.array([[code]], dtype=np.uint8) for code in (0x01, 0x10, 0x80))
    cells, owner = merge([first, second], [False, False])
    assert (cells[0, 0], owner[0, 0]) == (0x10, 1)
    cells, owner = merge([first, raw], [False, True])
    assert (cells[0, 0], owner[0, 0]) == (0x01, 0), "raw values stay behind, wherever they are in the list"
    cells, owner = merge([np.zeros((1, 1), np.uint8), raw], [False, True])
    assert (cells[0, 0], owner[0, 0]) == (0x80, 1)
    cells, owner = merge([np.zeros((1, 1), np.uint8)], [False])
    assert (cells[0, 0], owner[0, 0]) == (0, -1)


def test_a_canvas_without_extent_has_no_cells() -> None:
    assert Canvas(0, 4).cells().shape == (1, 0)
    with pytest.raises(ValueError, match="cannot measure"):
        Canvas(-1, 4)
