"""What a chart says and where it says it, painted without a terminal."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tui_tuner.ui.charts.grid import SERIES, Grid, Span, fit_line, plain, shorten
from tui_tuner.ui.charts.header import Look
from tui_tuner.ui.charts.marks import Mark
from tui_tuner.ui.charts.paint import Plot, Scene, paint
from tui_tuner.ui.charts.series import Series, ordered


def series(name: str, x: object, y: object, slot: int = 0, style: str = "line", smooth: bool = True) -> Series:
    one = Series(name, slot, style, smooth=smooth)  # type: ignore[arg-type]
    one.set_points(x, y)  # type: ignore[arg-type]
    return one


def picture(
    *curves: Series,
    width: int = 60,
    height: int = 16,
    look: Look | None = None,
    marks: tuple[Mark, ...] = (),
    window: tuple[float, float] = (0.0, 10.0),
    crosshair: float | None = None,
) -> tuple[list[list[Span]], list[str], Plot]:
    lines, plot = paint(Scene(look or Look("Loss"), curves, marks, window, crosshair), width, height)
    return lines, ["".join(span.text for span in line) for line in lines], plot


X = np.arange(11.0)


def test_title_legend_axes_and_ticks() -> None:
    _, text, plot = picture(series("train", X, 10 - X), look=Look("Loss", y_label="nats"))
    assert text[0].startswith("Loss  nats")
    assert text[1].startswith("● train 0")
    assert "┤" in text[plot.top] or "│" in text[plot.top]
    assert "└" in text[-2] and "┬" in text[-2]
    assert text[-1].split() == ["step", "0", "2", "4", "6", "8", "10"]
    for tick in ("0", "5", "10"):
        assert any(line.lstrip().startswith(f"{tick} ┤") for line in text), tick


def test_x_labels_stand_under_their_ticks() -> None:
    _, text, _ = picture(series("a", X, X))
    marks = [at for at, character in enumerate(text[-2]) if character == "┬"]
    labels = [at for at, character in enumerate(text[-1]) if character.isdigit() and text[-1][at - 1] == " "]
    assert len(marks) == len(labels)
    assert all(abs(mark - label) <= 1 for mark, label in zip(marks, labels, strict=True))


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 100),
    st.integers(0, 40),
    st.lists(st.one_of(st.floats(-1e9, 1e9), st.just(math.nan), st.just(math.inf)), max_size=30),
    st.booleans(),
    st.sampled_from([0.0, 0.9]),
    st.booleans(),
)
def test_every_size_and_every_data_fills_the_rectangle(
    width: int, height: int, values: list[float], log: bool, smoothing: float, crosshair: bool
) -> None:
    _, text, _ = picture(
        series("数", range(len(values)), values),
        series("b", range(len(values)), [-value for value in values], 1, "points"),
        width=width,
        height=height,
        look=Look("損失 [b]", log_y=log, smoothing=smoothing),
        marks=(Mark(3, "★", "best 最"),),
        window=(0.0, float(max(1, len(values) - 1))),
        crosshair=2.0 if crosshair else None,
    )
    assert len(text) == height
    assert all(cell_len(line) == width for line in text)


def test_a_readout_lists_every_series_at_the_crosshair() -> None:
    curves = (series("train", X, X), series("valid", [0, 4, 8], [9.0, 8.0, 7.0], 1), series("none", [9], [1.0], 2))
    _, text, _ = picture(*curves, crosshair=5.0)
    assert text[1].startswith("step 5   ● train 5.000   ▲ valid 8.000 @4   ■ none –")


def test_a_readout_names_the_marker_under_it() -> None:
    _, text, _ = picture(series("a", X, X), marks=(Mark(5, "★", "best"),), crosshair=5.0)
    assert text[0].startswith("Loss  ★ best") and "★" not in text[1]
    _, text, _ = picture(series("a", X, X), marks=(Mark(5, "★", "best"),), crosshair=5.0, look=Look())
    assert "★ best" in text[0], "without a title it stands among the values"


def test_a_long_legend_wraps_and_loses_nobody() -> None:
    curves = [series(f"series number {n}", X, X + n, n) for n in range(4)]
    _, text, plot = picture(*curves, width=50, height=24)
    head = " ".join(text[: plot.top])
    assert all(f"series number {n}" in head for n in range(4))


def test_curves_have_markers_of_their_own() -> None:
    many = np.linspace(0, 10, 500)
    lines, text, plot = picture(series("a", many, many), series("b", many, 10 - many, 1), width=80)
    body = "".join(text[plot.top : plot.top + plot.height])
    assert "●" in body and "▲" in body
    styles = {span.style for line in lines for span in line}
    assert {SERIES, SERIES + 2} <= styles


def test_points_are_markers_without_a_line() -> None:
    _, text, plot = picture(series("p", [0, 5, 10], [0.0, 1.0, 2.0], style="points"))
    body = "".join(text[plot.top : plot.top + plot.height])
    assert body.count("●") == 3
    assert not any(0x2800 < ord(character) < 0x2900 for character in body)


def test_smoothing_puts_the_raw_values_behind() -> None:
    many = np.arange(400.0)
    noisy = np.random.default_rng(0).normal(0, 1, 400)
    lines, text, _ = picture(series("a", many, noisy), window=(0, 399), look=Look("L", smoothing=0.9))
    assert {SERIES, SERIES + 1} <= {span.style for line in lines for span in line}
    assert "~ smoothed 0.9" in text[0] and "~" in text[1]
    lines, text, _ = picture(series("a", many, noisy, smooth=False), window=(0, 399), look=Look("L", smoothing=0.9))
    assert SERIES + 1 not in {span.style for line in lines for span in line} and "~" not in text[1]


def test_a_log_axis_leaves_gaps_and_says_so_when_nothing_is_left() -> None:
    look = Look("L", log_y=True)
    _, text, plot = picture(series("a", X, [1, 10, 100, 0, -5, 100, 10, 1, 1, 1, 1]), look=look)
    column = plot.left + round(plot.width * 0.35)
    body = [line[column] for line in text[plot.top : plot.top + plot.height]]
    assert set(body) <= {" ", "┈"}, "between a drawable value and zero there is no line"
    _, text, _ = picture(series("a", X, -X), look=look)
    assert any("nothing above zero here" in line for line in text)


def test_the_empty_text_is_shown_until_there_is_a_finite_point() -> None:
    look = Look("L", empty="no points yet: waiting for the first step")
    for curves in ((), (series("a", [], []),), (series("a", X, X * math.nan),)):
        _, text, plot = picture(*curves, look=look)
        assert any("waiting for the first step" in line for line in text)
        assert plot.width == 0


def test_a_window_between_two_points_still_shows_their_line() -> None:
    _, text, plot = picture(series("a", [0, 100], [0.0, 1.0]), window=(40, 60))
    assert any(0x2800 < ord(character) < 0x2900 for line in text[plot.top :] for character in line)


def test_one_point_and_flat_curves_are_visible() -> None:
    for x, y in (([5], [2.0]), (X, X * 0 + 3.0), ([5, 5, 5], [1.0, 1.0, 1.0])):
        _, text, plot = picture(series("a", x, y), window=(float(np.min(x)), float(np.max(x))))
        body = "".join(line[plot.left :] for line in text[plot.top : plot.top + plot.height])
        assert body.strip(" ┈"), (x, y)


def test_vertical_markers_stand_on_the_axis_and_label_free_space() -> None:
    _, text, plot = picture(series("a", X, X), marks=(Mark(5, "★", "best"), Mark(50, "x", "outside")))
    assert "★" in text[-2] and "best" in "".join(text[plot.top : plot.top + 2])
    assert "outside" not in "".join(text)
    covered = series("a", np.linspace(0, 10, 400), np.tile([0.0, 1.0], 200))
    _, text, _ = picture(covered, marks=(Mark(5, "★", "best"),))
    assert "★" in text[-2] and "best" not in "".join(text), "a label gives way to data"


def test_control_characters_become_signs() -> None:
    assert plain("a\x1b[31mb\n\x7f\u202e") == "a␛[31mb␊␡\N{REPLACEMENT CHARACTER}"
    _, text, _ = picture(series("x\x1b]0;", X, X), look=Look("[red]t\x07[/]"))
    assert text[0].startswith("[red]t␇[/]") and "x␛]0;" in text[1]


def test_lines_are_cut_by_cells_not_by_characters() -> None:
    assert shorten("数数数", 5) == "数数…"
    assert shorten("abc", 0) == ""
    assert fit_line([Span("数数数", 1)], 4) == [Span("数…", 1), Span(" ", 0)]


def test_a_grid_puts_one_cell_characters_only() -> None:
    grid = Grid(4, 1)
    grid.put(0, 1, "数b", 3)
    assert "".join(span.text for span in next(grid.lines())) == " ?b "


def test_points_are_put_in_order_and_unplaceable_ones_end_the_stroke() -> None:
    x, y = ordered([3, 1, 2], [30.0, 10.0, 20.0])
    assert (x.tolist(), y.tolist()) == ([1, 2, 3], [10, 20, 30])
    x, y = ordered([math.nan, 1, math.nan, 2], [0.0, 1.0, 5.0, 2.0])
    assert x.tolist() == [1, 1, 2]
    np.testing.assert_array_equal(y, [1.0, math.nan, 2.0])
    with pytest.raises(ValueError, match="equally long"):
        ordered([1, 2], [1.0])


def test_looking_up_skips_gaps_and_never_interpolates() -> None:
    one = series("a", [0, 2, 4], [1.0, math.nan, 3.0])
    assert one.at(-1) is None
    assert one.at(0) == (0, True)
    assert one.at(3) == (0, False)
    assert one.at(4) == (2, True)
    assert one.last() == 2
