"""What holds no records at all, told from its first bytes, with the true reason.

Only what is sure is refused here. A file that begins like text is left to the readers, however damaged it is.
"""

from __future__ import annotations

import codecs
from pathlib import Path

from tui_tuner.errors import TunerError

IMAGES = frozenset([".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".avif"])
SOUNDS_AND_FILMS = frozenset([".wav", ".mp3", ".flac", ".ogg", ".m4a", ".mp4", ".mov", ".mkv", ".webm", ".avi"])

_OTHER_FORMATS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\xd0\xcf\x11\xe0", "is an old spreadsheet or document", "save it as CSV"),
    (0, b"%PDF-", "is a PDF", "bring the text as JSONL or CSV"),
    (0, b"SQLite format 3\x00", "is a database", "save the table as CSV"),
    (0, b"{\\rtf", "is a document with formatting (RTF)", "save it as plain text or CSV"),
    (0, b"\x89PNG", "is a picture", "bring text as JSONL or CSV"),
    (0, b"\xff\xd8\xff", "is a picture", "bring text as JSONL or CSV"),
    (0, b"GIF8", "is a picture", "bring text as JSONL or CSV"),
    (8, b"WEBP", "is a picture", "bring text as JSONL or CSV"),
    (4, b"ftyp", "is a film, a sound or a picture", "bring text as JSONL or CSV"),
    (0, b"ID3", "is a sound", "bring text as JSONL or CSV"),
    (8, b"WAVE", "is a sound", "bring text as JSONL or CSV"),
    (0, b"OggS", "is a sound", "bring text as JSONL or CSV"),
    (0, b"fLaC", "is a sound", "bring text as JSONL or CSV"),
    (0, b"GGUF", "is a model (GGUF), not data", "name it as model.path, and the data here"),
    (0, b"\x80\x02", "is a pickle, which can run code when it is opened", "save it as JSONL or Parquet"),
    (0, b"\x80\x03", "is a pickle, which can run code when it is opened", "save it as JSONL or Parquet"),
    (0, b"\x80\x04", "is a pickle, which can run code when it is opened", "save it as JSONL or Parquet"),
    (0, b"\x80\x05", "is a pickle, which can run code when it is opened", "save it as JSONL or Parquet"),
    (0, b"\x93NUMPY", "is an array of numbers", "bring text as JSONL or CSV"),
    (0, b"\x89HDF", "is an HDF5 file", "save it as Parquet or CSV"),
    (0, b"Obj\x01", "is an Avro file", "save it as Parquet or JSONL"),
    (0, b"ORC", "is an ORC file", "save it as Parquet or JSONL"),
    (0, b"7z\xbc\xaf\x27\x1c", "is a 7z archive", "unpack it first"),
    (0, b"Rar!", "is a RAR archive", "unpack it first"),
    (257, b"ustar", "is a tar archive", "unpack it first"),
    (0, b"\x7fELF", "is a program", "bring JSONL or CSV"),
    (0, b"\xcf\xfa\xed\xfe", "is a program", "bring JSONL or CSV"),
    (0, b"bplist", "is a property list", "save it as JSON"),
)
_ZIPPED = (
    (b"xl/", "is a spreadsheet (.xlsx)", "save it as CSV"),
    (b"word/", "is a document (.docx)", "save it as plain text or CSV"),
    (b"ppt/", "is a set of slides (.pptx)", "bring the text as JSONL or CSV"),
    (b"application/vnd.oasis.opendocument", "is a spreadsheet or document (OpenDocument)", "save it as CSV"),
    (b"/data.pkl", "is a pickled model or tensor", "bring JSONL or CSV"),
    (b".npy", "is an array of numbers (.npz)", "bring text as JSONL or CSV"),
)
_PAGES_OF_ERRORS = (
    b"404: not found",
    b"entry not found",
    b"repository not found",
    b"invalid username or password",
    b"access to this resource is disabled",
)


def refuse(path: Path, head: bytes) -> None:
    """Looks at the first bytes of a file.

    Raises:
        TunerError: it is empty, a pointer to a file elsewhere, a web page, or of a format that holds no records.
    """
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
    if head.startswith((b"/annex/objects/", b"../.git/annex/", b".git/annex/")):
        raise TunerError(
            "is a git-annex pointer, not the data itself",
            code="lfs-pointer",
            where=where,
            fix="fetch it with git annex get",
        )
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:200].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        raise TunerError(
            "is a web page, not data",
            code="web-page",
            where=where,
            fix="download the raw file instead of the page that shows it",
        )
    if len(head) < 2000 and start.startswith(_PAGES_OF_ERRORS):
        first = head.split(b"\n")[0][:80].decode("utf-8", "replace")
        raise TunerError(
            f'is the message of a failed download ("{first}")', code="web-page", where=where, fix="download it again"
        )
    if start.startswith(b"<?xml"):
        raise _unsupported("is XML", "save the rows as JSONL or CSV", where)
    if head.startswith(b"PK\x03\x04"):
        for sign, message, fix in _ZIPPED:
            if sign in head:
                raise _unsupported(message, fix, where)
        raise _unsupported("is a zip archive", "unpack it", where)
    for offset, magic, message, fix in _OTHER_FORMATS:
        if head[offset:].startswith(magic):
            raise _unsupported(message, fix, where)
    if len(head) > 10 and head[8:10] == b'{"' and head[4:8] == b"\0\0\0\0":
        raise _unsupported("is a model's weights (safetensors), not data", "name the data here", where)


def refuse_binary(path: Path, head: bytes) -> None:
    """Raises TunerError where the first bytes are no text."""
    if b"\x00" in head:
        raise TunerError("holds binary data, not text", code="not-text", where=str(path), fix="bring JSONL or CSV")


def no_rows(path: Path, message: str = "holds no rows") -> TunerError:
    """The error for a file that could hold rows and has none."""
    return TunerError(message, code="no-rows", where=str(path), fix="bring a file with rows")


def unsupported_text(path: Path) -> TunerError:
    """The error for a text without rows and columns."""
    return _unsupported(
        "is plain text without columns",
        "bring JSONL, JSON, CSV, TSV or Parquet, or call it .txt to make each line a row",
        str(path),
    )


def _unsupported(message: str, fix: str, where: str) -> TunerError:
    return TunerError(message, code="unsupported-format", where=where, fix=fix)
