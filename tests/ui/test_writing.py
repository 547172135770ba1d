"""On a slow disk the screen goes on; what was asked for is written, in order, also when the app is left before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import notices, shown, until
from tui_tuner.engine import new_run
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.errors import TunerError
from tui_tuner.runs import labels, list_runs, trash
from tui_tuner.runs.folder import RunFolder
from tui_tuner.runs.labels import labels_of
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.leaving import Question

Build = Callable[..., RunBuilder]


class Disk:
    """A disk that lets nothing of what it is put before through until it is told to; `asked` is in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.through = threading.Event()
        self.asked: list[tuple[str, bool]] = []
        for module, name in ((new_run, "create_run"), (labels, "change_labels"), (trash, "delete_run")):
            monkeypatch.setattr(module, name, self._slow(name, getattr(module, name)))

    def _slow(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def slowly(*args: Any, **kwargs: Any) -> Any:
            self.asked.append((name, threading.current_thread() is threading.main_thread()))
            assert self.through.wait(20)
            return act(*args, **kwargs)

        return slowly


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    made = Disk(monkeypatch)
    yield made
    made.through.set()


async def at_runs(app: TunerApp, pilot: Pilot[Any], name: str) -> None:
    app.go("runs")
    await until(pilot, lambda: name in shown(app))


async def test_a_start_on_a_slow_disk_keeps_the_screen_alive(drive: Drive, disk: Disk, engine: FakeEngine) -> None:
    async with drive(preset="quickstart") as (app, pilot):
        await until(pilot, lambda: app.state.experiment is not None)
        await pilot.press("f5")
        await until(pilot, lambda: disk.asked == [("create_run", False)])
        app.go("runs")
        await until(pilot, lambda: app.current_mode == "runs" and "Runs" in shown(app))
        assert engine.submitted == []
        disk.through.set()
        await until(pilot, lambda: app.current_mode == "train" and app.state.run is not None)
        assert [type(request) for request in engine.submitted] == [RunExperiment]


async def test_what_is_started_is_the_experiment_as_it_was_then(drive: Drive, disk: Disk, runs_dir: Path) -> None:
    async with drive(preset="quickstart") as (app, pilot):
        await until(pilot, lambda: app.state.experiment is not None)
        app.start_run()
        app.load_preset("quickstart", ["train.iters=70"])
        disk.through.set()
        await until(pilot, lambda: app.state.run is not None)
        assert "iters = 100\n" in app.state.run.config.read_text()


async def test_noting_and_deleting_keep_their_order(drive: Drive, disk: Disk, build: Build, runs_dir: Path) -> None:
    build("one").prepared().finish()
    async with drive() as (app, pilot):
        await at_runs(app, pilot, "one")
        await pilot.press("i", "d")
        await until(pilot, lambda: disk.asked)
        assert len(list_runs(runs_dir)) == 1 and not notices(app)
        disk.through.set()
        await until(pilot, lambda: any("deleted" in told for told in notices(app)))
        assert [name for name, _ in disk.asked] == ["change_labels", "delete_run"] and not list_runs(runs_dir)
        assert not any(drawing for _, drawing in disk.asked), "nothing is written on the thread that draws"


async def test_what_was_asked_for_is_written_though_the_app_has_gone(
    drive: Drive, disk: Disk, build: Build, runs_dir: Path
) -> None:
    folder: RunFolder = build("one").prepared().finish().folder
    async with drive() as (app, pilot):
        await at_runs(app, pilot, "one")
        await pilot.press("i")
        await until(pilot, lambda: disk.asked)
        app.exit(0)
        await until(pilot, lambda: app.return_value is not None)
    assert app.writer.busy and not labels_of(folder.path).pinned
    disk.through.set()
    app.writer.finish(10)
    assert not app.writer.busy and labels_of(folder.path).pinned


async def test_leaving_waits_for_a_run_that_is_being_made_and_asks_about_it(
    drive: Drive, disk: Disk, engine: FakeEngine
) -> None:
    async with drive(preset="quickstart") as (app, pilot):
        await until(pilot, lambda: app.state.experiment is not None)
        await pilot.press("f5", "ctrl+q")
        await until(pilot, lambda: any("Leaving as soon as" in told for told in notices(app)))
        assert not app.stopping
        disk.through.set()
        await until(pilot, lambda: isinstance(app.screen, Question) and "has not finished" in shown(app))
        assert not engine.shut_down


async def test_asked_twice_it_leaves_without_waiting_and_begins_nothing(
    drive: Drive, disk: Disk, engine: FakeEngine, runs_dir: Path
) -> None:
    async with drive(preset="quickstart") as (app, pilot):
        await until(pilot, lambda: app.state.experiment is not None)
        await pilot.press("f5", "ctrl+q", "ctrl+q")
        await until(pilot, lambda: app.return_value == 0)
    disk.through.set()
    app.writer.finish(10)
    assert engine.submitted == [] and len(list_runs(runs_dir)) == 1, "the run is there, to be started another time"


async def test_a_failure_names_its_run_and_what_was_asked_for_after_it_is_done(
    drive: Drive, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [build(name, f"2025100{n}-000000").prepared().finish().folder for n, name in enumerate(("one", "two"), 1)]
    change = labels.change_labels

    def fails_once(folder: RunFolder, **changes: Any) -> Any:
        if "archived" in changes:
            raise TunerError("cannot be written", code="not-writable", where=folder.name)
        return change(folder, **changes)

    monkeypatch.setattr(labels, "change_labels", fails_once)
    async with drive() as (app, pilot):
        await at_runs(app, pilot, "two")
        app.screen.action_archive()  # type: ignore[attr-defined]
        app.screen.action_pin()  # type: ignore[attr-defined]
        await until(pilot, lambda: labels_of(folders[1].path).pinned)
        assert any(folders[1].name in told and "cannot be written" in told for told in notices(app))
        assert not any("archived;" in told for told in notices(app)), "what failed is not told as done"
