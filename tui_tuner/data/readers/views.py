"""Tables made of tables: shards one after another, and a part of one.

A chain opens its shards when it reaches them, and keeps few of their files open at a time: macOS gives a process 256.
"""

from __future__ import annotations

import re
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tui_tuner.data.table import Fault, Place, Record, Table
from tui_tuner.errors import TunerError
from tui_tuner.units import many

_OPEN = 8
_PATIENCE = 0.05


class Chain:
    """Shards of one split as one table; a place names the shard and the row in it."""

    def __init__(self, path: Path, shards: Sequence[Path], opening: Callable[[Path], Table]) -> None:
        """
        Args:
            path: what the shards lie in.
            shards: one or more files, in order.
            opening: opens one.

        Raises:
            TunerError: the first can't be opened. Where a later one can't, it is a fault in its place.
        """
        self.path = path
        self.files = tuple(shards)
        self._opening = opening
        self._lock = threading.RLock()
        self._tables: list[Table | TunerError] = [opening(shards[0])]
        self._ends: list[int] = []
        self._recent: list[int] = [0]
        self.format = self._first.format

    @property
    def _first(self) -> Table:
        first = self._tables[0]
        assert not isinstance(first, TunerError)
        return first

    def __len__(self) -> int:
        with self._lock:
            done = self._ends[-1] if self._ends else 0
            return done if len(self._ends) == len(self._tables) else done + _count(self._tables[-1])

    @property
    def complete(self) -> bool:
        return len(self._ends) == len(self.files)

    def extend(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self.complete:
            with self._lock:
                if len(self._ends) < len(self._tables):
                    last = self._tables[-1]
                    if isinstance(last, TunerError) or last.extend(max(deadline - time.monotonic(), 0)):
                        self._ends.append((self._ends[-1] if self._ends else 0) + _count(last))
                elif not self.complete:
                    self._open_next()
            if time.monotonic() >= deadline:
                break
        return self.complete

    def row(self, index: int) -> Record | Fault:
        shard, row = self._find(index)
        table = self._use(shard)
        return _unopened(self.files[shard], table) if isinstance(table, TunerError) else table.row(row)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Record | Fault]:
        index = start
        while stop is None or index < stop:
            while index >= len(self) and not self.complete:
                self.extend(_PATIENCE)
            if index >= len(self):
                return
            shard, row = self._find(index)
            table = self._use(shard)
            if isinstance(table, TunerError):
                yield _unopened(self.files[shard], table)
                index += 1
                continue
            for record in table.rows(row, None if stop is None else row + stop - index):
                yield record
                index += 1

    def place(self, index: int) -> Place:
        shard, row = self._find(index)
        table = self._use(shard)
        return Place(self.files[shard], 0, 0) if isinstance(table, TunerError) else table.place(row)

    def notes(self) -> list[str]:
        """The notes of all shards, with the same ones told once and their counts added up."""
        with self._lock:
            tables = [table for table in self._tables if not isinstance(table, TunerError)]
        found = [note for table in tables for note in table.notes()]
        return [f"{many(len(self.files), 'file', 'files')} one after another", *_added_up(found)]

    def close(self) -> None:
        with self._lock:
            for table in self._tables:
                if not isinstance(table, TunerError):
                    table.close()

    def _find(self, index: int) -> tuple[int, int]:
        with self._lock:
            if not 0 <= index < len(self):
                raise IndexError(f"row {index} of {len(self)}")
            shard = bisect_right(self._ends, index)
            return shard, index - (self._ends[shard - 1] if shard else 0)

    def _open_next(self) -> None:
        number = len(self._tables)
        try:
            self._tables.append(self._opening(self.files[number]))
        except TunerError as error:
            self._tables.append(error)
        self._use(number)

    def _use(self, shard: int) -> Table | TunerError:
        with self._lock:
            if shard in self._recent:
                self._recent.remove(shard)
            self._recent.append(shard)
            for old in self._recent[:-_OPEN]:
                if rest := getattr(self._tables[old], "rest", None):
                    rest()
            del self._recent[:-_OPEN]
            return self._tables[shard]


class Part:
    """Some rows of a table, from one number to another; their places are those of the whole."""

    def __init__(self, table: Table, start: int, stop: int | None) -> None:
        """
        Args:
            table: the whole.
            start: the first row, from 0.
            stop: the row behind the last one, or None for the end.
        """
        self.path = table.path
        self.format = table.format
        self.files = table.files
        self._table = table
        self._start = start
        self._stop = stop

    def __len__(self) -> int:
        stop = len(self._table) if self._stop is None else min(self._stop, len(self._table))
        return max(stop - self._start, 0)

    @property
    def complete(self) -> bool:
        return self._table.complete or (self._stop is not None and len(self._table) >= self._stop)

    def extend(self, seconds: float) -> bool:
        if not self.complete:
            self._table.extend(seconds)
        return self.complete

    def row(self, index: int) -> Record | Fault:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return self._table.row(self._start + index)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Record | Fault]:
        ends = [end for end in (self._stop, None if stop is None else self._start + stop) if end is not None]
        return self._table.rows(self._start + start, min(ends) if ends else None)

    def place(self, index: int) -> Place:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return self._table.place(self._start + index)

    def notes(self) -> list[str]:
        return self._table.notes()

    def close(self) -> None:
        self._table.close()


def _count(table: Table | TunerError) -> int:
    """Rows found so far; a shard that can't be opened counts as one, its fault."""
    return 1 if isinstance(table, TunerError) else len(table)


def _unopened(path: Path, error: TunerError) -> Fault:
    return Fault(Place(path, 0, 0), error.code, f"the file {error.message}", error.fix)


_COUNT = re.compile(r"^[\d,]+(?= )")


def _added_up(notes: Sequence[str]) -> list[str]:
    """Notes that are the same but for the number they begin with, as one with the sum."""
    sums: dict[str, int] = {}
    for note in notes:
        count = _COUNT.match(note)
        rest = note[count.end() :] if count else note
        sums[rest] = sums.get(rest, 0) + (int(count[0].replace(",", "")) if count else 0)
    return [f"{count:,}{rest}" if count else rest for rest, count in sums.items()]
