"""All records of a source at once, for who needs every one of them, as reading a run's own rows or stored answers does.

Built on `data.opening`, which reads records one at a time: here they come out as they are in the file, in its order,
each with the line it starts on, and the first that is damaged is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tui_tuner.data.opening import open_source
from tui_tuner.data.readers.refusals import no_rows
from tui_tuner.data.readers.sniff import json_lines
from tui_tuner.data.splitnames import SPLITS
from tui_tuner.data.table import Fault, Place, Record, Source, Table

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
        faults: the records that can't be read.
        places: for each of `rows` where it stands, where the source was read as a whole.
    """

    rows: list[dict[str, Any]]
    path: Path
    splits: dict[str, list[dict[str, Any]]] | None
    lines: list[int]
    format: str = "jsonl"
    notes: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def place(self, index: int) -> Place:
        """Where one of `rows` stands."""
        return self.places[index] if self.places else Place(self.path, self.lines[index], index)

    def lines_of(self, indices: NDArray[np.int32]) -> NDArray[np.int32]:
        """The lines that some of `rows` start on: (n,) numbers → (n,) lines."""
        return np.array([self.place(index).line for index in indices.tolist()], np.int32)

    def where(self, index: int) -> str:
        """File, line and row (from 1, within its file) of one of `rows`, for messages."""
        return str(self.place(index))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Record:
        return self.rows[index]

    def __iter__(self) -> Iterator[Record]:
        return iter(self.rows)

    first_pass = __iter__

    @property
    def sizes(self) -> dict[str, int] | None:
        """Records of each split, where the source brings splits."""
        return None if self.splits is None else {name: len(rows) for name, rows in self.splits.items()}


def refuse(faults: list[Fault], readable: int) -> None:
    """
    Args:
        readable: how many other records there are.

    Raises:
        TunerError: the first record that can't be read, and how many there are.
    """
    if faults:
        error = faults[0].error()
        if len(faults) > 1:
            error.message += f" ({len(faults):,} of {readable + len(faults):,} rows can't be read)"
        raise error


def read_records(data: DataSection | str, base: Path | None = None, *, strict: bool = True) -> Records:
    """Read a source as a whole.

    Args:
        data: what to read and how, or just the source, as for `open_source`.
        base: folder that a relative path is looked for in first.
        strict: whether a record that can't be read is an error, and not one of `faults`.

    Raises:
        TunerError: it isn't there, holds no rows, or a record is damaged; names file and line of the first, and says
            how many there are.
    """
    return _all(open_source(data, base), strict)


def read_jsonl(path: Path) -> Records:
    """Read one file of one JSON object a line, whatever it is called.

    Raises:
        TunerError: as `read_records`.
    """
    table = json_lines(path)
    return _all(Source(str(path), path, {"": table}, table.format), strict=True)


def _all(source: Source, strict: bool) -> Records:
    records = Records([], source.path, None, [], source.format, list(source.notes))
    try:
        if source.has_splits:
            records.splits = {name: [] for name in SPLITS}
        for name in ("", *SPLITS):
            if (table := source.tables.get(name)) is not None:
                rows = list(_rows(table, records))
                if records.splits is not None:
                    records.splits[name] = rows
                records.rows += rows
                prefix = f"{table.path.name}: " if source.has_splits else ""
                records.notes += [f"{prefix}{note}" for note in table.notes()]
    finally:
        source.close()
    if strict or not records.rows:
        refuse(records.faults, len(records.rows))
    if not records.rows:
        raise no_rows(source.path)
    return records


def _rows(table: Table, records: Records) -> Iterator[dict[str, Any]]:
    for index, record in enumerate(table.rows()):
        if isinstance(record, Fault):
            records.faults.append(record)
        else:
            place = table.place(index)
            records.places.append(place)
            records.lines.append(place.line)
            yield record
