"""The help: words for whatever has the focus, its own keys first, and those of every list last."""

from __future__ import annotations

import re
from collections.abc import Callable

from textual.screen import Screen

from tests.ui.conftest import Drive
from tests.ui.fakes import RunBuilder
from tests.ui.looking import shown, until
from tui_tuner.ui.actions import MODES, VIEWS, actions_of, app_actions
from tui_tuner.ui.helptexts import help_for, named
from tui_tuner.ui.screens import factory
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.screens.compare import CompareScreen
from tui_tuner.ui.widgets.helppanel import HelpPanel

Build = Callable[..., RunBuilder]
LEAST = 60
"""Letters that something worth reading has."""


def untold(screen: Screen[object], mode: str) -> tuple[list[str], set[str]]:
    """Widgets that can have the focus and have no words; and words for which there is no widget."""
    able = [widget for widget in screen.query("*") if widget.can_focus]
    without = [repr(widget) for widget in able if len(help_for(mode, widget)) < LEAST]
    names = {name for widget in able for name in (widget.id or "", *widget.classes)}
    return without, set(named(mode)) - names


async def test_whatever_can_have_the_focus_has_words_worth_reading(drive: Drive, build: Build) -> None:
    builders = [build(stamp=f"20251009-08532{n}").prepared().train(1, 60).evaluated().finish() for n in range(2)]
    async with drive(size=(120, 40), preset="quickstart") as (app, pilot):
        await until(pilot, lambda: app.state.experiment is not None)
        app.select_run(builders[0].folder)
        for mode in MODES:
            app.go(mode)
            await until(pilot, lambda mode=mode: app.current_mode == mode and app.screen.is_mounted)
            assert untold(app.screen, mode) == ([], set()), mode
        app.go("runs")
        app.compare_runs([builder.folder for builder in builders])
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        assert untold(app.screen, "compare") == ([], set())
        assert set(VIEWS) == {"compare"}


def test_an_empty_screen_says_what_fills_it_and_the_key_for_it() -> None:
    for mode in MODES:
        made = factory(mode)()
        assert isinstance(made, WorkbenchScreen)
        if made.EMPTY:  # home is never empty, and train tells its own
            named_keys = re.findall(r"\((\d)\)|[Pp]ress (\w)\b|or (\d) to", made.EMPTY)
            known = {key for action in (*actions_of(mode), *app_actions()) for key in action.keys.split(",")}
            assert named_keys and {key for found in named_keys for key in found if key} <= known, mode


async def test_help_begins_with_what_has_the_focus_and_ends_with_how_to_move(drive: Drive, build: Build) -> None:
    build().prepared().finish()
    async with drive(size=(80, 24)) as (app, pilot):
        await pilot.press("7")
        await until(pilot, lambda: "players" in shown(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpPanel))
        text = " ".join(shown(app).split())
        assert "Every run, newest first. The arrows choose one" in text and "Cursor up" not in text
        panel = app.screen
        assert isinstance(panel, HelpPanel)
        headings = list(panel._groups)
        assert headings[-1] == "Moving in the table" and headings[0] == "Run"
