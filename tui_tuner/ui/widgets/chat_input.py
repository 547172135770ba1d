"""Where one writes: several lines, enter sends, the arrows at the edges go through what was sent and what can be tried.

What is typed is only ever text: no key that makes a character is an action here. A long text that is pasted stands as a
mark of one line and is sent in full; the field itself is never made to wrap a megabyte.
"""

from __future__ import annotations

import re
from typing import Protocol

from textual import events
from textual.message import Message
from textual.widgets import TextArea

from tui_tuner.ui.format import count
from tui_tuner.ui.inputhistory import InputHistory

NEWLINE = ("shift+enter", "ctrl+enter", "alt+enter", "ctrl+j")
"""Keys that break the line; not every terminal can tell all of them from enter."""
LONG = 4_000
"""Characters from which on a text that is put in stands as a mark."""
MANY_LINES = 60
_MARK = re.compile(r"\[text \d+: [\d,]+ characters\]")


class Offers(Protocol):
    """A list over the field that takes some keys while it is open."""

    @property
    def open(self) -> bool:
        """Whether it has something to offer."""

    def move(self, step: int) -> None:
        """Goes up or down in it."""

    def take(self, key: str) -> bool:
        """Tab, enter or escape was pressed; whether the list used it up."""


class ChatInput(TextArea):
    """The input of the chat.

    Attributes:
        suggestions: prompts to try, which down offers on an empty field.
        past: what was sent before, which up goes back through.
        offers: the list over the field, if there is one.
    """

    class Sent(Message):
        """Enter was pressed on something to say."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, soft_wrap=True, show_line_numbers=False, tab_behavior="focus", compact=True)
        self.highlight_cursor_line = False
        self.suggestions: list[str] = []
        self.past = InputHistory()
        self.offers: Offers | None = None
        self._long: dict[str, str] = {}
        self._at = 0  # 0 is the draft, below it what was sent, above it what is suggested
        self._first = 0  # which suggestion is the first above the draft
        self._walked: str | None = None
        self._draft = ""

    def help_text(self) -> str:
        return (
            "Enter sends; shift+enter, alt+enter or ctrl+j breaks the line. Up at the first line goes back through "
            "what you sent before; down, on an empty field, offers the experiment's probe prompts. A slash lists "
            "commands. Escape stops an answer, or leaves the field, and then single letters are keys."
        )

    # -- its text -----------------------------------------------------------------------------------------------

    @property
    def full(self) -> str:
        """All that is to be sent, what is long in its place."""
        return _MARK.sub(lambda match: self._long.get(match[0], match[0]), self.text) if self._long else self.text

    def put(self, text: str) -> None:
        """Puts a text in, in the place of what is there, with the cursor at its end."""
        self._at, self._walked = 0, None
        self._set(self._short(text))

    def sent(self, text: str) -> None:
        """Empties the field and remembers what was sent."""
        self.past.add(text)
        self._first = (self._first + max(self._at, 0)) % max(len(self.suggestions), 1)
        self._at, self._walked, self._draft = 0, None, ""
        self.text = ""

    def _set(self, text: str) -> None:
        self.text = text
        self.move_cursor(self.document.end)

    def _short(self, text: str) -> str:
        """The text, or a mark that stands for it."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if len(text) < LONG and text.count("\n") < MANY_LINES:
            return text
        known = next((mark for mark, full in self._long.items() if full == text), "")
        mark = known or f"[text {len(self._long) + 1}: {count(len(text))} characters]"
        self._long[mark] = text
        return mark

    # -- what was sent, and what can be tried ---------------------------------------------------------------------

    @property
    def offering(self) -> bool:
        """Whether the field is empty or holds what the arrows put there, as they put it."""
        return not self.text or self.text == self._walked

    def offer(self, step: int) -> bool:
        """Puts the next suggestion into the field, whatever is in it; False when there is none."""
        if not self.suggestions:
            return False
        self._go(max(self._at, 0) + step)
        return True

    def _walk(self, step: int) -> bool:
        """Up or down at an edge of the field; False where there is nowhere to go."""
        if not self.offering:
            self._at = 0
        at = self._at + step
        if at < -len(self.past.texts) or (at > 0 and (not self.suggestions or not self.offering)):
            return False
        self._go(at)
        return True

    def _go(self, at: int) -> None:
        if self._at == 0:
            self._draft = self.text if self.text != self._walked else ""
        self._at = at
        if at > 0:
            text = self.suggestions[(self._first + at - 1) % len(self.suggestions)]
        else:
            text = self.past.texts[at] if at else self._draft
        short = self._short(text)
        # A draft that came back is the person's own again, and stays where down would offer something else.
        self._walked = short if at else None
        self._set(short)

    @property
    def _row(self) -> int:
        return int(self.wrapped_document.location_to_offset(self.cursor_location).y)

    # -- keys -----------------------------------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        if self._used(event.key):
            event.stop()
            event.prevent_default()
        # All else goes to TextArea's own handler, which Textual calls next.

    def _used(self, key: str) -> bool:
        listed = self.offers if self.offers is not None and self.offers.open else None
        if listed is not None and key in ("up", "down"):
            listed.move(1 if key == "down" else -1)
            return True
        if listed is not None and key in ("tab", "enter", "escape") and listed.take(key):
            return True
        if key == "enter":
            if self.text.strip():
                self.post_message(self.Sent(self.full))
            return True
        if key in NEWLINE:
            self.insert("\n")
            return True
        if key == "up" and (self.offering or self._row == 0):
            return self._walk(-1)
        if key == "down" and (self.offering or (self._at < 0 and self._row == self.wrapped_document.height - 1)):
            return self._walk(1)
        return False

    async def _on_paste(self, event: events.Paste) -> None:
        text = self._short(event.text)
        if self.read_only or text == event.text:
            return  # TextArea's own handler comes next
        event.stop()
        event.prevent_default()
        start, end = self.selection
        self._replace_via_keyboard(text, start, end)
