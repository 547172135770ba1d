"""Files of one record a line: JSON objects, or plain text.

A line ends at a line feed and nowhere else: U+2028 and its like are ordinary characters. Blank lines are no records;
they are counted.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from tui_tuner.data.readers import jsontext
from tui_tuner.data.readers.content import Content
from tui_tuner.data.readers.encodings import Coding
from tui_tuner.data.readers.indexed import Damage, IndexedTable, Positions, blank_note
from tui_tuner.data.table import Record

BLANK = b" \t\r\n\x0b\x0c\xef\xbb\xbf"
_MAYBE_BLANK = np.zeros(256, bool)
_MAYBE_BLANK[list(BLANK)] = True


class LineTable(IndexedTable):
    """Finds the lines; a format may join some of them to one record."""

    blank = 0

    def index(self, piece: bytes, final: bool) -> int:
        done = len(piece) if final else piece.rfind(b"\n") + 1
        if not done:
            return 0
        data = np.frombuffer(piece, np.uint8, done)
        ends = np.flatnonzero(data == 10) + 1
        if not len(ends) or ends[-1] < done:
            ends = np.append(ends, done)
        begins = np.empty_like(ends)
        begins[0] = 0
        begins[1:] = ends[:-1]
        blank = np.zeros(len(begins), bool)
        for number in np.flatnonzero(self.maybe_blank[data[begins]]).tolist():
            blank[number] = not piece[begins[number] : ends[number]].strip(self.blanks)
        return self.take(piece, begins, ends, blank, final)

    blanks = BLANK
    maybe_blank = _MAYBE_BLANK

    def take(self, piece: bytes, begins: Positions, ends: Positions, blank: npt.NDArray[np.bool_], final: bool) -> int:
        """Adds the records among some whole lines, and tells how many bytes are done.

        Args:
            piece: the bytes at the frontier.
            begins, ends: (n,) where each line begins and ends within the piece.
            blank: (n,) whether the line has no sign.
            final: whether these are the last lines.
        """
        numbers = np.flatnonzero(~blank)
        self.blank += len(blank) - len(numbers)
        self.starts.add(begins[numbers] + self._frontier, numbers + self._line)
        return int(ends[-1])

    def format_notes(self) -> list[str]:
        return blank_note(self.blank)


class JsonLines(LineTable):
    """One JSON object a line, or one list whose cells are named."""

    constants = 0

    def __init__(self, content: Content, coding: Coding, names: list[str] | None = None) -> None:
        super().__init__(content, coding, "jsonl", coding.start)
        self._names = names

    def record(self, text: str, index: int) -> Record | Damage:
        value: Any = jsontext.whole(text)
        if isinstance(value, Damage):
            # Once more with nothing but the line, where blanks before its end stay, so that a column counts them.
            cut = text.rstrip(" \t\r\n")
            value = jsontext.whole((cut + text[len(cut) :].partition("\n")[0].rstrip("\r")).lstrip("\ufeff"))
        return value if isinstance(value, Damage) else jsontext.as_record(value, self._names)

    def count(self, text: str, record: Record) -> None:
        self.constants += jsontext.constants()

    def format_notes(self) -> list[str]:
        told = [jsontext.cells_note(self._names)] if self._names is not None else []
        return [*told, *super().format_notes(), *jsontext.constants_note(self.constants)]


class TextLines(LineTable):
    """Plain text, each line a record with the one column `text`."""

    def __init__(self, content: Content, coding: Coding) -> None:
        super().__init__(content, coding, "lines", coding.start)

    def record(self, text: str, index: int) -> Record | Damage:
        return {"text": text.partition("\n")[0].rstrip("\r").lstrip("\ufeff")}

    def format_notes(self) -> list[str]:
        return ['each line is a row with the one column "text"', *super().format_notes()]


def is_object(line: str) -> bool:
    """Whether a line holds one JSON object and nothing else."""
    try:
        return isinstance(json.loads(line.strip(" \t\r\n\ufeff")), dict)
    except (ValueError, RecursionError):
        return False
