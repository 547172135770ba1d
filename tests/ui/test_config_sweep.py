"""A sweep from the Config screen: what it would run and take, edited, and queued as one group."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine
from tests.ui.looking import notices, shown, until
from tests.ui.test_config_forecast import LARGE, forecast
from tests.ui.test_config_form import to_key
from tests.ui.workshop import HOSTILE, SIZES, app_with, experiment, open_mode, place
from tui_tuner.config import load_experiment
from tui_tuner.engine.forecast_requests import ForecastSweep
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.errors import TunerError
from tui_tuner.runs.catalogue import list_runs
from tui_tuner.runs.queue import RunQueue
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.sweepdialog import SweepDialog
from tui_tuner.ui.widgets.config_editor import TomlEditor

__all__ = ["place"]
_TWO = "[sweep]\n[sweep.values]\nadapter.rank = [4, 8]\n"


def forecasting(handle: JobHandle) -> None:
    """Answers what the runs of a sweep take: the last one does not fit."""
    if isinstance(handle.request, ForecastSweep):
        many = len(handle.request.experiments)
        handle.status = JobStatus.DONE
        handle.result = [LARGE if number == many - 1 else forecast() for number in range(many)]  # type: ignore[assignment]


async def opened(pilot: Pilot[Any], text: str = "") -> TomlEditor:
    """Opens the dialog, with a text in it."""
    await pilot.press("y")
    await until(pilot, lambda: isinstance(pilot.app.screen, SweepDialog))
    editor = pilot.app.screen.query_one(TomlEditor)
    if text:
        editor.load_text(text)
    return editor


def queue(app: TunerApp) -> list[str]:
    return [entry.run for entry in RunQueue(app.runs_dir).read().entries]


@pytest.mark.parametrize("size", [*SIZES, (160, 50)], ids=str)
async def test_what_it_would_run_and_take_is_told(drive: Drive, size: tuple[int, int]) -> None:
    async with drive(engine=FakeEngine(forecasting), size=size) as (app, pilot):
        app.load_preset("facts-phi3.5", ["scale=tiny"])
        await open_mode(pilot, "config")
        await until(pilot, lambda: "saves · f5 starts · y" in shown(app))
        editor = await opened(pilot)
        assert "adapter.rank = [2, 8]" in editor.text
        await until(pilot, lambda: "4 runs, about 48 min (32–80) in all" in " ".join(shown(app).split()))
        assert "at most 28.0 GB of 24.0 GB" in " ".join(shown(app).split()) and "12 min" in shown(app)


async def test_it_is_edited_checked_and_queued_as_a_group(drive: Drive, runs_dir: Path) -> None:
    async with drive(engine=FakeEngine(forecasting)) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await to_key(pilot, "adapter.rank")
        editor = await opened(pilot)
        assert "adapter.rank = [8, 16, 32]" in editor.text
        await pilot.press("up", "end", "backspace", *", 0]")
        await until(pilot, lambda: "✗" in shown(app) and "adapter.rank" in shown(app))
        await pilot.press("ctrl+s")
        assert isinstance(app.screen, SweepDialog)  # what is wrong cannot be queued
        editor.load_text(_TWO)
        await until(pilot, lambda: "✓ 2 runs" in shown(app))
        RunQueue(runs_dir).pause(True)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Question) and "Queue 2 runs" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: any("2 runs are queued as the sweep players-" in text for text in notices(app)))
        first, second = queue(app)
        ranks = [load_experiment(runs_dir / name / "config.toml").adapter.rank for name in (first, second)]
        assert ranks == [4, 8] and first.startswith("players-01")
        sweeps = {run.sweep for run in list_runs(runs_dir)}
        assert len(sweeps) == 1 and "" not in sweeps
        await pilot.press("7")
        await until(pilot, lambda: "▾ sweep play" in shown(app))
        await pilot.press("up", "up", "up", "w")
        await until(pilot, lambda: "ranked by validation_loss" in shown(app))


async def test_what_was_written_is_there_again(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await opened(pilot, _TWO)
        await until(pilot, lambda: "2 runs" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, SweepDialog))
        assert queue(app) == [] and (await opened(pilot)).text == _TWO
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "10 different combinations" in shown(app) or "sweep.runs is 10" in shown(app))


async def test_going_back_from_the_question_queues_nothing(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await opened(pilot, _TWO)
        await until(pilot, lambda: "2 runs" in shown(app))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, SweepDialog))
        assert queue(app) == []


async def test_a_run_without_a_forecast_says_why_and_hostile_text_is_inert(drive: Drive) -> None:
    def failing(handle: JobHandle) -> None:
        if isinstance(handle.request, ForecastSweep):
            handle.status = JobStatus.DONE
            handle.result = [TunerError(f"no such model {HOSTILE}"), forecast()]  # type: ignore[assignment]

    async with drive(engine=FakeEngine(failing)) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        editor = await opened(pilot, _TWO)
        await until(pilot, lambda: "no such model [bold red]no[/]" in shown(app))
        assert "\x1b" not in shown(app)
        editor.load_text(f"[sweep.values]\ntrain.optimizer = [{HOSTILE.encode('unicode_escape').decode()!r}]\n")
        await until(pilot, lambda: "✗" in shown(app))
        assert "\x1b" not in shown(app)


async def test_a_runs_own_configuration_has_no_sweep(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        editor = app.screen.query_one(TomlEditor)
        editor.insert("[train\n", (0, 0))
        await until(pilot, lambda: "✗" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: any("not right yet" in text for text in notices(app)))


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[Any]) -> None:
        app: TunerApp = pilot.app  # type: ignore[assignment]
        await open_mode(pilot, "config", made=experiment())
        editor = await opened(pilot, "[sweep.values]\nadapter.rnak = [4, 8]\n")
        await until(pilot, lambda: editor.has_focus and "there is no key" in " ".join(shown(app).split()))
        editor.cursor_blink = False
        await pilot.press("down")  # which shows the cursor, wherever it was in its blinking
        await pilot.pause()
        assert app.mishaps == []

    assert snap_compare(app_with(place, FakeEngine(forecasting)), terminal_size=size, run_before=prepare)
