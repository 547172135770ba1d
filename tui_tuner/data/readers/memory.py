"""Records that lie in memory already, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tui_tuner.data.table import Fault, Place, Record


class MemoryTable:
    """A complete table of given records, whose places have no lines."""

    def __init__(self, path: Path, format: str, records: Sequence[Record], notes: Sequence[str] = ()) -> None:
        self.path = path
        self.format = format
        self.files = (path,)
        self.complete = True
        self._records = records
        self._notes = list(notes)

    def __len__(self) -> int:
        return len(self._records)

    def extend(self, seconds: float) -> bool:
        return True

    def row(self, index: int) -> Record | Fault:
        if index < 0:
            raise IndexError(f"row {index}")
        return self._records[index]

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Record | Fault]:
        yield from self._records[start:stop]

    def place(self, index: int) -> Place:
        if not 0 <= index < len(self._records):
            raise IndexError(f"row {index} of {len(self._records)}")
        return Place(self.path, 0, index)

    def notes(self) -> list[str]:
        return list(self._notes)

    def close(self) -> None:
        """Nothing is held."""
