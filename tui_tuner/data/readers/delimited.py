"""Delimited text (CSV and its kin), as spreadsheets and scripts really write it.

Every value stays the text it was: "007" must not become 7. Damage that would shift values into the wrong column is a
fault of its record; what is mended without doubt (empty columns, short records, whole records quoted again) is noted.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tui_tuner.config.reading import SPACES, separator
from tui_tuner.data.readers.content import Content, head
from tui_tuner.data.readers.dialect import (
    cells_of,
    find_delimiter,
    find_header,
    is_table,
    unique_names,
)
from tui_tuner.data.readers.encodings import Coding, decoded
from tui_tuner.data.readers.indexed import Damage, Positions, blank_note
from tui_tuner.data.readers.lines import BLANK, LineTable
from tui_tuner.data.table import Record
from tui_tuner.units import many

SAMPLE = 1 << 18
_SAMPLE_RECORDS = 200
_LONGEST_RECORD = 1 << 24
_LARGEST_FIELD = 1 << 30
_SURE = 0.8
_NOWHERE, _BADLY = -1, -2
_SEP_LINE = re.compile(r"sep=(.)\s*")

# Python's own limit of 131,072 characters a value is too small for documents; raising it affects nobody else.
csv.field_size_limit(_LARGEST_FIELD)


@dataclass(frozen=True)
class Layout:
    """How a table is written.

    Attributes:
        delimiter: what separates values.
        given: the column names as they are in the file; empty texts where there is no header.
        names: the same, without gaps or repeats.
        used: whether each column has a name, or a value among the first records.
        header: whether the first record names the columns.
        confidence: of that, from 0.5 to 1; 1 where a person said so.
        skip: lines before the first record.
    """

    delimiter: str
    given: tuple[str, ...]
    names: tuple[str, ...]
    used: tuple[bool, ...]
    header: bool
    confidence: float
    skip: int


def sample_records(content: Content, coding: Coding) -> list[str]:
    """The first records of a text, each whole with its line breaks, as far as quotes tell; lines without any too."""
    raw = head(content, SAMPLE)[coding.start :]
    if not (content.complete and content.size <= SAMPLE):
        raw = raw[: raw.rfind(b"\n") + 1] or raw
    lines = [decoded(line, coding) or line.decode("latin-1") for line in raw.split(b"\n")]
    records: list[str] = []
    joined: list[str] = []
    for line in lines:
        joined.append(line)
        if sum(part.count('"') for part in joined) % 2 == 0:
            records.append("\n".join(joined).rstrip("\r"))
            joined.clear()
        elif len(joined) > _SAMPLE_RECORDS:  # a quote that is never closed
            break
        if len(records) >= _SAMPLE_RECORDS:
            break
    records.extend(line.rstrip("\r") for line in joined)
    return [record for record in records[:_SAMPLE_RECORDS] if record.strip()]


def is_delimited(records: Sequence[str]) -> bool:
    """Whether the first records of a text are those of a table."""
    return is_table(records, find_delimiter(records))


def layout_of(records: Sequence[str], *, delimiter: str = "", header: str = "auto", tabs_first: bool = False) -> Layout:
    """How a table is written, from its first records.

    Args:
        records: whole records with something in them, in order.
        delimiter: what separates values, where a person says so; else it is found.
        header: "yes", "no", or "auto" to find out.
        tabs_first: whether the file's name says that tabs separate.
    """
    records, skip = list(records), 0
    if records and (said := _SEP_LINE.fullmatch(records[0])):  # what Excel writes for Excel
        delimiter, skip = delimiter or said[1], 1
        del records[0]
    unwrapped = [_unwrapped(record) for record in records]
    sign = separator(delimiter) or find_delimiter(unwrapped, tabs_first=tabs_first)
    table = [cells for cells in (_cells(record, sign) for record in unwrapped) if any(map(str.strip, cells))]
    found = find_header(table)
    present, confidence = (found.present, found.confidence) if header == "auto" else (header == "yes", 1.0)
    first = table[0] if table else []
    width = len(first) if present else max(Counter(map(len, table)).items(), key=lambda item: item[::-1])[0]
    given = [cell.strip() for cell in first] if present else [""] * width
    values = table[1:] if present else table
    used = [
        bool(given[column]) or any(len(row) > column and row[column].strip() for row in values)
        for column in range(width)
    ]
    return Layout(sign, tuple(given), tuple(unique_names(given)), tuple(used), present, confidence, skip)


def _unwrapped(record: str) -> str:
    """The inside of a record that was quoted as a whole."""
    if len(record) > 1 and record[0] == record[-1] == '"':
        try:
            cells = list(csv.reader([record], strict=True))
        except csv.Error:
            return record
        if len(cells) == 1 and len(cells[0]) == 1:
            return cells[0][0]
    return record


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return cells_of(text, delimiter)
    except csv.Error:
        return [text]


class Delimited(LineTable):
    """A table of delimited text."""

    def __init__(self, content: Content, coding: Coding, layout: Layout) -> None:
        super().__init__(content, coding, "tsv" if layout.delimiter == "\t" else "csv", coding.start)
        self.layout = layout
        self.short = self.requoted = 0
        self._before_rows = layout.skip + layout.header
        self._unclosed: set[int] = set()
        self._whole, self._closed, self._closed_badly = _patterns(layout.delimiter)
        sign = layout.delimiter.encode()
        if len(sign) == 1:
            self.blanks = BLANK + b'"' + sign
            self.maybe_blank = self.maybe_blank.copy()
            self.maybe_blank[list(self.blanks)] = True

    def take(self, piece: bytes, begins: Positions, ends: Positions, blank: npt.NDArray[np.bool_], final: bool) -> int:
        kept = ~blank
        damaged: list[int] = []
        stop = len(begins)
        if b'"' in piece and len(self.layout.delimiter) == 1:
            stop = self._join(piece, begins, ends, blank, kept, damaged, final)
        numbers = np.flatnonzero(kept[:stop])
        self.blank += int(blank[:stop].sum())
        dropped = min(self._before_rows, len(numbers))
        self._before_rows -= dropped
        first = len(self.starts) - dropped
        self._unclosed.update(int(np.searchsorted(numbers, number)) + first for number in damaged)
        numbers = numbers[dropped:]
        self.starts.add(begins[numbers] + self._frontier, numbers + self._line)
        return int(begins[stop]) if stop < len(begins) else int(ends[-1])

    def _join(
        self,
        piece: bytes,
        begins: Positions,
        ends: Positions,
        blank: npt.NDArray[np.bool_],
        kept: npt.NDArray[np.bool_],
        damaged: list[int],
        final: bool,
    ) -> int:
        """Joins lines that quotes hold together: the later ones are no longer `kept`. The number of lines done."""
        quotes = np.flatnonzero(np.frombuffer(piece, np.uint8) == 34)
        with_quotes = np.unique(np.searchsorted(ends, quotes, side="right"))
        with_quotes = with_quotes[with_quotes < len(begins)].tolist()
        resume = 0
        for place, number in enumerate(with_quotes):
            if number < resume or self._whole.fullmatch(self._line_text(piece, begins, ends, number)):
                continue
            closing = self._closing(piece, begins, ends, with_quotes, place + 1)
            if closing == _NOWHERE and not final and len(piece) - begins[number] < _LONGEST_RECORD:
                return int(number)
            if closing < 0 or not self._is_one(piece, begins, ends, number, closing):
                damaged.append(number)
                kept[number], blank[number] = True, False
                continue
            kept[number + 1 : closing + 1] = False
            kept[number] = True
            blank[number : closing + 1] = False
            resume = closing + 1
        return len(begins)

    def _closing(self, piece: bytes, begins: Positions, ends: Positions, candidates: list[int], first: int) -> int:
        """The line on which an open quote is closed as it should be, before a separator or the line's end."""
        for place in range(first, len(candidates)):
            number = candidates[place]
            text = self._line_text(piece, begins, ends, number)
            if self._closed_badly.match(text):
                return _BADLY
            if self._closed.fullmatch(text):
                return number
        return _NOWHERE

    def _is_one(self, piece: bytes, begins: Positions, ends: Positions, first: int, last: int) -> bool:
        """Whether some lines are one record. Not so where a quote too many holds them together."""
        width = len(self.layout.names)
        together = piece[begins[first] : ends[last]].decode("utf-8", "replace").rstrip("\r\n")
        if len(_cells(together, self.layout.delimiter)) == width:
            return True
        return len(_cells(self._line_text(piece, begins, ends, first + 1), self.layout.delimiter)) != width

    def _line_text(self, piece: bytes, begins: Positions, ends: Positions, number: int) -> str:
        return piece[begins[number] : ends[number]].decode("utf-8", "replace").rstrip("\r\n")

    def record(self, text: str, index: int) -> Record | Damage:
        if index in self._unclosed:
            return _bad("a quote is opened here and never closed", 'write "" for a quote inside quotes')
        try:
            cells = cells_of(self._trimmed(text), self.layout.delimiter)
        except csv.Error as error:
            what = "has a bare carriage return" if "new-line" in str(error) else f"can't be read ({error})"
            return _bad(f"the record {what}", "save the file again as CSV with usual line ends")
        names, width = self.layout.names, len(self.layout.names)
        if len(cells) == 1 < width:
            cells = self._apart(cells)
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            sign = "spaces" if self.layout.delimiter == SPACES else f'"{self.layout.delimiter}"'
            return _bad(
                f"the record has {len(cells)} values, but there are {width} columns",
                f"put values that hold {sign} or line breaks in double quotes",
            )
        cells += [""] * (width - len(cells))
        if all(self.layout.used):
            return dict(zip(names, cells, strict=False))
        return {
            name: cell for name, cell, used in zip(names, cells, self.layout.used, strict=False) if used or cell.strip()
        }

    def count(self, text: str, record: Record) -> None:
        width = len(self.layout.names)
        text = self._trimmed(text)
        sign = self.layout.delimiter
        if text.count(sign) < width - 1 or (text[:1] == text[-1:] == '"' and f'"{sign}"' not in text):
            cells = _cells(text, self.layout.delimiter)
            apart = self._apart(cells) if len(cells) == 1 < width else cells
            self.requoted += apart is not cells
            self.short += len(apart) < width

    def _apart(self, cells: list[str]) -> list[str]:
        """The values of a record that was quoted as a whole."""
        inner = _cells(cells[0], self.layout.delimiter)
        return inner if len(inner) == len(self.layout.names) else cells

    def _trimmed(self, text: str) -> str:
        """A record without its line break and what lies between it and the next one."""
        first, _, rest = text.removeprefix("\ufeff").partition("\n")
        if not rest or self._whole.fullmatch(first.rstrip("\r")):
            return first.rstrip("\r")
        lines = text.split("\n")
        for number, line in enumerate(lines[1:], 2):
            if self._closed.fullmatch(line.rstrip("\r")):
                return "\n".join(lines[:number]).rstrip("\r")
        return text.rstrip("\r\n")

    def format_notes(self) -> list[str]:
        layout = self.layout
        notes = []
        if layout.delimiter == SPACES:
            notes.append("columns are separated by two spaces or more")
        elif layout.delimiter not in ",\t":
            notes.append(f'columns are separated by "{layout.delimiter}"')
        if dropped := layout.used.count(False):
            notes.append(f"{many(dropped, 'column', 'columns')} with neither name nor values left out")
        if layout.header:
            notes.extend(self._header_notes())
        elif layout.confidence < 1:
            notes.append(
                "the first record looks like values, not like column names"
                f" (confidence {layout.confidence:.0%}), so it is a row; give the file a header, or set data.header"
            )
        if self.requoted:
            notes.append(f"{many(self.requoted, 'record that was', 'records that were')} quoted as a whole taken apart")
        if self.short:
            notes.append(
                f"{many(self.short, 'record has', 'records have')} fewer values than columns; what lacks is empty"
            )
        return notes + blank_note(self.blank)

    def _header_notes(self) -> list[str]:
        layout, notes = self.layout, []
        columns = zip(layout.names, layout.given, layout.used, strict=True)
        unnamed = [name for name, given, used in columns if used and not given]
        if unnamed:
            notes.append(f"columns without a name are called {', '.join(unnamed[:5])}")
        if twice := sorted(name for name, count in Counter(filter(None, layout.given)).items() if count > 1):
            notes.append(f"column names that occur more than once are numbered: {', '.join(twice[:5])}")
        if layout.confidence < _SURE:
            notes.append(
                f"the first record is taken for column names (confidence {layout.confidence:.0%});"
                ' set data.header = "no" if it is a row'
            )
        return notes


def _bad(message: str, fix: str) -> Damage:
    return Damage(code="bad-table", message=message, fix=fix)


def _patterns(delimiter: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """For a line: that it ends outside quotes; that it begins inside them and ends outside; that something follows the
    quote that closes them, which comes of a quote too many.
    """
    sign = re.escape(delimiter[0])
    value = rf'(?:"(?:[^"]++|"")*+"[^{sign}]*+|[^"{sign}][^{sign}]*+)?+'
    rest = rf"(?:{sign}{value})*+"
    inside = r'(?:[^"]++|"")*+"'
    return (
        re.compile(value + rest),
        re.compile(rf"{inside}[^{sign}]*+{rest}"),
        re.compile(rf'{inside}[ ]*+[^{sign}"]'),
    )
