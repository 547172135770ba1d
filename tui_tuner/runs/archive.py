"""Archives of runs: a gzipped tar with its list of contents first, the same bytes for the same contents.

An archive may come from anybody. What is taken out of one are plain files of known names, below the folder that is
given, of the sizes and hashes that the list says; a link, an absolute name, a `..`, a pickle or anything else that is
not expected refuses the whole archive. Nothing of it is ever run, and nothing of it decides where a file goes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from ..errors import TunerError
from .files import encode_json, read_failure, replacing, write_failure

CONTENTS: Final = "bundle.json"
"""The first member: what the archive says of itself, and its files."""
FORMAT: Final = 1
_NAME: Final = re.compile(
    r"config\.toml|meta\.json|events\.jsonl|report\.md|template\.jinja"
    r"|data/(?:train|valid|test)\.jsonl"
    r"|adapters/[A-Za-z0-9_][A-Za-z0-9._-]{0,60}\.(?:safetensors|json|jinja)"
    r"|evaluation/[A-Za-z0-9_][A-Za-z0-9._-]{0,60}\.(?:json|jsonl)"
)
"""What may be in one: texts, and weights in a form that holds nothing but numbers."""
_BLOCK: Final = 512
_PIECE: Final = 1 << 20
_LARGEST_LIST: Final = 1 << 20
_MOST_FILES: Final = 200
_HASH: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Part:
    """A file of an archive.

    Attributes:
        name: what it is called in there.
        source: its bytes, or a file that has them.
    """

    name: str
    source: bytes | Path


def may_hold(name: str) -> bool:
    """Whether a file of this name may be in an archive."""
    return _NAME.fullmatch(name) is not None


def write_archive(
    path: Path,
    about: Mapping[str, Any],
    parts: Sequence[Part],
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Writes an archive, whole or not at all; returns its size in bytes.

    Args:
        path: where; a file that is there is replaced.
        about: what the archive says of itself, as JSON.
        parts: its files; they go in in the order of their names.
        tell: called with the bytes of them that went in so far, and with all there are.

    Raises:
        TunerError: a file cannot be read, changes meanwhile, is no plain file, or the archive cannot be written.
    """
    parts = sorted(parts, key=lambda part: part.name)
    assert all(may_hold(part.name) for part in parts)
    listed = {part.name: _measured(part) for part in parts}
    head = encode_json({"format": FORMAT, **about, "files": listed}, indent=2) + b"\n"
    try:
        with (
            replacing(path) as temporary,
            temporary.open("wb") as raw,
            gzip.GzipFile(fileobj=raw, filename="", mode="wb", compresslevel=6, mtime=0) as stream,
        ):
            _begin(stream, CONTENTS, len(head))
            stream.write(head + bytes(-len(head) % _BLOCK))
            done, total = 0, sum(each["size"] for each in listed.values())
            for part in parts:
                for size in _put_part(stream, part, listed[part.name]):
                    done += size
                    tell(done, total)
            stream.write(bytes(2 * _BLOCK))
        return path.stat().st_size
    except OSError as error:
        raise write_failure(error, path) from error


def unpack(path: Path, into: Path) -> dict[str, Any]:
    """Takes everything out of an archive into a new folder; returns what the archive says of itself.

    Args:
        into: a folder that is not there yet. When this raises, it is gone again.

    Raises:
        TunerError: `not-found` and the like, `not-a-bundle`, or `bundle-refused`; `bundle-damaged` where the contents
            are not those that are listed; or `no-space`.
    """
    try:
        into.mkdir(parents=True)
        with _opened(path) as stream:
            about = _contents(stream, path)
            wanted: dict[str, Any] = about["files"]
            needed = sum(one["size"] for one in wanted.values())
            if needed > shutil.disk_usage(into).free:
                raise TunerError("no space left for what is in the archive", code="no-space", where=str(path))
            left = dict(wanted)
            while (head := _next_header(stream, path)) is not None:
                told = left.pop(head.name, None)
                if told is None:
                    raise _refused(path, f"it holds “{head.name}” twice, or without listing it")
                if head.size != told["size"]:
                    raise _damaged(path, f"{head.name} has {head.size:,} bytes and {told['size']:,} are listed")
                _take(stream, head, into / head.name, told["sha256"], path)
            if left:
                raise _damaged(path, f"{next(iter(left))} is missing")
            return about
    except OSError as error:
        shutil.rmtree(into, ignore_errors=True)
        raise write_failure(error, into) from error
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise


# -- writing ----------------------------------------------------------------------------------------------------------
def _measured(part: Part) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(part.source):
        digest.update(piece)
        size += len(piece)
    return {"size": size, "sha256": digest.hexdigest()}


def _pieces(source: bytes | Path) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    if source.is_symlink() or not source.is_file():
        raise TunerError("is no plain file, so it is not handed on", code="bundle-refused", where=str(source))
    try:
        with source.open("rb") as stream:
            while piece := stream.read(_PIECE):
                yield piece
    except OSError as error:
        raise read_failure(error, source) from error


def _put_part(stream: gzip.GzipFile, part: Part, told: Mapping[str, Any]) -> Iterator[int]:
    """Puts a file in; gives the bytes of each of its pieces once they are in."""
    digest = hashlib.sha256()
    _begin(stream, part.name, told["size"])
    for piece in _pieces(part.source):
        digest.update(piece)
        stream.write(piece)
        yield len(piece)
    stream.write(bytes(-told["size"] % _BLOCK))
    if digest.hexdigest() != told["sha256"]:
        raise TunerError(
            "changed while it was read", code="file-changed", where=str(part.source), fix="wait until nobody writes it"
        )


def _begin(stream: gzip.GzipFile, name: str, size: int) -> None:
    """A member's head, with nothing in it that depends on whose file it was, or when; its bytes and padding follow."""
    head = tarfile.TarInfo(name)
    head.size, head.mode, head.mtime = size, 0o644, 0
    stream.write(head.tobuf(tarfile.USTAR_FORMAT, "ascii"))


# -- reading ----------------------------------------------------------------------------------------------------------
@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The unzipped bytes of an archive; what is wrong with them becomes a sentence."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise read_failure(error, path) from error
    with raw:
        try:
            yield gzip.GzipFile(fileobj=raw, mode="rb")  # type: ignore[misc]
        except gzip.BadGzipFile as error:
            raise _no_bundle(path) from error
        except (EOFError, zlib.error) as error:
            raise _damaged(path, "it ends too early, or its bytes are not those that were written") from error


def _contents(stream: IO[bytes], path: Path) -> dict[str, Any]:
    """The list at the beginning, checked in every respect."""
    head = _next_header(stream, path)
    if head is None or head.name != CONTENTS or head.size > _LARGEST_LIST:
        raise _no_bundle(path)
    try:
        about = json.loads(_exactly(stream, head.size, path))
        stream.read(-head.size % _BLOCK)
        files = about["files"]
        formed = about["format"]
        fine = len(files) <= _MOST_FILES and all(_is_listed(name, told) for name, told in files.items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _no_bundle(path) from error
    if formed != FORMAT:
        raise TunerError(
            f"is of format {formed!r:.20}, and this version reads {FORMAT}",
            code="bundle-format",
            where=str(path),
            fix="take a newer tui-tuner",
        )
    if not fine:
        raise _refused(path, "its list names files that no run has")
    return dict(about)


def _is_listed(name: str, told: Any) -> bool:
    size, digest = told["size"], told["sha256"]
    return may_hold(name) and type(size) is int and size >= 0 and _HASH.fullmatch(digest) is not None


def _next_header(stream: IO[bytes], path: Path) -> tarfile.TarInfo | None:
    """The head of the next member, which must be a plain file; None behind the last one. Longer forms of heads, which
    may be of any length, are not followed."""
    block = _exactly(stream, _BLOCK, path)
    if not block.strip(b"\0"):
        return None
    try:
        head = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeError) as error:
        raise _no_bundle(path) from error
    if head.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or head.size < 0:
        raise _refused(path, f"“{head.name}” is no plain file")
    if head.name != CONTENTS and not may_hold(head.name):
        raise _refused(path, f"“{head.name}” is no file that a run has")
    return head


def _take(stream: IO[bytes], head: tarfile.TarInfo, place: Path, expected: str, path: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    digest, left = hashlib.sha256(), head.size
    with place.open("xb") as file:
        while left:
            piece = _exactly(stream, min(left, _PIECE), path)
            digest.update(piece)
            file.write(piece)
            left -= len(piece)
    stream.read(-head.size % _BLOCK)
    if digest.hexdigest() != expected:
        raise _damaged(path, f"{head.name} is not what was listed")


def _exactly(stream: IO[bytes], count: int, path: Path) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise _damaged(path, "it ends too early")
    return found


def _no_bundle(path: Path) -> TunerError:
    return TunerError(
        "is no bundle of a run", code="not-a-bundle", where=str(path), fix="make one with `tui-tuner bundle RUN`"
    )


def _refused(path: Path, why: str) -> TunerError:
    return TunerError(
        f"is refused: {why}", code="bundle-refused", where=str(path), fix="ask who made it for one made anew"
    )


def _damaged(path: Path, why: str) -> TunerError:
    return TunerError(f"is damaged: {why}", code="bundle-damaged", where=str(path), fix="get it again")
