"""Leaving the app: at once, after a question, while saving, and when the system asks."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder, going
from tests.ui.looking import shown, until
from tui_tuner.runs.folder import RunFolder
from tui_tuner.ui.leaving import Question, window_lost

Build = Callable[..., RunBuilder]


async def test_leaving_with_nothing_going_is_at_once(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == 0 and engine.shut_down


async def test_leaving_a_going_run_asks_and_staying_changes_nothing(
    drive: Drive, engine: FakeEngine, build: Build
) -> None:
    going(engine, build().prepared())
    async with drive() as (app, pilot):
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("ctrl+q")
        assert len(app.screen_stack) == 2, "the question is asked once"
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: not isinstance(app.screen, Question))
        assert not engine.handles()[0].control.stop_requested and not engine.shut_down and app.is_running


async def test_stop_and_leave_waits_for_the_engine(drive: Drive, engine: FakeEngine, build: Build) -> None:
    going(engine, build().prepared())
    engine.may_end.clear()
    async with drive() as (app, pilot):
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("enter")
        await until(pilot, lambda: engine.shut_down and "stopping and saving" in shown(app))
        assert engine.handles()[0].control.stop_requested
        assert app.return_value is None
        engine.may_end.set()
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == 0


async def test_an_engine_that_hangs_does_not_keep_the_app(drive: Drive, engine: FakeEngine, build: Build) -> None:
    going(engine, build().prepared())
    engine.may_end.clear()
    async with drive(stop_timeout=0.05) as (app, pilot):
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("enter")
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == 1


async def test_while_it_saves_one_can_leave_at_once(drive: Drive, engine: FakeEngine, build: Build) -> None:
    going(engine, build().prepared())
    engine.may_end.clear()
    async with drive() as (app, pilot):
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("enter")
        await until(pilot, lambda: app.stopping and not isinstance(app.screen, Question))
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Question))
        assert "Still saving" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == 1
    engine.may_end.set()


@pytest.mark.skipif(not hasattr(signal, "SIGTERM"), reason="no signals here")
async def test_sigterm_stops_saves_and_leaves(drive: Drive, engine: FakeEngine, build: Build) -> None:
    going(engine, build().prepared())
    before = signal.getsignal(signal.SIGTERM)
    async with drive() as (app, pilot):
        await until(pilot, lambda: signal.getsignal(signal.SIGTERM) is not before, "the app listens")
        os.kill(os.getpid(), signal.SIGTERM)
        await until(pilot, lambda: app.return_value is not None)
        assert engine.handles()[0].control.stop_requested and engine.shut_down


async def test_a_run_is_handed_to_the_background(
    drive: Drive,
    engine: FakeEngine,
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The process is started after the engine has ended, and the person is told how to find it again."""
    from tui_tuner.engine import handover

    builder = build().prepared()
    started: list[str] = []

    def start(folder: RunFolder) -> int:
        assert engine.shut_down
        started.append(folder.name)
        return 4711

    monkeypatch.setattr(handover, "continue_in_background", start)
    going(engine, builder)
    async with drive() as (app, pilot):
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == 0
        assert started == [builder.folder.name]
    said = capsys.readouterr().err
    assert "4711" in said and f"tui-tuner attach {builder.folder.name}" in said


@pytest.mark.parametrize("queued", [False, True])
async def test_a_run_goes_on_when_its_window_is_lost(
    drive: Drive, engine: FakeEngine, build: Build, monkeypatch: pytest.MonkeyPatch, queued: bool
) -> None:
    from tui_tuner.engine import handover
    from tui_tuner.runs.queue import RunQueue

    builder = build().prepared()
    started: list[str] = []
    monkeypatch.setattr(handover, "continue_in_background", lambda folder: started.append(folder.name) or 1)
    monkeypatch.setattr(handover, "work_off_in_background", lambda folder: started.append("the queue") or 1)
    going(engine, builder)
    async with drive() as (app, pilot):
        if queued:
            RunQueue(app.runs_dir).add(build("later").folder)
            await until(pilot, lambda: bool(app.desk.entries))
        window_lost(app)
        window_lost(app)
        await until(pilot, lambda: app.return_value is not None)
        assert started == (["the queue"] if queued else [builder.folder.name])
        assert engine.handles()[0].control.stop_requested and engine.shut_down


@pytest.mark.parametrize("runs", [0, 2])
async def test_a_lost_window_stops_and_saves_what_cannot_be_handed_over(
    drive: Drive, engine: FakeEngine, build: Build, runs: int
) -> None:
    for name in ("first", "second")[:runs]:
        going(engine, build(name).prepared())
    async with drive() as (app, pilot):
        window_lost(app)
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == 0 and engine.shut_down
        assert all(handle.control.stop_requested for handle in engine.handles())


@pytest.mark.parametrize(("queued", "keys"), [(False, ("down",)), (True, ("down", "down"))])
async def test_a_run_that_ends_while_the_person_is_asked_is_handed_to_nobody(
    drive: Drive, engine: FakeEngine, build: Build, monkeypatch: pytest.MonkeyPatch, queued: bool, keys: tuple[str, ...]
) -> None:
    from tui_tuner.engine import handover
    from tui_tuner.runs.queue import RunQueue

    started: list[str] = []
    monkeypatch.setattr(handover, "continue_in_background", lambda folder: started.append(folder.name) or 1)
    monkeypatch.setattr(handover, "work_off_in_background", lambda folder: started.append("the queue") or 1)
    going(engine, build().prepared())
    async with drive() as (app, pilot):
        if queued:
            RunQueue(app.runs_dir).add(build("later").folder)
            await until(pilot, lambda: bool(app.desk.entries))
            RunQueue(app.runs_dir).pause(True)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Question))
        engine.end(engine.handles()[0])
        await pilot.press(*keys, "enter")
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == 0 and started == (["the queue"] if queued else [])


async def test_a_process_that_cannot_be_started_does_not_keep_the_app_open(
    drive: Drive, engine: FakeEngine, build: Build, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tui_tuner.engine import handover

    def start(folder: RunFolder) -> int:
        raise OSError("out of memory")

    monkeypatch.setattr(handover, "continue_in_background", start)
    going(engine, build().prepared())
    async with drive() as (app, pilot):
        window_lost(app)
        await until(pilot, lambda: app.return_value is not None)
        assert app.return_value == 1
    assert "out of memory: nothing goes on in the background" in capsys.readouterr().err


async def test_two_runs_cannot_be_handed_over(drive: Drive, engine: FakeEngine, build: Build) -> None:
    going(engine, build().prepared())
    going(engine, build("second").prepared())
    async with drive() as (app, pilot):
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Question))
        assert "background" not in shown(app)
