"""The bytes of a file that is being read, by position, from any thread.

Read with `pread` and not through a memory map: where somebody cuts a mapped file short, touching the lost part ends the
process, while a read that gives less can be told as an error. It must never give bytes of a file that changed after it
was opened, as offsets into the old file mean nothing in the new one.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Protocol

from tui_tuner.errors import TunerError
from tui_tuner.runs.files import read_failure

_LARGEST_READ = 1 << 30  # macOS refuses to read 2 GiB at once
HELD = 64 << 20
"""The largest file, in bytes, that is held in memory once many small pieces of it were asked for."""
_MANY_READS = 256


class Content(Protocol):
    """Bytes of one file; those of a compressed one while they are still being unpacked.

    Attributes:
        path: the file a person knows.
        damage: why the bytes end early, as a clause; empty when they don't.
        notes: what had to be done to get at the bytes.
    """

    path: Path
    damage: str
    notes: list[str]

    @property
    def size(self) -> int:
        """Bytes there are so far: all of them once `complete`."""

    @property
    def complete(self) -> bool:
        """Whether `size` is final."""

    def more(self, seconds: float) -> None:
        """Makes more bytes available, for about so many seconds at most."""

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`, fewer at the end. Raises TunerError where the file changed."""

    def rest(self) -> None:
        """Gives the descriptor back until the next read."""

    def close(self) -> None:
        """Lets go of the file for good; asking twice does no harm."""


def wait_for(content: Content, start: int, stop: int) -> bytes:
    """The bytes from `start` to `stop`, made available first where they are not yet; fewer at the end."""
    while content.size < stop and not content.complete:
        content.more(0.05)
    return content.read(start, stop)


def head(content: Content, count: int) -> bytes:
    """The first `count` bytes, or all there are."""
    return wait_for(content, 0, count)


def identity(path: Path) -> tuple[int, int, int, int]:
    """What tells a file from another one that took its place: device, inode, size in bytes, nanoseconds of its change.

    Raises:
        TunerError: it can't be looked at.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise read_failure(error, path) from None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class FileContent:
    """A plain file."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            TunerError: it can't be read.
        """
        self.path = path
        self.damage = ""
        self.notes: list[str] = []
        self._lock = threading.Lock()
        self._descriptor = -1
        self._closed = False
        self._identity = identity(path)
        self.size = self._identity[2]
        self.complete = True
        self._reads, self._whole = 0, b""
        with self._lock:
            self._open()

    def more(self, seconds: float) -> None:
        """A plain file is there as a whole."""

    def read(self, start: int, stop: int) -> bytes:
        """Some bytes; a file of which many small pieces are asked for is held, as it was at that moment."""
        stop = min(stop, self.size)
        if whole := self._whole:
            return whole[start:stop]
        self._reads += 1
        if self._reads > _MANY_READS and 0 < self.size <= HELD:
            self._whole = self._read(0, self.size)
            return self._whole[start:stop]
        return self._read(start, stop)

    def _read(self, start: int, stop: int) -> bytes:
        parts: list[bytes] = []
        with self._lock:
            descriptor = self._open()
            self.check()
            try:
                while start < stop:
                    part = os.pread(descriptor, min(stop - start, _LARGEST_READ), start)
                    if not part:
                        raise changed(self.path)
                    parts.append(part)
                    start += len(part)
            except OSError as error:
                raise read_failure(error, self.path) from None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def check(self) -> None:
        """Raises TunerError when the file is no longer the one that was opened."""
        try:
            now = identity(self.path)
        except TunerError:
            raise changed(self.path) from None
        if now != self._identity:
            raise changed(self.path)

    def rest(self) -> None:
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
            self._reads, self._whole = 0, b""
        if descriptor >= 0:
            os.close(descriptor)

    def close(self) -> None:
        self._closed = True
        self.rest()

    def _open(self) -> int:
        if self._closed:
            raise ValueError(f"{self.path} is closed")
        if self._descriptor < 0:
            try:
                self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise read_failure(error, self.path) from None
        return self._descriptor


def changed(path: Path) -> TunerError:
    """The error for a file that is not the one any more that was opened."""
    return TunerError(
        "the file was changed, replaced or removed while it was being read",
        code="file-changed",
        where=str(path),
        fix="open the data again once the file is whole",
    )
