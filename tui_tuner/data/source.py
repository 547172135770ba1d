"""All records of a source at once, for who needs every one of them, as preparing a run does.

Built on `data.opening`, which reads records one at a time: here they come out as they are in the file, in its order,
each with the line it starts on, and the first that is damaged is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_tuner.data.opening import open_source
from tui_tuner.data.readers.refusals import no_rows
from tui_tuner.data.readers.sniff import json_lines
from tui_tuner.data.splitnames import SPLITS
from tui_tuner.data.table import Fault, Source, Table
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.config import DataSection


@dataclass
class Records:
    """Records of a source.

    Attributes:
        rows: all records; of a source with splits train, valid and test after one another.
        path: the file or folder.
        splits: of a source that brings them, the same records by "train", "valid" and "test" (empty where it has no
            such part).
        lines: for each of `rows` the line of its file that it starts on, from 1; 0 where the format has no lines.
        format: as that of the `Source`.
        notes: what a person should know about how the source was read.
        source: what was read, where rows stand in it as they stood in the file.
    """

    rows: list[dict[str, Any]]
    path: Path
    splits: dict[str, list[dict[str, Any]]] | None
    lines: list[int]
    format: str = "jsonl"
    notes: list[str] = field(default_factory=list)
    source: Source | None = None

    def where(self, index: int) -> str:
        """File, line and row (from 1, within its file) of one of `rows`, for messages."""
        if self.source is None:
            return f"{self.path}, line {self.lines[index]} (row {index + 1})"
        row = index
        for name in SPLITS if self.splits is not None else ():
            assert self.splits is not None
            if row < len(self.splits[name]):
                return str(self.source.tables[name].place(row))
            row -= len(self.splits[name])
        return str(self.source.main.place(row))

    def columns(self) -> list[str]:
        """The names of all columns, in the order in which they first occur."""
        return list(dict.fromkeys(name for row in self.rows for name in row))


def read_records(data: DataSection | str, base: Path | None = None) -> Records:
    """Read a source as a whole.

    Args:
        data: what to read and how, or just the source, as for `open_source`.
        base: folder that a relative path is looked for in first.

    Raises:
        TunerError: it isn't there, holds no rows, or a record is damaged; names file and line of the first, and says
            how many there are.
    """
    source = open_source(data, base)
    try:
        return _all(source)
    finally:
        source.close()


def read_jsonl(path: Path) -> Records:
    """Read one file of one JSON object a line, whatever it is called.

    Raises:
        TunerError: as `read_records`.
    """
    table = json_lines(path)
    source = Source(str(path), path, {"": table}, table.format)
    try:
        return _all(source)
    finally:
        source.close()


def _all(source: Source) -> Records:
    records = Records([], source.path, None, [], source.format, list(source.notes), source)
    faults: list[Fault] = []
    if source.has_splits:
        records.splits = {name: [] for name in SPLITS}
    for name in ("", *SPLITS):
        if (table := source.tables.get(name)) is not None:
            rows = _rows(table, faults)
            if records.splits is not None:
                records.splits[name] = rows
            records.rows += rows
            records.lines += [table.place(index).line for index in range(len(rows))]
            prefix = f"{table.path.name}: " if source.has_splits else ""
            records.notes += [f"{prefix}{note}" for note in table.notes()]
    if faults:
        raise _refusal(faults, len(records.rows) + len(faults))
    if not records.rows:
        raise no_rows(source.path)
    return records


def _rows(table: Table, faults: list[Fault]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for record in table.rows():
        if isinstance(record, Fault):
            faults.append(record)
        else:
            rows.append(record)
    return rows


def _refusal(faults: list[Fault], count: int) -> TunerError:
    error = faults[0].error()
    if len(faults) > 1:
        error.message += f" ({len(faults):,} of {count:,} rows can't be read)"
    return error
