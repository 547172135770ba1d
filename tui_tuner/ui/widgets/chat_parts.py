"""An answer's parts as rows while they come: words as Markdown, reasoning folded, calls of tools as calls.

Each part is set where it stands, each piece once. Text goes through `visible` here, before anything is made of it.
"""

from __future__ import annotations

import json
from typing import Protocol

from tui_tuner.chat.parts import Part, PartReader
from tui_tuner.ui.format import count
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets.chat_markdown import Markdown
from tui_tuner.ui.widgets.chat_rows import BOLD, ITALIC, Ink, Letters, Row

MOST_CALL_ROWS = 200
"""Rows of a call's arguments that are shown."""


class Flow(Protocol):
    """Text that is set while it comes: full rows are handed out once by `take`, `tail` are those that may change."""

    def write(self, text: str) -> None: ...
    def take(self) -> list[Row]: ...

    @property
    def tail(self) -> list[Row]: ...


class Folded:
    """Reasoning of which only is told how long it is."""

    def __init__(self, part: Part, ink: Ink) -> None:
        self._part, self._ink = part, ink
        self._words = 0
        self._in_word = False

    def write(self, text: str) -> None:
        if text:
            glued = self._in_word and not text[0].isspace()
            self._words += len(text.split()) - (1 if glued else 0)
            self._in_word = not text[-1].isspace()

    def take(self) -> list[Row]:
        return []

    @property
    def tail(self) -> list[Row]:
        what = "reasoning" if self._part.closed else "thinking …"
        unit = "word" if self._words == 1 else "words"
        return [self._ink.row((f"▸ {what}  {count(self._words)} {unit}", "muted", ITALIC))]


class Unfolded(Letters):
    """Reasoning in full, as it came."""

    def __init__(self, width: int, ink: Ink) -> None:
        super().__init__(width, ink, "muted", ink.row(("┆ ", "muted", 0)))
        self._rows.append(ink.row(("▾ reasoning", "muted", ITALIC)))


class Called:
    """A call of a tool: as it came while it comes, then its name and arguments where they can be read."""

    def __init__(self, part: Part, width: int, ink: Ink) -> None:
        self._part, self._width, self._ink = part, width, ink
        self._raw = Letters(width, ink, "code", ink.row(("  ", "text", 0)))
        self._came: list[Row] = []
        self._read: list[Row] | None = None

    def write(self, text: str) -> None:
        self._raw.write(text)
        self._came += self._raw.take()

    def take(self) -> list[Row]:
        return []

    @property
    def tail(self) -> list[Row]:
        if not self._part.closed:
            return [self._head("calls a tool …"), *self._came[:MOST_CALL_ROWS], *self._raw.tail]
        if self._read is None:
            self._read = self._read_calls()
        return self._read

    def _read_calls(self) -> list[Row]:
        calls = self._part.calls
        if not calls:
            return [self._head("tool call, which cannot be read"), *self._came[:MOST_CALL_ROWS], *self._raw.tail]
        rows: list[Row] = []
        for call in calls[:MOST_CALL_ROWS]:
            rows.append(self._head("calls " + clip(call.name, max(self._width - 8, 4))))
            given = call.arguments
            told = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, indent=2) if given else ""
            letters = Letters(self._width, self._ink, "code", self._ink.row(("  ", "text", 0)))
            letters.write(visible(told, lines=True))
            rows += [*letters.take(), *letters.tail][:MOST_CALL_ROWS]
        return rows

    def _head(self, text: str) -> Row:
        return self._ink.row((f"⚒ {text}", "head", BOLD))


class Body:
    """All parts of an answer.

    Attributes:
        rows: those that are final.
        tail: those that more text may still change.
    """

    def __init__(self, width: int, ink: Ink, *, raw: bool, unfold: bool) -> None:
        self.rows: list[Row] = []
        self.tail: list[Row] = []
        self._width, self._ink, self._raw, self._unfold = width, ink, raw, unfold
        self._reader = PartReader()
        self._set: list[tuple[str, int]] = []  # of each part its kind, and how much of it was set
        self._flow: Flow | None = None

    def write(self, text: str) -> None:
        """The next piece of the answer, as the model said it."""
        self._take_in(self._reader.feed(text), ended=False)

    def end(self) -> None:
        """There is no more."""
        self._take_in(self._reader.finish(), ended=True)

    def _take_in(self, parts: list[Part], *, ended: bool) -> None:
        if any(part.kind != kind for part, (kind, _) in zip(parts, self._set, strict=False)):
            # What looked like the answer was reasoning that its template had begun.
            self.rows, self._set, self._flow = [], [], None
        for number in range(max(len(self._set) - 1, 0), len(parts)):
            part = parts[number]
            if number == len(self._set):
                self._close()
                self._set.append((part.kind, 0))
                self._flow = self._flow_for(part)
            self._add(part, first=number == 0, ended=ended or part.closed)
        self.tail = self._flow.tail if self._flow is not None else []

    def _add(self, part: Part, *, first: bool, ended: bool) -> None:
        flow, (kind, done) = self._flow, self._set[-1]
        new = part.text[done:]
        if not ended and new.endswith("\r"):
            new = new[:-1]  # it may be half of a line's end
        self._set[-1] = (kind, done + len(new))
        if done == 0 and (not first or kind != "text"):
            stripped = new.lstrip("\r\n")
            if not stripped:
                self._set[-1] = (kind, 0)
            new = stripped
        if flow is not None and new:
            flow.write(visible(new, lines=True))
            self.rows += flow.take()

    def _flow_for(self, part: Part) -> Flow:
        if part.kind == "reasoning":
            return Unfolded(self._width, self._ink) if self._unfold else Folded(part, self._ink)
        if part.kind == "call":
            return Called(part, self._width, self._ink)
        return Letters(self._width, self._ink) if self._raw else Markdown(self._width, self._ink)

    def _close(self) -> None:
        """The part before ends here."""
        if self._flow is not None:
            self.rows += [*self._flow.take(), *self._flow.tail]
            while self.rows and not self.rows[-1]:
                self.rows.pop()
            self.rows.append(())
            self._flow = None
