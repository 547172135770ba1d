"""What the mouse does: tabs, and the hints of dialogs, are pressed where they stand and do what their key does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tests.ui.conftest import Drive
from tests.ui.fakes import RunBuilder
from tests.ui.looking import shown, until
from tests.ui.workshop import finished, open_mode
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.notedialog import NoteDialog
from tui_tuner.ui.screens.compare import CompareScreen
from tui_tuner.ui.widgets.words import Hint, Words, key_of

Build = Callable[..., RunBuilder]


async def pressed(pilot: Pilot[Any], words: str) -> None:
    """Presses the mouse on words, in the last line that has them."""
    app: TunerApp = pilot.app  # type: ignore[assignment]
    lines = shown(app).splitlines()
    line = max(at for at, text in enumerate(lines) if words in text)
    assert await pilot.click(offset=(lines[line].index(words) + 1, line))
    await pilot.pause()


async def test_the_tabs_of_the_benchmark_lead_to_what_they_name(drive: Drive, build: Build) -> None:
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "benchmark", run=finished(build()))
        for name in ("Rows", "Checkpoints", "Behaviour", "Results", "Verdict"):
            await pressed(pilot, f" {name} ")
            assert app.screen.has_class(f"-{name.lower()}"), name


async def test_the_tabs_of_a_comparison_lead_to_what_they_name(drive: Drive, build: Build) -> None:
    folders = [finished(build(name)).folder for name in ("one", "two")]
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "runs")
        app.compare_runs(folders)
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and " Answers " in shown(app))
        for name in ("Answers", "Config", "Probes"):
            await pressed(pilot, f" {name} ")
            assert app.screen.has_class(f"-{name.lower()}"), name


async def test_the_names_in_the_lower_pane_of_train_lead_to_its_views(drive: Drive, build: Build) -> None:
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "train", run=build().prepared().train(1, 60).finish("stopped"))
        await pressed(pilot, "Samples")
        assert "FT W | Herons 4-2 Wolves" in shown(app)
        await pressed(pilot, "v: next")
        assert "No advice" in shown(app)
        await pressed(pilot, "Log · ")
        assert "validation loss" in shown(app)
        await pressed(pilot, "validation loss")
        assert "validation loss" in shown(app), "a press inside the pane leads nowhere"


async def test_a_hint_of_a_dialog_presses_its_key(drive: Drive, build: Build) -> None:
    build().prepared().finish()
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "runs")
        await until(pilot, lambda: "players-" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NoteDialog))
        before = app.focused
        await pressed(pilot, "tab next field")
        assert app.focused is not before
        await pressed(pilot, "go back")
        await until(pilot, lambda: not isinstance(app.screen, NoteDialog))


@pytest.mark.parametrize(
    ("part", "key"),
    [("enter takes it", "enter"), ("esc go back", "escape"), ("^s keep", "ctrl+s"), ("ctrl+r measure again", "ctrl+r"),
     ("space or tab marks", "space"), ("f5 starts", "f5"), ("a takes all", "a"), ("↑ ↓ choose", ""),
     ("type to narrow", ""), ("", "")],
)  # fmt: skip
def test_a_hint_begins_with_its_key_or_has_none(part: str, key: str) -> None:
    assert key_of(part) == key


class Narrow(App[None]):
    """A hint that has no room in one line."""

    def compose(self) -> ComposeResult:
        yield Hint("↑ ↓ choose   enter takes it over   esc go back")


async def test_a_wrapped_hint_is_found_word_by_word_and_gaps_are_nothing() -> None:
    async with Narrow().run_test(size=(24, 6)) as pilot:
        hint = pilot.app.query_one(Words)
        lines = [strip.text for strip in hint.render_lines(hint.outer_size.region)]
        assert len(lines) > 1
        found = {
            word: hint.part_at(line.index(word), y) for y, line in enumerate(lines) for word in line.split()
        }  # fmt: skip
        assert [found[word] for word in ("↑", "choose", "enter", "over", "esc", "back")] == [0, 0, 1, 1, 2, 2]
        assert hint.part_at(lines[0].index("choose") + len("choose"), 0) is None
        assert hint.part_at(0, 99) is None and hint.part_at(99, 0) is None


async def test_no_run_open_names_the_keys_that_lead_on(drive: Drive) -> None:
    async with drive(size=(80, 24)) as (app, pilot):
        for mode in ("models", "data", "config", "train", "benchmark", "chat", "runs"):
            app.go(mode)
            await until(pilot, lambda mode=mode: app.current_mode == mode)
            await pilot.pause()
            assert "no run open   7 opens one   0 starts one" in shown(app), mode
        app.go("chat")
        await until(pilot, lambda: "no model to talk to" in shown(app))
        assert "quickstart" in shown(app)
