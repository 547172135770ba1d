"""A line of words that can be pressed with the mouse: the hints of a dialog, and tabs.

What is pressed is found from where it stands, not from the text's style, so that a wrapped line works as one that is
not. It never does a thing that no key does: a hint presses its key, and keys step through tabs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

_APART = re.compile(r" {2,}")
_NAMES = {"esc": "escape", "enter": "enter", "tab": "tab", "space": "space"}
_KEY = re.compile(r"\^(?P<control>\w)|(?P<named>ctrl\+\w|f\d+|[a-z])")


class Words(Static):
    """A line whose parts can be pressed.

    Args:
        parts: what stands there, part by part, as many as are drawn.
    """

    class Pressed(Message):
        """A part was pressed; `part` is its place in the line."""

        def __init__(self, words: Words, part: int) -> None:
            super().__init__()
            self.words, self.part = words, part

        @property
        def control(self) -> Words:
            return self.words

    def __init__(self, content: Content | str = "", *, parts: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(content, markup=False, **kwargs)
        self.parts = list(parts)

    def part_at(self, x: int, y: int) -> int | None:
        """The part under a cell of the widget; None where there is none."""
        lines = [strip.text for strip in self.render_lines(self.outer_size.region)][: y + 1]
        if not lines or x >= len(lines[-1]) or not 0 <= y < len(lines) or lines[-1][x].isspace():
            return None
        before = [*lines[:-1], lines[-1][: x + 1]]
        at = sum(len(line.split()) for line in before)
        for number, part in enumerate(self.parts):
            at -= len(part.split())
            if at <= 0:
                return number
        return None

    def on_click(self, event: events.Click) -> None:
        part = self.part_at(event.x, event.y)
        if part is not None:
            event.stop()
            self.press(part)

    def press(self, part: int) -> None:
        """A part was pressed."""
        self.post_message(self.Pressed(self, part))


class Hint(Words):
    """What the keys of a dialog do, each with its words: "enter takes it   esc go back". A press is that key.

    Keys that move, such as ↑ ↓, are only told.
    """

    def __init__(self, text: str = "", **kwargs: Any) -> None:
        super().__init__(Content(text), parts=_APART.split(text), classes="hint", **kwargs)

    def tell(self, content: Content | str) -> None:
        """Says something else."""
        made = content if isinstance(content, Content) else Content(content)
        self.parts = _APART.split(made.plain.strip())
        self.update(made)

    def press(self, part: int) -> None:
        key = key_of(self.parts[part])
        if key:
            self.app.simulate_key(key)


def key_of(part: str) -> str:
    """The key that a part of a hint begins with, as Textual names it; empty when there is none to press."""
    first = part.partition(" ")[0]
    if first in _NAMES:
        return _NAMES[first]
    found = _KEY.fullmatch(first)
    if found is None:
        return ""
    return f"ctrl+{found['control']}" if found["control"] else found["named"]
