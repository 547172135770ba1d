"""Who watches a download: what will be fetched is told before the first byte, then progress; a stop is heard at once.

Whoever does a job names its watcher once, for the thread that works; what fetches a model somewhere below finds it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tui_tuner import units


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository: its path, bytes, and hash (sha256 of a large file, git's own of a small one)."""

    path: str
    bytes: int
    hash: str
    large: bool


@dataclass(frozen=True)
class Plan:
    """What a download would do.

    Attributes:
        name: of the repository.
        revision: that was asked for; empty for the newest.
        commit: of the version that this is.
        files: all that belong to the model.
        missing: those that are not in the cache.
        here: bytes of the missing ones that an earlier attempt has left.
    """

    name: str
    revision: str
    commit: str
    files: tuple[RemoteFile, ...]
    missing: tuple[RemoteFile, ...]
    here: int

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def to_come(self) -> int:
        """Bytes that would be fetched."""
        return sum(file.bytes for file in self.missing) - self.here

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "revision": self.revision or "main",
            "commit": self.commit,
            "files": len(self.files),
            "bytes": self.bytes,
            "missing_files": len(self.missing),
            "missing_bytes": self.to_come,
        }

    def sentence(self) -> str:
        """What would be fetched, for a person."""
        if not self.missing:
            files = units.many(len(self.files), "file")
            return f"{self.name} is whole in the Hub's cache: {files}, {units.size(self.bytes)}."
        known = f" of {units.size(self.bytes)}" if self.to_come != self.bytes else ""
        rest = "; the rest is in the cache" if known else ""
        files = units.many(len(self.missing), "file")
        return f"{self.name}: {files}, {units.size(self.to_come)}{known} to download{rest}."


@dataclass(frozen=True)
class Watch:
    """What a watcher wants to hear.

    Attributes:
        begin: called once before anything is fetched.
        tell: called a few times a second with bytes that are there and in all.
        check: called as often; what it raises ends the download, and what has come stays.
    """

    begin: Callable[[Plan], None] = lambda plan: None
    tell: Callable[[int, int], None] = lambda done, total: None
    check: Callable[[], None] = lambda: None


_local = threading.local()


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """While open, downloads of this thread have this watcher."""
    before = watcher()
    _local.watch = watch
    try:
        yield
    finally:
        _local.watch = before


def watcher() -> Watch:
    """The watcher of this thread; one that hears nothing where none was named."""
    found = getattr(_local, "watch", None)
    return found if isinstance(found, Watch) else Watch()
