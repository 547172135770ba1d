"""The values of a JSON array, or values one after another, as records.

Their beginnings are found by `jsonscan`; what a value holds is decoded when it is asked for. A damaged value costs
nothing but itself: where the brackets say nothing any more, the next value is looked for where one begins like those
before it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from tui_tuner.data.readers import jsontext
from tui_tuner.data.readers.content import Content, wait_for
from tui_tuner.data.readers.encodings import Coding, decoded
from tui_tuner.data.readers.indexed import PIECE, Damage, IndexedTable, characters_before
from tui_tuner.data.readers.jsonscan import State, scan
from tui_tuner.data.table import Record
from tui_tuner.units import many

_SPACE = b" \t\r\n\xef\xbb\xbf"
_WINDOW = 1 << 16
_FARTHEST = 1 << 26
_LONGEST_LEAD = 1 << 12
_FIRST_NAME = re.compile(rb'\{\s*"([^"\\]*)"\s*:')


class JsonValues(IndexedTable):
    """Values within a container, or at the top level of a file."""

    def __init__(
        self,
        content: Content,
        coding: Coding,
        format: str,
        start: int,
        line: int = 1,
        *,
        closing: bytes = b"",
        bare: bool = False,
        names: list[str] | None = None,
        outer: int | None = 0,
    ) -> None:
        """
        Args:
            content, coding, format: as for every table.
            start: the byte behind the bracket that opens the container.
            line: the line of that byte.
            closing: the bracket that closes the container; empty for values one after another.
            bare: whether a text is a record with the one column `text`.
            names: the columns of values that are lists.
            outer: how many objects that the container is in must be closed behind it, with nothing after them; None
                where that need not be looked at.
        """
        super().__init__(content, coding, format, start, line)
        self.said: list[str] = []
        self.constants = 0
        self._closing = closing
        self._bare = bare
        self._names = names
        self._outer = outer
        self._state = State()
        self._pending: tuple[int, int] | None = None
        self._doubt_from = PIECE
        self._stop = start
        self._closed = False
        self._uncommaed: set[int] = set()
        self._spare = 0
        self._first_name: str | None = None

    def index(self, piece: bytes, final: bool) -> int:
        if not final:
            piece = piece[: _whole_characters(piece)]
        state = State(self._state.depth, self._state.in_text, self._state.waiting)
        found = scan(piece, state, self._closing, objects=self.by_brackets, final=final)
        if not found.done and not final:
            return 0
        lines = np.searchsorted(found.feeds, found.begins) + self._line
        self._take(found.begins + self._frontier, lines, found.uncommaed + self._frontier)
        self._spare += found.spare
        if found.broken is not None and self._pending is not None:
            self._pass_over(*self._pending)
            return 0
        self._state = state
        self._stop = self._frontier + found.done
        if found.end is not None:
            self._stop -= 1
            if self._is_end():
                self._closed = True
                self._flush()
                self.finish()
            return found.done
        is_open = state.depth > 0 or state.in_text or (final and self._closing)
        if is_open and self._pending is not None and (final or self._stop - self._pending[0] > self._doubt_from):
            self._doubt(final)
        return found.done

    by_brackets = True
    """Whether an opening bracket begins a value even without a comma before it."""

    def end(self) -> int:
        return self._pending[0] if self._pending is not None else self._stop

    def finish(self) -> None:
        self._flush()
        if self._closing and not self._closed:
            self._tell_unclosed()
        super().finish()

    def record(self, text: str, index: int) -> Record | Damage:
        cut = text.rstrip(" \t\r\n,")
        # Blanks before the end of the line stay, so that a column counts them.
        text = cut + text[len(cut) :].partition("\n")[0].partition(",")[0]
        value, end = jsontext.first(text)
        if isinstance(value, Damage):
            return value
        if index in self._uncommaed:
            return Damage(
                code="bad-json",
                message="the JSON is malformed (expecting ',' between two rows)",
                fix="put a comma before the row",
                column=1,
            )
        if text[end:].strip(" \t\r\n\ufeff,"):
            behind = len(text) - len(text[end:].lstrip(" \t\r\n\ufeff,"))
            line = text.count("\n", 0, behind)
            return _more(line, behind - (text.rfind("\n", 0, behind) + 1) + 1)
        return self.as_record(value)

    def as_record(self, value: Any) -> Record | Damage:
        """The record that a value stands for."""
        if self._bare and isinstance(value, str):
            return {"text": value}
        return jsontext.as_record(value, self._names)

    def count(self, text: str, record: Record) -> None:
        self.constants += jsontext.constants()

    def format_notes(self) -> list[str]:
        found = [*self.said, *jsontext.constants_note(self.constants)]
        if self._spare:
            found.append(f"{many(self._spare, 'comma', 'commas')} with no row behind passed over")
        return found

    def _take(self, begins: Any, lines: Any, uncommaed: Any) -> None:
        """More values begin: all but the last of them are whole, and the one that waited."""
        if not len(begins):
            return
        if self._pending is not None:
            begins = np.concatenate([[self._pending[0]], begins])
            lines = np.concatenate([[self._pending[1]], lines])
        first = len(self.starts)
        if len(uncommaed) and self._closing:
            self._uncommaed.update((np.searchsorted(begins, uncommaed) + first).tolist())
        self.starts.add(begins[:-1], lines[:-1])
        self._pending = int(begins[-1]), int(lines[-1])
        self._doubt_from = PIECE

    def _flush(self) -> None:
        if self._pending is not None:
            self.starts.add(np.array([self._pending[0]]), np.array([self._pending[1]]))
            self._pending = None

    def _is_end(self) -> bool:
        """Whether the container is closed where it seems to be. What follows then, and should not, is damage too.

        Not so where the value before is damaged and something follows that can't: then the bracket was the value's.
        """
        position = self._stop + 1
        for _ in range(self._outer or 0):
            state = State(waiting=False)
            end = None
            while end is None:
                piece = wait_for(self.content, position, position + PIECE)
                found = scan(piece, state, b"}", objects=False, final=len(piece) < PIECE)
                position += found.done
                end = found.end
                if end is None and (len(piece) < PIECE or not found.done):
                    return self._ends_with(_unclosed(), self.content.size)
        while piece := wait_for(self.content, position, position + PIECE):
            if rest := piece.lstrip(_SPACE):
                if self._outer is None and rest[:1] in (b",", b"}"):
                    return True
                return self._ends_with(_more(0, 1), position + len(piece) - len(rest))
            position += len(piece)
        return True

    def _ends_with(self, damage: Damage, position: int) -> bool:
        """Takes what follows the container for damage behind the rows, unless the last value shows that it goes on."""
        if self._pending is not None:
            start, line = self._pending
            text = decoded(self.content.read(start, self._stop), self.coding)
            if (text is None or isinstance(jsontext.first(text)[0], Damage)) and self._next_alike(start) is not None:
                self._pass_over(start, line)
                return False
        if self._outer is not None:
            self._set_tail(damage, position)
        return True

    def _set_tail(self, damage: Damage, position: int) -> None:
        """Damage behind the rows, at a byte."""
        self._tail_line = self._line_at(position)
        self.tail = replace(damage, column=1 + characters_before(self.content, position))

    def _line_at(self, position: int) -> int:
        start, line = self.starts.last() if len(self.starts) else (self._frontier, self._line)
        return line + sum(
            self.content.read(at, min(at + PIECE, position)).count(b"\n") for at in range(start, position, PIECE)
        )

    def _tell_unclosed(self) -> None:
        """The file ends before the container does. Where its last value is cut too, that says it already."""
        last = self.starts.last()[0] if len(self.starts) else self._stop
        text = decoded(self.content.read(last, self._stop), self.coding)
        whole = not len(self.starts) or (
            text is not None and not isinstance(self.record(text, len(self.starts) - 1), Damage)
        )
        if self.tail is None and whole:
            self._set_tail(_unclosed(), self._stop)

    def _doubt(self, final: bool) -> None:
        """A value that goes on for long, or to the end of the file, may be damaged so that its end was missed."""
        assert self._pending is not None
        start, line = self._pending
        self._doubt_from *= 2
        text = decoded(self.content.read(start, self._stop), self.coding)
        value = jsontext.first(text)[0] if text is not None else None
        if text is None:
            goes_on = False
        elif isinstance(value, Damage):
            # What breaks off may be long, or the end of the file; unless a value like the others begins within it.
            goes_on = jsontext.is_cut(value, text) and not (final and self._next_alike(start) is not None)
        else:
            goes_on = True
        if not goes_on:
            self._pass_over(start, line)

    def _pass_over(self, start: int, line: int) -> None:
        """Goes on where the value behind the damaged one begins, which starts at `start`."""
        position = self._next_alike(start)
        self._pending = None
        self.starts.add(np.array([start]), np.array([line]))
        self._state = State()
        if position is None:
            self._stop = self.content.size
            self.move(self._stop, line)
            self._closed = True  # or not: its end can't be told from the damage
            self.finish()
            return
        self._stop = position
        self.move(position, line + self.content.read(start, position).count(b"\n"))

    def _next_alike(self, start: int) -> int | None:
        """Where the first value behind `start` begins that begins as it does and can be decoded."""
        lead = self.content.read(max(start - _LONGEST_LEAD, 0), start)
        indent = lead[lead.rfind(b"\n") + 1 :]
        opening = re.escape(self.content.read(start, start + 1))
        if not indent.strip(_SPACE) and (b"\n" in lead or start <= _LONGEST_LEAD):
            pattern = re.compile(rb"\n" + re.escape(indent.strip(b"\xef\xbb\xbf")) + b"(" + opening + b")")
        else:
            pattern = re.compile(rb",\s*(" + opening + b")")
        window, searched = _WINDOW, 1
        while True:
            while self.content.size < start + window and not self.content.complete:
                self.content.more(0.05)
            data = self.content.read(start, start + window)
            for match in pattern.finditer(data, searched):
                if self._can_be_decoded(start + match.start(1)):
                    return start + match.start(1)
            if len(data) < window or window >= _FARTHEST:
                return None
            # A match may lie across the end of the window.
            searched, window = max(len(data) - _LONGEST_LEAD, 1), window * 4

    def _can_be_decoded(self, position: int) -> bool:
        window = _WINDOW
        while True:
            text = self.content.read(position, position + window).decode("utf-8", "replace")
            value = jsontext.first(text)[0]
            if not isinstance(value, Damage):
                return not isinstance(value, dict) or self._is_alike(value)
            if window >= _FARTHEST or position + window >= self.content.size or not jsontext.is_cut(value, text):
                return False
            window *= 4

    def _is_alike(self, value: Record) -> bool:
        """Whether an object begins with the name that the first row begins with."""
        if self._first_name is None:
            start = self.starts.position(0) if len(self.starts) else (self._pending or (self._stop, 0))[0]
            found = _FIRST_NAME.match(self.content.read(start, start + _LONGEST_LEAD))
            self._first_name = found[1].decode("utf-8", "replace") if found else ""
        return not self._first_name or self._first_name in value


class JsonMembers(JsonValues):
    """The members of an object whose values are records, or bare texts, each under a name of its own."""

    by_brackets = False

    def record(self, text: str, index: int) -> Record | Damage:
        text = text.strip(" \t\r\n\ufeff").removesuffix(",")
        value = jsontext.whole("{" + text + "}")
        if isinstance(value, Damage):
            return value if value.line else _shifted(value)
        name, record = next(iter(value.items()))
        if self._bare and isinstance(record, str):
            return {"key": name, "value": record}
        found = jsontext.as_record(record)
        return found if isinstance(found, Damage) or "key" in found else {"key": name, **found}


def _shifted(damage: Damage) -> Damage:
    """The damage without the bracket that was put in front."""
    column = max(damage.column - 1, 1) if damage.column else 0
    return Damage(damage.code, damage.message, damage.fix, damage.line, column)


def _unclosed() -> Damage:
    return Damage(
        code="cut-json",
        message="the file breaks off before its rows are closed with a bracket",
        fix="fetch the file again: rows may be missing",
    )


def _more(line: int, column: int) -> Damage:
    return Damage(
        code="bad-json",
        message="there is more after the end of the JSON value",
        fix="put one object on each line",
        line=line,
        column=column,
    )


def _whole_characters(piece: bytes) -> int:
    """The length of a piece without the half of a character at its end."""
    for back in range(1, min(4, len(piece)) + 1):
        byte = piece[-back]
        if byte >= 0xC0:
            return len(piece) - back if len(piece) > back else len(piece)
        if byte < 0x80:
            break
    return len(piece)
