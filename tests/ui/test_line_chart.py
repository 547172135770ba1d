"""The chart widget in an app: data, keys, mouse, resizing and themes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual.color import Color, ColorParseError
from textual.events import MouseScrollUp
from textual.geometry import Offset
from textual.pilot import Pilot

from tui_tuner.ui.charts import LineChart
from tui_tuner.ui.charts.marks import Level, Mark

ROOT = Path(__file__).resolve().parents[2]
X = np.arange(0.0, 1001.0)
Y = 3.0 * np.exp(-X / 300) + 1.0


class Host(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.moved: list[float | None] = []

    def compose(self) -> ComposeResult:
        yield LineChart("Loss [bold]", y_label="nats", empty_text="no points yet: waiting")

    def on_line_chart_cursor_moved(self, event: LineChart.CursorMoved) -> None:
        self.moved.append(event.x)


def text(chart: LineChart) -> list[str]:
    return [strip.text for strip in chart.frame()]


async def ready(pilot: Pilot[None], filled: bool = True) -> LineChart:
    chart = pilot.app.query_one(LineChart)
    if filled:
        chart.set_series("train", X, Y)
        chart.set_series("valid", X[::100], Y[::100] + 0.1)
    chart.focus()
    await pilot.pause()
    return chart


async def test_it_shows_the_empty_text_then_the_curves() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot, filled=False)
        assert any("no points yet: waiting" in line for line in text(chart))
        await ready(pilot)
        shown = text(chart)
        assert not any("no points yet" in line for line in shown)
        assert shown[0].startswith("Loss [bold]  nats"), "a title is text, never markup"
        assert "● train 1.107" in shown[1] and "▲ valid 1.207" in shown[1]


async def test_names_that_look_like_markup_stay_as_they_are() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot, filled=False)
        chart.set_series("[red]x[/]\x1b", [1, 2], [1.0, 2.0])
        assert "[red]x[/]␛" in text(chart)[1]


async def test_a_frame_is_painted_once_until_something_changes() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        frame = chart.frame()
        assert chart.frame() is frame
        chart.set_series("train", X, Y + 1)
        assert chart.frame() is not frame
        frame = chart.frame()
        chart.title = "Other"
        assert chart.frame() is not frame and text(chart)[0].startswith("Other")


async def test_resizing_draws_anew() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        for size in ((120, 40), (40, 10), (12, 4), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            strips = chart.frame()
            assert (len(strips), {strip.cell_length for strip in strips}) == (size[1], {size[0]})


async def test_zoom_pan_and_reset_by_keys() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        await pilot.press("plus")
        assert chart.viewport.window == (500, 1000)
        assert "50% of x · tail" in text(chart)[0]
        await pilot.press("left")
        assert chart.viewport.window == (375, 875) and "held" in text(chart)[0]
        await pilot.press("right", "right")
        assert chart.viewport.follow
        await pilot.press("minus")
        assert not chart.viewport.zoomed
        await pilot.press("plus", "plus", "0")
        assert chart.viewport.window == (0, 1000)


async def test_the_view_follows_the_tail_of_a_growing_run() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        chart.follow_tail(200)
        longer = np.arange(0.0, 2001.0)
        chart.set_series("train", longer, longer)
        assert chart.viewport.window == (1800, 2000)
        await pilot.press("f")
        chart.set_series("train", np.arange(3001.0), np.arange(3001.0))
        assert chart.viewport.window == (1800, 2000)


async def test_the_crosshair_by_keys_reads_every_series() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        await pilot.press("comma")
        assert chart.cursor == 1000
        assert text(chart)[1].startswith("step 1,000   ● train 1.107   ▲ valid 1.207")
        await pilot.press("comma")
        assert chart.cursor is not None and 980 < chart.cursor < 1000
        assert "@900" in text(chart)[1], "valid was last measured at 900"
        await pilot.press("full_stop", "full_stop")
        assert chart.cursor == 1000
        await pilot.press("escape")
        assert chart.cursor is None
        await pilot.pause()
        assert pilot.app.moved[0] == 1000 and pilot.app.moved[-1] is None  # type: ignore[attr-defined]


async def test_the_crosshair_pulls_the_view_along() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        await pilot.press("plus", "plus", "plus", "comma")
        for _ in range(100):
            await pilot.press("comma")
        low, high = chart.viewport.window
        assert chart.cursor is not None and chart.cursor < 875 and low <= chart.cursor <= high


async def test_the_crosshair_jumps_from_mark_to_mark() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        await pilot.press("left_square_bracket")
        assert chart.cursor is None, "there are no marks yet"
        marks = [Mark(333.0, "‖", "pause", "paused for 2:03", rule=False), Mark(777.0, "◆", "best", "best checkpoint")]
        chart.set_markers([*marks, Mark(2000.0, "η", "beyond the curve")])
        await pilot.press("left_square_bracket")
        assert chart.cursor == 777 and "◆ best checkpoint" in text(chart)[0]
        await pilot.press("left_square_bracket", "left_square_bracket")
        assert chart.cursor == 333 and "‖ paused for 2:03" in text(chart)[0]
        assert text(chart)[1].startswith("step 333"), "the values there are read as well"
        await pilot.press("right_square_bracket", "right_square_bracket")
        assert chart.cursor == 777
        await pilot.press("escape", "plus", "plus", "right_square_bracket")
        assert chart.cursor == 777, "without a crosshair it begins with the first that is visible"


async def test_the_mouse_finds_marks_between_two_points() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        chart.set_series("train", [0.0, 1000.0], [1.0, 2.0])
        chart.clear_series("valid")
        chart.set_markers([Mark(500.0, "‖", "pause", "paused", rule=False)])
        chart.frame()
        plot = chart.plot
        column = min(range(plot.left, plot.left + plot.width), key=lambda at: abs(plot.x_at(at) - 500))
        await pilot.hover(LineChart, offset=Offset(column, plot.top + 3))
        assert chart.cursor == 500 and "‖ paused" in text(chart)[0]


async def test_what_is_set_again_unchanged_is_not_painted_again() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        chart.set_markers([Mark(500.0, "‖", "pause")])
        chart.set_levels([Level(2.0, "limit")])
        frame = chart.frame()
        chart.set_markers([Mark(500.0, "‖", "pause")])
        chart.set_levels([Level(2.0, "limit")])
        assert chart.frame() is frame


async def test_the_crosshair_by_mouse_comes_and_goes() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        chart.frame()
        middle = Offset(chart.plot.left + chart.plot.width // 2, chart.plot.top + 3)
        await pilot.hover(LineChart, offset=middle)
        assert chart.cursor is not None and abs(chart.cursor - 500) < 20
        await pilot.hover(LineChart, offset=Offset(0, 0))
        assert chart.cursor is None


async def test_the_wheel_zooms_around_the_mouse() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        chart.frame()
        at = Offset(chart.plot.left + chart.plot.width // 2, chart.plot.top + 3)
        chart.post_message(MouseScrollUp(chart, at.x, at.y, 0, -1, 0, False, False, False, at.x, at.y))
        await pilot.pause()
        low, high = chart.viewport.window
        assert 0 < low < 500 < high < 1000
        assert not chart.viewport.follow


async def test_log_axis_and_smoothing_by_keys() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        await pilot.press("l", "s")
        assert chart.log_y and chart.smoothing == 0.6
        assert "log · ~ smoothed 0.6" in text(chart)[0]
        await pilot.press("l", "s", "s", "s")
        assert not chart.log_y and chart.smoothing == 0.0


async def test_series_keep_their_place_until_cleared() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        chart.clear_series("train")
        assert "▲ valid" in text(chart)[1], "the other one keeps its marker"
        chart.set_series("again", X, Y)
        assert "● again" in text(chart)[1]
        chart.clear_series("nobody")
        chart.clear_series()
        assert chart.series == [] and any("no points yet" in line for line in text(chart))


async def test_vertical_markers() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        chart.set_markers([(600, "★", "best")])
        assert "★" in text(chart)[-2] and any("best" in line for line in text(chart))
        assert chart.markers[0].label == "best"


def _colors(chart: LineChart, needle: str) -> set[str]:
    return {
        segment.style.color.get_truecolor().hex
        for strip in chart.frame()
        for segment in strip
        if needle in segment.text and segment.style is not None and segment.style.color is not None
    }


async def test_themes_and_own_colours() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        app = pilot.app
        chart = await ready(pilot)
        app.theme = "textual-dark"
        await pilot.pause()
        dark = _colors(chart, "● train")
        app.theme = "textual-light"
        await pilot.pause()
        light = _colors(chart, "● train")
        assert dark and light and dark != light
        chart.set_series("train", X, Y, color="#ff0000")
        assert _colors(chart, "● train") == {"#ff0000"}
        chart.set_series("train", X, Y, color="$error")
        assert _colors(chart, "● train") == {Color.parse(app.theme_variables["error"]).hex.lower()}
        with pytest.raises(ColorParseError):
            chart.set_series("train", X, Y, color="no such colour")


async def test_unequal_arrays_are_refused_and_change_nothing() -> None:
    async with Host().run_test(size=(80, 24)) as pilot:
        chart = await ready(pilot)
        before = text(chart)
        with pytest.raises(ValueError, match="equally long"):
            chart.set_series("train", [1, 2], [1.0])
        assert text(chart) == before


async def test_every_binding_can_be_remapped_and_explained() -> None:
    for binding in LineChart.BINDINGS:
        assert binding.id and binding.tooltip  # type: ignore[union-attr]


def test_the_arithmetic_needs_no_textual() -> None:
    names = ["raster", "scale", "smooth", "units", "viewport", "series", "grid", "header", "paint"]
    code = (
        "import sys, types\n"
        "package = types.ModuleType('tui_tuner.ui.charts'); package.__path__ = ['tui_tuner/ui/charts']\n"
        "import tui_tuner.ui; sys.modules['tui_tuner.ui.charts'] = package\n"
        "before = 'textual' in sys.modules\n"
        f"for name in {names!r}: __import__('tui_tuner.ui.charts.' + name)\n"
        "assert ('textual' in sys.modules) == before\n"
        "assert not {'mlx', 'mlx_lm', 'transformers', 'datasets'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
