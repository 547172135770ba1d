"""Where hidden states are kept: in memory up to a budget, then in files up to another.

Files carry a checksum and are put in place by a rename, so a damaged one is noticed and computed again. What does not
fit is not kept: every batch comes once an epoch, so throwing one out for another would only turn hits into misses. It
must never fail training: a full disk ends the keeping, not the run.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

_SUFFIX = ".hidden"
_ABANDONED = 3600.0  # seconds
_AS_INTEGERS = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}


class ActivationStore:
    """Arrays by key. Used on the MLX thread only; arrays put must be evaluated.

    Args:
        memory: bytes of arrays kept in memory.
        folder: where files go, or None for no files. Runs may share it: files of others are read when a key asks for
            them, and are the first to be removed when there is no room.
        disk: bytes that all files in the folder may take.
    """

    def __init__(self, *, memory: int, folder: Path | None = None, disk: int = 0) -> None:
        self._memory, self._folder, self._disk = memory, folder if disk > 0 else None, disk
        self._arrays: dict[str, Any] = {}
        self._in_memory = 0
        self._own: set[str] = set()
        self._files = self._sizes()
        self.hits, self.misses = 0, 0

    @property
    def memory_bytes(self) -> int:
        """Bytes of arrays in memory."""
        return self._in_memory

    @property
    def disk_bytes(self) -> int:
        """Bytes of files in the folder."""
        return sum(self._files.values())

    def get(self, key: str) -> Any | None:
        """The array of a key, or None when it is not kept or its file is damaged."""
        found = self._arrays.get(key)
        if found is None and key in self._files:
            found = self._read(key)
        self.hits += found is not None
        self.misses += found is None
        return found

    def put(self, key: str, array: Any) -> None:
        """Keeps an array where there is room; otherwise, or when it is kept already, does nothing."""
        if key in self._arrays or key in self._files:
            return
        if self._in_memory + array.nbytes <= self._memory:
            self._in_memory += array.nbytes
            self._arrays[key] = array
        elif self._folder is not None:
            self._write(key, array)

    def _sizes(self) -> dict[str, int]:
        """Files already there, longest unused first."""
        if self._folder is None:
            return {}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for torn in self._folder.glob("tmp-*"):
                # Another run may be writing its own; one this old is what a kill left.
                if time.time() - torn.stat().st_mtime > _ABANDONED:
                    torn.unlink(missing_ok=True)
            found = [(s.st_mtime, s.st_size, p.stem) for p in self._folder.glob(f"*{_SUFFIX}") if (s := p.stat())]
        except OSError:
            self._folder = None
            return {}
        return {key: size for _, size, key in sorted(found)}

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{key}{_SUFFIX}"

    def _write(self, key: str, array: Any) -> None:
        head, body = _packed(array)
        size = len(head) + len(body)
        if not self._make_room(size):
            return
        assert self._folder is not None
        temporary = self._folder / f"tmp-{secrets.token_hex(6)}"
        try:
            with temporary.open("wb") as handle:
                handle.write(head)
                handle.write(body)
            temporary.replace(self._path(key))
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            self._disk = 0  # what is there stays readable; nothing more is written
            return
        self._files[key] = size
        self._own.add(key)

    def _make_room(self, size: int) -> bool:
        """Removes files that this run has not used until `size` bytes more are within the limit."""
        total = self.disk_bytes
        if size > self._disk:
            return False
        for key in [key for key in self._files if key not in self._own]:
            if total + size <= self._disk:
                break
            with contextlib.suppress(OSError):
                self._path(key).unlink(missing_ok=True)
            total -= self._files.pop(key)
        return total + size <= self._disk

    def _read(self, key: str) -> Any | None:
        try:
            array = _unpacked(self._path(key).read_bytes())
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            with contextlib.suppress(OSError):
                self._path(key).unlink(missing_ok=True)
            del self._files[key]
            self._own.discard(key)
            return None
        self._own.add(key)
        return array


def _packed(array: Any) -> tuple[bytes, bytes]:
    """One line of JSON about the array, and its numbers."""
    import mlx.core as mx

    # numpy knows no bfloat16, so numbers travel as integers of the same width.
    body = np.array(array.view(getattr(mx, _AS_INTEGERS[array.dtype.size]))).tobytes()
    kind, shape = str(array.dtype).rpartition(".")[2], list(array.shape)
    head = {"shape": shape, "dtype": kind, "crc32": _checksum(shape, kind, body)}
    return json.dumps(head).encode() + b"\n", body


def _checksum(shape: Any, kind: Any, body: bytes | memoryview) -> int:
    """Of the numbers and of what they are taken for: the same numbers in another shape would be wrong ones."""
    return zlib.crc32(body, zlib.crc32(json.dumps([shape, kind]).encode()))


def _unpacked(content: bytes) -> Any:
    """The array of a file's content.

    Raises:
        ValueError, KeyError, TypeError: when it is damaged.
    """
    import mlx.core as mx

    end = content.index(b"\n")
    head = json.loads(content[:end])
    body = memoryview(content)[end + 1 :]
    if _checksum(head["shape"], head["dtype"], body) != head["crc32"]:
        raise ValueError("the checksum differs")
    kind = getattr(mx, head["dtype"])
    return mx.array(np.frombuffer(body, _AS_INTEGERS[kind.size]).reshape(head["shape"])).view(kind)
