"""A run's relative paths mean on every way into the form what they meant in the run: they count from where it was made.

Paths that are there are kept absolute in a run; what is relative is of a file that came later, or of an older version.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.support.twins import twins
from tests.ui.advised import OVERFITTING, advised
from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import shown, until
from tests.ui.workshop import experiment, open_mode
from tui_tuner.config import dump_experiment, load_experiment
from tui_tuner.engine.preflight import preflight
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.pickdialog import PickDialog
from tui_tuner.ui.widgets.advicelist import AdviceList

Way = Callable[[TunerApp, Pilot[Any], RunBuilder], Awaitable[None]]


@pytest.fixture
def made_in(tmp_path: Path) -> Path:
    """The folder that the run was made from; not the working directory, and not the run's own."""
    folder = tmp_path / "project"
    folder.mkdir()
    rows = [{"name": f"player {n}", "report": f"scored {n}"} for n in range(60)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


@pytest.fixture
def run(build: Callable[..., RunBuilder], made_in: Path) -> RunBuilder:
    builder = advised(build(), OVERFITTING).finish()
    wanted = experiment(data_source="rows.jsonl", data_train=0)
    builder.folder.config.write_text(dump_experiment(wanted), encoding="utf-8")
    builder.folder.meta.write_text(json.dumps({"name": "players", "base": str(made_in)}), encoding="utf-8")
    # What lies in the run's own folder under that name is something else.
    (builder.folder.path / "rows.jsonl").write_text("not the rows", encoding="utf-8")
    return builder


async def by_load(app: TunerApp, pilot: Pilot[Any], run: RunBuilder) -> None:
    await open_mode(pilot, "config", made=experiment())
    await pilot.press("l")
    await until(pilot, lambda: isinstance(app.screen, PickDialog))
    app.screen.query_one(Input).value = run.folder.name
    await pilot.pause()
    await pilot.press("enter")


async def by_path(app: TunerApp, pilot: Pilot[Any], run: RunBuilder) -> None:
    app.load_preset(str(run.folder.config))


async def by_use_config(app: TunerApp, pilot: Pilot[Any], run: RunBuilder) -> None:
    await pilot.press("7")
    await until(pilot, lambda: run.folder.name[:12] in shown(app))
    await pilot.press("u")


async def by_copy(app: TunerApp, pilot: Pilot[Any], run: RunBuilder) -> None:
    app.select_run(run.folder)
    await pilot.press("3")
    await until(pilot, lambda: "the configuration of this run" in shown(app))
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, Question))
    await pilot.press("enter")


async def by_advice(app: TunerApp, pilot: Pilot[Any], run: RunBuilder) -> None:
    app.select_run(run.folder)
    app.go("train")
    await until(pilot, lambda: "70/120" in shown(app))
    await pilot.press("a")
    await until(pilot, lambda: isinstance(app.focused, AdviceList))
    await pilot.press("a")
    await until(pilot, lambda: isinstance(app.screen, Question))
    await pilot.press("down", "enter")


@pytest.mark.parametrize(
    "way",
    twins([by_load, by_path, by_use_config, by_copy, by_advice], (by_path, by_copy)),
    ids=lambda way: way.__name__,
)
async def test_a_runs_relative_path_counts_from_where_it_was_made(
    way: Way, drive: Drive, engine: FakeEngine, run: RunBuilder, made_in: Path
) -> None:
    async with drive() as (app, pilot):
        await way(app, pilot, run)
        await until(pilot, lambda: app.state.experiment is not None and app.state.base == made_in)
        made = app.state.experiment
        assert made is not None and made.data.source == "rows.jsonl"
        found = preflight(made, app.state.base)
        assert found.ok and found.data is not None and found.data.report.counts["train"] > 0
        await until(pilot, lambda: not isinstance(app.screen, Question | PickDialog))
        app.start_run()
        await until(pilot, lambda: app.screen.query("#stages-box") and "players" in shown(app))
        (begun,) = [request for request in engine.submitted if isinstance(request, RunExperiment)]
        assert load_experiment(begun.folder / "config.toml").data.source == str(made_in / "rows.jsonl")


async def test_a_run_that_noted_no_folder_counts_from_the_working_one(
    drive: Drive, run: RunBuilder, made_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.folder.meta.write_text(json.dumps({"base": None}), encoding="utf-8")
    monkeypatch.chdir(made_in)
    async with drive() as (app, _pilot):
        app.load_run(run.folder)
        assert app.state.experiment is not None and app.state.base is None
        assert preflight(app.state.experiment, app.state.base).ok
