"""Tables over bytes: an index of where each record starts, grown as far as somebody asks, and records read through it.

What all text formats share: the growing index, reading one record or many in order, places, damage at the end of a
file, and lines in another encoding. A format brings how record starts are found in the next piece, and how a record's
bytes become a record. It must never hold more than the index and a piece of the file.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tui_tuner.data.readers.content import Content
from tui_tuner.data.readers.encodings import Coding, decoded
from tui_tuner.data.table import Fault, Place, Record
from tui_tuner.units import many

Positions = npt.NDArray[np.int64]

PIECE = 1 << 20
"""Bytes of the file that are looked through at once; more where a single record is longer."""
_BATCH_BYTES = 1 << 20
_BATCH_ROWS = 2048
_PATIENCE = 0.05


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with a record, before its place is known.

    Attributes:
        line: the line of the damage within the record, from 0.
        column: the character of that line, from 1 and counted from the record's start in the record's first line; 0
            where the whole record is meant.
    """

    code: str
    message: str
    fix: str
    line: int = 0
    column: int = 0


class Starts:
    """Where records start: byte positions and lines, 12 bytes a record, in blocks as they were found."""

    def __init__(self) -> None:
        self._positions: list[Positions] = []
        self._lines: list[npt.NDArray[np.uint32]] = []
        self._ends: list[int] = []

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def add(self, positions: Positions, lines: Positions) -> None:
        """More records behind those there are: (n,) byte positions and the (n,) lines they stand on, rising."""
        if len(positions):
            self._positions.append(np.ascontiguousarray(positions, np.int64))
            self._lines.append(lines.astype(np.uint32))
            self._ends.append(len(self) + len(positions))

    def position(self, index: int) -> int:
        """The first byte of a record."""
        block, offset = self._find(index)
        return int(self._positions[block][offset])

    def line(self, index: int) -> int:
        """The line that a record starts on, from 1."""
        block, offset = self._find(index)
        return int(self._lines[block][offset])

    def lines(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
        """The lines that many records start on: (n,) numbers → (n,) lines."""
        blocks = np.searchsorted(self._ends, indices, side="right")
        found = np.zeros(len(indices), np.uint32)
        for block in np.unique(blocks).tolist():
            chosen = blocks == block
            found[chosen] = self._lines[block][indices[chosen] - (self._ends[block - 1] if block else 0)]
        return found

    def some(self, index: int, count: int) -> tuple[list[int], list[int]]:
        """Positions and lines of `count` records at most from `index` on, no further than one block."""
        block, offset = self._find(index)
        part = slice(offset, offset + count)
        return self._positions[block][part].tolist(), self._lines[block][part].tolist()

    def last(self) -> tuple[int, int]:
        """Position and line of the last record."""
        return int(self._positions[-1][-1]), int(self._lines[-1][-1])

    @property
    def nbytes(self) -> int:
        """The memory that the index takes."""
        return sum(array.nbytes for arrays in (self._positions, self._lines) for array in arrays)

    def _find(self, index: int) -> tuple[int, int]:
        block = bisect_right(self._ends, index)
        return block, index - (self._ends[block - 1] if block else 0)


class ForeignLines:
    """The lines of a text that are not UTF-8 but could be read as something else."""

    def __init__(self, coding: Coding) -> None:
        self._coding = coding
        self._count = self._first = self._last = 0

    def look(self, piece: bytes, line: int) -> None:
        """Counts them in a piece that begins on a line, each once however often it comes."""
        if self._coding.fallback == "none" or piece.isascii():
            return
        try:
            piece.decode("utf-8")
        except UnicodeDecodeError:
            for number, raw in enumerate(piece.split(b"\n"), line):
                if number > self._last and not raw.isascii() and self._is_foreign(raw):
                    self._count += 1
                    self._last = number
                    self._first = self._first or number

    def notes(self) -> list[str]:
        """What to tell of them; nothing where there are none."""
        if not self._count:
            return []
        what = (
            f"line {self._first} is" if self._count == 1 else f"{self._count:,} lines (the first is {self._first}) are"
        )
        return [f"{what} not UTF-8 and read as Windows-1252; look whether accented letters are right"]

    def _is_foreign(self, raw: bytes) -> bool:
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            return decoded(raw, self._coding) is not None
        return False


class IndexedTable(ABC):
    """A table whose records lie one after another in a content."""

    def __init__(self, content: Content, coding: Coding, format: str, start: int = 0, line: int = 1) -> None:
        """
        Args:
            content: the bytes.
            coding: how they are text.
            format: what kind of file it is, in the words of `Table`.
            start: the byte at which the first record may start.
            line: the line of that byte.
        """
        self.content = content
        self.path = content.path
        self.format = format
        self.coding = coding
        self.starts = Starts()
        self.tail: Damage | None = None
        """Damage behind the last record, which counts as one record more."""
        self._lock = threading.RLock()
        self._complete = False
        self._frontier = start
        self._line = line
        self._piece = PIECE
        self._moved = False
        self._tail_line = 0
        self._foreign = ForeignLines(coding)
        self._counted = 0

    # What a format brings.

    @abstractmethod
    def index(self, piece: bytes, final: bool) -> int:
        """Finds the record starts in the piece at `self._frontier`, adds them, and tells how many bytes are done.

        Of the bytes that are not done, the next piece begins with the first. Where none are, a longer piece comes.
        When `final`, nothing comes after the piece, and all of it has to be done.
        """

    @abstractmethod
    def record(self, text: str, index: int) -> Record | Damage:
        """The record that a text holds."""

    def end(self) -> int:
        """Where the last record that was found ends at the latest."""
        return self._frontier

    # The contract of a table.

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def __len__(self) -> int:
        with self._lock:
            return len(self.starts) + (self._complete and self.tail is not None)

    @property
    def complete(self) -> bool:
        return self._complete

    def extend(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self._complete:
            with self._lock:
                if not self._complete:
                    self._step(max(deadline - time.monotonic(), 0.0))
            if time.monotonic() >= deadline:
                break
        return self._complete

    def row(self, index: int) -> Record | Fault:
        with self._lock:
            if not 0 <= index < len(self):
                raise IndexError(f"row {index} of {len(self)}")
            if index == len(self.starts):
                return self._tail_fault()
            start, line = self.starts.position(index), self.starts.line(index)
            stop = self.starts.position(index + 1) if index + 1 < len(self.starts) else self.end()
        return self._read(self.content.read(start, stop), index, start, line)

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Record | Fault]:
        index = start
        while stop is None or index < stop:
            positions, lines, end = self._batch(index, stop)
            if positions:
                data = self.content.read(positions[0], end)
                for number, (position, line) in enumerate(zip(positions, lines, strict=True)):
                    after = positions[number + 1] if number + 1 < len(positions) else end
                    yield self._read(data[position - positions[0] : after - positions[0]], index, position, line)
                    index += 1
            elif not self._complete:
                self.extend(_PATIENCE)
            else:
                if index < len(self):
                    yield self._tail_fault()
                return

    def place(self, index: int) -> Place:
        with self._lock:
            if not 0 <= index < len(self):
                raise IndexError(f"row {index} of {len(self)}")
            line = self.starts.line(index) if index < len(self.starts) else self._tail_line
            return Place(self.path, line, index)

    def notes(self) -> list[str]:
        found = list(self.content.notes)
        if self.coding.note:
            found.append(self.coding.note)
        found.extend(self.format_notes())
        return found + self._foreign.notes()

    def format_notes(self) -> list[str]:
        """What a format has to say."""
        return []

    def rest(self) -> None:
        """Gives the file's descriptor back until the next read."""
        self.content.rest()

    def close(self) -> None:
        self.content.close()

    # How it is done.

    def _batch(self, index: int, stop: int | None) -> tuple[list[int], list[int], int]:
        """Positions and lines of some records from `index` on, and where the last of them ends."""
        with self._lock:
            if index >= len(self.starts):
                return [], [], 0
            count = _BATCH_ROWS if stop is None else min(_BATCH_ROWS, stop - index)
            positions, lines = self.starts.some(index, count)
            fitting = bisect_right(positions, positions[0] + _BATCH_BYTES) or 1
            del positions[fitting:], lines[fitting:]
            after = index + len(positions)
            return positions, lines, self.starts.position(after) if after < len(self.starts) else self.end()

    def _step(self, seconds: float) -> None:
        """Looks through one piece more."""
        content = self.content
        wanted = self._frontier + self._piece
        if content.size < wanted and not content.complete:
            content.more(min(seconds, _PATIENCE))
        final = content.complete and content.size <= wanted
        piece = content.read(self._frontier, min(wanted, content.size))
        self._moved = False
        done = self.index(piece, final)
        if self._moved:
            return
        if done:
            self._piece = PIECE
        elif not final:
            self._piece *= 2
        self._foreign.look(piece[:done], self._line)
        self._line += piece.count(b"\n", 0, done)
        self._frontier += done
        if final and not self._complete:
            self.finish()

    def move(self, position: int, line: int) -> None:
        """Lets the next piece begin elsewhere than behind the last one."""
        self._frontier, self._line, self._moved = position, line, True

    def finish(self) -> None:
        """The end was reached."""
        if self.content.damage and self.tail is None:
            self.tail = Damage(
                code="cut-file",
                message=f"{self.content.damage}, so what comes after is lost",
                fix="fetch the file again, or pack it anew",
            )
        self._tail_line = self._tail_line or self._line
        self._complete = True

    def _tail_fault(self) -> Fault:
        assert self.tail is not None
        return self._fault(self.tail, len(self.starts), self._tail_line, 0)

    def _read(self, raw: bytes, index: int, start: int, line: int) -> Record | Fault:
        try:
            text: str | None = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = decoded(raw, self.coding)
        found = self.record(text, index) if text is not None else _undecodable(raw)
        if index == self._counted:
            with self._lock:
                if index == self._counted:
                    self._counted += 1
                    if not isinstance(found, Damage):
                        self.count(text or "", found)
        return self._fault(found, index, line, start) if isinstance(found, Damage) else found

    def count(self, text: str, record: Record) -> None:  # noqa: B027  not every format counts
        """Is told of every record once, when the table is read in order, to count what notes tell."""

    def _fault(self, damage: Damage, index: int, line: int, start: int) -> Fault:
        place = Place(self.path, line, index)
        if not damage.column:
            return Fault(place, damage.code, damage.message, damage.fix)
        column = damage.column + (characters_before(self.content, start) if not damage.line else 0)
        return Fault(place, damage.code, damage.message, damage.fix, line + damage.line, column)


def characters_before(content: Content, start: int) -> int:
    """How many characters of its line stand before a byte."""
    back = content.read(max(start - _BATCH_BYTES, 0), start)
    back = back[back.rfind(b"\n") + 1 :]
    if len(back) == start:
        back = back.removeprefix(b"\xef\xbb\xbf")
    return len(back.decode("utf-8", "replace"))


def _undecodable(raw: bytes) -> Damage:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n")
        text = before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")
        if raw[error.start : error.start + 3] == b"\xed\xb3\xbf":  # where another encoding was turned into UTF-8
            what = "bytes that mean nothing in the file's encoding"
        else:
            what = "bytes that are not UTF-8"
        return Damage(
            code="bad-encoding",
            message=f"the record holds {what}",
            fix="save the file as UTF-8, or name its encoding as data.encoding",
            line=line,
            column=len(text) + 1,
        )
    raise AssertionError("bytes that are UTF-8 can be decoded")


def blank_note(count: int) -> list[str]:
    """The note of blank lines, if there are any."""
    return [f"{many(count, 'blank line is', 'blank lines are')} skipped"] if count else []
