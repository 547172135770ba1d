"""Marks and levels: which show where there is no room for all, and how they are told apart."""

from __future__ import annotations

import numpy as np

from tests.unit.test_chart_paint import X, picture, series
from tui_tuner.ui.charts.header import Look
from tui_tuner.ui.charts.marks import QUIET, Level, Mark, kinds, ruled, visible
from tui_tuner.ui.charts.paint import Scene, paint

BEST = Mark(5, "◆", "best", "best checkpoint", rank=9)
PAUSE = Mark(5.01, "‖", "pause", "paused for 2:03", rank=4, rule=False)
DUE = [Mark(float(x), "◇", "checkpoint", rank=QUIET, rule=False) for x in range(11)]


def test_the_axis_shows_the_more_important_of_two_in_one_cell() -> None:
    for marks in ((BEST, PAUSE), (PAUSE, BEST)):
        _, text, _ = picture(series("a", X, X), marks=marks)
        assert "◆" in text[-2] and "‖" not in text[-2]
        _, text, _ = picture(series("a", X, X), marks=marks, crosshair=5.0)
        assert text[0].startswith("Loss  ◆ best checkpoint · ‖ paused for 2:03"), "the crosshair names both"


def test_quiet_marks_go_where_they_would_crowd() -> None:
    _, text, _ = picture(series("a", X, X), marks=tuple(DUE), width=120)
    assert text[-2].count("◇") == 11
    _, text, _ = picture(series("a", X, X), marks=(*DUE, BEST), width=60)
    assert "◇" not in text[-2] and "◆" in text[-2]
    _, text, _ = picture(series("a", X, X), marks=tuple(DUE), width=60, crosshair=3.0)
    assert "◇ checkpoint" in text[0], "the crosshair still finds them"


def test_lines_are_few_and_the_important_ones() -> None:
    marks = [Mark(float(x), "η", f"η {x}", rank=7) for x in range(10)]
    shown = visible([*marks, BEST], (0.0, 10.0), 36)
    assert [mark.label for mark in ruled(shown, 36)] == ["η 8", "η 9", "best"]
    assert ruled(shown, 200) == [*marks, BEST]


def test_the_legend_explains_signs_without_a_line() -> None:
    assert kinds([PAUSE, BEST, Mark(1, "×", "skipped", rank=5, rule=False)]) == [("×", "skipped"), ("‖", "pause")]
    _, text, _ = picture(series("a", X, X), marks=(PAUSE, BEST))
    assert "‖ pause" in text[1] and "◆ best" not in text[1]
    _, text, plot = picture(series("a", X, X), marks=(PAUSE,), width=18)
    assert "pause" not in "".join(text[: plot.top]), "what does not fit is left out, and costs no line"


def test_marks_beyond_the_window_do_not_show() -> None:
    _, text, _ = picture(series("a", X, X), marks=(Mark(11, "‖", "pause", rule=False),))
    assert "‖" not in "".join(text)


def test_a_label_keeps_its_blanks_and_the_crosshair_spares_it() -> None:
    _, text, _ = picture(series("a", [0, 10], [0, 0]), marks=(Mark(5, "η", "η 1e-4"),), crosshair=5.4)
    assert any("η\N{NO-BREAK SPACE}1e-4" in line for line in text)


def scene(*levels: Level, y: float = 1.0, log: bool = False) -> list[str]:
    one = series("a", X, np.full(11, y))
    lines, _ = paint(Scene(Look("Memory", log_y=log), [one], (), (0.0, 10.0), levels=levels), 60, 16)
    return ["".join(span.text for span in line) for line in lines]


def test_a_level_is_a_line_with_its_label() -> None:
    text = scene(Level(4.0, "limit 4"))
    row = next(at for at, line in enumerate(text) if "╌╌╌" in line)
    assert "limit\N{NO-BREAK SPACE}4" in text[row + 1]
    assert row < 5, "the axis reaches so far"


def test_a_level_that_is_not_wanted_does_not_flatten_the_curve() -> None:
    assert not any("╌" in line for line in scene(Level(400.0, "limit", wanted=False)))


def test_a_level_below_zero_is_no_place_on_a_log_axis() -> None:
    assert not any("╌" in line for line in scene(Level(-1.0, "below"), log=True))
