"""Every screen has a picture of itself empty, at work, and in trouble, at the smallest size and at a common one.

The table says which picture that is; a test holds it to what is there. Pictures that belong to no other test are
drawn here. In each of these states a screen must say what to do next.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.compared import compared
from tests.ui.fakes import START, FakeEngine, RunBuilder, going
from tests.ui.looking import shown, until
from tests.ui.test_config_forecast import foretelling
from tests.ui.workshop import SIZES, app_with, experiment, finished, frozen, open_mode, place, with_config
from tui_tuner.engine.forecast_requests import AskForecast
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import Benchmark
from tui_tuner.errors import TunerError
from tui_tuner.runs.folder import RunFolder
from tui_tuner.runs.lock import RunLock
from tui_tuner.ui.actions import MODES, VIEWS
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.screens.compare import CompareScreen
from tui_tuner.ui.widgets.chat_input import ChatInput

__all__ = ["frozen", "place"]

PICTURES = Path(__file__).parent / "__snapshots__"
STATES = ("empty", "busy", "error")
LOG = "log"
"""The train screen over the log of another program."""

TABLE: dict[str, dict[str, str]] = {
    "home": {"empty": "test_snapshots_shell/test_home_at_first"},
    "models": {
        "empty": "test_models_screen/test_picture[empty]", "busy": "test_models_work/test_picture[working]",
        "error": "test_models_screen/test_picture[error]",
    },
    "data": {"empty": "test_data_screen/test_picture[empty]", "error": "test_data_screen/test_picture[error]"},
    "config": {"empty": "test_config_screen/test_picture[empty]"},
    "train": {"busy": "test_snapshots_shell/test_train_live", "error": "test_snapshots_shell/test_train_failed"},
    "benchmark": {
        "empty": "test_benchmark_screen/test_picture[empty]", "busy": "test_benchmark_measuring/test_picture[going]",
    },
    "chat": {"empty": "test_chat_screen/test_picture[empty]", "error": "test_chat_screen/test_picture[error]"},
    "runs": {"error": "test_runs_screen/test_pictures[refused]"},
    "compare": {},
    LOG: {"busy": "test_log_screen/test_picture"},
}  # fmt: skip
"""Screen → state → the test that draws it. What is not named here is drawn here."""


def at_both_sizes(test: str) -> Iterator[list[Path]]:
    """The pictures of a test, one for each size; the tests name sizes by number or as they are."""
    where, name = test.split("/")
    name, _, pose = name.rstrip("]").partition("[")
    for number, (width, height) in enumerate(SIZES):
        sizes = [f"size{number}", f"({width}, {height})", f"{width}x{height}"]
        yield [PICTURES / where / f"{name}[{f'{pose}-' if pose else ''}{size}].svg" for size in sizes]


def test_every_screen_has_a_picture_of_each_state_at_each_size() -> None:
    assert set(TABLE) == {*MODES, *VIEWS, LOG}
    for screen, known in TABLE.items():
        assert not set(known) & {state for of, state in POSES if of == screen}, f"{screen} is drawn twice"
        for state in STATES:
            test = known.get(state, f"test_states/test_picture[{screen}-{state}]")
            for names in at_both_sizes(test):
                assert any(path.is_file() for path in names), f"{screen}, {state}: there is no {names[0].name}"


# -- the states that no other test draws ------------------------------------------------------------------------------

Pose = Callable[[TunerApp, Pilot[Any], Path], Awaitable[str]]
"""Brings the app into a state; what is then on the screen."""


def live(app: TunerApp, place: Path) -> None:
    """A run that this process works on."""
    assert isinstance(app.engine, FakeEngine)
    builder = going(app.engine, with_config(RunBuilder(place)).prepared().train(1, 74))
    RunLock(builder.folder).acquire()
    app.clock = lambda: builder.now + 1


async def home_busy(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    app.select_run(RunFolder.open(next(place.iterdir())))
    await open_mode(pilot, "home")
    return "CONTINUE"


async def home_error(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    await open_mode(pilot, "home")
    return "failed"


def broken(app: TunerApp, place: Path) -> None:
    """A run that failed."""
    made = RunBuilder(place, "recipes", "20251007-101112", 600).prepared().train(1, 40)
    made.finish("failed", "the loss became NaN at step 41; lower train.learning_rate from 3e-3 to 1e-3")


async def data_busy(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    app.set_experiment(experiment())
    app.go("data")
    return "◌"


async def config_busy(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    await open_mode(pilot, "config", made=experiment())
    await pilot.press("m")
    return "measuring"


async def config_error(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    await open_mode(pilot, "config", made=experiment())
    await pilot.press("f")
    return "there is no such model"


async def train_empty(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    await open_mode(pilot, "train")
    return "No run is open."


async def benchmark_error(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    await open_mode(pilot, "benchmark", run=with_config(RunBuilder(place).begin().finish()))
    await pilot.press("b")
    assert isinstance(app.engine, FakeEngine)
    handle = next(one for one in app.engine.handles() if isinstance(one.request, Benchmark))
    error = TunerError("the model does not fit in memory", fix="lower evaluation.batch_size to 4")
    app.engine.end(handle, error=error)
    return "not fit"


async def chat_busy(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    await open_mode(pilot, "chat", run=finished(RunBuilder(place)))
    app.screen.query_one(ChatInput).cursor_blink = False
    await pilot.press(*"Who won?", "enter")
    return "esc"


async def runs_empty(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    await open_mode(pilot, "runs")
    return "No runs yet."


async def runs_busy(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    await open_mode(pilot, "runs")
    return "enter watches it"


async def compare_busy(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    folders = compared(place)
    await open_mode(pilot, "runs")
    app.compare_runs(folders)
    await until(pilot, lambda: isinstance(app.screen, CompareScreen))
    return "reading the runs"


async def compare_empty(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    return await comparing(app, pilot, [RunBuilder(place, name).begin().folder for name in ("steady", "hot")])


async def compare_error(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    folders = compared(place)[:2]
    for file in folders[1].path.rglob("*.*"):
        file.unlink()
    return await comparing(app, pilot, folders)


async def comparing(app: TunerApp, pilot: Pilot[Any], folders: list[RunFolder]) -> str:
    await open_mode(pilot, "runs")
    app.compare_runs(folders)
    await until(pilot, lambda: isinstance(app.screen, CompareScreen))
    screen = app.screen
    assert isinstance(screen, CompareScreen)
    await until(pilot, lambda: screen._together is not None and not screen._judging)
    return "steady"


async def log_empty(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    (place / "train.log").write_text("", encoding="utf-8")
    app.watch_log(Path("train.log"))
    await open_mode(pilot, "train")
    return "log"


async def log_error(app: TunerApp, pilot: Pilot[Any], place: Path) -> str:
    app.watch_log(Path("/nowhere/train.log"))
    await open_mode(pilot, "train")
    return "does not exist"


def answer(handle: JobHandle) -> None:
    """What the screens ask by themselves; a forecast where a test of errors asks fails."""
    if isinstance(handle.request, AskForecast):
        handle.status, handle.error = JobStatus.FAILED, TunerError("there is no such model", where="model.path")


POSES: dict[tuple[str, str], Pose] = {
    ("home", "busy"): home_busy, ("home", "error"): home_error, ("data", "busy"): data_busy,
    ("config", "busy"): config_busy, ("config", "error"): config_error, ("train", "empty"): train_empty,
    ("benchmark", "error"): benchmark_error, ("chat", "busy"): chat_busy, ("runs", "empty"): runs_empty,
    ("runs", "busy"): runs_busy, ("compare", "empty"): compare_empty, ("compare", "busy"): compare_busy,
    ("compare", "error"): compare_error, (LOG, "empty"): log_empty, (LOG, "error"): log_error,
}  # fmt: skip
ANSWERS = {("config", "busy"): foretelling(), ("config", "error"): answer}
FIRST = {("home", "busy"): live, ("home", "error"): broken, ("runs", "busy"): live}
"""What there is before the app looks."""


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("screen", "state"), POSES, ids=lambda name: str(name))
def test_picture(
    place: Path, snap_compare: Callable[..., bool], screen: str, state: str, size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(place)
    app = app_with(place, FakeEngine(ANSWERS.get((screen, state))))
    app.clock = lambda: START
    if (screen, state) == ("compare", "busy"):
        monkeypatch.setattr(CompareScreen, "_read", lambda screen: None)
    FIRST.get((screen, state), lambda app, place: None)(app, place)

    async def prepare(pilot: Pilot[Any]) -> None:
        text = await POSES[screen, state](app, pilot, place)
        await until(pilot, lambda: text in shown(app), f"{text} in {shown(app)}")
        await pilot.pause()
        assert app.mishaps == []

    assert snap_compare(app, terminal_size=size, run_before=prepare)
