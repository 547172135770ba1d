"""Files whose bytes can't be read by position as they are: compressed ones, and text in other encodings than UTF-8.

They are turned into plain UTF-8 in the cache folder, as a stream and only as far as somebody reads, so that the first
rows are there at once. A finished copy is used again as long as the file stays the same. It must never fail over what
the cache can't hold but disk space: a folder that may not be written is replaced by a temporary file.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import hashlib
import io
import lzma
import os
import secrets
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from tui_tuner.data.cachefiles import trim
from tui_tuner.data.readers.content import Content, identity
from tui_tuner.paths import cache_dir
from tui_tuner.runs.files import write_all, write_failure

LIMIT = 8 << 30
"""Bytes that all unpacked copies together may take; the longest unused are removed first."""

_PIECE = 1 << 20
_FORMAT = 1
_STALE = 24 * 3600.0

MAGIC: dict[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"(\xb5/\xfd": "zstd",
}
"""How compressed files begin, and what each is called."""

Source = Callable[[int], bytes]
"""Gives at most so many bytes more of the plain content; none at its end."""


class Spool:
    """The plain bytes of a file, as far as they were made."""

    def __init__(self, of: Content, what: str, open_source: Callable[[Content], Source]) -> None:
        """
        Args:
            of: the file as it is.
            what: names the change, and keeps copies of one file apart.
            open_source: begins to read the plain content from its start.
        """
        self.path = of.path
        self.what = f"{getattr(of, 'what', '')}/{what}"
        self.notes = list(of.notes)
        self.damage = ""
        self.size = 0
        self.complete = False
        self._of = of
        self._open_source = open_source
        self._source: Source | None = None
        self._lock = threading.RLock()
        self._closed = False
        self._final = _folder() / _name(of.path, self.what)
        self._temporary: Path | None = None
        self._descriptor = self._reopen()

    def more(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._lock:
            while not self.complete:
                self._piece()
                if time.monotonic() >= deadline:
                    return

    def read(self, start: int, stop: int) -> bytes:
        self._of.read(0, 0)  # the copy says nothing about a file that changed since
        with self._lock:
            if self._closed:
                raise ValueError(f"{self.path} is closed")
            stop = min(stop, self.size)
            parts = bytearray()
            while start < stop and (part := os.pread(self._descriptor, min(stop - start, 1 << 30), start)):
                parts += part
                start += len(part)
        return bytes(parts)

    def rest(self) -> None:
        self._of.rest()

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._descriptor)
                self._forget()
        self._of.close()

    def _reopen(self) -> int:
        """The finished copy of an earlier time, or a new file to write it to."""
        try:
            descriptor = os.open(self._final, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return self._begin()
        self.size = os.fstat(descriptor).st_size
        self.complete = True
        with contextlib.suppress(OSError):
            os.utime(self._final)  # used just now
        return descriptor

    def _begin(self) -> int:
        folder = self._final.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_stale(folder)
            self._temporary = folder / f"tmp-{secrets.token_hex(6)}"
            return os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            self._temporary = None
            with tempfile.TemporaryFile() as stream:
                return os.dup(stream.fileno())

    def _piece(self) -> None:
        if self._source is None:
            self._source = self._open_source(self._of)
        try:
            piece = self._source(_PIECE)
        except (EOFError, zlib.error, lzma.LZMAError, OSError, ValueError):
            self.damage = "the compressed file is damaged here, or cut short"
            piece = b""
        if not piece:
            self._finish()
            return
        try:
            write_all(self._descriptor, piece)
        except OSError as error:
            raise write_failure(error, self._final.parent) from None
        self.size += len(piece)

    def _finish(self) -> None:
        self.complete = True
        self._source = None
        if self.damage or self._temporary is None:
            self._forget()
            return
        with contextlib.suppress(OSError):
            self._temporary.replace(self._final)
            self._temporary = None
            trim(self._final.parent, LIMIT, keep=self._final, pattern="[0-9a-f]*")

    def _forget(self) -> None:
        """Takes the unfinished copy's name away; its bytes live as long as the descriptor."""
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None


def unpacked(content: Content, compression: str) -> Spool:
    """The content of a compressed file. `compression` is one of `MAGIC`'s names."""
    spool = Spool(content, compression, lambda of: _decompressor(_Stream(of), compression))
    spool.notes.append(f"the file is compressed ({compression}) and unpacked into the cache folder")
    return spool


def recoded(content: Content, encoding: str) -> Spool:
    """The text of a file in another encoding, as UTF-8; what means nothing in it becomes bytes that are not UTF-8."""
    return Spool(content, encoding, lambda of: _recoder(_Stream(of), encoding))


def with_line_feeds(content: Content) -> Spool:
    """A text whose lines end with carriage returns alone, as on old Macs, with line feeds in their place."""
    spool = Spool(content, "line feeds", lambda of: _line_feeds(_Stream(of)))
    spool.notes.append("the lines end with carriage returns alone, as on old Macs")
    return spool


class _Stream(io.RawIOBase):
    """Content as a file that is read from start to end."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._content
        while content.size <= self._position and not content.complete:
            content.more(0.05)
        data = content.read(self._position, min(self._position + len(buffer), content.size))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _decompressor(stream: _Stream, compression: str) -> Source:
    buffered = io.BufferedReader(stream, _PIECE)
    if compression == "zstd":
        # The standard library has it from Python 3.14 on; Arrow brings it anyway.
        import pyarrow

        return _zstd(pyarrow.CompressedInputStream(pyarrow.PythonFile(buffered, mode="r"), "zstd"))
    # Whole reads would lose what came before the place where a cut file ends.
    if compression == "gzip":
        return gzip.GzipFile(fileobj=buffered).read1
    if compression == "bzip2":
        return bz2.BZ2File(buffered).read1
    return lzma.LZMAFile(buffered).read1


def _zstd(stream: object) -> Source:
    def read(count: int) -> bytes:
        # In small pieces, because what precedes a damage within one is lost.
        return bytes(stream.read(min(count, 1 << 16)))  # type: ignore[attr-defined]

    return read


def _marked(error: UnicodeError) -> tuple[str, int]:
    """Stands for each byte that means nothing in the encoding: half a surrogate pair, which no text holds."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff" * max(error.end - error.start, 1), max(error.end, error.start + 1)


codecs.register_error("tui_tuner.marked", _marked)


def _recoder(stream: _Stream, encoding: str) -> Source:
    decoder = codecs.getincrementaldecoder(encoding)("tui_tuner.marked")
    ended = False

    def read(count: int) -> bytes:
        nonlocal ended
        while not ended:
            raw = stream.read(count) or b""
            ended = not raw
            text = decoder.decode(raw, final=ended)
            if text:
                # Half pairs become bytes that are not UTF-8, so that just their record is refused.
                return text.encode("utf-8", "surrogatepass")
        return b""

    return read


def _line_feeds(stream: _Stream) -> Source:
    def read(count: int) -> bytes:
        return (stream.read(count) or b"").replace(b"\r", b"\n")

    return read


def _folder() -> Path:
    return cache_dir() / "unpacked"


def _name(path: Path, what: str) -> str:
    key = f"{_FORMAT}\0{path}\0{identity(path)}\0{what}"
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _remove_stale(folder: Path) -> None:
    """Removes what processes that were killed left unfinished."""
    with contextlib.suppress(OSError):
        for path in folder.glob("tmp-*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE:
                    path.unlink()
