"""The numbers of the train screen: what they say, also when a run does not tell, and when they are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import START, FakeEngine, RunBuilder, going
from tests.ui.looking import notices, shown, until
from tui_tuner.runs.view import RunView
from tui_tuner.settings import Settings, load_settings
from tui_tuner.ui import format as fmt
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.follower import RunFollower
from tui_tuner.ui.numbers import Padding, tiles_of
from tui_tuner.ui.pace import Pace
from tui_tuner.ui.widgets.helppanel import HelpPanel
from tui_tuner.ui.widgets.losschart import LossChart, MetricChart
from tui_tuner.ui.widgets.panels import PANELS, Panels
from tui_tuner.ui.widgets.progress import Progress, ProgressLine
from tui_tuner.ui.widgets.tiles import Tile, Tiles

Build = Callable[..., RunBuilder]
SLOW = "install OpenBLAS (Debian and Ubuntu: libopenblas0-pthread) and start again"


def view_of(builder: RunBuilder) -> RunView:
    follower = RunFollower(builder.folder)
    follower.poll()
    return follower.view


def old(builder: RunBuilder) -> RunBuilder:
    """A run as versions before wrote it: without plan, limit, device and several figures."""
    builder.add("run_started", name="old", steps=100, model="m", resumed=False, from_step=0)
    builder.stage("train", "running")
    return builder.add("train", 2.0, step=10, loss=1.5, tokens_per_second=1200.0)


# -- words ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((12.3, 10.6, 13.9), "12 s (11–14)"),
        ((725.0, 611.0, 893.0), "12 min (10–15)"),
        ((186.0, 170.0, 200.0), "3.1 min (2.8–3.3)"),
        ((7_500.0, 6_840.0, 8_640.0), "2.1 h (1.9–2.4)"),
        ((90_000.0, 80_000.0, 100_000.0), "25 h (22–28)"),
        ((0.0, 0.0, 2.0), "0 s (0–2)"),
        ((725.0, 720.0, 730.0), "12 min"),
        ((725.0, None, None), "12 min"),
        ((99.4, 10.0, 7200.0), "99 s (10–7200)"),
        ((None,), "–"),
        ((math.inf, 1.0, math.inf), "–"),
        ((10.0, 1.0, math.nan), "10 s"),
    ],
)
def test_a_predicted_time_is_as_precise_as_it_can_be(values: tuple[Any, ...], text: str) -> None:
    assert fmt.expected(*values) == text


def test_a_moment_to_come_names_the_day_when_it_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fmt.time, "localtime", fmt.time.gmtime)
    assert fmt.moment(START + 600, START) == "09:03"
    assert fmt.moment(START + 86_400, START) == "Fri 08:53"
    assert fmt.moment(START + 30 * 86_400, START) == "8 Nov"
    assert fmt.moment(math.inf, START) == fmt.moment(1e30, START) == "–"


@pytest.mark.parametrize(("value", "text"), [(0.031, "3.1 %"), (0.284, "28 %"), (0.0, "0.0 %"), (math.nan, "–")])
def test_a_share(value: float, text: str) -> None:
    assert fmt.share(value) == text


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (120, "70/120 · 38 s so far · 12 min (10–15) left · done ≈ 14:32"),
        (78, "70/120 · 12 min (10–15) left · done ≈ 14:32"),
        (66, "70/120 · 12 min (10–15) left"),
        (40, "12 min (10–15) left"),
    ],
)
async def test_a_narrow_line_of_progress_says_what_matters_most(drive: Drive, width: int, text: str) -> None:
    async with drive(size=(width, 24)) as (app, pilot):
        line = ProgressLine()
        await app.screen.mount(line)
        line.styles.width, line.styles.height = width, 1
        line.show(Progress("● training", 70, 120, 38.0, "12 min (10–15)", "14:32", active=True))
        await until(pilot, lambda: line.size.width == width)
        assert line.render().plain.endswith(text)
        assert line.render().cell_length <= width


# -- numbers ----------------------------------------------------------------------------------------------------------
def test_padding_is_compared_with_mlx_lms_batches(build: Build) -> None:
    found = Padding.of(view_of(build().prepared().train(1, 10)))
    # A token costs 1 / (1 - padding) positions: (1 - 0.031) / (1 - 0.284) = 1.3533.
    assert (found.now, found.stock, found.saved) == (0.031, 0.284, pytest.approx(1.3533, abs=1e-4))
    tiles = {tile.label: tile for tile in tiles_of(view_of(build("b").prepared().train(1, 10)))}
    assert (tiles["padding"].value, tiles["padding"].note) == ("3.1 %", "mlx-lm 28 %")
    assert (tiles["saved"].value, tiles["saved"].note) == ("1.35×", "mlx-lm computes")


def test_in_stock_mode_the_fast_mode_is_what_could_be_saved(build: Build) -> None:
    builder = build().begin()
    builder.add("plan", steps=100, rows=9, batches_per_epoch=3, mode="stock", padding_fraction=0.284,
                stock_padding_fraction=0.284, fast_padding_fraction=0.031, eval_every=0)  # fmt: skip
    tiles = {tile.label: tile for tile in tiles_of(view_of(builder))}
    assert (tiles["saved"].value, tiles["saved"].note) == ("1.00×", "fast mode 1.35×")


def test_what_a_run_does_not_tell_is_a_dash_and_never_nothing(build: Build) -> None:
    tiles = {tile.label: (tile.value, tile.note) for tile in tiles_of(view_of(old(build())))}
    assert tiles == {
        "train loss": ("1.500", ""), "val. loss": ("–", ""), "grad. norm": ("–", ""), "tokens/s": ("1,200", ""),
        "padding": ("–", ""), "saved": ("–", ""), "learn. rate": ("–", ""), "memory": ("–", ""), "epoch": ("–", ""),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("peak", "value", "sign"),
    [(448e6, "448 MB of 17.2 GB", ""), (12.2e9, "12.2 of 17.2 GB", ""), (16e9, "16.0 of 17.2 GB", "▲")],
)
def test_memory_is_told_against_its_limit(build: Build, peak: float, value: str, sign: str) -> None:
    builder = build().begin().add("train", step=1, loss=1.0, peak_memory=peak)
    tile = next(tile for tile in tiles_of(view_of(builder)) if tile.label == "memory")
    assert (tile.value, tile.note, tile.style) == (value, sign, "$text-warning" if sign else "")
    assert tile.share == pytest.approx(peak / 17_179_869_184)


def test_epochs_are_counted_as_finely_as_matters(build: Build) -> None:
    for steps, text in ((120, "0.44 of 2.67"), (1200, "0.4 of 26.7"), (12_000, "0 of 267")):
        builder = build(f"run{steps}", steps=steps).prepared().train(1, 20)
        assert {tile.label: tile.value for tile in tiles_of(view_of(builder))}["epoch"] == text


# -- on the screen ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (160, 50), (90, 40)])
async def test_every_size_has_all_numbers(
    drive: Drive, engine: FakeEngine, build: Build, size: tuple[int, int]
) -> None:
    builder = going(engine, build().prepared().train(1, 74))
    async with drive(size=size) as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "1.56 of 2.67" in shown(app))
        text = shown(app)
        for number in ("0.283", "0.466", "0.89", "4,478", "3.1 %", "1.35×", "1.11e-3", "448 MB of 17.2 GB"):
            assert number in text, number
        assert "baseline" in text and "left" in text


async def test_a_value_that_is_too_long_takes_no_place_from_the_next(drive: Drive) -> None:
    async with drive(size=(76, 24)) as (app, pilot):
        tiles = Tiles()
        await app.screen.mount(tiles)
        tiles.styles.width, tiles.styles.height = 76, 1
        memory = Tile("memory", "19.6 MB of 25.3 GB", share=0.001, brief="19.6 MB")
        tiles.show([Tile("learn. rate", "3.62e-4"), memory, Tile("epoch", "0.65 of 1.00")])
        await until(pilot, lambda: tiles.size.width == 76)
        assert tiles.render().plain.endswith("19.6 MB  epoch       0.65 of 1.00")
        tiles.show([Tile("learn. rate", "x" * 40), memory, Tile("epoch", "0.65 of 1.00")])
        assert "x…" in tiles.render().plain and tiles.render().plain.endswith("0.65 of 1.00")


async def test_the_stage_at_work_is_named_in_full(drive: Drive) -> None:
    async with drive(size=(78, 24)) as (app, pilot):
        line = ProgressLine()
        await app.screen.mount(line)
        line.styles.width, line.styles.height = 78, 1
        line.show(Progress("● measuring after", 1, 80, 36.0, "36 s", "10:13", active=True))
        await until(pilot, lambda: line.size.width == 78)
        assert line.render().plain.startswith("● measuring after ") and line.render().plain.endswith("done ≈ 10:13")


async def test_large_windows_have_a_chart_of_each(drive: Drive, engine: FakeEngine, build: Build) -> None:
    builder = going(engine, build().prepared().train(1, 74))
    async with drive(size=(160, 50)) as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "learning rate 1.11e-3" in shown(app))
        text = shown(app)
        assert all(panel.title in text for panel in PANELS)
        assert "2.6 % of 17.2 GB" in text and "saved 1.35×" in text
        assert "mlx-lm's\N{NO-BREAK SPACE}batches\N{NO-BREAK SPACE}28\N{NO-BREAK SPACE}%" in text
        assert "limit" not in text, "so far below it a limit would flatten the curve"
        builder.add("train", 2.0, step=75, loss=0.3, peak_memory=15e9)
        await until(pilot, lambda: "limit\N{NO-BREAK SPACE}17.2\N{NO-BREAK SPACE}GB" in shown(app))
        assert "87 % of 17.2 GB" in shown(app)
        # A crosshair on the loss stands on the same step in all of them.
        await pilot.press("comma", "comma")
        step = app.screen.query_one(LossChart).cursor
        assert step is not None and all(chart.cursor == step for chart in app.screen.query(MetricChart))
        await pilot.press("escape")
        assert all(chart.cursor is None for chart in app.screen.query(MetricChart))


async def test_an_old_run_says_what_it_does_not_tell(drive: Drive, build: Build) -> None:
    builder = old(build()).finish()
    async with drive(size=(160, 50)) as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "this run does not tell it" in shown(app))
        assert app.screen.query_one("#metric-grad_norm", MetricChart).empty_text == "this run does not tell it"
        assert "tokens/s" in shown(app) and "0 of" not in shown(app) and "nan" not in shown(app)


async def test_what_is_not_seen_is_not_drawn(drive: Drive, engine: FakeEngine, build: Build) -> None:
    builder = going(engine, build().prepared().train(1, 74))
    async with drive(size=(80, 24)) as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "1.35×" in shown(app))
        assert all(not chart.series for chart in app.screen.query_one(Panels).query(MetricChart))
        await pilot.resize_terminal(160, 50)
        await until(pilot, lambda: all(chart.series for chart in app.screen.query_one(Panels).query(MetricChart)))


async def test_the_small_charts_have_the_axis_and_the_zoom_of_the_loss(drive: Drive, build: Build) -> None:
    builder = build().prepared().add("validation", 0.8, step=0, loss=3.2, tokens=2210, seconds=0.8).train(1, 74)
    async with drive(size=(160, 50)) as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        charts = lambda: list(app.screen.query_one(Panels).query(MetricChart))  # noqa: E731
        await until(pilot, lambda: app.screen.query(Panels) and all(chart.series for chart in charts()))
        loss = app.screen.query_one(LossChart)
        assert loss.viewport.low == 0 < charts()[0].series[0].x[0]  # validation begins with step 0, reports later
        assert {chart.viewport.window for chart in charts()} == {loss.viewport.window}
        await pilot.press("plus", "plus", "left")
        await until(pilot, lambda: {chart.viewport.window for chart in charts()} == {loss.viewport.window})
        assert loss.viewport.zoomed and not loss.viewport.follow
        builder.train(75, 80)  # what is drawn anew keeps the part that is looked at
        await until(pilot, lambda: all(chart.series[0].x[-1] == 80 for chart in charts()))
        assert {chart.viewport.window for chart in charts()} == {loss.viewport.window}
        await pilot.press("home")
        await until(pilot, lambda: not any(chart.viewport.zoomed for chart in charts()))


def drawn(app: TunerApp, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the widgets that ask to be drawn from now on, in order."""
    from textual.widget import Widget

    found: list[str] = []
    refresh = Widget.refresh

    def watching(self: Widget, *args: Any, **kwargs: Any) -> Any:
        found.append(f"{type(self).__name__}{' layout' if kwargs.get('layout') else ''}")
        return refresh(self, *args, **kwargs)

    monkeypatch.setattr(Widget, "refresh", watching)
    return found


async def test_only_what_changed_is_drawn_again(
    drive: Drive, engine: FakeEngine, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = going(engine, build().prepared().train(1, 74))
    async with drive(size=(120, 40)) as (app, pilot):
        app.clock = lambda: builder.now + 1
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "1.35×" in shown(app))
        found = drawn(app, monkeypatch)
        app.tell("run")
        app.tell("run")
        assert found == [], "the same events and the same time of day"
        app.clock = lambda: builder.now + 3
        app.tell("run")
        assert found == ["ProgressLine"]
        found.clear()
        builder.train(75, 80)
        assert app.state.follower is not None and app.state.follower.poll()
        app.tell("run")
        assert set(found) == {"ProgressLine", "LossChart", "Tiles"}, "and the layout stays as it is"


async def test_charts_beside_wait_their_turn_while_nobody_is_there(
    drive: Drive, engine: FakeEngine, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = going(engine, build().prepared().train(1, 74))
    monkeypatch.setattr(Pace, "attended", False)
    monkeypatch.setattr("tui_tuner.ui.widgets.panels.PATIENCE", 1e9)
    async with drive(size=(160, 50)) as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        chart = lambda: app.screen.query_one("#metric-grad_norm", MetricChart)  # noqa: E731
        await until(pilot, lambda: app.screen.query(Panels) and chart().series, "the first drawing comes at once")
        builder.train(75, 80)
        loss = app.screen.query_one(LossChart)
        await until(pilot, lambda: loss.series[0].x[-1] == 80)
        assert chart().series[0].x[-1] == 70
        monkeypatch.setattr(Pace, "attended", True)
        builder.train(81, 85)
        await until(pilot, lambda: chart().series[0].x[-1] == 85, "somebody is there")
        monkeypatch.setattr(Pace, "attended", False)
        builder.train(86, 120).evaluated().finish()
        await until(pilot, lambda: chart().series[0].x[-1] == 120, "the end is drawn at once")


# -- what computes ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("width", "there"), [(80, False), (120, True)])
async def test_the_status_line_says_what_computes(drive: Drive, build: Build, width: int, there: bool) -> None:
    builder = build().prepared().train(1, 20)
    async with drive(size=(width, 40)) as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "embedded:phi3-tiny" in shown(app))
        assert ("on the processor with OpenBLAS" in shown(app)) is there
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpPanel))
        assert "This run computes on the processor with OpenBLAS." in " ".join(shown(app).split())


def slow(builder: RunBuilder) -> RunBuilder:
    builder.add("run_started", name="slow", steps=100, model="m", resumed=False, from_step=0, device_advice=SLOW,
                device="the processor with mlx's own BLAS")  # fmt: skip
    return builder.stage("train", "running").train(1, 20)


async def test_how_to_get_a_fast_blas_is_told_once(drive: Drive, engine: FakeEngine, build: Build) -> None:
    builder = going(engine, slow(build()))
    told = f"This run computes on the processor with mlx's own BLAS. Install{SLOW.removeprefix('install')}."
    async with drive(settings=Settings()) as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: notices(app) == [told])
        app.clear_notifications()
        builder.train(21, 30)
        await until(pilot, lambda: "30/100" in shown(app))
        assert notices(app) == []
        await pilot.press("question_mark")
        await until(pilot, lambda: "Install OpenBLAS" in " ".join(shown(app).split()), "help has it for good")
    assert load_settings().told == ["device"]
    async with drive(settings=load_settings()) as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "30/100" in shown(app))
        assert notices(app) == [], "nor is it told in another session"


async def test_no_hint_about_the_machine_of_another_process(drive: Drive, build: Build) -> None:
    builder = slow(build())
    async with drive() as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "20/100" in shown(app))
        assert notices(app) == []


async def test_tiles_part_their_groups_where_there_is_room(drive: Drive, build: Build) -> None:
    builder = build().prepared().train(1, 74)
    async with drive(size=(120, 40)) as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "1.35×" in shown(app))
        lines = [
            line.split()[0] if line.strip() else ""
            for line in app.screen.query_one("#tiles", Tiles).render().plain.splitlines()
        ]
        assert lines == ["train", "val.", "grad.", "", "tokens/s", "padding", "saved", "", "learn.", "memory", "epoch"]
