"""Rows out of delimited text (CSV and its kin), as spreadsheets and scripts really write it.

Every value stays the text it was: "007" must not become 7. Damage that would shift values into the wrong column is
refused with its line; what is mended without doubt (empty columns, short rows, whole records quoted again) is noted.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tui_tuner.data.jsonrows import Found
from tui_tuner.data.wording import many
from tui_tuner.errors import TunerError

_DELIMITERS = (",", ";", "\t", "|")
SAMPLE_LINES = 200
_LARGEST_FIELD = 1 << 30


@dataclass
class _Record:
    cells: list[str]
    line: int


def delimited(lines: Iterable[str], path: Path) -> Found:
    """The rows of a table whose first record names the columns.

    Raises:
        TunerError: a quote that is never closed, or more values than columns; names the line (code "bad-table").
    """
    # Python's own limit of 131,072 characters a value is too small for documents; raising it affects nobody else.
    csv.field_size_limit(_LARGEST_FIELD)
    stream = iter(lines)
    first = list(islice(stream, SAMPLE_LINES))
    delimiter = find_delimiter(first, path)
    records = _records(_chain(first, stream), delimiter, path)
    found = Found(format="tsv" if delimiter == "\t" else "csv")
    header = next((record for record in records if any(cell.strip() for cell in record.cells)), None)
    if header is None:
        return found
    table = _Table(header, delimiter, path)
    for record in records:
        table.add(record, found)
    table.finish(found)
    if delimiter not in ",\t":
        found.notes.insert(0, f'columns are separated by "{delimiter}"')
    return found


def find_delimiter(lines: list[str], path: Path) -> str:
    """The separator under which the first records have most columns in common; a comma when nothing separates.

    A file called .tsv is tried with tabs first, so that commas in its texts don't win.
    """
    if path.suffix.lower() in (".tsv", ".tab") and any("\t" in line for line in lines):
        return "\t"
    best, best_score = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        try:
            widths = [len(cells) for cells in csv.reader(lines, delimiter=delimiter) if cells]
        except csv.Error:
            continue
        if not widths or widths[0] < 2:
            continue
        score = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
        if score > best_score:
            best, best_score = delimiter, score
    return best


def is_delimited(lines: list[str], path: Path) -> bool:
    """Whether the first lines of a text make a table: two columns or more, and as many values in each record."""
    delimiter = find_delimiter(lines, path)
    try:
        widths = {len(cells) for cells in csv.reader(lines, delimiter=delimiter) if cells}
    except csv.Error:
        return False
    return len(widths) == 1 and widths.pop() > 1


def _chain(first: list[str], rest: Iterator[str]) -> Iterator[str]:
    yield from first
    yield from rest


def _records(lines: Iterator[str], delimiter: str, path: Path) -> Iterator[_Record]:
    """Records with the line each starts on. Raises TunerError for what the csv module can't read."""
    taken: list[str] = []

    def taking() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    reader = csv.reader(taking(), delimiter=delimiter)
    start = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = "has a bare carriage return" if "new-line" in str(error) else f"can't be read ({error})"
            raise _bad(f"the record {what}", path, start, "save the file again as CSV with usual line ends") from None
        if (len(taken) > 1 or taken[0].count('"') % 2) and _breaks_off(taken, delimiter):
            raise _bad("a quote is opened here and never closed", path, start, 'write "" for a quote inside quotes')
        taken.clear()
        yield _Record(cells, start)
        start = reader.line_num + 1


def _breaks_off(lines: list[str], delimiter: str) -> bool:
    """Whether these lines end inside a quoted value; the lenient reader takes that for the end of the record."""
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


def _bad(message: str, path: Path, line: int, fix: str) -> TunerError:
    return TunerError(message, code="bad-table", where=f"{path}, line {line}", fix=fix)


class _Table:
    """Column names, and what is counted on the way for the notes."""

    def __init__(self, header: _Record, delimiter: str, path: Path) -> None:
        self.delimiter = delimiter
        self.path = path
        self.short = self.blank = self.requoted = 0
        cells = header.cells
        if len(cells) == 1 and delimiter in cells[0]:
            cells = self._unquoted(cells[0])
        self.given = [cell.strip() for cell in cells]
        self.names = _unique_names(self.given)
        self.used = [bool(name) for name in self.given]

    def _unquoted(self, cell: str) -> list[str]:
        """The cells of a record that was quoted as a whole."""
        try:
            return next(csv.reader([cell], delimiter=self.delimiter), [])
        except csv.Error:
            return []

    def add(self, record: _Record, found: Found) -> None:
        """Take one record as a row. Raises TunerError when it has more values than there are columns."""
        cells = record.cells
        if not any(cell.strip() for cell in cells):
            self.blank += 1
            return
        width = len(self.names)
        if len(cells) == 1 < width and len(inner := self._unquoted(cells[0])) == width:
            cells = inner
            self.requoted += 1
        if any(cell.strip() for cell in cells[width:]):
            raise _bad(
                f"the record has {len(cells)} values, but there are {width} columns",
                self.path,
                record.line,
                f'put values that hold "{self.delimiter}" or line breaks in double quotes',
            )
        if len(cells) < width:
            self.short += 1
            cells = cells + [""] * (width - len(cells))
        for index, cell in enumerate(cells[:width]):
            self.used[index] = self.used[index] or bool(cell.strip())
        found.rows.append(dict(zip(self.names, cells, strict=False)))
        found.lines.append(record.line)

    def finish(self, found: Found) -> None:
        """Drop the columns that have neither a name nor a value, and write the notes."""
        dropped = [name for name, used in zip(self.names, self.used, strict=True) if not used]
        for row in found.rows if dropped else ():
            for name in dropped:
                del row[name]
        notes = found.notes
        if dropped:
            notes.append(f"{many(len(dropped), 'column', 'columns')} with neither name nor values left out")
        unnamed = [self.names[i] for i, given in enumerate(self.given) if not given and self.used[i]]
        if unnamed:
            notes.append(f"columns without a name are called {', '.join(unnamed[:5])}")
        if twice := sorted(name for name, count in Counter(filter(None, self.given)).items() if count > 1):
            notes.append(f"column names that occur more than once are numbered: {', '.join(twice[:5])}")
        if sum(_is_number(name) for name in self.given) * 2 > len(self.given):
            notes.append("the first record looks like values, not like column names; give the file a header")
        if self.requoted:
            notes.append(f"{many(self.requoted, 'record that was', 'records that were')} quoted as a whole taken apart")
        if self.short:
            notes.append(
                f"{many(self.short, 'record has', 'records have')} fewer values than columns; what lacks is empty"
            )
        if self.blank:
            notes.append(f"{many(self.blank, 'blank line is', 'blank lines are')} skipped")


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _unique_names(given: list[str]) -> list[str]:
    """Column names without gaps or repeats: "column 3" for an unnamed one, "x (2)" for the second x."""
    names: list[str] = []
    for index, name in enumerate(given, 1):
        base = name or f"column {index}"
        candidate, number = base, 2
        while candidate in names or (candidate != name and candidate in given):
            candidate, number = f"{base} ({number})", number + 1
        names.append(candidate)
    return names
