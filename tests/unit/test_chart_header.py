"""What stands above a plot and beside its axis: titles, legend, readout, labels of values; and how points are found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tui_tuner.ui.charts.grid import LEGEND, MARKER, SERIES, Span
from tui_tuner.ui.charts.header import LONGEST_NAME, Entry, Look, explained, fill, legend, readout, title_line, wrap
from tui_tuner.ui.charts.marks import Mark, kinds, near
from tui_tuner.ui.charts.mouse import _nearest
from tui_tuner.ui.charts.series import GLYPHS, Series, ordered
from tui_tuner.ui.charts.units import format_value, labels
from tui_tuner.ui.charts.viewport import DEEPEST, Viewport


def text_of(entry: list[Span]) -> str:
    return "".join(span.text for span in entry)


def curve(name: str, x: list[float], y: list[float], slot: int = 0, **options: object) -> Series:
    made = Series(name, slot, **options)  # type: ignore[arg-type]
    made.set_points(x, y)
    return made


# -- the title --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("look", "share", "follow", "right"),
    [
        (Look("loss"), None, True, ""),
        (Look("loss", log_y=True), None, True, "log"),
        (Look("loss", smoothing=0.6), None, True, "~ smoothed 0.6"),
        (Look("loss"), 25.0, True, "25% of x · tail"),
        (Look("loss"), 2.345, False, "2.3% of x · held"),
        (Look("loss", log_y=True, smoothing=0.9), 9.99, False, "log · ~ smoothed 0.9 · 10% of x · held"),
    ],
)
def test_the_title_says_what_differs_from_the_plain_picture(
    look: Look, share: float | None, follow: bool, right: str
) -> None:
    line = text_of(title_line(look, 60, share, follow))
    assert line.startswith("loss") and line.removeprefix("loss").strip() == right
    assert cell_len(line) == (60 if right else 4)


def test_a_narrow_title_leaves_its_state_out_before_its_name() -> None:
    look = Look("training loss", y_label="nats", log_y=True)
    assert text_of(title_line(look, 60, None, True)).startswith("training loss  nats ")
    assert text_of(title_line(look, 20, None, True)) == "training loss  nats"
    assert text_of(title_line(Look(y_label="nats"), 20, None, True)) == "nats"


def test_marks_under_the_crosshair_stand_in_the_labels_place() -> None:
    marks = [Mark(3, "◆", "best", "best checkpoint, step 3"), Mark(3, "\x1b", "odd")]
    line = title_line(Look("loss", y_label="nats"), 80, None, True, marks)
    assert text_of(line) == "loss  ◆ best checkpoint, step 3 · ␛ odd"
    assert line[1].style == MARKER


# -- legend and readout -----------------------------------------------------------------------------------------------
def test_the_legend_has_marker_name_and_last_value_of_each() -> None:
    series = [
        curve("train", [1, 2, 3], [3.0, 2.0, math.nan]), curve("val. " + "x" * 40, [1], [0.4731], 1),
        curve("none yet", [], [], 2),
    ]  # fmt: skip
    told = legend(series, Look())
    assert [text_of(entry) for entry in told] == [
        "● train 2.000", f"▲ {'val. ' + 'x' * (LONGEST_NAME - 6)}… 0.4731", "■ none yet –",
    ]  # fmt: skip
    assert [entry[0].style for entry in told] == [SERIES, SERIES + 2, SERIES + 4]
    assert all(entry[1].style == LEGEND for entry in told)


def test_a_smoothed_value_stands_behind_the_one_that_was_measured() -> None:
    series = [curve("train", [1, 2], [4.0, 2.0]), curve("points", [1], [7.0], 1, style="points")]
    # Bias-corrected: (0.5 · 0.5 · 4 + 0.5 · 2) / (1 - 0.5²) = 2 / 0.75.
    assert text_of(legend(series, Look(smoothing=0.5))[0]) == "● train 2.000 ~2.667"
    assert text_of(legend(series, Look(smoothing=0.5))[1]) == "▲ points 7.000"


def test_a_readout_names_the_x_of_a_value_that_was_measured_earlier() -> None:
    series = [
        curve("train", [10, 20, 30], [3.0, 2.0, 1.0]),
        curve("val.", [20], [2.5], 1),
        curve("later", [99], [1], 2),
    ]
    told = readout(series, Look(), 25, [Mark(25, "◆", "best")])
    assert [text_of(entry) for entry in told] == [
        "step 25", "● train 2.000 @20", "▲ val. 2.500 @20", "■ later –", "◆ best",
    ]  # fmt: skip
    assert text_of(readout(series, Look(), 20)[1]) == "● train 2.000"
    assert text_of(readout([], Look(x_label="", x_unit="seconds"), 90)[0]) == "1m30s"


@settings(max_examples=40)
@given(st.lists(st.integers(1, 20), max_size=8), st.integers(1, 60))
def test_wrapping_keeps_every_entry_whole_and_in_order(sizes: list[int], width: int) -> None:
    entries: list[Entry] = [[Span(chr(65 + number) * size, LEGEND)] for number, size in enumerate(sizes)]
    lines = wrap(entries, width)
    assert "".join(text_of(line) for line in lines).replace(" ", "") == "".join(map(text_of, entries))
    for line in lines:
        assert cell_len(text_of(line)) <= width or "   " not in text_of(line)


def test_explanations_fill_the_last_line_as_far_as_it_goes() -> None:
    lines: list[list[Span]] = [[Span("first", LEGEND)], [Span("last", LEGEND)]]
    marks = [Mark(1, "×", "skipped", rank=5, rule=False), Mark(2, "◈", "saved", rank=3, rule=False)]
    fill(lines, explained(marks), 20)
    assert [text_of(line) for line in lines] == ["first", "last   × skipped"]
    fill(lines, [[Span("x", LEGEND)]], 20)
    assert text_of(lines[1]) == "last   × skipped   x"
    none: list[list[Span]] = []
    fill(none, explained(marks), 20)
    assert none == []


def test_kinds_are_told_once_the_most_important_first_and_the_nearest_marks_likewise() -> None:
    marks = [
        Mark(1, "◈", "saved", rank=3, rule=False), Mark(5, "◈", "saved", rank=3, rule=False),
        Mark(5, "×", "skipped", rank=5, rule=False), Mark(6, "◆", "best", rank=9), Mark(7, "?", "", rule=False),
    ]  # fmt: skip
    assert kinds(marks) == [("×", "skipped"), ("◈", "saved")]
    assert [mark.glyph for mark in near(marks, 5.4, 0.6)] == ["◆", "×", "◈"]
    assert near(marks, 3, 0.5) == []


# -- values -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (math.nan, "plain", "–"), (math.inf, "bytes", "∞"), (-math.inf, "seconds", "-∞"), (0.0, "plain", "0"),
        (0.0, "rate", "0"), (2.5e-5, "rate", "2.5e-5"), (0.12345, "percent", "12.35%"),
        (1234567.0, "integer", "1,234,567"),
        (0.5, "integer", "0.5000"), (1e12, "plain", "1e12"), (99_999.0, "plain", "99999"),
        (123_456.0, "plain", "123.5k"),
        (999.0, "bytes", "999 B"), (999.96, "bytes", "1.000 kB"),
        (0.99996, "plain", "1.000"), (9.99996, "plain", "10.00"),
        (16e9, "bytes", "16.00 GB"),
        (0.0004, "seconds", "4e-4s"),
        (59.96, "seconds", "1m"), (3_599.6, "seconds", "1h"), (3_725.0, "seconds", "1h02m"),
        (90_061.0, "seconds", "1d01h"),
        (-75.0, "seconds", "-1m15s"), (1e-4, "plain", "1e-4"),
    ],
)  # fmt: skip
def test_a_value_alone_carries_four_digits(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text  # type: ignore[arg-type]


@settings(max_examples=50)
@given(
    st.floats(-1e9, 1e9), st.sampled_from([1.0, 2.0, 5.0]), st.integers(-6, 6), st.integers(2, 8),
    st.sampled_from(["plain", "integer", "bytes", "percent", "rate"]),
)  # fmt: skip
def test_no_two_ticks_have_the_same_label(start: float, factor: float, power: int, count: int, unit: str) -> None:
    step = factor * 10.0**power
    first = round(start / step) * step
    values = [first + number * step for number in range(count)]
    if len(set(values)) == count and abs(first) < step * 1e12:
        assert len(set(labels(values, step, unit))) == count  # type: ignore[arg-type]


# -- points -----------------------------------------------------------------------------------------------------------
def test_points_without_a_place_end_the_stroke_and_disorder_is_put_in_order() -> None:
    x, y = ordered([3, 1, math.nan, 2], [30, 10, 99, 20])
    assert x.tolist()[0] == 1 and np.isnan(y).sum() == 1 and 99 not in y
    x, y = ordered([1, math.inf, 2], [10, 99, 20])
    assert x.tolist() == [1, 1, 2] and math.isnan(y[1])
    assert ordered([math.nan], [1.0])[0].tolist() == []
    for wrong in (([1, 2], [1]), ([[1]], [[1]])):
        with pytest.raises(ValueError, match="equally long"):
            ordered(*wrong)


def test_a_look_up_gives_what_was_measured_there_or_before() -> None:
    one = curve("loss", [1, 2, 3], [4.0, math.nan, 2.0])
    assert (one.at(0.5), one.at(1), one.at(2.9), one.at(3), one.at(99)) == (
        None, (0, True), (0, False), (2, True), (2, False),
    )  # fmt: skip
    assert one.last() == 2 and curve("none", [1], [math.nan]).last() is None
    assert one.extremes((0, 9), log=False) == (2.0, 4.0)
    assert curve("neg", [1, 2], [-1.0, 5.0]).extremes((0, 9), log=True) == (5.0, 5.0)
    assert curve("neg", [1], [-1.0]).extremes((0, 9), log=True) is None
    assert one.extremes((1.2, 1.4), log=False) == (4.0, 4.0), "between two points those around count"


def test_curves_beyond_the_last_marker_start_over() -> None:
    assert [Series("s", slot).glyph for slot in (0, len(GLYPHS) - 1, len(GLYPHS))] == [GLYPHS[0], GLYPHS[-1], GLYPHS[0]]


@settings(max_examples=40)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=20), st.floats(-60, 60))
def test_the_mouse_takes_the_nearest_point(values: list[int], at: float) -> None:
    x = np.array(sorted(values), dtype=np.float64)
    assert abs(x[_nearest(x, at)] - at) == min(abs(x - at))


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["zoom", "pan", "tail", "follow", "reveal", "grow"]), st.floats(0.01, 9)), max_size=12
    )
)
def test_a_window_never_leaves_the_data_nor_shrinks_to_nothing(moves: list[tuple[str, float]]) -> None:
    view, high = Viewport(), 100.0
    view.set_extent(0.0, high)
    for move, value in moves:
        if move == "zoom":
            view.zoom(value)
        elif move == "pan":
            view.pan(value - 4)
        elif move == "tail":
            view.show_tail(value * 10)
        elif move == "follow":
            view.toggle_follow()
        elif move == "reveal":
            view.reveal(value * 10)
        else:
            high += value
            view.set_extent(0.0, high)
        low, end = view.window
        assert end - low >= high * DEEPEST * 0.99
        assert end <= high * (1 + 1e-9) or (view.span is not None and view.span > high)
        if view.follow:
            assert end == pytest.approx(high)
