"""What a source looks like once it is open: tables of records that are read when they are asked for, never all at once.

Plain descriptions and the contract that every format keeps; how each is read is in the modules beside this one. A
record that cannot be read is a `Fault` in its place, so that a linter can name them all; who needs every record refuses
the first one with `Fault.error`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tui_tuner.errors import TunerError

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands.

    Attributes:
        path: the file, or the name of a set on the Hub.
        line: the line it starts on, from 1; 0 where the format has no lines.
        row: its number within the file, from 0.
    """

    path: Path
    line: int
    row: int

    def __str__(self) -> str:
        row = f"row {self.row + 1}"
        return f"{self.path}, line {self.line} ({row})" if self.line else f"{self.path}, {row}"


@dataclass(frozen=True, slots=True)
class Fault:
    """A record that cannot be read, in its place: what is wrong (a sentence without its end), and what to do.

    Attributes:
        line: the line of the damage itself, which a record of several lines may have further down; 0 where nothing
            more is known than the record's own place.
        column: the character of that line, from 1; 0 where it is not known.
    """

    place: Place
    code: str
    message: str
    fix: str
    line: int = 0
    column: int = 0

    def error(self) -> TunerError:
        """The same as an error, for those who need every record."""
        return TunerError(self.message, code=self.code, where=self.where(), fix=self.fix)

    def where(self) -> str:
        """The place, with line and column of the damage itself as far as they are known."""
        if not self.line:
            return str(self.place)
        column = f", column {self.column}" if self.column else ""
        return f"{self.place.path}, line {self.line}{column} (row {self.place.row + 1})"


class Table(Protocol):
    """Records of one split. Safe to use from several threads; opening one reads no more than its beginning.

    Attributes:
        path: the file, or the folder or name it came from.
        format: "jsonl", "json-array", "json-object", "json-objects", "csv", "tsv", "parquet", "arrow", "lines" or
            "hub".
    """

    path: Path
    format: str

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the records come from, in order."""

    def __len__(self) -> int:
        """Records found so far: all of them once `complete`."""

    @property
    def complete(self) -> bool:
        """Whether the end was reached."""

    def extend(self, seconds: float) -> bool:
        """Looks for more records, for about so many seconds at most; True when the end is reached."""

    def row(self, index: int) -> Record | Fault:
        """One record. Raises IndexError beyond `len`, TunerError where the file changed since it was opened."""

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Record | Fault]:
        """Records in order, to the end of the file where `stop` is None, whether they were found before or not."""

    def place(self, index: int) -> Place:
        """Where a record stands."""

    def notes(self) -> list[str]:
        """What a person should know about how the file was read, as far as it was read."""

    def close(self) -> None:
        """Lets go of the file; asking twice does no harm."""


@dataclass
class Source:
    """A source that is open.

    Attributes:
        name: as the preset names it.
        path: file or folder; for a set on the Hub its name.
        tables: by split ("train", "valid", "test") where the source brings splits, else one under "".
        format: of the train table, or of the only one.
        notes: what a person should know about how the source was opened, beside the notes of its tables.
    """

    name: str
    path: Path
    tables: dict[str, Table]
    format: str
    notes: list[str] = field(default_factory=list)

    @property
    def has_splits(self) -> bool:
        return "" not in self.tables

    @property
    def main(self) -> Table:
        """The table that is trained on."""
        return self.tables[""] if "" in self.tables else self.tables["train"]

    def close(self) -> None:
        for table in self.tables.values():
            table.close()
