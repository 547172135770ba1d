"""Another learning rate from the Train screen: what is in force, what a wish would come to, and that it is sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.ui.advised import advised
from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import notices, shown, shown_in, until
from tests.ui.workshop import SIZES, app_with, experiment, open_mode, place
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.runs.lock import RunLock
from tui_tuner.runs.rates import RateWish
from tui_tuner.runs.view import RunView
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.ratedialog import RateDialog
from tui_tuner.ui.rates import preview, rate_facts

__all__ = ["place"]
Build = Callable[..., RunBuilder]
Snap = Callable[..., bool]
COSINE = {"train_schedule": "cosine", "train_warmup": 10}


# -- what is in force -------------------------------------------------------------------------------------------------
def view(*events: dict[str, Any], rate: float | None = 1e-4) -> RunView:
    """A run of 100 steps with reports at steps 10 and 20."""
    made = RunView()
    made.extend([{"t": 0.0, "type": "run_started", "steps": 7, "resumed": False, "from_step": 0}])
    made.extend([{"t": 1.0, "type": "plan", "steps": 100}])
    made.extend({"t": float(s), "type": "train", "step": s, "loss": 1.0, "learning_rate": rate} for s in (10, 20))
    made.extend(events)
    return made


def control(at: float, step: int, value: Any, what: str = "learning_rate") -> dict[str, Any]:
    return {"t": at, "type": "control", "what": what, "value": value, "step": step, "by": "user"}


def test_the_rate_in_force_is_the_last_report_or_what_was_set_since() -> None:
    facts = rate_facts(view(), experiment())
    assert (facts.present, facts.step, facts.steps, facts.scheduled) == (1e-4, 20, 100, False)
    assert rate_facts(view(control(15.0, 12, 5e-5)), experiment()).present == 1e-4  # reported since
    facts = rate_facts(view(control(21.0, 20, 5e-5)), experiment())
    assert (facts.present, facts.step) == (5e-5, 20)
    assert rate_facts(view(control(21.0, 20, 5e-5), control(22.0, 20, 2e-5, "rollback")), experiment()).present == 2e-5
    between = rate_facts(view(control(21.0, 24, 5e-5)), experiment())  # the next report is due at step 30
    assert (between.present, between.step) == (5e-5, 24)
    assert rate_facts(view(control(22.0, 20, "fast")), experiment()).present == 1e-4
    resumed = {"t": 23.0, "type": "run_started", "steps": 7, "resumed": True, "from_step": 20}
    again = rate_facts(view(control(21.0, 24, 5e-5), resumed), experiment())
    assert again.present == 1e-4  # it will be taken again at step 24


def test_before_the_first_report_the_configuration_tells() -> None:
    assert rate_facts(RunView(), experiment(train_learning_rate=2e-4)).present == 2e-4
    assert rate_facts(RunView(), None).present is None
    assert rate_facts(view(rate=None), experiment(train_learning_rate=2e-4)).present == 2e-4


def test_a_preview_tells_the_whole_rest_of_a_schedule() -> None:
    """The rest is multiplied; peak, half-way and end are told. Iterations are those of the plan, not of the file."""
    warming = rate_facts(
        view(rate=5e-5), experiment(train_learning_rate=1e-4, train_schedule="linear", train_warmup=38)
    )
    assert warming.factor == pytest.approx(1.0)
    lines = preview(warming, RateWish.parse("1e-4")).plain.splitlines()
    told = {line[:24].strip(): line[24:].split() for line in lines[1:] if "→" in line}
    assert told["now"] == ["5e-5", "→", "1e-4"]
    assert told["step 39 (peak)"] == ["1e-4", "→", "2e-4"]
    assert told["step 69"] == ["5.32e-5", "→", "1.06e-4"]  # (1 - 29 / 62) of the peak
    assert set(told) == {"now", "step 39 (peak)", "step 69", "step 100"}
    assert "times" not in lines[-1]


def test_a_preview_of_a_constant_rate_is_one_line_and_much_is_said_to_be_much() -> None:
    facts = rate_facts(view(), experiment(train_learning_rate=1e-4))
    assert preview(facts, RateWish.parse("/2")).plain.endswith("1e-4 → 5e-5")
    assert "▲ 20 times the configured 1e-4" in preview(facts, RateWish.parse("x20")).plain


# -- the dialog -------------------------------------------------------------------------------------------------------
async def opened(app: TunerApp, pilot: Pilot[int], builder: RunBuilder) -> None:
    app.select_run(builder.folder)
    app.go("train")
    await until(pilot, lambda: "70/120" in shown(app))
    await pilot.press("n")
    await until(pilot, lambda: isinstance(app.screen, RateDialog) and isinstance(app.focused, Input))


def said(app: TunerApp) -> str:
    return shown_in(app, app.screen.query_one(".dialog"))


async def test_a_rate_is_typed_and_sent(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = advised(build())
    handle = engine.submit(RunExperiment(builder.folder.path))
    async with drive(size=(80, 24)) as (app, pilot):
        await opened(app, pilot, builder)
        assert "Now 1.11e-3 at step 70 of 120" in said(app)
        await pilot.press(*"5e-6")
        await until(pilot, lambda: "1.11e-3 → 5e-6" in said(app))
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, RateDialog))
        assert handle.control.take_requests() == [("learning_rate", 5e-6)]
        assert notices(app) == ["The learning rate becomes 5e-6 after the current step."]
        builder.add("control", what="learning_rate", by="user", value=5e-6, before=1.11e-3, step=74)
        await until(pilot, lambda: "step 74: learning rate 1.11e-3 → 5e-6, asked by user" in shown(app))


async def test_a_choice_is_made_with_the_arrows(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = advised(build())
    handle = engine.submit(RunExperiment(builder.folder.path))
    async with drive() as (app, pilot):
        await opened(app, pilot, builder)
        field = app.screen.query_one(Input)
        values = []
        for key in ("down", "down", "down", "down", "up", "up"):
            await pilot.press(key)
            values.append(field.value)
        assert values == ["x0.5", "x2", "x0.1", "x0.5", "x0.1", "x2"]
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, RateDialog))
        assert handle.control.take_requests() == [("learning_rate", "x2.0")]
        assert notices(app) == ["The learning rate is multiplied by 2 after the current step."]


async def test_nonsense_is_one_sentence_and_nothing_is_sent(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = advised(build())
    handle = engine.submit(RunExperiment(builder.folder.path))
    async with drive() as (app, pilot):
        await opened(app, pilot, builder)
        for text in ("fast", "40", "x99999"):
            app.screen.query_one(Input).value = text
            await until(pilot, lambda: "✗" in said(app), text)
            await pilot.press("enter")
            assert isinstance(app.screen, RateDialog)
        app.screen.query_one(Input).value = ""
        await pilot.press("enter")
        assert isinstance(app.screen, RateDialog)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, RateDialog))
        assert handle.control.take_requests() == []


async def test_the_run_goes_on_behind_the_dialog(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = advised(build())
    engine.submit(RunExperiment(builder.folder.path))
    async with drive() as (app, pilot):
        await opened(app, pilot, builder)
        await pilot.press(*"x0.5")
        builder.train(75, 90)
        await until(pilot, lambda: "at step 90 of 120" in said(app) and "4.39e-4 → 2.2e-4" in said(app))


async def test_a_run_of_another_process_gets_it_through_its_folder(drive: Drive, build: Build) -> None:
    builder = advised(build())
    with RunLock(builder.folder):
        async with drive() as (app, pilot):
            await opened(app, pilot, builder)
            await pilot.press("down", "enter")
            await until(pilot, lambda: (builder.folder.path / "requests.jsonl").exists())
    line = json.loads((builder.folder.path / "requests.jsonl").read_text())
    assert (line["type"], line["value"]) == ("learning_rate", "x0.5")


async def test_it_is_not_offered_when_nobody_would_take_it(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = advised(build())
    handle = engine.submit(RunExperiment(builder.folder.path))
    async with drive() as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "n Rate" in shown(app))
        builder.train(75, 120).stage("train", "done", 0.2, 48.7).stage("evaluate", "running")
        await until(pilot, lambda: "n Rate" not in shown(app) and "s Stop" in shown(app))
        await pilot.press("n", "e", "c", "w")
        assert not isinstance(app.screen, RateDialog)
        assert handle.control.take_requests() == []


# -- pictures ---------------------------------------------------------------------------------------------------------
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("keys", "settings", "text"),
    [
        ((), {}, "Type a rate or a factor"),
        (("down",), COSINE, "The whole rest of the schedule"),
        (tuple("1e-2"), {"train_learning_rate": 1e-3}, "10 times the configured"),
        (tuple("fast"), COSINE, "it is no learning rate"),
    ],
    ids=["empty", "schedule", "much", "wrong"],
)
def test_picture(
    snap_compare: Snap,
    place: Path,
    engine: FakeEngine,
    size: tuple[int, int],
    keys: tuple[str, ...],
    settings: dict[str, Any],
    text: str,
) -> None:
    builder = advised(RunBuilder(place, "players", "20251009-085320"), **settings)
    engine.submit(RunExperiment(builder.folder.path))
    app = app_with(place, engine)
    app.clock = lambda: builder.now + 1

    async def prepare(pilot: Pilot[Any]) -> None:
        await open_mode(pilot, "train", run=builder)
        await until(pilot, lambda: "70/120" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*keys)
        await until(pilot, lambda: text in said(app) and "4 Train" in shown(app), text)
        assert app.mishaps == []

    assert snap_compare(app, terminal_size=size, run_before=prepare)
