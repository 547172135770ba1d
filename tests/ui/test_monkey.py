"""Whatever is pressed, clicked, pasted or resized, in whatever order: no exception, and the app is there afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import Tuner, tuner
from tests.support.twins import twins
from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.linted import PROBLEMS, nine_rows
from tests.ui.linted import measured as measured_data
from tests.ui.measured import measured
from tests.ui.monkey import Monkey
from tests.ui.workshop import about_models, experiment, facts, with_config
from tui_tuner.engine import handover
from tui_tuner.engine.protocol import JobHandle
from tui_tuner.engine.requests import FindRows, PreviewData, ScanData
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.runs.catalogue import find_run
from tui_tuner.runs.trash import deleted_runs
from tui_tuner.ui.actions import MODES

__all__ = ["tuner"]
Build = Callable[..., RunBuilder]


@pytest.fixture(autouse=True)
def caged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves the folder of the test, and no process is begun."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TUI_TUNER_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("continue_in_background", "work_off_in_background"):
        monkeypatch.setattr(handover, name, lambda *_args, **_kwargs: 1)


def moody(seed: int) -> Callable[[JobHandle], None]:
    """An engine's answers: mostly at once, at times never, at times an error."""
    chance = random.Random(seed)
    rows = nine_rows(measured_data(PROBLEMS), (("train", 1), ("test", 0)))

    def answer(handle: JobHandle) -> None:
        mood = chance.random()
        if mood < 0.75:
            if not about_models(handle, facts()) and isinstance(handle.request, PreviewData | ScanData | FindRows):
                rows(handle)
        elif mood < 0.85:
            about_models(handle, TunerError("the model is gone", code="model-not-found", where="/x", fix="look"))

    return answer


async def _plays(drive: Drive, build: Build, seed: int, turns: int, modes: list[str]) -> set[str]:
    """So many turns on each screen; an app that the monkey leaves is started again."""
    seen: set[str] = set()
    going = with_config(build("going", "20251009-085320").prepared().train(1, 60))
    whole = measured(build("whole", "20251010-085320"))
    todo = list(modes)
    while todo:
        number = seed + len(modes) - len(todo)
        engine = FakeEngine(moody(number))
        async with drive(engine=engine, size=(80, 24), mishaps=True) as (app, pilot):
            app.set_experiment(experiment())
            chosen = random.Random(number).choice((going, whole)).folder
            if chosen.events.exists():
                app.select_run(chosen)
            monkey = Monkey(pilot, number, engine, [going, whole])
            while todo and await monkey.play(turns, todo.pop(0)):
                pass
            seen |= monkey.seen
    return seen


@pytest.mark.parametrize("part", twins(range(2), [0]))
async def test_a_monkey_breaks_nothing(part: int, drive: Drive, build: Build) -> None:
    modes = list(MODES)
    random.Random(part).shuffle(modes)
    seen = await _plays(drive, build, 1000 * part, 10, modes)
    assert {name.partition("/")[0] for name in seen} == set(MODES)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
async def test_a_monkey_breaks_nothing_for_minutes(seed: int, drive: Drive, build: Build) -> None:
    modes = list(MODES)
    random.Random(seed).shuffle(modes)
    await _plays(drive, build, 100_000 + 1000 * seed, 80, modes * 3)


@pytest.mark.slow
@pytest.mark.mlx
@pytest.mark.parametrize("seed", range(2))
async def test_a_monkey_at_the_real_engine(seed: int, drive: Drive, runs_dir: Path, tuner: Tuner) -> None:
    """On a run that was really trained, with jobs that are really done."""
    said = tuner("run", "quickstart", "--set", "train.iters=12", "--runs-dir", runs_dir, "--json")
    assert said.status == 0, said.err
    folder = RunFolder.open(Path(said.document["run"]))
    engine = LocalEngine()
    try:
        async with drive(engine=engine, size=(120, 40), mishaps=True) as (app, pilot):
            app.load_preset("quickstart", ["train.iters=12", "evaluation.enabled=false"])
            app.select_run(folder)
            monkey = Monkey(pilot, 200_000 + seed)
            for mode in [*MODES] * 2:
                if not await monkey.play(40, mode):
                    break
    finally:
        assert engine.shutdown(120)
    assert find_run(folder.name, runs_dir).path == folder.path or deleted_runs(runs_dir)
