"""Parquet and Arrow files: columns in batches, read a batch at a time, as plain Python values.

Only what JSON has comes out: dates as text, whole bytes as text where they are UTF-8. What has no such form (pictures,
sounds) comes out as null with a note. A batch that is damaged makes faults of its rows and of no others.
"""

from __future__ import annotations

import json
import threading
import time
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tui_tuner.data.readers.content import FileContent
from tui_tuner.data.readers.plainvalues import plain
from tui_tuner.data.table import Fault, Place, Record
from tui_tuner.errors import TunerError, brief
from tui_tuner.units import many

_ROWS = 1024
_KEPT = 4
_LARGEST_GROUP = 512 << 20


class BatchTable(ABC):
    """Rows in blocks that are read as a whole. A subclass says how many there are and reads one."""

    complete = True

    def __init__(self, path: Path, format: str) -> None:
        self.path = path
        self.format = format
        self.files: tuple[Path, ...] = (path,)
        self._lock = threading.RLock()
        self._ends: list[int] = []
        self._blocks: OrderedDict[int, Any] = OrderedDict()
        self._counted = 0
        self._nonfinite = 0
        self._binary: dict[str, int] = {}
        self._said: list[str] = []
        self.tail = ""
        """Damage behind the last row, which counts as one row more."""

    @abstractmethod
    def _load(self, block: int) -> Any:
        """A block as a pyarrow Table. Raises whatever pyarrow raises for what is damaged."""

    def __len__(self) -> int:
        return (self._ends[-1] if self._ends else 0) + bool(self.tail)

    def extend(self, seconds: float) -> bool:
        return True

    def row(self, index: int) -> Record | Fault:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return next(self._some(index, 1))

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Record | Fault]:
        index = start
        while (stop is None or index < stop) and not self._reached(index):
            count = _ROWS if stop is None else min(_ROWS, stop - index)
            for record in self._some(index, count):
                yield record
                index += 1

    def _reached(self, index: int) -> bool:
        while index >= len(self) and not self.complete:
            self.extend(0.05)
        return index >= len(self)

    def _some(self, index: int, count: int) -> Iterator[Record | Fault]:
        """Some rows from `index` on, `count` at most, all of one block."""
        block = bisect_right(self._ends, index)
        if block == len(self._ends):
            yield Fault(Place(self.path, 0, index), "cut-file", self.tail, "fetch the file again")
            return
        first = self._ends[block - 1] if block else 0
        count = min(count, self._ends[block] - index)
        try:
            with self._lock:
                table = self._block(block)
            values = table.slice(index - first, count).to_pylist()
        except TunerError:
            raise
        except Exception as error:  # whatever a library of decoders has to say about damaged bytes
            for row in range(index, index + count):
                yield Fault(
                    Place(self.path, 0, row),
                    "damaged-file",
                    f"this part of the file can't be decoded ({brief(error, 80)})",
                    "fetch the file again",
                )
            return
        for number, value in enumerate(values, index):
            yield self._plain_record(value, number)

    def _block(self, block: int) -> Any:
        if block in self._blocks:
            self._blocks.move_to_end(block)
        else:
            self._blocks[block] = unique_columns(self._load(block))
            while len(self._blocks) > _KEPT or (
                len(self._blocks) > 1 and sum(kept.nbytes for kept in self._blocks.values()) > _LARGEST_GROUP
            ):
                self._blocks.popitem(last=False)
        return self._blocks[block]

    def _plain_record(self, value: Record, number: int) -> Record:
        lost: list[str] = []
        record = {name: plain(cell, name, lost) for name, cell in value.items()}
        if number == self._counted:
            self._counted += 1
            for name in lost:
                if name:
                    self._binary[name] = self._binary.get(name, 0) + 1
                else:
                    self._nonfinite += 1
        return record

    def place(self, index: int) -> Place:
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return Place(self.path, 0, index)

    def notes(self) -> list[str]:
        found = list(self._said)
        if self._nonfinite:
            words = many(self._nonfinite, "NaN or infinite value is", "NaN or infinite values are")
            found.append(f"{words} read as null")
        found += [
            f'the column "{name}" holds binary values in {many(count, "row")}, which are left out'
            for name, count in self._binary.items()
        ]
        return found

    def _name_classes(self, metadata: dict[bytes, bytes] | None) -> None:
        """Says what the numbers of a column stand for, where the file knows it."""
        try:
            features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
            for name, feature in features.items():
                if feature.get("_type") == "ClassLabel" and feature.get("names"):
                    told = ", ".join(f"{number} = {label}" for number, label in enumerate(feature["names"][:12]))
                    more = ", …" if len(feature["names"]) > 12 else ""
                    self._said.append(f'the numbers in the column "{name}" stand for {told}{more}')
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            return

    def close(self) -> None:
        with self._lock:
            self._blocks.clear()


class ParquetTable(BatchTable):
    """A Parquet file. Its row groups are blocks; one too large to keep is read in parts, from its beginning."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            TunerError: the file is damaged or cut short.
        """
        super().__init__(path, "parquet")
        self._content = FileContent(path)
        self._file: Any = None
        self._reader: Iterator[Any] | None = None
        self._next_part = -1
        try:
            metadata = self._open().metadata
            self._groups = []
            for number in range(metadata.num_row_groups):
                group = metadata.row_group(number)
                parts = 1 if group.total_byte_size <= _LARGEST_GROUP else -(-group.num_rows // _ROWS)
                size = group.num_rows if parts == 1 else _ROWS
                for part in range(parts):
                    if rows := min(size, group.num_rows - part * size):
                        self._groups.append((number, part if parts > 1 else -1))
                        self._ends.append(len(self) + rows)
            self._name_classes(metadata.metadata)
        except TunerError:
            raise
        except Exception as error:  # pyarrow's own, by the damage
            raise _damaged(path, "Parquet", error) from None

    def _open(self) -> Any:
        if self._file is None:
            import pyarrow.parquet as parquet

            self._file = parquet.ParquetFile(_Reading(self._content))
        return self._file

    def _load(self, block: int) -> Any:
        import pyarrow

        group, part = self._groups[block]
        file = self._open()
        if part < 0:
            return file.read_row_group(group, use_threads=False)
        if self._reader is None or self._next_part != block:
            self._reader = file.iter_batches(batch_size=_ROWS, row_groups=[group], use_threads=False)
            for _ in range(part):
                next(self._reader)
        batch = next(self._reader)
        self._next_part = block + 1 if self._groups[block + 1 : block + 2] == [(group, part + 1)] else -1
        return pyarrow.Table.from_batches([batch])

    def rest(self) -> None:
        self._content.rest()

    def close(self) -> None:
        super().close()
        self._file = self._reader = None
        self._content.close()


class ArrowTable(BatchTable):
    """An Arrow file, or an Arrow stream as `datasets` writes it. Its batches are found as it is read."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            TunerError: the file is damaged or cut short.
        """
        super().__init__(path, "arrow")
        self.complete = False
        self._content = FileContent(path)
        self._file: Any = None
        self._whole: Any = None
        self._offsets: list[int] = []
        try:
            self._open()
            self._name_classes(self._schema.metadata)
            self.extend(0)
        except TunerError:
            raise
        except Exception as error:  # pyarrow's own, by the damage
            raise _damaged(path, "Arrow", error) from None

    def _open(self) -> None:
        import pyarrow
        from pyarrow import ipc, types

        self._stream = pyarrow.PythonFile(_Reading(self._content), mode="r")
        if self._content.read(0, 6) == b"ARROW1":
            self._file = ipc.open_file(self._stream)
            self._schema = self._file.schema
            return
        self._schema = ipc.read_schema(self._stream)
        self._next = self._stream.tell()
        if any(types.is_dictionary(field.type) for field in self._schema):
            # A batch on its own doesn't know the dictionary that came before it.
            self._stream.seek(0)
            self._whole = ipc.open_stream(self._stream).read_all()
            self._ends.append(self._whole.num_rows)
            self.complete = True

    def extend(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self.complete:
            with self._lock:
                if not self.complete:
                    self._find_batch()
            if time.monotonic() >= deadline:
                break
        return self.complete

    def _find_batch(self) -> None:
        number = len(self._ends)
        try:
            if self._file is not None:
                if number < self._file.num_record_batches:
                    self._ends.append(len(self) + self._file.get_batch(number).num_rows)
                else:
                    self.complete = True
            elif self._next >= self._content.size or not self._find_message():
                self.complete = True
        except TunerError:
            raise
        except Exception as error:  # pyarrow's own, by the damage
            self.complete = True
            self.tail = f"what comes after row {len(self):,} can't be decoded ({brief(error, 80)})"

    def _find_message(self) -> bool:
        """Whether a message stands at `_next`; the end of a stream is marked."""
        from pyarrow import ipc

        self._stream.seek(self._next)
        try:
            message = ipc.read_message(self._stream)
        except EOFError:
            return False
        if message.type == "record batch":
            self._offsets.append(self._next)
            self._ends.append(len(self) + ipc.read_record_batch(message, self._schema).num_rows)
        self._next = self._stream.tell()
        return True

    def _load(self, block: int) -> Any:
        import pyarrow
        from pyarrow import ipc

        if self._whole is not None:
            found = self._whole
        elif self._file is not None:
            found = pyarrow.Table.from_batches([self._file.get_batch(block)])
        else:
            self._stream.seek(self._offsets[block])
            batch = ipc.read_record_batch(ipc.read_message(self._stream), self._schema)
            found = pyarrow.Table.from_batches([batch])
        # Offsets are taken as they stand in the file: a damaged one would lead outside the memory, and end the process.
        found.validate(full=True)
        return found

    def rest(self) -> None:
        self._content.rest()

    def close(self) -> None:
        super().close()
        self._content.close()


class _Reading:
    """A file as pyarrow wants it, read through `FileContent`, so that a change of the file is noticed."""

    closed = False

    def __init__(self, content: FileContent) -> None:
        self._content = content
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def tell(self) -> int:
        return self._position

    def size(self) -> int:
        return self._content.size

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._content.size)[whence]
        return self._position

    def read(self, count: int = -1) -> bytes:
        stop = self._content.size if count is None or count < 0 else self._position + count
        data = self._content.read(self._position, stop)
        self._position += len(data)
        return data

    def flush(self) -> None:
        """Nothing is written."""

    def close(self) -> None:
        """The content is closed by the table."""


def unique_columns(table: Any) -> Any:
    """The table with its columns numbered where a name occurs more than once, as a record holds one of each."""
    from tui_tuner.data.readers.dialect import unique_names

    names = unique_names(table.column_names)
    return table if names == table.column_names else table.rename_columns(names)


def _damaged(path: Path, what: str, error: Exception) -> TunerError:
    return TunerError(
        f"is {'an' if what[0] in 'AEIOU' else 'a'} {what} file that is damaged or cut short ({brief(error, 80)})",
        code="damaged-file",
        where=str(path),
        fix="fetch the file again",
    )
