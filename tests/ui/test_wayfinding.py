"""Jumping, copying, the palette: whatever can be reached is reached with keys alone, and nothing is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.color import Color
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, OptionList, TextArea

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import notices, shown, until
from tests.ui.test_chat_talk import answering, said
from tests.ui.workshop import experiment, open_mode
from tui_tuner.chat.library import list_chats
from tui_tuner.runs.folder import RunFolder
from tui_tuner.ui import copying
from tui_tuner.ui.actions import ACTIONS, MODES, key_text
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.commands import WorkbenchCommands
from tui_tuner.ui.jump import LETTERS, JumpScreen, Letters
from tui_tuner.ui.notedialog import NoteDialog
from tui_tuner.ui.screens.compare import CompareScreen
from tui_tuner.ui.themes import DARK, LIGHT, TERMINAL
from tui_tuner.ui.widgets.story import Story

Build = Callable[..., RunBuilder]
SOME_OR_ALL = pytest.mark.parametrize(
    "modes", [("train", "runs"), pytest.param(tuple(MODES), marks=pytest.mark.slow)], ids=["some", "all"]
)
"""Every screen takes a while; two of them stand for all where time is short."""


async def jumping(app: TunerApp, pilot: Pilot[Any], key: str = "semicolon") -> JumpScreen:
    await pilot.press(key)
    await until(pilot, lambda: isinstance(app.screen, JumpScreen), "the letters")
    assert isinstance(app.screen, JumpScreen)
    return app.screen


async def test_a_letter_goes_to_a_line_and_escape_stays(drive: Drive, build: Build) -> None:
    for number in range(3):
        build(stamp=f"20251009-08532{number}").prepared().finish()
    async with drive(size=(80, 24)) as (app, pilot):
        await pilot.press("7")
        await until(pilot, lambda: "players-20251009-085320" in shown(app))
        table = app.screen.query_one(DataTable)
        letters = await jumping(app, pilot)
        wanted = next(letter for letter, place in letters._places.items() if place.target == ("row", 2))
        assert f" {wanted} " in shown(app)
        await pilot.press(wanted)
        await until(pilot, lambda: table.cursor_row == 2)
        assert app.focused is table
        await jumping(app, pilot, "f12")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, JumpScreen))
        assert (app.current_mode, table.cursor_row) == ("runs", 2)
        await jumping(app, pilot)
        await pilot.press("semicolon")
        await until(pilot, lambda: not isinstance(app.screen, JumpScreen))
        await jumping(app, pilot)
        await pilot.press("0")
        await until(pilot, lambda: app.current_mode == "home")


@SOME_OR_ALL
async def test_every_widget_that_can_have_the_focus_has_a_letter(drive: Drive, modes: tuple[str, ...]) -> None:
    async with drive(size=(80, 24), preset="quickstart") as (app, pilot):
        await until(pilot, lambda: app.state.experiment is not None)
        for mode in modes:
            app.go(mode)
            await until(pilot, lambda mode=mode: app.current_mode == mode)
            await pilot.pause()
            chain = [widget for widget in app.screen.focus_chain if widget.is_on_screen and widget.region.area]
            app.action_jump()
            await until(pilot, lambda: isinstance(app.screen, JumpScreen))
            assert isinstance(app.screen, JumpScreen)
            gone_to = [place.widget for place in app.screen._places.values() if place.target is None]
            assert gone_to == chain, mode
            if chain:
                await pilot.press(LETTERS[len(chain) - 1])
                await until(pilot, lambda chain=chain: app.focused is chain[-1])
            else:
                await pilot.press("escape")


async def test_letters_to_jump_to_have_the_colours_of_the_page(drive: Drive) -> None:
    """Those of the terminal may be as dark as the text of a light page."""
    async with drive(size=(80, 24)) as (app, pilot):
        for theme in (LIGHT, DARK, TERMINAL):
            app.theme = theme
            await pilot.pause()
            await jumping(app, pilot)
            badge = app.screen.query_one(Letters).render_line(23)._segments[0].style
            assert badge is not None and bool(badge.reverse) == (theme == TERMINAL)
            if theme != TERMINAL:
                page = [Color.parse(app.theme_variables[name]).rich_color for name in ("background", "foreground")]
                assert [badge.color, badge.bgcolor] == page, theme
            await pilot.press("escape")


async def test_a_letter_in_a_field_is_a_letter_and_the_other_key_jumps(drive: Drive, build: Build) -> None:
    build().prepared().finish()
    async with drive(size=(80, 24)) as (app, pilot):
        await pilot.press("7")
        await until(pilot, lambda: "players" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NoteDialog))
        field = next(iter(app.screen.query("Input, TextArea")))
        assert isinstance(field, Input | TextArea)
        field.focus()
        await pilot.press("semicolon", "Y")
        typed = field.value if isinstance(field, Input) else field.text
        assert typed == ";Y"
        letters = await jumping(app, pilot, "f12")
        assert {place.widget.screen for place in letters._places.values()} == {field.screen}
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, NoteDialog))


async def test_a_jump_that_was_given_a_letter_does_not_steal_it(drive: Drive, build: Build) -> None:
    """A key from the settings that works everywhere gives way to what is written."""
    from tui_tuner.settings import Settings

    build().prepared().finish()
    async with drive(size=(80, 24), settings=Settings(keys={"app.palette": "P"})) as (app, pilot):
        await pilot.press("7")
        await until(pilot, lambda: "players" in shown(app))
        await pilot.press("slash", "P")
        await until(pilot, lambda: any(each.value == "P" for each in app.screen.query(Input)))
        await pilot.press("escape", "P")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))


async def test_whatever_can_be_clicked_has_a_key(drive: Drive, build: Build) -> None:
    folder = build().prepared().train(1, 60).evaluated().finish().folder
    keyed = {action.action for action in ACTIONS} | {f"app.{action.action}" for action in ACTIONS}
    keyed |= {f"screen.{action.action}" for action in ACTIONS}
    async with drive(size=(160, 50)) as (app, pilot):
        app.select_run(folder)
        for mode in ("home", "train", "runs"):
            app.go(mode)
            await until(pilot, lambda mode=mode: app.current_mode == mode)
            metas = [
                segment.style.meta.get("@click")
                for strip in app.screen._compositor.render_strips()
                for segment in strip
                if segment.style is not None
            ]
            clicks = {click for click in metas if click}
            assert len(clicks) > len(MODES) and clicks <= keyed, mode


async def test_resizing_takes_the_letters_away(drive: Drive) -> None:
    async with drive(size=(80, 24)) as (app, pilot):
        await jumping(app, pilot)
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: not isinstance(app.screen, JumpScreen))


# -- copying ------------------------------------------------------------------------------------------------------


async def test_the_line_under_the_cursor_is_copied_and_told(drive: Drive, build: Build) -> None:
    build().prepared().finish()
    async with drive(size=(120, 40)) as (app, pilot):
        await pilot.press("7")
        await until(pilot, lambda: "players" in shown(app))
        await pilot.press("Y")
        await until(pilot, lambda: notices(app))
        assert "players-20251009-085320" in app.clipboard.split("\t")
        assert notices(app)[0].startswith("Copied the line (") and "players-20251009" in notices(app)[0]


async def test_of_a_list_its_line_of_a_pane_all_its_text(drive: Drive, build: Build) -> None:
    folder = build().prepared().train(1, 60).evaluated().finish().folder
    async with drive(size=(80, 24)) as (app, pilot):
        app.screen.query_one(OptionList).focus()
        await pilot.press("Y")
        assert app.clipboard.startswith(("▸ Quickstart", "✓ players"))
        app.select_run(folder)
        app.go("train")
        await until(pilot, lambda: app.current_mode == "train" and "FINISHED" in shown(app).upper())
        next(story for story in app.screen.query(Story) if story.is_on_screen and story.region.area).focus()
        await pilot.press("Y")
        assert "exact match" in app.clipboard and "Loss" not in app.clipboard


async def test_where_nothing_has_the_focus_the_screen_is_copied(drive: Drive) -> None:
    async with drive(size=(80, 24)) as (app, pilot):
        await pilot.press("6")
        await until(pilot, lambda: "no model to talk to" in shown(app))
        await pilot.press("Y")
        assert "There is no model to talk to yet." in app.clipboard
        await pilot.press("7")  # the input, which is not to be seen, has not taken the keys
        await until(pilot, lambda: app.current_mode == "runs")


async def test_what_was_selected_with_the_mouse_comes_first(drive: Drive) -> None:
    async with drive(size=(80, 24)) as (app, pilot):
        await pilot.mouse_down("#welcome", offset=(0, 0))
        await pilot.hover("#welcome", offset=(8, 0))
        await pilot.mouse_up("#welcome", offset=(8, 0))
        await pilot.press("Y")
        assert app.clipboard and shown(app).splitlines()[2].strip().startswith(app.clipboard)


@pytest.mark.parametrize(
    ("system", "variable", "asked"), [("Darwin", "", True), ("Darwin", "SSH_TTY", False), ("Linux", "", False)]
)
def test_macos_is_given_the_text_where_it_is_in_front(
    monkeypatch: pytest.MonkeyPatch, system: str, variable: str, asked: bool
) -> None:
    """Terminal.app does not take OSC 52; over ssh the other machine's clipboard is nobody's."""
    calls: list[Any] = []
    monkeypatch.setattr(copying.platform, "system", lambda: system)
    monkeypatch.setattr(copying.subprocess, "run", lambda *args, **kwargs: calls.append(kwargs["input"]))
    for name in ("SSH_CONNECTION", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "/dev/pts/1")
    copying.hand_to_system("naïve")
    assert calls == (["naïve".encode()] if asked else [])


# -- the palette --------------------------------------------------------------------------------------------------


def _missing(app: TunerApp) -> list[str]:
    """Keys in force on the screen that the palette does not offer with that key shown."""
    commands = [*WorkbenchCommands(app.screen).here(), *WorkbenchCommands(app.screen).not_now()]
    offered = {(command.name.removeprefix("Not now: "), key) for command in commands for key in command.keys.split()}
    by_id = {action.id: action for action in ACTIONS}
    lacking = []
    for key, active in app.screen.active_bindings.items():
        action = by_id.get(active.binding.id or "")
        if action is not None and action.id != "app.palette":
            name = f"Go to {action.label}" if action.action.startswith("app.mode") else action.label
            lacking += [f"{action.id} {each}" for each in action.all_keys_text.split() if (name, each) not in offered]
        ours = type(active.node).__module__.startswith("tui_tuner.") and active.node is not app
        if action is None and ours and active.binding.description and active.enabled:
            shown_key = active.binding.key_display or key_text(key)
            lacking += [key] if (active.binding.description, shown_key) not in offered else []
    return lacking


@SOME_OR_ALL
async def test_every_key_of_every_screen_is_in_the_palette(drive: Drive, build: Build, modes: tuple[str, ...]) -> None:
    builders = [build(stamp=f"20251009-08532{n}").prepared().train(1, 60).evaluated().finish() for n in range(2)]
    folders = [builder.folder for builder in builders]
    async with drive(size=(120, 40), preset="quickstart") as (app, pilot):
        await until(pilot, lambda: app.state.experiment is not None)
        app.select_run(folders[0])
        for mode in modes:
            app.go(mode)
            await until(pilot, lambda mode=mode: app.current_mode == mode)
            for widget in [None, *app.screen.focus_chain]:
                app.screen.set_focus(widget)
                assert _missing(app) == [], (mode, widget)
        app.go("runs")
        app.compare_runs([RunFolder.open(folder.path) for folder in folders])
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        assert _missing(app) == []


async def test_in_a_dialog_its_own_keys_are_offered(drive: Drive, build: Build) -> None:
    build().prepared().finish()
    async with drive() as (app, pilot):
        await pilot.press("7")
        await until(pilot, lambda: "players" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NoteDialog))
        names = {command.name for command in WorkbenchCommands(app.screen).here()}
        assert "Back" in names and "Resume" not in names and "Pin" not in names
        assert _missing(app) == []


async def test_the_palette_finds_every_action_wherever_one_is(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await until(pilot, lambda: app.current_mode == "home")
        found = {command.name.split(": ")[-1] for command in WorkbenchCommands(app.screen).everything()}
        labels = {action.label for action in ACTIONS if action.palette and not action.action.startswith("app.mode")}
        assert labels <= found
        assert [action.id for action in ACTIONS if not action.palette] == ["app.palette"]


async def test_an_action_of_another_screen_goes_there_first(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"data: load")
        await until(pilot, lambda: "Data: Load data" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: type(app.screen).__name__ == "SourceDialog")
        assert app.current_mode == "data"


async def test_words_of_the_explanation_find_it_too(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"quantizes")
        await until(pilot, lambda: "Models: Convert" in shown(app))


async def test_a_conversation_is_found_and_gone_on_with(drive: Drive, runs_dir: Path) -> None:
    engine = FakeEngine(answering)
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await said(pilot, "apples")
        await pilot.press(*"/title Fruit", "enter", "ctrl+l")
        await until(pilot, lambda: [chat.title for chat in list_chats(runs_dir)] == ["Fruit"])
        app.go("home")
        await until(pilot, lambda: "Fruit" in shown(app), "home lists it")
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"chat: fruit")
        await until(pilot, lambda: "Chat: Fruit" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "chat" and "apples" in shown(app))
        assert app.screen.session.title == "Fruit"  # type: ignore[attr-defined]
