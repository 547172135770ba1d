"""All records of a source by number, read again whenever one is asked for: what is kept of them is where they stand.

The first pass from the beginning finds out how many there are and which cannot be read; after it any record is there by
its number, from any thread. Formats that are read in blocks give their records once, and those are kept.
"""

from __future__ import annotations

import weakref
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_tuner.data.readers.indexed import Starts
from tui_tuner.data.readers.refusals import no_rows
from tui_tuner.data.source import refuse
from tui_tuner.data.splitnames import SPLITS
from tui_tuner.data.table import Fault, Place, Record, Source, Table

_BY_POSITION = frozenset({"jsonl", "json-array", "json-object", "json-objects", "csv", "tsv", "lines"})
"""Formats that read one record as fast as many."""


class OpenRecords:
    """The readable records of a source; of one with splits train, valid and test after one another.

    Attributes:
        path, format: as those of the source.
        notes: what a person should know about how the source was read; complete after the first pass.
        faults: the records that can't be read; likewise.
    """

    def __init__(self, source: Source) -> None:
        """
        Args:
            source: is closed when the records are let go.
        """
        self.path, self.format = source.path, source.format
        self.notes: list[str] = list(source.notes)
        self.faults: list[Fault] = []
        self._has_splits = source.has_splits
        self._shelves = [(name, _Shelf(source.tables[name])) for name in ("", *SPLITS) if name in source.tables]
        self._ends: list[int] = []
        weakref.finalize(self, source.close)

    def first_pass(self) -> Iterator[Record]:
        """Every record in order. Once it ran to its end, records can be asked for by number.

        Raises:
            TunerError: there is no record that can be read.
        """
        for _, shelf in self._shelves:
            yield from shelf.first_pass(self.faults)
            self._ends.append(len(shelf) + (self._ends[-1] if self._ends else 0))
            prefix = f"{shelf.table.path.name}: " if self._has_splits else ""
            self.notes += [f"{prefix}{note}" for note in shelf.table.notes()]
        if not self._ends or not self._ends[-1]:
            refuse(self.faults, 0)
            raise no_rows(self.path)

    @property
    def unread(self) -> Iterable[Record]:
        """The records as often as somebody goes through them, also before the first pass."""
        return _Unread([shelf.table for _, shelf in self._shelves])

    @property
    def sizes(self) -> dict[str, int] | None:
        """Records of each split, where the source brings splits."""
        if not self._has_splits:
            return None
        found = {name: len(shelf) for name, shelf in self._shelves}
        return {name: found.get(name, 0) for name in SPLITS}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Record:
        shelf, number = self._find(index)
        return shelf.record(number)

    def __iter__(self) -> Iterator[Record]:
        for _, shelf in self._shelves:
            yield from shelf

    def place(self, index: int) -> Place:
        """Where a record stands."""
        shelf, number = self._find(index)
        return shelf.table.place(shelf.position(number))

    def lines_of(self, indices: NDArray[np.int32]) -> NDArray[np.int32]:
        """The lines that some records begin on, (n,) numbers → (n,) lines, 0 for none: as `place` tells, for many."""
        found = np.zeros(len(indices), np.int32)
        shelves = np.searchsorted(self._ends, indices, side="right")
        for number, (_, shelf) in enumerate(self._shelves):
            chosen = np.flatnonzero(shelves == number)
            if len(chosen):
                found[chosen] = shelf.lines(indices[chosen] - (self._ends[number - 1] if number else 0))
        return found

    def where(self, index: int) -> str:
        """File, line and row (from 1, within its file) of a record, for messages."""
        return str(self.place(index))

    def _find(self, index: int) -> tuple[_Shelf, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        number = bisect_right(self._ends, index)
        return self._shelves[number][1], index - (self._ends[number - 1] if number else 0)


@dataclass(frozen=True)
class _Unread:
    tables: Sequence[Table]

    def __iter__(self) -> Iterator[Record]:
        return (row for table in self.tables for row in table.rows() if not isinstance(row, Fault))


class _Shelf:
    """The readable records of one table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._count = 0
        self._positions: array[int] | None = None  # in the table; None as long as no record before is damaged
        self._kept: list[Record] | None = None if table.format in _BY_POSITION else []

    def first_pass(self, faults: list[Fault]) -> Iterator[Record]:
        for position, record in enumerate(self.table.rows()):
            if isinstance(record, Fault):
                faults.append(record)
                if self._positions is None:
                    self._positions = array("q", range(position))
                continue
            self._count += 1
            if self._positions is not None:
                self._positions.append(position)
            if self._kept is not None:
                self._kept.append(record)
            yield record

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Record]:
        rows: Any = self._kept if self._kept is not None else self.table.rows()
        return (row for row in rows if not isinstance(row, Fault))

    def position(self, number: int) -> int:
        return number if self._positions is None else self._positions[number]

    def lines(self, numbers: NDArray[np.int32]) -> list[int] | NDArray[np.uint32]:
        positions = numbers if self._positions is None else np.array(self._positions, np.int64)[numbers]
        starts = getattr(self.table, "starts", None)
        if isinstance(starts, Starts):
            return starts.lines(np.asarray(positions, np.int64))
        return [self.table.place(position).line for position in positions.tolist()]

    def record(self, number: int) -> Record:
        """
        Raises:
            TunerError: the file changed since it was opened.
        """
        if self._kept is not None:
            return self._kept[number]
        found = self.table.row(self.position(number))
        if isinstance(found, Fault):
            raise found.error()
        return found
