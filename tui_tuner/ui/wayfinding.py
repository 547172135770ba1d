"""The app's part in finding one's way with the keys: jumping, copying, and that a letter typed into a text stays one.

It knows nothing of modes' contents; what can be gone to and what is copied is read off the screen that is shown.
"""

from __future__ import annotations

from textual import events
from textual.app import App
from textual.command import CommandPalette

from tui_tuner.ui.text import visible, writable


class WayfindingApp(App[int]):
    """An app in which one can jump to anything and copy anything."""

    _pressed: events.Key | None = None

    async def on_event(self, event: events.Event) -> None:
        """Notes the key that is being looked up, for `check_action`."""
        self._pressed = event if isinstance(event, events.Key) else None
        try:
            await super().on_event(event)
        finally:
            self._pressed = None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keeps actions that work from within text fields from taking a letter that belongs into one."""
        from tui_tuner.ui.jump import typing

        key = self._pressed
        if key is not None and key.is_printable and typing(self.focused):
            return False
        return super().check_action(action, parameters)

    def action_jump(self) -> None:
        """Puts a letter on everything that can have the focus or be pressed; the letter goes there."""
        from tui_tuner.ui.jump import JumpScreen

        screen = self.screen
        if isinstance(screen, JumpScreen):
            screen.dismiss(None)
            return
        if isinstance(screen, CommandPalette):
            return
        self.push_screen(JumpScreen(screen), self._jumped)

    async def _jumped(self, place: object) -> None:
        from textual.widgets import DataTable, OptionList

        from tui_tuner.ui.jump import Place

        if isinstance(place, str):
            await self.run_action(f"app.mode('{place}')")
        if not isinstance(place, Place) or not place.widget.is_attached:
            return
        widget, (kind, number) = place.widget, place.target or ("", 0)
        if kind == "press":
            await self.run_action(place.action, widget)
            return
        widget.focus()
        if kind == "option" and isinstance(widget, OptionList):
            widget.highlighted = number
        elif kind == "row" and isinstance(widget, DataTable):
            widget.move_cursor(row=number)

    def action_copy(self) -> None:
        """Copies what is under the cursor or in the focused pane, and says what that was."""
        from tui_tuner.ui.copying import copied, told

        what, text = copied(self.screen)
        if not text.strip():
            self.notify("There is no text to copy here.", severity="warning", markup=False)
            return
        self.copy_to_clipboard(text)
        self.notify(visible(told(what, text)), markup=False)

    def copy_to_clipboard(self, text: str) -> None:
        """Asks the terminal to take the text, and macOS where that is the machine in front."""
        from tui_tuner.ui.copying import hand_to_system

        text = writable(text)  # half a surrogate pair, which neither of them takes, may come from data
        super().copy_to_clipboard(text)
        self.run_worker(lambda: hand_to_system(text), thread=True, exit_on_error=False, group="clipboard")
