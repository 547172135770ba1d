"""A file that another thread or process adds to, read as it grows: an event log, or a training log of mlx-lm.

It is told by device, inode and its first bytes whether the file is still the one that was read, since a new file may
get the old one's inode number. It only reads, and must never hold a file open between two looks: whoever writes it may
want to replace it.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Final

from .files import read_failure

_HEAD_BYTES: Final = 256  # enough of a file's beginning to know another one by


class GrowingFile(ABC):
    """Follows a file and remembers how far it has read. When the file was replaced or cut below that, it starts over
    and counts `generation` up: a follower then folds anew.

    What is read, and how much of it counts as read, is up to `_read`; whoever remembers more extends `_forget`.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.offset = 0
        """Bytes read so far."""
        self.generation = 0
        """How often the file turned out to be another one than before."""
        self._file: tuple[int, int] | None = None
        self._head = b""

    def poll(self) -> list[dict[str, Any]]:
        """The events of what was added since the last call; empty when nothing was, or when there is no file yet.

        Raises:
            TunerError: `not-readable`, naming the file.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise read_failure(error, self.path) from error
        try:
            return self._look(descriptor)
        except OSError as error:
            raise read_failure(error, self.path) from error
        finally:
            os.close(descriptor)

    @abstractmethod
    def _read(self, descriptor: int, status: os.stat_result) -> list[dict[str, Any]]:
        """Takes in what lies beyond `offset`, moves `offset` on, and returns the events of it."""

    def _forget(self) -> None:
        """Another file begins: nothing of it was read."""
        self.offset = 0
        self._head = b""

    def _look(self, descriptor: int) -> list[dict[str, Any]]:
        status = os.fstat(descriptor)
        identity = (status.st_dev, status.st_ino)
        if self._file is not None and (
            identity != self._file
            or status.st_size < self.offset
            or os.pread(descriptor, len(self._head), 0) != self._head
        ):
            self._forget()
            self.generation += 1
        self._file = identity
        events = self._read(descriptor, status)
        if len(self._head) < min(_HEAD_BYTES, self.offset):
            self._head = os.pread(descriptor, min(_HEAD_BYTES, self.offset), 0)
        return events
