"""Advice on the Train screen: read, selected, marked, and followed by another run; the old one stays as it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.advised import DIVERGING, HOT, OVERFITTING, advised
from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import notices, shown, shown_in, until
from tests.ui.workshop import HOSTILE, SAFE, SIZES, app_with, place, posed
from tui_tuner.config import load_experiment
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.runs.lock import RunLock
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.widgets.advicelist import AdviceList

__all__ = ["place"]
Build = Callable[..., RunBuilder]
Snap = Callable[..., bool]


def words(app: TunerApp) -> str:
    """What the advice or the dialog over it says."""
    (place,) = app.screen.query(".dialog, AdviceList") or [app.screen]
    return shown_in(app, place)


def files(builder: RunBuilder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in builder.folder.path.iterdir() if path.is_file()}


async def opened(app: TunerApp, pilot: Pilot[int], builder: RunBuilder) -> AdviceList:
    """The run on the Train screen, with the focus on its advice."""
    app.select_run(builder.folder)
    app.go("train")
    await until(pilot, lambda: "70/120" in shown(app))
    await pilot.press("a")
    await until(pilot, lambda: isinstance(app.focused, AdviceList))
    return app.screen.query_one(AdviceList)


async def asked(app: TunerApp, pilot: Pilot[int], *keys: str) -> str:
    """Presses keys until there is a question, and returns what it says."""
    await pilot.press(*keys)
    await until(pilot, lambda: isinstance(app.screen, Question))
    return words(app)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_each_advice_has_sign_word_step_numbers_and_changes(
    drive: Drive, build: Build, size: tuple[int, int]
) -> None:
    builder = advised(build(), OVERFITTING, HOT, DIVERGING)
    async with drive(size=size) as (app, pilot):
        listed = await opened(app, pilot, builder)
        assert [one.code for one in listed.advice] == ["diverging", "overfitting", "slowed-down"]
        for word in (
            "✗ error diverging said at step 70",
            "0.512 around step 40 to 3.871",
            "train.learning_rate 3e-3 → 3e-4",
            "train.warmup 0 → 12",
        ):
            assert word in words(app)
        await pilot.press("down")
        await until(pilot, lambda: "train.eval_every 200 → 7" in words(app))
        assert "▲ warning overfitting said at step 60" in words(app)
        await pilot.press("down")
        await until(pilot, lambda: "nothing to change in the configuration" in words(app))
        assert "i info slowed-down said at step 55" in words(app)
        assert "{" not in shown(app)


async def test_new_advice_appears_and_the_selection_stays(drive: Drive, build: Build) -> None:
    builder = advised(build(), OVERFITTING, HOT)
    async with drive() as (app, pilot):
        listed = await opened(app, pilot, builder)
        await pilot.press("down")
        assert [one.code for one in listed.chosen] == ["slowed-down"]
        builder.add("advice", **DIVERGING)
        await until(pilot, lambda: len(listed.advice) == 3)
        assert [one.code for one in listed.chosen] == ["slowed-down"]
        builder.add("advice", **{**OVERFITTING, "severity": "error"})
        await until(pilot, lambda: listed.advice[0].code == "overfitting", "it became graver")
        assert len(listed.advice) == 3


async def test_without_advice_there_is_nothing_to_go_to(drive: Drive, build: Build) -> None:
    builder = advised(build())
    async with drive(size=(80, 24)) as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "70/120" in shown(app))
        await pilot.press("a", "x")
        assert not isinstance(app.focused, AdviceList)
        await pilot.press("v", "v")
        await until(pilot, lambda: "No advice: nothing looked wrong so far." in shown(app))


async def test_following_makes_another_experiment_and_starts_it(
    drive: Drive, build: Build, engine: FakeEngine, runs_dir: Path
) -> None:
    builder = advised(build(), OVERFITTING).finish()
    before = files(builder)
    async with drive() as (app, pilot):
        await opened(app, pilot, builder)
        said = await asked(app, pilot, "a")
        assert (
            "players-2: as players, but train.iters 120 → 30 train.eval_every 200 → 7 train.save_every 100 → 30" in said
        )
        assert "Start it now" in said and "after" not in said.partition("Start it now")[2].partition("Open")[0]
        await pilot.press("enter")
        await until(pilot, lambda: len(engine.submitted) == 1)
        made = load_experiment(engine.submitted[0].folder / "config.toml")
        assert engine.submitted[0].folder.name.startswith("players-2-")
        assert (made.run.name, made.train.iters, made.train.eval_every) == ("players-2", 30, 7)
        assert app.state.experiment is not None and app.state.experiment.run.name == "players-2"
        assert app.state.run is not None and app.state.run.path == engine.submitted[0].folder
    assert files(builder) == before


async def test_not_now_changes_nothing(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = advised(build(), OVERFITTING).finish()
    async with drive() as (app, pilot):
        await opened(app, pilot, builder)
        for keys in (["escape"], ["end", "enter"]):
            await asked(app, pilot, "enter")
            await pilot.press(*keys)
            await until(pilot, lambda: not isinstance(app.screen, Question))
        assert app.state.experiment is None and engine.submitted == []


async def test_open_in_config_shows_what_would_be_run(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = advised(build(), OVERFITTING).finish()
    async with drive() as (app, pilot):
        await opened(app, pilot, builder)
        await asked(app, pilot, "a")
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.current_mode == "config" and "players-2" in shown(app))
        assert app.state.experiment is not None and app.state.experiment.train.iters == 30
        assert not any(isinstance(request, RunExperiment) for request in engine.submitted)


async def test_several_are_followed_together_and_the_graver_one_wins(drive: Drive, build: Build) -> None:
    contrary = {**HOT, "code": "memory", "change": {"train.iters": 240, "train.batch_size": 2}}
    builder = advised(build(), OVERFITTING, contrary, DIVERGING).finish()
    async with drive() as (app, pilot):
        listed = await opened(app, pilot, builder)
        await pilot.press("x", "down", "x", "down", "x")
        assert [one.code for one in listed.chosen] == ["diverging", "overfitting", "memory"]
        await until(pilot, lambda: "[x]" in shown(app))
        said = await asked(app, pilot, "a")
        assert "train.learning_rate 3e-3 → 3e-4 train.warmup 0 → 2" not in said
        for word in ("train.learning_rate 3e-3 → 3e-4", "train.warmup 0 → 12", "train.iters 120 → 30"):
            assert word in said
        assert "train.batch_size" not in said
        assert "Left out: memory wants train.iters otherwise" in said
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Question))
        await pilot.press("up", "up", "x", "down", "x", "down", "x")
        assert [one.code for one in listed.chosen] == ["memory"], "no marks: the selected one"


async def test_a_change_that_is_not_valid_is_one_sentence(drive: Drive, build: Build) -> None:
    builder = advised(build(), OVERFITTING, train_warmup=40).finish()
    async with drive() as (app, pilot):
        await opened(app, pilot, builder)
        await pilot.press("a")
        await until(pilot, lambda: len(notices(app)) == 1)
        assert notices(app)[0].startswith(
            "With this change train.warmup is 40, which is not shorter than the run of 30"
        )
        assert app.state.experiment is None


async def test_advice_without_a_change_says_so_and_is_not_marked(drive: Drive, build: Build) -> None:
    builder = advised(build(), HOT, OVERFITTING).finish()
    async with drive() as (app, pilot):
        listed = await opened(app, pilot, builder)
        await pilot.press("down", "x", "a")
        await until(pilot, lambda: notices(app) == ["There is nothing to change in the configuration for this."])
        assert [one.code for one in listed.chosen] == ["slowed-down"]


async def test_while_a_run_goes_it_is_queued(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = advised(build(), OVERFITTING)
    going = engine.submit(RunExperiment(builder.folder.path))
    async with drive() as (app, pilot):
        await opened(app, pilot, builder)
        assert "Start it after this" in await asked(app, pilot, "a")
        await pilot.press("enter")
        await until(pilot, lambda: len(engine.submitted) == 2)
        assert not going.control.stop_requested
        assert any("Queued" in text for text in notices(app))


async def test_what_goes_is_stopped_and_saved_first(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = advised(build(), OVERFITTING)
    going = engine.submit(RunExperiment(builder.folder.path))
    async with drive() as (app, pilot):
        await opened(app, pilot, builder)
        await asked(app, pilot, "a")
        await pilot.press("down", "enter")
        await until(pilot, lambda: len(engine.submitted) == 2)
        assert going.control.stop_requested
        assert engine.handles()[1].status.value == "queued"


async def test_a_run_of_another_process_is_stopped_before_the_new_one_begins(
    drive: Drive, build: Build, engine: FakeEngine, runs_dir: Path
) -> None:
    builder = advised(build(), OVERFITTING)
    lock = RunLock(builder.folder)
    lock.acquire()
    async with drive() as (app, pilot):
        await opened(app, pilot, builder)
        assert "Stop and save that run, then start it" in await asked(app, pilot, "a")
        await pilot.press("enter")
        await until(pilot, lambda: any("starts when" in text for text in notices(app)))
        assert '"stop"' in (builder.folder.path / "requests.jsonl").read_text()
        assert engine.submitted == []
        builder.finish("stopped")
        lock.release()
        await until(pilot, lambda: len(engine.submitted) == 1, "it begins when the other has ended")
        assert engine.submitted[0].folder.name.startswith("players-2-")
        await until(pilot, lambda: app.state.run is not None and app.state.run.path == engine.submitted[0].folder)


async def test_hostile_advice_is_inert(drive: Drive, build: Build) -> None:
    evil = {"code": HOSTILE, "severity": HOSTILE, "text": HOSTILE, "change": {HOSTILE: HOSTILE, "train.iters": HOSTILE}}
    builder = advised(build(), evil).finish()
    async with drive(size=(160, 50)) as (app, pilot):
        await opened(app, pilot, builder)
        assert words(app).count(SAFE) >= 4
        await pilot.press("a")
        await until(pilot, lambda: len(notices(app)) == 1)
        assert "\x1b" not in shown(app) and "\u202e" not in shown(app)


# -- pictures ---------------------------------------------------------------------------------------------------------
pictures = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")


def live(place: Path, engine: FakeEngine, *advice: dict[str, object]) -> tuple[TunerApp, RunBuilder]:
    builder = advised(RunBuilder(place, "players", "20251009-085320"), *advice)
    engine.submit(RunExperiment(builder.folder.path))
    app = app_with(place, engine)
    app.clock = lambda: builder.now + 1
    return app, builder


@pictures
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("advice", "keys", "text"),
    [
        ((), ("v", "v"), "No advice"),
        ((OVERFITTING,), ("a",), "said at step 60"),
        ((OVERFITTING, HOT, DIVERGING), ("a", "x"), "[x]"),
        ((OVERFITTING, HOT, DIVERGING), ("a", "x", "down", "x", "a"), "players-2"),
    ],
    ids=["none", "one", "three", "follow"],
)
def test_picture(
    snap_compare: Snap,
    place: Path,
    engine: FakeEngine,
    size: tuple[int, int],
    advice: tuple[dict[str, object], ...],
    keys: tuple[str, ...],
    text: str,
) -> None:
    app, builder = live(place, engine, *advice)

    async def prepare(pilot: Pilot[Any]) -> None:
        await posed("train", text, run=builder, keys=keys)(pilot)
        await until(pilot, lambda: "4 Train" in shown(app), "what lies behind a dialog is drawn")

    assert snap_compare(app, terminal_size=size, run_before=prepare)
