"""Home: what was going on, what can be started, what this machine has room for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import OptionList

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import notices, shown, until
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.models.sizes import Machine, room
from tui_tuner.settings import Settings
from tui_tuner.ui import drafts
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.drafts import draft_path, read_draft
from tui_tuner.ui.homelist import described, machine_detail, machine_line

Build = Callable[..., RunBuilder]


def line_at(app: TunerApp) -> str:
    """The name of the highlighted line."""
    choices = app.screen.query_one(OptionList)
    assert choices.highlighted is not None
    return choices.get_option_at_index(choices.highlighted).id or ""


async def test_a_first_start_offers_the_quickstart(drive: Drive, engine: FakeEngine) -> None:
    async with drive(size=(80, 24)) as (app, pilot):
        await until(pilot, lambda: "New here? Press q" in shown(app))
        assert "CONTINUE" not in shown(app) and line_at(app) == "quickstart"
        assert "Trains a tiny embedded model" in " ".join(shown(app).split())  # also in the smallest window
        assert "enter starts it now" in shown(app)
        await pilot.press("q")
        await until(pilot, lambda: app.current_mode == "train")
        assert [type(request) for request in engine.submitted].count(RunExperiment) == 1


def test_remarks_that_are_a_table_become_paragraphs() -> None:
    under = "\n" + " " * 16
    text = f"What it is for  the loop, set [b]by hand{under}here.\n\nTo try next     more,{under}and more."
    assert [part.plain for part in described(text)] == [
        "What it is for  the loop, set [b]by hand here.", "To try next  more, and more."]  # fmt: skip
    assert [part.plain for part in described("Two lines,\nas they were set.")] == ["Two lines,\nas they were set."]
    assert [part.plain for part in described("A list:\n  one\nthe end")] == ["A list: one", "the end"]


async def test_what_broke_off_comes_first_and_one_key_goes_on(drive: Drive, engine: FakeEngine, build: Build) -> None:
    broken = build("broken", stamp="20251009-085320").prepared().train(1, 60)  # no end, and nobody holds it
    build("done", stamp="20251010-085320").prepared().train(1, 120).evaluated().finish()
    async with drive(size=(80, 24)) as (app, pilot):
        await until(pilot, lambda: "CONTINUE" in shown(app))
        assert line_at(app) == f"run:{broken.folder.name}"  # though it was not where the cursor was at first
        assert "r resumes it exactly" in shown(app) and "r Resume" in shown(app)
        await pilot.press("r")
        await until(pilot, lambda: app.current_mode == "train")
        assert engine.submitted[-1] == RunExperiment(broken.folder.path)


async def test_of_several_the_highlighted_one_is_resumed(drive: Drive, engine: FakeEngine, build: Build) -> None:
    folders = [build(f"run{n}", stamp=f"2025100{n}-085320").prepared().train(1, 60).folder for n in range(1, 4)]
    async with drive() as (app, pilot):
        await until(pilot, lambda: all(folder.name in shown(app) for folder in folders))
        await pilot.press("down")
        highlighted = line_at(app).removeprefix("run:")
        assert highlighted != folders[-1].name
        await pilot.press("r")
        await until(pilot, lambda: app.current_mode == "train")
        assert engine.submitted[-1].folder.name == highlighted


async def test_nothing_is_offered_to_resume_where_nothing_broke_off(drive: Drive, build: Build) -> None:
    build().prepared().train(1, 120).evaluated().finish()
    async with drive() as (app, pilot):
        await until(pilot, lambda: "CONTINUE" in shown(app))
        assert "r Resume" not in shown(app)
        assert app.screen.check_action("resume", ()) is False


async def test_an_edited_experiment_is_there_after_leaving(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    async with drive(settings=Settings(), preset="quickstart") as (app, pilot):
        await until(pilot, lambda: app.state.experiment is not None)
        assert read_draft() is None  # nothing was changed
        made = app.state.experiment
        assert made is not None
        changed = made.model_copy(update={"train": made.train.model_copy(update={"iters": 77})})
        app.set_experiment(changed, preset=app.state.preset, base=app.state.base, edited=True)
        await pilot.pause()
    kept = read_draft()  # leaving writes what a timer had not yet
    assert kept is not None and kept.experiment().train.iters == 77
    async with drive(settings=Settings()) as (app, pilot):
        await until(pilot, lambda: "edited" in shown(app))
        assert line_at(app) == "draft"
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "config")
        assert app.state.experiment == changed and app.state.base == kept.base


async def test_a_change_is_written_soon(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "DELAY", 0.01)
    async with drive(settings=Settings(), preset="quickstart") as (app, pilot):
        await until(pilot, lambda: app.state.experiment is not None)
        made = app.state.experiment
        assert made is not None
        changed = made.model_copy(update={"train": made.train.model_copy(update={"iters": 78})})
        app.set_experiment(changed, preset=app.state.preset, base=app.state.base, edited=True)
        await until(pilot, lambda: (kept := read_draft()) is not None and kept.experiment().train.iters == 78)


@pytest.mark.parametrize("text", ["", "[]", '{"name": 3}', '{"name": "a", "changed": "b", "text": "c"}', "\0"])
def test_a_draft_that_cannot_be_read_is_none(text: str) -> None:
    draft_path().parent.mkdir(parents=True, exist_ok=True)
    draft_path().write_text(text)
    assert read_draft() is None


async def test_a_draft_that_is_no_longer_right_is_told(drive: Drive) -> None:
    draft_path().parent.mkdir(parents=True, exist_ok=True)
    draft_path().write_text('{"name": "[red]old", "changed": 1.0, "text": "[train]\\nitres = 3", "base": null}')
    async with drive() as (app, pilot):
        await until(pilot, lambda: "[red]old" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "itres" in "".join(notices(app)), "the key that is wrong")
        assert app.current_mode == "home"


def test_what_the_machine_has_room_for_is_one_line() -> None:
    assert machine_line(None) == machine_detail(None) == ""
    line = machine_line(room(32_000_000_000, 32_000_000_000))
    assert line == "32.0 GB of memory: trains models up to ~15 B at 4 bits, chats with ~33 B" and len(line) <= 74
    assert "1 B" in machine_line(room(1 << 30, 1 << 30))
    assert "graphics card" in machine_line(Machine(1 << 34, 0))
    assert "grad_checkpoint" in machine_detail(room(1 << 35, 1 << 35)) and not machine_detail(Machine(1 << 34, 0))


async def test_the_machine_is_told_on_home(drive: Drive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tui_tuner.models.sizes.this_machine", lambda: room(32_000_000_000, 32_000_000_000))
    async with drive(size=(80, 24)) as (app, pilot):
        await until(pilot, lambda: "trains models up to ~15 B" in shown(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: "train.grad_checkpoint" in shown(app))
