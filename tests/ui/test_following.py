"""Following runs: what the header tells, runs that end or go on while one looks, logs that change, other processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.widgets import Static

from tests.ui.conftest import Drive
from tests.ui.fakes import SENTENCE, FakeEngine, RunBuilder, going
from tests.ui.looking import notices, shown, until
from tui_tuner.errors import TunerError
from tui_tuner.runs.events import EventTail
from tui_tuner.runs.lock import RunLock, holder
from tui_tuner.runs.state import RunState
from tui_tuner.ui.follower import RunFollower
from tui_tuner.ui.jobs import Jobs
from tui_tuner.ui.leaving import Question

Build = Callable[..., RunBuilder]
HOSTILE = "\x1b]0;owned\x07 [bold red]x[/] \u202egnitser [@click=app.quit]quit[/]"


async def test_the_header_tells_what_is_going_on(drive: Drive, build: Build) -> None:
    builder = build().prepared().train(1, 60).finish("stopped")
    async with drive() as (app, pilot):
        await until(pilot, lambda: "no run open" in shown(app))
        app.select_run(builder.folder)
        await until(pilot, lambda: "■ stopped" in shown(app) and "step 60/120" in shown(app))
        assert isinstance(app.screen.query_one("#welcome"), Static)


async def test_the_header_tells_how_many_train_together(drive: Drive, build: Build) -> None:
    builder = build()
    builder.add("run_started", name="a", steps=9, model="m", resumed=False, from_step=0, ranks=2, ranks_backend="ring")
    async with drive(run=builder.folder.path) as (app, pilot):
        await until(pilot, lambda: "2 ranks · m" in shown(app))


async def test_a_stopped_run_that_goes_on_is_not_called_stopped(engine: FakeEngine, build: Build) -> None:
    builder = build().prepared().train(1, 60).finish("stopped")
    jobs = Jobs(engine)
    follower = RunFollower(builder.folder, jobs.of)
    follower.poll()
    assert follower.state is RunState.STOPPED
    handle = jobs.submit(builder.folder)
    handle.started = builder.now + 5
    follower.poll()
    assert follower.state is RunState.QUEUED
    builder.now += 10
    builder.begin(resumed=True, from_step=60)
    follower.poll()
    assert follower.state is RunState.RUNNING
    builder.train(61, 120).finish()
    follower.poll()
    assert follower.state is RunState.FINISHED


async def test_a_writer_that_ends_while_one_looks_is_not_called_interrupted(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the two things that are looked at, the log and its writer, the run may end after either."""
    builder = build().prepared().train(1, 60)
    lock = RunLock(builder.folder)
    lock.acquire()
    seconds = 0.0
    follower = RunFollower(builder.folder, clock=lambda: seconds)
    follower.poll()
    assert follower.state is RunState.RUNNING

    def then_it_ends(look: Callable[..., Any]) -> Callable[..., Any]:
        def looking(*arguments: Any) -> Any:
            result = look(*arguments)
            if lock.held:
                builder.finish()
                lock.release()
            return result

        return looking

    monkeypatch.setattr("tui_tuner.ui.follower.holder", then_it_ends(holder))
    monkeypatch.setattr(EventTail, "poll", then_it_ends(EventTail.poll))
    states = []
    for _ in range(3):
        seconds += 2.0
        follower.poll()
        states.append(follower.state)
    assert RunState.INTERRUPTED not in states
    assert states[-1] is RunState.FINISHED


async def test_a_replaced_log_is_folded_anew(build: Build) -> None:
    builder = build().prepared().train(1, 60)
    follower = RunFollower(builder.folder)
    follower.poll()
    assert follower.view.step == 60
    builder.folder.events.unlink()
    builder.begin().train(1, 10)
    assert follower.poll()
    assert follower.view.step == 10


async def test_the_end_of_a_run_is_told_on_other_screens(drive: Drive, engine: FakeEngine, build: Build) -> None:
    builder = going(engine, build().prepared().train(1, 120))
    async with drive() as (app, pilot):
        app.select_run(builder.folder)
        app.go("runs")
        await until(pilot, lambda: "● running" in shown(app))
        builder.evaluated().finish()
        await until(pilot, lambda: any(f"{SENTENCE} (4 shows it)" in text for text in notices(app)))


async def test_an_unreadable_run_is_told_once(
    drive: Drive, engine: FakeEngine, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = going(engine, build().prepared())
    async with drive() as (app, pilot):
        app.select_run(builder.folder)
        looks: list[int] = []

        def fail() -> bool:
            looks.append(1)
            raise TunerError("cannot be read", where="events.jsonl")

        monkeypatch.setattr(app.state.follower, "poll", fail)
        await until(pilot, lambda: len(looks) >= 3)
        assert notices(app) == ["events.jsonl: cannot be read."]


async def test_a_run_of_another_process_is_steered_through_its_folder(
    drive: Drive, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pause, stop and the rest work as for a run of this process, by requests that its runner finds."""
    from tui_tuner.runs import requests

    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(requests, "ask", lambda folder, what, value=None: asked.append((folder.name, what)))
    builder = build().prepared()
    with RunLock(builder.folder):
        async with drive(run=builder.folder.path) as (app, pilot):
            await until(pilot, lambda: "another process works on it" in shown(app))
            await pilot.press("space", "e", "c", "w")
            await until(pilot, lambda: len(asked) == 4)
            await pilot.press("s")
            await until(pilot, lambda: isinstance(app.screen, Question))
            await pilot.press("enter")
            await until(pilot, lambda: len(asked) == 5)
    name = builder.folder.name
    assert asked == [(name, what) for what in ("pause", "evaluate", "checkpoint", "finish_epoch", "stop")]
