"""The machine on the Train screen: when it is looked at, what is shown of it, and nothing of what was not measured."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import START, FakeEngine, RunBuilder, going
from tests.ui.looking import shown, shown_in, until
from tui_tuner.machine.figures import Reading
from tui_tuner.runs.lock import process
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.machinewatch import MachineWatch
from tui_tuner.ui.screens.train import TrainScreen
from tui_tuner.ui.widgets.losschart import LossChart, MetricChart
from tui_tuner.ui.widgets.machine import MachinePanel
from tui_tuner.ui.widgets.tiles import Tiles

Build = Callable[..., RunBuilder]

FULL = {
    "cpu": 0.93, "process_cpu": 0.88, "memory": 12.3e9, "memory_total": 36e9, "process_memory": 4.1e9, "swap": 1.2e9,
    "gpu": 0.97, "mlx_active": 5.2e9, "mlx_cache": 1.1e9, "gpu_temperature": 71.0, "gpu_power": 41.0,
}  # fmt: skip
BARE = {"cpu": 0.5, "process_cpu": 0.4, "memory": 6e9, "memory_total": 16e9}


def trained(builder: RunBuilder, values: dict[str, float], steps: int = 60) -> RunBuilder:
    """A run in training with a reading before it and one at every fifth step."""
    builder.prepared()
    for first in range(1, steps, 5):
        wave = 1 - 0.1 * abs(math.sin(first))
        builder.train(first, first + 4)
        builder.add("machine", 0.0, **{k: v if k.endswith("total") else v * wave for k, v in values.items()})
    return builder.train(steps + 1, steps + 5)


class Watch(MachineWatch):
    """A watch that does not look, and says what a test wants."""

    def __init__(self, values: dict[str, float] | None) -> None:
        super().__init__()
        self.values, self.wanted = values, []

    def want(self, pid: int | None) -> None:
        self.wanted.append(pid)

    @property
    def reading(self) -> Reading | None:
        looked = self.wanted and self.wanted[-1] is not None and self.values is not None
        return Reading(START + 100, self.values) if looked else None


def charts(app: TunerApp) -> list[str]:
    found = app.screen.query_one(MachinePanel).query(MetricChart)
    return [chart.curve for chart in found if chart.parent.display and chart.region.area]


async def opened(app: TunerApp, pilot: Any, builder: RunBuilder, values: dict[str, float] | None = None) -> TrainScreen:
    app.machine = Watch(values)
    app.select_run(builder.folder)
    app.go("train")
    await until(pilot, lambda: isinstance(app.screen, TrainScreen) and "nats per token" in shown(app))
    assert isinstance(app.screen, TrainScreen)
    return app.screen


async def press(pilot: Any, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


async def test_a_run_that_goes_on_here_shows_what_is_so_now(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = going(engine, trained(build(), FULL))
    async with drive(size=(200, 50)) as (app, pilot):
        screen = await opened(app, pilot, builder, {**FULL, "cpu": 0.11})
        assert set(app.machine.wanted) == {None} and not screen.query_one(MachinePanel).display
        await press(pilot, "u")
        assert app.machine.wanted[-1] == os.getpid()
        await until(pilot, lambda: "now  processor 11 % (this run 88 %) · GPU 97 %" in shown(app), shown(app))
        assert charts(app) == ["Busy", "Memory", "GPU and mlx", "Heat, °C", "Power, W"]
        assert "of 36.0 GB" in shown(app) and "● processor" in shown(app) and "▲ this run" in shown(app)
        app.go("runs")
        await until(pilot, lambda: app.screen is not screen)
        assert app.machine.wanted[-1] is None


async def test_until_the_first_look_the_runs_own_last_reading_is_told_and_not_its_highest(
    drive: Drive, build: Build, engine: FakeEngine
) -> None:
    builder = going(engine, trained(build(), BARE))
    builder.add("machine", 0.0, **BARE | {"cpu": 0.07})
    async with drive() as (app, pilot):
        await opened(app, pilot, builder, None)  # no reading yet
        await press(pilot, "u")
        await until(pilot, lambda: "last  processor 7 %" in shown(app), shown(app))
        app.machine.values = BARE | {"cpu": 0.11}
        app.screen.call_hook("run")
        await until(pilot, lambda: "now  processor 11 %" in shown(app), shown(app))


async def test_a_run_of_another_process_is_looked_at_by_its_number(drive: Drive, build: Build) -> None:
    builder = trained(build(), BARE)
    lock = vars(process()) | {"token": "a"}
    (builder.folder.path / "lock").write_text(json.dumps(lock))
    other = trained(build("elsewhere"), BARE)
    (other.folder.path / "lock").write_text(json.dumps(lock | {"host": "elsewhere.example"}))
    async with drive() as (app, pilot):
        await opened(app, pilot, builder, BARE)
        await press(pilot, "u")
        assert app.machine.wanted[-1] == lock["pid"]
        app.select_run(other.folder)
        await until(pilot, lambda: "at most  processor" in shown(app))
        assert app.state.follower.active and app.machine.wanted[-1] is None


async def test_a_run_that_is_over_shows_its_highest(drive: Drive, build: Build) -> None:
    builder = trained(build(), BARE).evaluated().finish()
    async with drive() as (app, pilot):
        await opened(app, pilot, builder, FULL)
        await press(pilot, "u")
        assert app.machine.wanted[-1] is None
        assert "at most  processor" in shown(app)
        assert charts(app) == ["Busy", "Memory"]  # nothing else was measured, so nothing else is there
        assert not any(word in shown(app) for word in ("GPU", "swap", "°C", " W"))


async def test_runs_without_readings_or_without_steps(drive: Drive, build: Build) -> None:
    young = build("young").prepared().add("machine", 2.0, **BARE).add("machine", 2.0, **BARE).finish("stopped")
    async with drive() as (app, pilot):
        screen = await opened(app, pilot, build().prepared().train(1, 60).finish())
        app.select_run(young.folder)
        await press(pilot, "u")
        chart = screen.query_one(MachinePanel).query(MetricChart).first()
        await until(pilot, lambda: chart.x_label == "time" and len(chart.series) == 2)
        app.select_run(build("players").folder)
        await until(pilot, lambda: "nothing was recorded of this run's machine" in shown(app))
        assert "nothing was recorded of this run's machine" in shown(app)
        assert "no reading yet" in shown(app)
        await press(pilot, "u", "u")
        assert "nothing was recorded" not in shown(app)


async def test_the_key_goes_from_steps_to_time_to_nothing(drive: Drive, build: Build) -> None:
    builder = trained(build(), BARE).finish()
    async with drive() as (app, pilot):
        screen = await opened(app, pilot, builder)
        await press(pilot, "u")
        panel, loss = screen.query_one(MachinePanel), screen.query_one(LossChart)
        chart = panel.query(MetricChart).first()
        assert panel.by_steps and chart.viewport.window == loss.viewport.window
        assert chart.x_label == "step"
        await press(pilot, "u")
        assert not panel.by_steps and chart.x_label == "time"
        assert chart.viewport.high == pytest.approx(screen.view.machine.last("t") - START, abs=1)
        await press(pilot, "u")
        assert not panel.display


async def test_crosshair_and_zoom_of_the_loss_are_the_machines_too(drive: Drive, build: Build) -> None:
    builder = trained(build(), BARE).finish()
    async with drive() as (app, pilot):
        screen = await opened(app, pilot, builder)
        await press(pilot, "u")
        loss = screen.query_one(LossChart)
        chart = screen.query_one(MachinePanel).query(MetricChart).first()
        await press(pilot, "plus", "comma", "comma")
        assert loss.viewport.zoomed and chart.viewport.window == loss.viewport.window
        assert chart.cursor == loss.cursor is not None
        await press(pilot, "u")
        assert not chart.viewport.zoomed
        await press(pilot, "comma")
        assert chart.cursor is not None and chart.cursor != loss.cursor  # seconds now
        await press(pilot, "home", "escape")
        assert chart.cursor is None


async def test_where_there_is_little_room_tiles_take_the_place_of_the_runs(drive: Drive, build: Build) -> None:
    builder = trained(build(), FULL)
    async with drive(size=(80, 24)) as (app, pilot):
        screen = await opened(app, pilot, builder)
        tiles = screen.query_one("#tile-line", Tiles)
        assert "train loss" in shown_in(app, tiles)
        await press(pilot, "u")
        assert not screen.query_one(MachinePanel).display
        told = shown_in(app, tiles)
        assert "train loss" not in told and "processor" in told and "GPU" in told and "of 36.0 GB" in told
        await press(pilot, "u")
        assert "train loss" in shown_in(app, tiles)
        builder.evaluated().finish()  # the result takes the place of the tiles, unless they are asked for
        await until(pilot, lambda: not tiles.display)
        await press(pilot, "u")
        assert "processor" in shown_in(app, tiles)


async def test_a_window_that_grows_and_shrinks_keeps_what_was_asked_for(drive: Drive, build: Build) -> None:
    builder = trained(build(), FULL).finish()
    async with drive(size=(120, 40)) as (app, pilot):
        screen = await opened(app, pilot, builder)
        await press(pilot, "u")
        assert screen.query_one(MachinePanel).display and len(charts(app)) == 3
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: not screen.query_one(MachinePanel).display)
        await until(pilot, lambda: "processor" in shown_in(app, screen.query_one("#tile-line")))
        await pilot.resize_terminal(80, 50)
        await until(pilot, lambda: len(charts(app)) == 2)
        await pilot.resize_terminal(160, 50)
        await until(pilot, lambda: len(charts(app)) == 4)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 30), (100, 24), (120, 30), (200, 60), (20, 5)], ids=str)
async def test_every_window_holds_it(drive: Drive, build: Build, size: tuple[int, int]) -> None:
    builder = trained(build(), FULL).finish()
    async with drive(size=size) as (app, pilot):
        app.machine = Watch(None)
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        await press(pilot, "u", "u", "u", "u")
        if size[1] >= 30:
            assert app.screen.query_one(LossChart).size.height >= 4
            assert app.screen.query_one("#lower").region.bottom <= size[1]


async def test_a_log_of_another_program_has_no_machine(drive: Drive, tmp_path: Any) -> None:
    log = tmp_path / "train.log"
    log.write_text("Iter 1: Val loss 4.0, Val took 1.0s\n")
    async with drive() as (app, pilot):
        app.watch_log(log)
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.state.follower.ready)
        assert app.screen.check_action("machine", ()) is False
        assert app.state.follower.pid is None


# -- the watch -------------------------------------------------------------------------------------------------------


class Machine:
    """Readings that a test waits for."""

    def __init__(self, pid: int) -> None:
        self.pid, self.read, self.told = pid, 0, threading.Event()

    def sample(self) -> Reading:
        self.read += 1
        if self.read > 2:
            self.told.set()
        return Reading(float(self.read), {"cpu": 0.5})


def test_the_watch_looks_only_while_it_is_wanted() -> None:
    machines: list[Machine] = []

    def made(pid: int) -> Machine:
        machines.append(Machine(pid))
        return machines[-1]

    made_first, now = threading.Event(), [0.0]
    watch = MachineWatch(lambda pid: (made(pid), made_first.set())[0], lambda: now[0], interval=0.001)
    assert watch.reading is None
    watch.want(7)
    watch.want(7)
    assert made_first.wait(20) and machines[0].told.wait(20)
    assert [machine.pid for machine in machines] == [7]
    assert watch.reading is not None
    now[0] = 60.0
    threads = [each for each in threading.enumerate() if each.name == "machine-watch"]
    watch.want(None)
    for thread in threads:
        thread.join(20)
    assert watch.reading is None
    assert not any(thread.is_alive() for thread in threads)


def test_what_is_old_is_not_what_is_so_now() -> None:
    now = [0.0]
    watch = MachineWatch(clock=lambda: now[0])
    watch._latest = (0.0, Reading(0.0, {"cpu": 0.5}))
    assert watch.reading is not None
    now[0] = 11.0
    assert watch.reading is None
