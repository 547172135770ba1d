"""What home, train and runs look like, at the smallest and at a common size. Pictures are kept for one Python only."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.fakes import START, FakeEngine, RunBuilder
from tests.ui.looking import shown, until
from tests.ui.workshop import frozen
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.runs.queue import RunQueue
from tui_tuner.ui.app import TunerApp

__all__ = ["frozen"]

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")

SIZES = [(80, 24), (120, 40)]
Snap = Callable[..., bool]


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.mktemp("snap") / "runs"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


def live(place: Path, engine: FakeEngine) -> RunBuilder:
    builder = RunBuilder(place, "players", "20251009-085320").prepared().train(1, 74)
    engine.submit(RunExperiment(builder.folder.path))
    return builder


def app_on(place: Path, engine: FakeEngine, now: float) -> TunerApp:
    app = TunerApp(engine=engine, runs_dir=place)
    app.clock = lambda: now
    return app


def showing(
    builder: RunBuilder | None, mode: str, text: str, keys: str = ""
) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """Brings the app where the picture is taken."""

    async def prepare(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, TunerApp)
        if builder is not None:
            app.select_run(builder.folder)
        app.go(mode)
        await until(pilot, lambda: text in shown(app), text)
        for key in keys.split():
            await pilot.press(key)
            await pilot.pause()

    return prepare


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_home(snap_compare: Snap, place: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    RunBuilder(place, "quickstart", "20251008-101112").prepared().train(1, 120).evaluated().finish()
    RunBuilder(place, "faq", "20251006-101112", 300).prepared().train(1, 130)
    app = app_on(place, engine, START)
    assert snap_compare(app, terminal_size=size, run_before=showing(None, "home", "trains models"))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_train_live(snap_compare: Snap, place: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    builder = live(place, engine)
    app = app_on(place, engine, builder.now + 1)
    assert snap_compare(app, terminal_size=size, run_before=showing(builder, "train", "step 60: validation loss 0.466"))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_train_finished(snap_compare: Snap, place: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    builder = RunBuilder(place, "quickstart", "20251008-101112").prepared().train(1, 120).evaluated().finish()
    app = app_on(place, engine, START)
    assert snap_compare(app, terminal_size=size, run_before=showing(builder, "train", "+92.5"))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_train_failed(snap_compare: Snap, place: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    builder = RunBuilder(place, "recipes", "20251007-101112", 600).prepared().train(1, 40)
    builder.finish("failed", "the loss became NaN at step 41; lower train.learning_rate from 3e-3 to 1e-3")
    app = app_on(place, engine, START)
    assert snap_compare(app, terminal_size=size, run_before=showing(builder, "train", "became NaN"))


def test_train_largest(snap_compare: Snap, place: Path, engine: FakeEngine) -> None:
    builder = live(place, engine)
    app = app_on(place, engine, builder.now + 1)
    assert snap_compare(
        app, terminal_size=(160, 50), run_before=showing(builder, "train", "step 60: validation loss 0.466", "t")
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_runs(snap_compare: Snap, place: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    RunBuilder(place, "quickstart", "20251008-101112").prepared().train(1, 120).evaluated().finish()
    RunBuilder(place, "faq", "20251006-101112", 300).prepared().train(1, 130)
    app = app_on(place, engine, START)
    assert snap_compare(app, terminal_size=size, run_before=showing(None, "runs", "faq-20251006-101112"))


def test_quit_guard(snap_compare: Snap, place: Path, engine: FakeEngine) -> None:
    builder = live(place, engine)
    app = app_on(place, engine, builder.now + 1)
    prepare = showing(builder, "train", "step 60: validation loss 0.466", "ctrl+q")
    assert snap_compare(app, terminal_size=(80, 24), run_before=prepare)


def test_help(snap_compare: Snap, place: Path, engine: FakeEngine) -> None:
    builder = live(place, engine)
    app = app_on(place, engine, builder.now + 1)
    prepare = showing(builder, "train", "step 60: validation loss 0.466", "question_mark")
    assert snap_compare(app, terminal_size=(120, 40), run_before=prepare)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_home_at_first(snap_compare: Snap, place: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    app = app_on(place, engine, START)
    assert snap_compare(app, terminal_size=size, run_before=showing(None, "home", "trains models"))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_jumping(snap_compare: Snap, place: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    builder = RunBuilder(place, "quickstart", "20251008-101112").prepared().train(1, 120).evaluated().finish()
    app = app_on(place, engine, START)
    assert snap_compare(app, terminal_size=size, run_before=showing(builder, "train", "+92.5", "semicolon"))


def queued(place: Path) -> None:
    """A paused queue of three runs, behind one that has finished."""
    RunBuilder(place, "quickstart", "20251008-101112").prepared().train(1, 120).evaluated().finish()
    queue = RunQueue(place)
    for name, stamp in (
        ("facts-01", "20251009-101112"),
        ("facts-02", "20251009-101113"),
        ("recipes", "20251009-101114"),
    ):
        queue.add(RunBuilder(place, name, stamp).folder)
    queue.pause(True)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_home_with_a_queue(snap_compare: Snap, place: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    queued(place)
    prepare = showing(None, "home", "trains models", "down down")
    assert snap_compare(app_on(place, engine, START), terminal_size=size, run_before=prepare)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_runs_with_a_queue(snap_compare: Snap, place: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    queued(place)
    prepare = showing(None, "runs", "place 3 of 3 in the queue, paused")
    assert snap_compare(app_on(place, engine, START), terminal_size=size, run_before=prepare)
