"""From a file's bytes to lines of text, and the refusal of files that hold no rows at all.

Lines end at a line feed and nowhere else: U+2028 and its like are ordinary characters inside JSON. What is not UTF-8 is
read as Windows-1252 line by line, and said so. Never reads more than one line ahead, so that a large file streams.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from tui_tuner.errors import TunerError
from tui_tuner.runs.files import read_failure

_HEAD = 4096
_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FORMATS = (
    (b"PK\x03\x04", "is a spreadsheet or a zip archive", "save it as CSV, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "is an old spreadsheet", "save it as CSV"),
    (b"\x1f\x8b", "is compressed", "unpack it first (gunzip)"),
    (b"(\xb5/\xfd", "is compressed", "unpack it first (zstd -d)"),
    (b"PAR1", "is a Parquet file", "save it as JSONL or CSV"),
    (b"ARROW1", "is an Arrow file", "save it as JSONL or CSV"),
    (b"%PDF-", "is a PDF", "bring the text as JSONL or CSV"),
    (b"SQLite format 3\x00", "is a database", "save the table as CSV"),
)


class Lines:
    """The lines of a file as text, each with its line feed; iterate once, then ask for the notes."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            TunerError: no such file, an empty or blank one, a Git LFS pointer, a web page, or no text at all.
        """
        self.path = path
        self._not_utf8: list[int] = []
        self._wide = ""
        head = _head(path)
        _refuse_what_holds_no_rows(path, head)
        for mark, encoding in _WIDE:
            if head.startswith(mark):
                self._wide = encoding
                return
        if b"\x00" in head:
            raise TunerError("holds binary data, not text", code="not-text", where=str(path), fix="bring JSONL or CSV")

    def __iter__(self) -> Iterator[str]:
        try:
            if self._wide:
                yield from self._wide_lines()
            else:
                yield from self._byte_lines()
        except OSError as error:
            raise read_failure(error, self.path) from None

    def notes(self) -> list[str]:
        """What had to be assumed about the encoding, once the lines are read."""
        if self._wide:
            return [f"the file is encoded as {self._wide.upper()}"]
        if not self._not_utf8:
            return []
        count = len(self._not_utf8)
        lines = (
            f"line {self._not_utf8[0]} is" if count == 1 else f"{count:,} lines (the first is {self._not_utf8[0]}) are"
        )
        return [f"{lines} not UTF-8 and read as Windows-1252; look whether accented letters are right"]

    def _byte_lines(self) -> Iterator[str]:
        with self.path.open("rb") as stream:
            for number, raw in enumerate(stream, 1):
                if number == 1:
                    raw = raw.removeprefix(codecs.BOM_UTF8)
                try:
                    yield raw.decode("utf-8")
                except UnicodeDecodeError:
                    self._not_utf8.append(number)
                    yield _single_byte(raw)

    def _wide_lines(self) -> Iterator[str]:
        try:
            text = self.path.read_bytes().decode(self._wide)
        except UnicodeDecodeError as error:
            raise TunerError(
                f"is not the {self._wide.upper()} that it claims to be (byte {error.start:,})",
                code="bad-encoding",
                where=str(self.path),
                fix="save it as UTF-8",
            ) from None
        for line in text.split("\n"):
            yield line + "\n"


def _single_byte(raw: bytes) -> str:
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError:  # five bytes mean nothing in Windows-1252
        return raw.decode("latin-1")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_HEAD)
    except OSError as error:
        raise read_failure(error, path) from None


def _refuse_what_holds_no_rows(path: Path, head: bytes) -> None:
    where = str(path)
    if not head:
        raise TunerError("is empty (0 bytes)", code="empty-file", where=where, fix="bring a file with rows")
    if head.startswith(b"version https://git-lfs"):
        raise TunerError(
            "is a Git LFS pointer, not the data itself",
            code="lfs-pointer",
            where=where,
            fix="fetch it with git lfs pull",
        )
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:200].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        raise TunerError(
            "is a web page, not data",
            code="web-page",
            where=where,
            fix="download the raw file instead of the page that shows it",
        )
    for magic, message, fix in _OTHER_FORMATS:
        if head.startswith(magic):
            raise TunerError(message, code="unsupported-format", where=where, fix=fix)
