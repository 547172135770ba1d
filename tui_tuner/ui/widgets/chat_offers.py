"""The list over the input of the chat: commands as their names are typed, and what may follow them.

It offers and completes; what a command does is the screen's. It never takes the focus from the input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui_tuner.ui.actions import ACTIONS
from tui_tuner.ui.chatcommands import Command, Wish, begun, completed, following
from tui_tuner.ui.text import clip

_ACTIONS = {action.id: action for action in ACTIONS}
_WIDTH = 22
"""Cells of the first column."""

Offer = tuple[str, str]
"""What is completed, and a few words about it."""


class ChatOffers(OptionList):
    """Commands, or words that may follow one."""

    class Taken(Message):
        """Something was chosen.

        Attributes:
            text: what the field shall hold.
            run: whether it is whole, and to be done at once.
        """

        def __init__(self, text: str, run: bool) -> None:
            super().__init__()
            self.text, self.run = text, run

    def __init__(self, words: Callable[[Wish], Sequence[Offer]], *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False, compact=True)
        self.can_focus = False
        self._words = words
        self._typed = ""
        self._choices: list[tuple[str, Command | None]] = []
        self._moved = False
        self._put_away = ""

    @property
    def open(self) -> bool:
        return bool(self.display) and bool(self._choices)

    def look(self, typed: str) -> None:
        """The field holds another text."""
        if typed == self._typed and self.open:
            return
        self._typed, self._moved = typed, False
        if typed != self._put_away:
            self._put_away = ""
        rows = [] if self._put_away else self._rows(typed)
        if not rows and not self._choices:
            self.display = False
            return
        self._choices = [(text, command) for text, command, _ in rows]
        self.display = bool(rows)
        self.clear_options()
        if rows:
            self.add_options([Option(content) for _, _, content in rows])
            self.highlighted = 0

    def _rows(self, typed: str) -> list[tuple[str, Command | None, Content]]:
        wish = following(typed)
        if wish is not None:
            room = max(self.app.size.width - _WIDTH - 8, 20)
            words = self._words(wish)
            return [
                (completed(typed, word), None, Content.assemble(clip(word, _WIDTH).ljust(_WIDTH), "  ",
                                                                (clip(about, room), "$text-muted")))
                for word, about in words
            ]  # fmt: skip
        out: list[tuple[str, Command | None, Content]] = []
        for command in begun(typed):
            action = _ACTIONS.get(command.action)
            key = action.key_text if action is not None else ""
            room = max(self.app.size.width - _WIDTH - len(key) - 10, 20)
            about = clip(command.about, room).ljust(room)
            line = Content.assemble(
                (f"/{command.name}", "bold $text-primary"), (f" {command.takes}".ljust(_WIDTH - len(command.name)),
                "$text-disabled"), (about, "$text-muted"), "  ", (key, "bold")
            )  # fmt: skip
            out.append((f"/{command.name}{' ' if command.takes else ''}", command, line))
        return out

    def move(self, step: int) -> None:
        if self._choices:
            self._moved = True
            self.highlighted = ((self.highlighted or 0) + step) % len(self._choices)

    def take(self, key: str) -> bool:
        """Tab completes; enter does what is whole, and what was chosen with the arrows; escape puts the list away."""
        if key == "escape":
            self._put_away = self._typed
            self._choices, self.display = [], False
            return True
        text, command = self._choices[self.highlighted or 0]
        whole = command is not None and self._typed[1:].lower() in (command.name, *command.other)
        if key == "enter" and (whole or (command is None and not self._moved)):
            return False  # sent as it is typed
        alone = len(self._choices) == 1 or self._moved
        run = key == "enter" and alone and (command is None or not command.needs)
        self.post_message(self.Taken(text.rstrip() if run else text, run))
        return True

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click completes."""
        event.stop()
        self.highlighted = event.option_index
        self.take("tab")
