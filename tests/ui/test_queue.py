"""The queue in the app: it is worked off while the app is idle, shown on Home and Runs, and changed with keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import START, FakeEngine, RunBuilder
from tests.ui.looking import notices, shown, until
from tests.ui.workshop import experiment
from tui_tuner.errors import TunerError
from tui_tuner.runs.queue import RunQueue, runner_lock
from tui_tuner.ui.leaving import Question, choices

Build = Callable[..., RunBuilder]
STAMPS = [f"2025100{day}-101112" for day in range(1, 6)]


@pytest.fixture
def queue(runs_dir: Path, build: Build) -> RunQueue:
    """Three runs that wait, paused so that nothing begins before a test wants it."""
    return filled(runs_dir, build)


def filled(runs_dir: Path, build: Build) -> RunQueue:
    made = RunQueue(runs_dir)
    for name, stamp in zip(("small", "middle", "large"), STAMPS, strict=False):
        made.add(build(name, stamp).folder)
    made.pause(True)
    return made


def order(queue: RunQueue) -> list[str]:
    return [entry.run.partition("-")[0] for entry in queue.read().entries]


async def test_runs_begin_one_after_the_other_while_the_app_is_idle(
    drive: Drive, engine: FakeEngine, queue: RunQueue
) -> None:
    queue.pause(False)
    async with drive() as (app, pilot):
        await until(pilot, lambda: len(engine.submitted) == 1)
        first = engine.submitted[0].folder
        assert first.name == "small-20251001-101112"
        assert app.state.run is not None and app.state.run.path == first
        finish(queue.runs_dir / first.name)
        engine.end(engine.handles()[0])
        await until(pilot, lambda: len(engine.submitted) == 2)
        assert engine.submitted[1].folder.name.startswith("middle-")
        assert order(queue) == ["middle", "large"]


async def test_a_run_that_failed_before_it_could_say_so_leaves_the_queue(
    drive: Drive, engine: FakeEngine, queue: RunQueue
) -> None:
    queue.pause(False)
    async with drive(mishaps=True) as (_, pilot):
        await until(pilot, lambda: len(engine.submitted) == 1)
        engine.end(engine.handles()[0], error=TunerError("no model", code="not-found"))
        await until(pilot, lambda: len(engine.submitted) == 2)
        assert order(queue) == ["middle", "large"]


async def test_a_paused_queue_begins_nothing_and_p_lets_it_go_on(
    drive: Drive, engine: FakeEngine, queue: RunQueue
) -> None:
    async with drive() as (app, pilot):
        await until(pilot, lambda: "QUEUE: 3 QUEUED, PAUSED" in shown(app))
        assert engine.submitted == []
        await pilot.press("p")
        await until(pilot, lambda: len(engine.submitted) == 1)
        assert not queue.read().paused
        await pilot.press("0", "p")
        await until(pilot, lambda: queue.read().paused)


async def test_nothing_begins_while_another_process_works_the_queue_off(
    drive: Drive, engine: FakeEngine, queue: RunQueue
) -> None:
    queue.pause(False)
    with runner_lock():
        async with drive() as (app, pilot):
            await until(pilot, lambda: app.desk.waits == "another process works the queue off")
            assert engine.submitted == []


async def test_a_killed_run_waits_for_a_word(drive: Drive, engine: FakeEngine, queue: RunQueue, runs_dir: Path) -> None:
    queue.pause(False)
    begin(runs_dir / "small-20251001-101112")
    async with drive() as (app, pilot):
        await until(pilot, lambda: app.desk.asks)
        assert engine.submitted == []
        await pilot.press("p")
        await until(pilot, lambda: len(engine.submitted) == 1)
        assert engine.submitted[0].folder.name.startswith("small-")


async def test_keys_of_the_runs_screen_move_and_take_out(drive: Drive, queue: RunQueue) -> None:
    async with drive() as (app, pilot):
        await pilot.press("7")
        await until(pilot, lambda: "queued 3" in shown(app))
        await pilot.press("plus")  # the cursor is on the first row, which is the first of the queue too
        await until(pilot, lambda: order(queue) == ["middle", "small", "large"])
        await pilot.press("minus")
        await until(pilot, lambda: order(queue) == ["small", "middle", "large"])
        await pilot.press("x")
        await until(pilot, lambda: order(queue) == ["middle", "large"])
        await until(pilot, lambda: "small-" not in shown(app))
        assert (queue.folder / "removed" / "small-20251001-101112").is_dir()
        await until(pilot, lambda: any("z puts it in again" in text for text in notices(app)))
        await pilot.press("z")
        await until(pilot, lambda: order(queue) == ["middle", "large", "small"] and "small-" in shown(app))


async def test_the_cursor_stays_in_its_place_when_its_run_goes(drive: Drive, queue: RunQueue) -> None:
    async with drive() as (app, pilot):
        await pilot.press("7")
        await until(pilot, lambda: "queued 3" in shown(app))
        await pilot.press("down", "x")
        await until(pilot, lambda: order(queue) == ["small", "large"])
        await until(pilot, lambda: app.screen.current is not None and app.screen.current.run.startswith("large"))


async def test_a_run_that_never_began_is_put_into_the_queue(drive: Drive, build: Build, runs_dir: Path) -> None:
    made = RunQueue(runs_dir)
    made.pause(True)
    build("alone", STAMPS[0])
    async with drive() as (app, pilot):
        await pilot.press("7")
        await until(pilot, lambda: "a puts it into the queue" in shown(app))
        await pilot.press("a")
        await until(pilot, lambda: order(made) == ["alone"])


async def test_the_experiment_is_queued_as_it_is_set_up(drive: Drive, engine: FakeEngine, runs_dir: Path) -> None:
    made = RunQueue(runs_dir)
    made.pause(True)
    async with drive() as (app, pilot):
        app.set_experiment(experiment())
        await pilot.press("f6")
        await until(pilot, lambda: len(made.read().entries) == 1)
        assert (runs_dir / made.read().entries[0].run / "config.toml").is_file()
        assert engine.submitted == []


async def test_a_broken_queue_is_told_once_and_the_app_goes_on(drive: Drive, queue: RunQueue) -> None:
    queue.file.write_text("{")
    async with drive(mishaps=True) as (app, pilot):
        await until(pilot, lambda: any("not valid JSON" in notice for notice in notices(app)))
        await pilot.press("7")
        await until(pilot, lambda: "large-" in shown(app))


async def test_leaving_offers_to_go_on_with_the_queue(drive: Drive, engine: FakeEngine, queue: RunQueue) -> None:
    queue.pause(False)
    async with drive() as (app, pilot):
        await until(pilot, lambda: len(engine.submitted) == 1)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Question))
        assert "and the queue after it" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.return_value is not None)
        assert engine.handles()[0].control.stop_reason == "shutdown"
    assert order(queue) == ["small", "middle", "large"]


def test_the_queue_is_offered_only_where_one_waits() -> None:
    assert [choice.id for choice in choices(1, 0)] == ["stop", "background", "stay"]
    assert [choice.id for choice in choices(1, 2)] == ["stop", "background", "queue", "stay"]


def begin(path: Path) -> None:
    with (path / "events.jsonl").open("a") as log:
        log.write(json.dumps({"t": START, "type": "run_started", "name": "n", "steps": 120}) + "\n")


def finish(path: Path) -> None:
    begin(path)
    with (path / "events.jsonl").open("a") as log:
        log.write(json.dumps({"t": START + 1, "type": "run_finished", "status": "finished", "reason": ""}) + "\n")
