"""Files that are either the old one or the new one, never half of either.

What is kept of a run, presets and results are written through here: to a temporary file in the same folder, flushed to
the disk, then renamed over the old one. It must never leave the target damaged, nor a temporary file behind after a
failure that it lived to see.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tui_tuner.errors import TunerError

_TEMPORARY = ".tmp-"
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
# Some file systems cannot flush a folder, or not in Apple's way; that is no reason to fail a write that succeeded.
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOTTY, errno.EBADF, errno.EACCES, errno.EPERM, errno.ENOSYS}


def write_failure(error: OSError, path: Path) -> TunerError:
    """What a failed write means to a person: no space, no right to write, no such folder, something of another kind in
    the way, or the system's own words."""
    if error.errno in _NO_SPACE:
        return TunerError(
            "no space left on the disk", code="no-space", where=str(path), fix="free some space and resume the run"
        )
    if error.errno in _NOT_WRITABLE:
        return TunerError(
            "may not be written", code="not-writable", where=str(path), fix="choose another folder or change its rights"
        )
    if (blocking := _in_the_way(error, path)) is not None:
        return blocking
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return TunerError(
            "cannot be written because its folder is missing",
            code="not-found",
            where=str(path),
            fix="create the folder first",
        )
    return TunerError(f"cannot be written ({error.strerror or error})", code="write-failed", where=str(path))


def _in_the_way(error: OSError, path: Path) -> TunerError | None:
    """The failure of a write that found a file where a folder should be, or the other way round; None for others."""
    fix = "move it away, or choose another place"
    if error.errno == errno.EISDIR:
        return TunerError("is a folder where a file should be", code="in-the-way", where=str(path), fix=fix)
    if error.errno in {errno.ENOTDIR, errno.EEXIST}:
        with suppress(OSError):
            # Of links that lead nowhere, `lexists` knows too.
            found = next(place for place in (path, *path.parents) if os.path.lexists(place))
            if not found.is_dir():
                return TunerError("is a file where a folder should be", code="in-the-way", where=str(found), fix=fix)
    return None


def read_failure(error: OSError, path: Path) -> TunerError:
    """What a failed read means to a person: not there, no right to read, or the system's own words."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return TunerError("does not exist", code="not-found", where=str(path), fix="check the path")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return TunerError("may not be read", code="not-readable", where=str(path), fix="change its rights")
    return TunerError(f"cannot be read ({error.strerror or error})", code="not-readable", where=str(path))


def sync_to_disk(descriptor: int) -> None:
    """Have an open file's contents on the disk itself when this returns, as far as the platform can promise it.

    Raises:
        OSError: when the system reports that the contents did not get there.
    """
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        # On macOS fsync stops at the drive's cache, which a power cut empties.
        try:
            fcntl.fcntl(descriptor, full)
            return
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise
    os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Make a rename or a new name in `path` outlast a power cut, where the file system can."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`: in one call as a rule, in several when the system takes only a part."""
    view = memoryview(data)
    while view:
        written = os.write(descriptor, view)
        if written <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        view = view[written:]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Offer a temporary path beside `path`; what is written there takes the place of `path` when the block ends well.

    For writers that insist on a file name. The temporary name keeps the suffix. When the block raises, the old file
    stays as it was and the temporary one is removed.

    Raises:
        TunerError: `no-space`, `not-writable` or `not-found`, naming `path`.
    """
    temporary = path.with_name(f"{_TEMPORARY}{secrets.token_hex(6)}{path.suffix}")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            sync_to_disk(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise write_failure(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> int:
    """Delete the temporary files that a kill left in `folder` (not below it); returns how many there were.

    For the only writer of that folder: a temporary file of another writer may still be in use.
    """
    removed = 0
    with suppress(OSError):
        for path in folder.glob(f"{_TEMPORARY}*"):
            with suppress(OSError):
                path.unlink()
                removed += 1
    return removed


def write_atomic(path: Path, data: bytes | str) -> None:
    """Put `data` (text as UTF-8) in place of whatever `path` holds, all or nothing; keeps the old file's permissions.

    Raises:
        TunerError: `no-space`, `not-writable` or `not-found`, naming `path`; the old file is intact then.
    """
    # Text of a model may hold half a surrogate pair, which UTF-8 has no bytes for; it is written as its escape.
    raw = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    path = Path(path)
    with replacing(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, path.stat().st_mode & 0o7777)
            write_all(descriptor, raw)
        finally:
            os.close(descriptor)
