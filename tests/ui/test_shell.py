"""Modes, keys, help, palette, themes: the frame around all screens."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.filter import Monochrome

from tests.ui.conftest import Drive
from tests.ui.fakes import RunBuilder
from tests.ui.looking import notices, shown, until
from tui_tuner.errors import TunerError
from tui_tuner.settings import Settings, load_settings
from tui_tuner.ui.actions import ACTIONS, MODES, actions_of, app_actions
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.themes import DARK, LIGHT, SAFE, TERMINAL, THEMES
from tui_tuner.ui.widgets.helppanel import HelpPanel


def test_action_ids_and_keys_are_unique_within_a_mode() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    for mode in MODES:
        keys = [key for action in actions_of(mode) for key in action.keys.split(",")]
        assert len(keys) == len(set(keys)), mode


@pytest.mark.parametrize("mode", list(MODES))
async def test_every_action_of_a_mode_has_its_method(drive: Drive, mode: str) -> None:
    async with drive() as (app, pilot):
        app.go(mode)
        await until(pilot, lambda: getattr(app.screen, "MODE", None) == mode)
        assert type(app.screen).__name__ != "BrokenScreen"
        for action in actions_of(mode):
            name = action.action.split("(")[0]
            assert callable(getattr(app.screen, f"action_{name}", None)), action.id
        for action in app_actions():
            name = action.action.split("(")[0].removeprefix("app.")
            assert callable(getattr(app, f"action_{name}", None)), action.id


async def test_digits_walk_through_all_modes(drive: Drive) -> None:
    async with drive() as (app, pilot):
        for mode in ("train", "runs", "home"):
            await pilot.press(MODES[mode][0])
            await until(pilot, lambda mode=mode: app.current_mode == mode)
            assert isinstance(app.screen, WorkbenchScreen)


async def test_escape_goes_home(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await pilot.press("7")
        await until(pilot, lambda: app.current_mode == "runs")
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "home")


async def test_help_lists_the_keys_of_the_screen_and_closes(drive: Drive) -> None:
    async with drive(size=(120, 90)) as (app, pilot):
        await pilot.press("7", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpPanel))
        text = shown(app)
        for action in actions_of("runs"):
            assert action.help.split()[0] in text
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, HelpPanel))


async def test_palette_finds_an_action(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: type(app.screen).__name__ == "CommandPalette")
        await pilot.press(*"go to runs")
        await until(pilot, lambda: "Go to Runs" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "runs")


async def test_palette_takes_hostile_run_names_as_text(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    build("[red]x[$boom]", stamp="20251009-085320").begin()
    async with drive() as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: type(app.screen).__name__ == "CommandPalette")
        await pilot.press(*"Run: ")
        await until(pilot, lambda: "[red]x[$boom]" in shown(app), "the run's name as it is")


def test_what_nobody_chose_is_our_own_dark_theme() -> None:
    assert Settings().theme == DARK


@pytest.mark.parametrize(("stored", "shown_as"), [("textual-dark", "textual-dark"), ("nord", "nord"), ("gone", DARK)])
async def test_a_theme_that_was_chosen_is_shown(drive: Drive, stored: str, shown_as: str) -> None:
    async with drive(settings=Settings(theme=stored)) as (app, pilot):
        await until(pilot, lambda: app.theme == shown_as)
        await pilot.press("7")
        await until(pilot, lambda: app.current_mode == "runs")


async def test_theme_switches_and_is_stored(drive: Drive) -> None:
    async with drive(settings=Settings()) as (app, pilot):
        assert app.theme == DARK
        await pilot.press("t")
        await until(pilot, lambda: app.theme == LIGHT)
    assert load_settings().theme == LIGHT


MIXED = [theme for theme in THEMES if theme.name != TERMINAL]
"""The themes whose colours we know."""


# Viénot, Brettel and Mollon (1999), "Digital video colourmaps for checking the legibility of displays by dichromats":
# linear RGB as a protanope and a deuteranope see it.
_DICHROMATS = {
    "protanope": ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
    "deuteranope": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
}


def _seen(color: str, who: str) -> tuple[float, ...]:
    """CIE L*a*b* of a colour as a dichromat sees it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    linear = [max(sum(a * b for a, b in zip(row, linear, strict=True)), 0.0) for row in _DICHROMATS[who]]
    to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.95047, 1.0, 1.08883)
    x, y, z = (sum(a * b for a, b in zip(row, linear, strict=True)) / w for row, w in zip(to_xyz, white, strict=True))
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("who", sorted(_DICHROMATS))
def test_good_warning_and_bad_are_told_apart_without_red_and_green(who: str) -> None:
    theme = next(theme for theme in THEMES if theme.name == SAFE)
    seen = {name: _seen(theme.variables[f"text-{name}"], who) for name in ("success", "warning", "error")}
    for one, other in itertools.combinations(seen, 2):
        assert math.dist(seen[one], seen[other]) > 20, (one, other)  # 2.3 is a just noticeable difference


async def test_the_terminals_own_colours_are_left_to_it(drive: Drive) -> None:
    async with drive(settings=Settings(theme=TERMINAL), size=(120, 40)) as (app, pilot):
        for mode in MODES:
            app.go(mode)
            await until(pilot, lambda mode=mode: app.current_mode == mode)
            await pilot.pause()
            kinds = {
                color.type.name
                for strip in app.screen._compositor.render_strips()
                for segment in strip
                if segment.style is not None
                for color in (segment.style.color, segment.style.bgcolor)
                if color is not None
            }
            assert kinds <= {"DEFAULT", "STANDARD"}, mode


async def test_no_color_takes_all_colour_away(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """https://no-color.org: a set variable, whatever its value."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with drive(size=(120, 40)) as (app, pilot):
        await pilot.press("7")
        await until(pilot, lambda: app.current_mode == "runs")
        grey = next(each for each in app._filters if isinstance(each, Monochrome))
        strips = app.screen._compositor.render_strips()
        for strip in strips:
            for segment in strip.apply_filter(grey, app.screen.styles.background):
                for color in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    if color is not None and color.triplet is not None:
                        assert len(set(color.triplet)) == 1, segment


async def test_nothing_moves_where_that_is_not_wanted(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textual.constants.TEXTUAL_ANIMATIONS", "full")
    async with drive(settings=Settings(animations=False)) as (app, _pilot):
        assert app.animation_level == "none"
    async with drive(settings=Settings()) as (app, _pilot):
        assert app.animation_level == "full"


async def test_keys_are_changed_by_settings_and_told(drive: Drive) -> None:
    keys = {
        "runs.find": "f /",
        "runs.sort": "d",
        "runs.nonsense": "x",
        "runs.pin": "ctrl+q",
        "runs.group": "",
        "app.theme": "F7",
    }
    async with drive(settings=Settings(keys=keys), size=(120, 90)) as (app, pilot):
        await until(pilot, lambda: len(notices(app)) == 4)
        told = " ".join(notices(app))
        assert "did you mean" in told and "d is runs.delete already" in told
        assert "ctrl+q always leaves the program" in told and "runs.group has no key named" in told
        await pilot.press("f7")
        await until(pilot, lambda: app.theme == LIGHT)
        await pilot.press("t")
        assert app.theme == LIGHT
        await pilot.press("7", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpPanel))
        assert "f7" in shown(app) and "f /" in shown(app)
    async with drive(size=(120, 40)) as (app, pilot):
        await pilot.press("t")
        await until(pilot, lambda: app.theme == LIGHT)


async def test_errors_become_one_sentence_and_the_app_lives(drive: Drive) -> None:
    async with drive() as (app, pilot):
        app.report(TunerError("the disk is full", where="runs/x", fix="free some space"))
        await until(pilot, lambda: notices(app) == ["runs/x: the disk is full; free some space."])
        await pilot.press("7")
        await until(pilot, lambda: app.current_mode == "runs")


async def test_an_exception_in_an_action_does_not_end_the_app(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    async with drive(mishaps=True) as (app, pilot):
        monkeypatch.setattr(type(app), "action_next_theme", lambda self: 1 / 0)
        await pilot.press("t")
        await until(pilot, lambda: len(app.mishaps) == 1)
        await pilot.press("7")
        await until(pilot, lambda: app.current_mode == "runs")


async def test_an_unknown_preset_is_a_notice(drive: Drive) -> None:
    async with drive(preset="quickstrt") as (app, pilot):
        await until(pilot, lambda: any("quickstart" in text for text in notices(app)))


async def test_settings_that_cannot_be_read_are_told(drive: Drive, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[keys]\n[keys]\n", encoding="utf-8")
    async with drive(settings=load_settings(file)) as (app, pilot):
        await until(pilot, lambda: any("is no valid TOML" in text and "default" in text for text in notices(app)))


async def test_only_the_visible_screen_is_told(
    drive: Drive, build: Callable[..., RunBuilder], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(WorkbenchScreen, "call_hook", lambda self, name: told.append(f"{self.MODE}:{name}"))
    async with drive() as (app, pilot):
        await pilot.press("4", "7")
        await until(pilot, lambda: app.current_mode == "runs")
        told.clear()
        app.select_run(build().prepared().folder)
        await until(pilot, lambda: "runs:run" in told)
        assert set(told) == {"runs:run"}


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 50), (40, 10)])
async def test_every_shell_screen_draws_at_every_size(
    drive: Drive, build: Callable[..., RunBuilder], size: tuple[int, int]
) -> None:
    folder = build().prepared().train(1, 60).folder
    async with drive(size=(100, 30)) as (app, pilot):
        app.select_run(folder)
        for mode in ("home", "train", "runs"):
            app.go(mode)
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: app.screen.size.width == size[0])
            assert shown(app).strip()


def test_importing_the_app_and_drawing_it_loads_nothing_heavy(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from pathlib import Path
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.screens.home import HomeScreen
from tests.ui.fakes import FakeEngine

async def main():
    app = TunerApp(engine=FakeEngine(), runs_dir=Path(sys.argv[1]))
    seen = set()
    begin = HomeScreen._begin  # called once the first frame is out; the app's own may come after it
    HomeScreen._begin = lambda screen: (seen.update(sys.modules), begin(screen))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert seen and "numpy" not in seen, "the first frame needs no numpy"
        for key in "123456700":
            await pilot.press(key)
            await pilot.pause()

asyncio.run(main())
bad = {"mlx", "mlx_lm", "transformers", "datasets", "evaluate"} & {name.split(".")[0] for name in sys.modules}
assert not bad, bad
"""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


async def test_a_palette_left_open_in_another_mode_is_not_in_the_way(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette), "the palette is open")
        app.go("runs")
        await until(pilot, lambda: app.current_mode == "runs" and not isinstance(app.screen, CommandPalette), "runs")
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette), "another one is open")
        assert app.mishaps == []
