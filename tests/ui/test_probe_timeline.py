"""The timeline of probes: scrubbing, comparing, asking now, adding one; live, over, and with nothing in it."""

from __future__ import annotations

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
from tests.ui.looking import notices, shown, until
from tests.ui.workshop import HOSTILE, SAFE, SIZES, app_with, experiment, open_mode, place, with_config
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.probes import ProbeTimeline

__all__ = ["place"]
Build = Callable[..., RunBuilder]
Snap = Callable[..., bool]
GAME, HELLO = "Report this game: Nora Winslow, Herons v Wolves.", "Say hello."
ANSWERS = {
    0: "The player scored and the game was long and then the player",
    30: "FT W | Herons 4-1 Wolves | Winslow, Nora | G1 A1 | 47'",
    60: "FT W | Herons 4-2 Wolves | Winslow, Nora | G3 A1 | 52'",
}


def probed(builder: RunBuilder) -> RunBuilder:
    """A run that trains, of which two probes were answered by the untrained model and at steps 30 and 60."""
    with_config(builder, experiment(probes_prompts=[GAME, HELLO])).prepared()
    for step, answer in ANSWERS.items():
        builder.train(step - 29 if step else 1, step or 1)
        builder.add("sample", step=step, prompt=GAME, text=answer)
        builder.add("sample", step=step, prompt=HELLO, text="Hello!" if step else "")
    return builder.train(61, 74)


async def opened(app: TunerApp, pilot: Pilot[int], builder: RunBuilder, text: str = "70/120") -> ProbeTimeline:
    app.select_run(builder.folder)
    app.go("train")
    await until(pilot, lambda: text in shown(app), text)
    await pilot.press("b")
    await until(pilot, lambda: isinstance(app.screen, ProbeTimeline))
    screen = app.screen
    assert isinstance(screen, ProbeTimeline)
    return screen


def answer(app: TunerApp) -> str:
    """The text of the answer that is looked at."""
    return app.screen.query_one("#probe-answer").plain  # type: ignore[attr-defined, no-any-return]


async def test_one_scrubs_through_the_steps(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = probed(build())
    async with drive(size=(80, 24)) as (app, pilot):
        await opened(app, pilot, builder)
        await until(pilot, lambda: "step 60 of 120" in shown(app) and "look 3 of 3" in shown(app))
        assert "52'" in answer(app)
        await pilot.press("left")
        await until(pilot, lambda: "step 30 of 120" in shown(app) and "47'" in answer(app))
        await pilot.press("home")
        await until(pilot, lambda: ANSWERS[0] in answer(app) and "look 1 of 3" in shown(app))
        await pilot.press("left")  # there is nothing before
        assert ANSWERS[0] in answer(app)
        await pilot.press("end")
        await until(pilot, lambda: "look 3 of 3" in shown(app))
        await pilot.press("down")
        await until(pilot, lambda: "Hello!" in answer(app))
        await pilot.press("home")
        await until(pilot, lambda: "(an empty answer)" in answer(app))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ProbeTimeline))


async def test_what_changed_is_marked_against_either(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = probed(build())
    async with drive(size=(80, 24)) as (app, pilot):
        await opened(app, pilot, builder)
        await until(pilot, lambda: "words than untrained" in shown(app))
        assert "player" in answer(app)  # what was lost stands in it too
        await pilot.press("d")
        await until(pilot, lambda: "words than the look before" in shown(app))
        await pilot.press("d")
        await until(pilot, lambda: ANSWERS[60] in answer(app))


async def test_wide_windows_show_both_sides(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = probed(build())
    async with drive(size=(120, 40)) as (app, pilot):
        await opened(app, pilot, builder)
        await until(pilot, lambda: app.screen.query_one("#probe-other").display)
        assert ANSWERS[60] in answer(app)
        assert ANSWERS[0] in app.screen.query_one("#probe-other").plain  # type: ignore[attr-defined]
        await pilot.press("home")
        await until(pilot, lambda: not app.screen.query_one("#probe-other").display)


async def test_it_follows_a_run_that_goes_on_unless_one_looks_back(
    drive: Drive, build: Build, engine: FakeEngine
) -> None:
    builder = probed(build())
    async with drive(size=(80, 24)) as (app, pilot):
        await opened(app, pilot, builder)
        builder.train(75, 90).add("sample", step=90, prompt=GAME, text="the latest")
        await until(pilot, lambda: "look 4 of 4" in shown(app) and "latest" in answer(app))
        await pilot.press("left")
        builder.train(91, 120).add("sample", step=120, prompt=GAME, text="later still")
        await until(pilot, lambda: "look 3 of 5" in shown(app))


async def test_probes_are_asked_now_and_added(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = probed(build())
    handle = engine.submit(RunExperiment(builder.folder.path))
    async with drive(size=(80, 24)) as (app, pilot):
        await opened(app, pilot, builder)
        await pilot.press("a")
        await until(pilot, lambda: notices(app) == ["The probes are asked after the current step."])
        assert handle.control.take_requests() == [("probe", None)]
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press("enter")  # nothing was typed
        await until(pilot, lambda: any("none" in notice for notice in notices(app)), "told")
        await pilot.press(*"and a d", "enter")  # keys of the screen are letters here
        await until(pilot, lambda: not isinstance(app.focused, Input))
        assert handle.control.take_requests() == [("probe", "and a d")]
        builder.add("control", what="probe", by="user", value="and a d", step=75)
        await until(pilot, lambda: "and a d" in shown(app))
        await pilot.press("down", "down")
        await until(pilot, lambda: "the prompt came later" in answer(app))
        await pilot.press("n", "x", "escape")
        await until(pilot, lambda: not isinstance(app.focused, Input))
        assert isinstance(app.screen, ProbeTimeline)
        assert handle.control.take_requests() == []


async def test_a_run_that_is_over_says_where_to_ask(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = probed(build()).evaluated().finish()
    async with drive(size=(80, 24)) as (app, pilot):
        await opened(app, pilot, builder, "finished")
        for key in ("a", "n"):
            await pilot.press(key)
        await until(pilot, lambda: any("Chat (6) asks its adapter" in notice for notice in notices(app)))
        assert not isinstance(app.focused, Input)


async def test_texts_of_models_are_inert(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = with_config(build(), experiment(probes_prompts=[HOSTILE])).prepared().train(1, 74)
    builder.add("sample", step=60, prompt=HOSTILE, text=HOSTILE)
    async with drive(size=(120, 40)) as (app, pilot):
        await opened(app, pilot, builder)
        await until(pilot, lambda: shown(app).count(SAFE) >= 2)
        assert app.mishaps == []


async def test_without_probes_it_says_how_to_get_some(drive: Drive, build: Build, engine: FakeEngine) -> None:
    builder = advised(build(), probes_prompts=[])
    engine.submit(RunExperiment(builder.folder.path))
    async with drive(size=(80, 24)) as (app, pilot):
        screen = await opened(app, pilot, builder)
        await pilot.press("left", "right", "home", "end", "d", "up", "down")
        prompts = [sample["prompt"] for sample in screen._facts.view.samples]
        assert GAME in prompts  # of the builder's own


# -- pictures ---------------------------------------------------------------------------------------------------------
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("keys", "text"),
    [((), "look 3 of 3"), (("home",), "look 1 of 3"), (("d", "d", "n"), "New probe")],
    ids=["latest", "untrained", "adding"],
)
def test_picture(
    snap_compare: Snap, place: Path, engine: FakeEngine, size: tuple[int, int], keys: tuple[str, ...], text: str
) -> None:
    builder = probed(RunBuilder(place, "players", "20251009-085320"))
    engine.submit(RunExperiment(builder.folder.path))
    app = app_with(place, engine)
    app.clock = lambda: builder.now + 1

    async def prepare(pilot: Pilot[Any]) -> None:
        await open_mode(pilot, "train", run=builder)
        await until(pilot, lambda: "70/120" in shown(app))
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, ProbeTimeline))
        await pilot.press(*keys)
        await until(pilot, lambda: text in shown(app), text)
        assert app.mishaps == []

    assert snap_compare(app, terminal_size=size, run_before=prepare)
