"""Several runs side by side: what is shown is what the runs hold, and every key does what it says."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.ui.compared import compared
from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder, train_fields, validation_loss
from tests.ui.looking import at_rest, notices, shown, until
from tests.ui.workshop import SAFE, SIZES
from tui_tuner.config import load_experiment
from tui_tuner.runs.folder import RunFolder
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.charts.series import GLYPHS
from tui_tuner.ui.screens.compare import CompareScreen
from tui_tuner.ui.themes import DARK, LIGHT
from tui_tuner.ui.widgets.data_list import RowList


@pytest.fixture
def folders(runs_dir: Path) -> list[RunFolder]:
    return compared(runs_dir)


async def opened(pilot: Pilot[Any], folders: list[RunFolder]) -> CompareScreen:
    """The comparison, with everything read and judged."""
    app: TunerApp = pilot.app  # type: ignore[assignment]
    app.go("runs")
    await pilot.pause()
    app.compare_runs(folders)
    await until(pilot, lambda: isinstance(app.screen, CompareScreen), "the comparison is shown")
    screen = app.screen
    assert isinstance(screen, CompareScreen)
    await settled(pilot, screen)
    return screen


async def settled(pilot: Pilot[Any], screen: CompareScreen) -> None:
    await until(pilot, lambda: screen._together is not None and not screen._judging, "the runs are judged")


async def tab(pilot: Pilot[Any], name: str) -> str:
    """Goes to a tab; what is shown."""
    screen = pilot.app.screen
    while not screen.has_class(f"-{name}"):
        await pilot.press("v")
    await pilot.pause()
    return shown(pilot.app)  # type: ignore[arg-type]


async def test_each_run_has_its_curve_its_mark_and_its_line(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive() as (app, pilot):
        screen = await opened(pilot, folders)
        curves = screen.chart.series
        assert [(one.glyph, one.slot, one.dash) for one in curves] == [("●", 0, 0), ("▲", 1, 1), ("■", 2, 2)]
        assert curves[1].y.tolist() == pytest.approx(
            [train_fields(step, 120)["loss"] * 1.6 for step in range(5, 121, 5)]
        )
        text = shown(app)
        assert "● steady" in text and "▲ hot" in text and "■ other-rows" in text
        assert "the reference" in text and "▼ worse on Exact match, ROUGE-1" in text
        assert "it answered other rows than the reference" in text


async def test_the_marks_follow_the_theme_as_the_curves_do(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive() as (app, pilot):
        screen = await opened(pilot, folders)
        await tab(pilot, "metrics")
        for theme in (LIGHT, DARK):
            app.theme = theme
            await at_rest(pilot)
            wanted = screen.chart.get_component_rich_style("line-chart--series-1").color
            segments = [each for strip in app.screen._compositor.render_strips() for each in strip]
            found = {each.style.color for each in segments if each.style and each.text.strip() == GLYPHS[0]}
            assert found == {wanted}, theme


async def test_the_key_of_the_runs_leads_back_to_them(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive() as (app, pilot):
        await opened(pilot, folders)
        await pilot.press("3", "7")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))  # from elsewhere, to what was looked at
        await pilot.press("7")
        await until(pilot, lambda: not isinstance(app.screen, CompareScreen) and app.current_mode == "runs")


async def test_figures_and_axes(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive() as (app, pilot):
        screen = await opened(pilot, folders)
        await pilot.press("m")
        assert screen.chart.series[0].y.tolist() == pytest.approx([validation_loss(step) for step in (30, 60, 90, 120)])
        assert screen.chart.title == "Validation loss" and not screen.chart.series[0].smooth
        await pilot.press("x")
        assert screen.chart.series[0].x.tolist() == [620.0 * step for step in (30, 60, 90, 120)]
        assert screen.chart.x_label == "tokens" and "validation loss over trained tokens" in shown(app)
        await pilot.press("x")
        assert screen.chart.x_unit == "seconds" and screen.chart.series[0].x[0] == pytest.approx(13.0)
        await pilot.press("l", "s")
        assert screen.chart.log_y and screen.chart.smoothing == 0.6


async def test_the_crosshair_tells_every_runs_value(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive() as (app, pilot):
        screen = await opened(pilot, folders)
        await pilot.press("comma", "comma")
        at = screen.chart.cursor
        assert at is not None and at < 120
        text = shown(app)
        assert f"at {at:.0f}" in text
        for factor in (1.0, 1.6, 0.8):
            assert f"{train_fields(int(at), 120)['loss'] * factor:.4f}" in text
        await pilot.press("escape")
        assert screen.chart.cursor is None and app.screen is screen
        assert "last" in shown(app)


async def test_zoom_pan_and_the_whole(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive() as (_, pilot):
        screen = await opened(pilot, folders)
        view = screen.chart.viewport
        await pilot.press("plus")
        assert view.zoomed and view.window[1] == 120
        await pilot.press("left")
        assert view.window[1] < 120
        await pilot.press("w")
        assert not view.zoomed


async def test_a_hidden_run_keeps_its_mark_when_it_comes_back(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive() as (app, pilot):
        screen = await opened(pilot, folders)
        await pilot.press("space")
        assert [one.glyph for one in screen.chart.series] == ["▲", "■"] and "hidden" in shown(app)
        await pilot.press("space")
        assert sorted(one.slot for one in screen.chart.series) == [0, 1, 2]


async def test_only_the_keys_that_differ_as_table_and_as_blocks(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive(size=(120, 40)) as (_, pilot):
        await opened(pilot, folders)
        text = await tab(pilot, "config")
        assert "What differs: 3 keys" in text and "train.learning_rate" in text and "0.01" in text
        assert "train.batch_size" not in text
    many = [*folders, *(RunBuilder(folders[0].path.parent, f"more-{at}").begin().finish().folder for at in range(4))]
    async with drive(size=(80, 24)) as (_, pilot):
        await opened(pilot, many)
        text = await tab(pilot, "config")
        assert "train.learning_rate" in text and "● steady  ■ other-rows" in text and "not read:" not in text[:40]


async def test_metrics_with_intervals_and_verdicts(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive() as (_, pilot):
        screen = await opened(pilot, folders)
        text = await tab(pilot, "metrics")
        assert "ROUGE-1" in text and "0.550 0.490–0.610" in text
        one = screen._together.against[1] if screen._together else None
        assert one is not None and one.verdict is not None
        told = one.verdict["rouge1"]
        assert f"{told.wins}/{told.ties}/{told.losses}" in text and "▼ worse" in text


async def test_another_reference(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive() as (app, pilot):
        screen = await opened(pilot, folders)
        await pilot.press("down", "r")
        await settled(pilot, screen)
        assert screen._together is not None and screen._together.reference == 1
        assert "▲ better on Exact match, ROUGE-1" in shown(app)


@pytest.mark.parametrize("size", [*SIZES, (160, 50)])
async def test_answers_side_by_side_are_inert(drive: Drive, folders: list[RunFolder], size: tuple[int, int]) -> None:
    async with drive(size=size) as (app, pilot):
        screen = await opened(pilot, folders)
        text = await tab(pilot, "answers")
        assert "\x1b" not in text and "\u202e" not in text and SAFE[:20] in text
        assert "was not asked this row" in screen.query_one("#compare-row").plain  # type: ignore[attr-defined]
        rows = screen.query_one("#compare-rows", RowList)
        assert rows.count == 40
        await pilot.press("n", "n", "p")
        assert rows.cursor == 1
        await pilot.press("d")
        assert rows.count == sum(row.differs for row in screen._together.rows)  # type: ignore[union-attr]
        text = await tab(pilot, "probes")
        assert "at step 120" in text and "\x1b" not in text
        assert len(shown(app).splitlines()) == size[1]


async def test_using_a_runs_configuration(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive() as (app, pilot):
        await opened(pilot, folders)
        await pilot.press("down", "u")
        await until(pilot, lambda: app.current_mode == "config", "the config screen is shown")
        assert app.state.experiment == load_experiment(folders[1].config)


async def test_a_configuration_that_cannot_be_read_is_not_used(drive: Drive, folders: list[RunFolder]) -> None:
    folders[0].config.write_text("[train]\niters = many\n")
    async with drive() as (app, pilot):
        await opened(pilot, folders)
        await pilot.press("u")
        await until(pilot, lambda: notices(app), "it is said")
        assert "it is not valid TOML" in notices(app)[0] and app.current_mode == "runs"


async def test_what_a_run_goes_on_to_report_is_drawn(drive: Drive, folders: list[RunFolder]) -> None:
    live = RunBuilder(folders[0].path.parent, "live").begin().add("train", 1, step=5, loss=2.0)
    async with drive() as (_, pilot):
        screen = await opened(pilot, [folders[0], live.folder])
        # Nobody holds its lock, so it counts as interrupted: what follows is looked at when it is asked for.
        live.add("train", 1, step=10, loss=1.0)
        assert screen._together is not None and screen._together.members[1].poll()
        screen.draw()
        assert screen.chart.series[1].y.tolist() == [2.0, 1.0]


async def test_enter_opens_the_run_and_escape_goes_back(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive() as (app, pilot):
        await opened(pilot, folders)
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.current_mode == "train", "the run is opened")
        assert app.state.run == folders[1]
        app.go("runs")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen), "the comparison is still there")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, CompareScreen), "it is closed")
        assert app.current_mode == "runs"


async def test_help_and_palette_know_its_keys(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive() as (app, pilot):
        await opened(pilot, folders)
        await pilot.press("question_mark")
        await pilot.pause()
        text = shown(app)
        assert "Help · Compare" in text and "curves of several runs" in text


async def test_exporting_writes_the_comparison(drive: Drive, folders: list[RunFolder], tmp_path: Path) -> None:
    async with drive() as (app, pilot):
        await opened(pilot, folders)
        await pilot.press("e")
        await until(pilot, lambda: app.screen.query("#export-path"), "the dialog is shown")
        field = app.screen.query_one("#export-path", Input)
        field.value = str(tmp_path / "both.md")
        await pilot.press("up")  # from the first form to the last
        await until(pilot, lambda: field.value.endswith("both.json"), "the ending follows the form")
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "both.json").is_file(), "it is written")
        assert '"reference": "steady-20251009-085320"' in (tmp_path / "both.json").read_text("utf-8")


async def test_one_run_is_no_comparison(drive: Drive, folders: list[RunFolder]) -> None:
    async with drive() as (app, _):
        with pytest.raises(Exception, match="a comparison needs two runs"):
            app.compare_runs(folders[:1])


def test_a_dashed_line_is_the_same_line_with_gaps() -> None:
    from tui_tuner.ui.charts.header import Look
    from tui_tuner.ui.charts.paint import Scene, paint
    from tui_tuner.ui.charts.series import Series

    def dots(dash: int) -> np.ndarray[Any, Any]:
        one = Series("a", 0, dash=dash)
        one.set_points(np.arange(200.0), np.sin(np.arange(200.0) / 9))
        lines, _ = paint(Scene(Look(legend=False), [one], (), (0.0, 199.0)), 60, 16)
        cells = [ord(character) for line in lines for span in line for character in span.text]
        return np.array([code - 0x2800 if 0x2800 <= code < 0x2900 else 0 for code in cells])

    solid = dots(0)
    lit = [int(np.bitwise_count(dots(dash)).sum()) if hasattr(np, "bitwise_count") else int((dots(dash) > 0).sum())
           for dash in (0, 1, 2, 3)]  # fmt: skip
    assert lit[0] > lit[1] > lit[2] > 0 and lit[0] > lit[3] > lit[2]
    for dash in (1, 2, 3):
        assert not (dots(dash) & ~solid).any()


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", ["curves", "config", "metrics", "answers"])
def test_looks(
    snap_compare: Callable[..., bool],
    tmp_path_factory: pytest.TempPathFactory,
    engine: FakeEngine,
    name: str,
    size: tuple[int, int],
) -> None:
    place = tmp_path_factory.mktemp("compare") / "runs"
    place.mkdir()
    folders = compared(place)

    def before() -> Callable[[Pilot[Any]], Awaitable[None]]:
        async def prepare(pilot: Pilot[Any]) -> None:
            await opened(pilot, folders)
            await tab(pilot, name)
            if name == "curves":
                await pilot.press("comma", "comma", "comma", "s")
            await pilot.pause()

        return prepare

    app = TunerApp(engine=engine, runs_dir=place)
    assert snap_compare(app, terminal_size=size, run_before=before())
