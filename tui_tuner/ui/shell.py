"""The frame around the screens: modes, themes, help, notices, and what happens when something of ours goes wrong.

It knows nothing of engines and runs. Whatever raises below it, the app must live on: a person's run may hang on it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.filter import LineFilter
from textual.message import Message
from textual.screen import Screen

from tui_tuner.errors import TunerError
from tui_tuner.ui import themes
from tui_tuner.ui.actions import ACTIONS, MODES, bindings
from tui_tuner.ui.actions.keymap import remap
from tui_tuner.ui.commands import WorkbenchCommands
from tui_tuner.ui.screens import factory
from tui_tuner.ui.stylesheet import SharedStylesheet
from tui_tuner.ui.text import visible
from tui_tuner.ui.wayfinding import WayfindingApp

if TYPE_CHECKING:
    from tui_tuner.settings import Settings


HINT = 20.0
"""Seconds that a hint stays."""


class ShellApp(WayfindingApp):
    """An app with our modes, keys and themes, whose handlers may fail.

    Args:
        settings: the person's settings; None means defaults that are not stored.

    Attributes:
        mishaps: exceptions that were turned into notices and are no `TunerError`; tests look here.
    """

    TITLE = "tui_tuner"
    CSS_PATH = "app.tcss"
    BINDINGS = bindings(None)
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {mode: factory(mode) for mode in MODES}
    DEFAULT_MODE = "home"
    COMMANDS = {WorkbenchCommands}  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(self, settings: Settings | None) -> None:
        super().__init__()
        self.settings = settings
        self.mishaps: list[Exception] = []
        self._told: list[str] = []
        for theme in themes.THEMES:
            self.register_theme(theme)
        wish = getattr(settings, "theme", "")
        self.theme = wish if wish in self.available_themes else themes.DARK
        if not getattr(settings, "animations", True):
            self.animation_level = "none"
        self.stylesheet = SharedStylesheet(variables=self.get_css_variables())
        keys, said = remap(ACTIONS, getattr(settings, "keys", {}))
        self._warnings = [*filter(None, [getattr(settings, "warning", "")]), *said]
        self.set_keymap(keys)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What lines go through before they are drawn; the terminal's own colours need more than others."""
        found = super().get_line_filters()
        if not self.native_ansi_color:
            return found
        from tui_tuner.ui.linefilters import for_terminal

        return for_terminal(found)

    def tell_of_settings(self) -> None:
        """Says why the settings' file cannot be used as it is, and which of its keys."""
        for sentence in self._warnings:
            self.notify(visible(capital(f"{sentence}.")), severity="warning", timeout=HINT, markup=False)
        self._warnings = []

    def go(self, mode: str) -> None:
        """Shows a mode's screen; from one that lies upon it, as the comparison upon the runs, it leads back to it."""
        if mode == self.current_mode and getattr(self.screen, "MODE", mode) != mode:
            self.screen.dismiss(None)
        self.switch_mode(mode)

    def notice(self, text: str, severity: str = "information") -> None:
        """Shows one sentence for a few seconds; the text is inert."""
        self.notify(visible(text), severity=severity, markup=False)  # type: ignore[arg-type]

    def tell_outside(self, title: str, text: str) -> None:
        """Tells of something that has come about while the terminal is not in front, in the way that was chosen."""
        if self.app_focus or self._driver is None:
            return
        from tui_tuner.ui.notifying import tell

        tell(getattr(self.settings, "notify", "off"), f"tui_tuner · {title}", text.strip(), self._driver.write)

    def tell_once(self, name: str, text: str) -> None:
        """Gives a person a hint, unless it was given before, today or in another session; the text is inert."""
        told = self._told if self.settings is None else self.settings.told
        if name in told:
            return
        self.notify(visible(text), title="A hint", timeout=HINT, markup=False)
        if self.settings is None:
            self._told.append(name)
            return
        from tui_tuner.settings import change_settings

        with contextlib.suppress(TunerError):  # then it is given once more next time, which is no harm
            change_settings(self.settings, told=[*told, name])

    def report(self, error: Exception) -> None:
        """Turns an exception into a notice. What is no `TunerError` is a defect of ours, and is kept in `mishaps`."""
        if isinstance(error, TunerError):
            self.notice(capital(error.sentence()), "error")
            return
        self.mishaps.append(error)
        self.log.error(repr(error))
        where = MODES.get(self.current_mode, ("", "app", ""))[1]
        what = f"{type(error).__name__}: {error}"
        self.notice(f"Something in {where} went wrong ({what}); runs are not affected.", "error")
        if os.environ.get("TUI_TUNER_DEBUG"):
            raise error

    async def run_action(self, *args: Any, **kwargs: Any) -> bool:
        """Keeps an exception in an action (a key, a click, a command) from ending the app."""
        try:
            return await super().run_action(*args, **kwargs)
        except Exception as error:
            self.report(error)
            return True

    async def _on_message(self, message: Message) -> None:
        try:
            await super()._on_message(message)
        except Exception as error:
            self.report(error)

    def action_mode(self, mode: str) -> None:
        self.go(mode)

    def action_command_palette(self) -> None:
        """Opens the palette, also while another one is open in another mode: Textual's own would clash by its id."""
        from textual.command import CommandPalette

        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette())

    def action_help(self) -> None:
        from tui_tuner.ui.widgets.helppanel import HelpPanel

        if not isinstance(self.screen, HelpPanel):
            mode = getattr(self.screen, "MODE", "")  # of a view over a mode's screen its own keys
            self.push_screen(HelpPanel.of(self.screen, mode or self.current_mode))

    def action_next_theme(self) -> None:
        """Steps to the next theme and stores the choice."""
        names = list(themes.ABOUT)
        at = names.index(self.theme) if self.theme in names else -1
        self.choose_theme(names[(at + 1) % len(names)])

    def choose_theme(self, name: str) -> None:
        """Puts a theme into force and stores the choice."""
        self.theme = name
        if self.settings is not None:
            from tui_tuner.settings import change_settings

            change_settings(self.settings, theme=self.theme)

    def action_save_picture(self) -> None:
        """Saves the screen as SVG in the working folder."""
        path = self.save_screenshot()
        self.notice(f"Saved {path}.")


def capital(sentence: str) -> str:
    """A sentence with its first letter raised, unless it starts with a path or a key."""
    first = sentence.split(" ", 1)[0]
    return sentence if any(mark in first for mark in "/._:") else sentence[:1].upper() + sentence[1:]
