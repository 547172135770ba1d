"""Where one writes: several lines, enter sends, and on an empty field the arrows offer prompts to try.

What is typed is only ever text: no key that makes a character is an action here.
"""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.widgets import TextArea

NEWLINE = ("shift+enter", "ctrl+enter", "alt+enter", "ctrl+j")
"""Keys that break the line; not every terminal can tell all of them from enter."""


class ChatInput(TextArea):
    """The input of the chat."""

    class Sent(Message):
        """Enter was pressed on something to say."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, soft_wrap=True, show_line_numbers=False, tab_behavior="focus", compact=True)
        self.highlight_cursor_line = False
        self.suggestions: list[str] = []
        self._offered = -1

    def help_text(self) -> str:
        return (
            "Enter sends; shift+enter, alt+enter or ctrl+j breaks the line. On an empty field, up and down offer the "
            "experiment's probe prompts. Escape stops an answer, or leaves the field."
        )

    @property
    def offering(self) -> bool:
        """Whether the field is empty or holds an offered prompt as it was offered."""
        at = self._offered
        return not self.text or (0 <= at < len(self.suggestions) and self.text == self.suggestions[at])

    def offer(self, step: int) -> bool:
        """Puts the next (or previous) suggestion into the field; False when there is none."""
        if not self.suggestions:
            return False
        start = self._offered if self._offered >= 0 else (-1 if step > 0 else 0)
        self._offered = (start + step) % len(self.suggestions)
        self.text = self.suggestions[self._offered]
        self.move_cursor(self.document.end)
        return True

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            text = self.text
            if text.strip():
                self.post_message(self.Sent(text))
            return
        if event.key in NEWLINE:
            event.stop()
            event.prevent_default()
            self.insert("\n")
            return
        if event.key in ("up", "down") and self.offering and self.offer(1 if event.key == "down" else -1):
            event.stop()
            event.prevent_default()
        # All else goes to TextArea's own handler, which Textual calls next.
