"""Makes a folder or a file beside the place it is for, and gives it its name when it is whole.

A target is claimed first: one process makes it at a time, and what a killed one left beside it is cleared up. What lies
at the target is replaced in one step where the system can exchange two names; where it cannot, what was there waits
under a hidden name and is put back by the next claim if the process dies in between. Nothing that is not whole ever has
the target's name.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tui_tuner.errors import TunerError
from tui_tuner.runs.files import sync_folder, sync_to_disk, write_failure

_CANNOT_LOCK = {errno.ENOTSUP, errno.ENOLCK, errno.EINVAL, errno.ENOSYS}
_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS."""
_HERE = -100
"""AT_FDCWD of Linux."""
_held: set[tuple[int, Path]] = set()
"""Targets that this process has claimed, by thread."""


@contextmanager
def claimed(target: Path) -> Iterator[None]:
    """Has a target for oneself while open; a claim within a claim of the same thread is the same one.

    Raises:
        TunerError: another one is making it (code "target-busy"), or its folder cannot be written.
    """
    key = threading.get_ident(), target
    if key in _held:
        yield
        return
    made = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(target)
    except OSError as error:
        _forget(made)
        raise write_failure(error, target) from error
    _held.add(key)
    try:
        _clear_up(target, locked=lock is not None)
        yield
    finally:
        _held.discard(key)
        if lock is not None:
            with contextlib.suppress(OSError):  # while it is held, so that nobody else's goes
                _lock_file(target).unlink()
            os.close(lock)
        if not os.path.lexists(target):
            _forget(made)


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A hidden folder beside the target, claimed with it, and gone afterwards.

    Raises:
        TunerError: as `claimed`.
    """
    with claimed(target):
        folder = target.parent / f".{target.name}.partial-{os.getpid()}"
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        except OSError as error:
            raise write_failure(error, target) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def take_place(made: Path, target: Path) -> None:
    """Gives what is finished its name; what has the name goes when the new one has it.

    Args:
        made: a folder or a file beside the target.

    Raises:
        TunerError: it cannot be renamed; what was there is there then.
    """
    try:
        _sync(made)
        if not os.path.lexists(target):
            made.rename(target)
        elif not _exchanged(made, target):
            aside = _aside(target)
            target.rename(aside)
            try:
                made.rename(target)
            except OSError:
                aside.rename(target)
                raise
            shutil.rmtree(aside, ignore_errors=True)
        sync_folder(target.parent)
    except OSError as error:
        raise write_failure(error, target) from error
    if made.is_dir():  # after an exchange it is the old one
        shutil.rmtree(made, ignore_errors=True)


def _lock_file(target: Path) -> Path:
    return target.parent / f".{target.name}.making"


def _aside(target: Path) -> Path:
    return target.parent / f".{target.name}.replaced-{os.getpid()}"


def _lock(target: Path) -> int | None:
    """A lock that ends with the process, whatever becomes of it; None where the file system has none.

    Raises:
        TunerError: somebody has it (code "target-busy").
        OSError: the folder cannot be written.
    """
    path = _lock_file(target)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it before may have removed the file meanwhile: then this is the lock of nothing.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    with contextlib.suppress(OSError):  # on a full disk nobody learns who it is
                        os.ftruncate(descriptor, 0)
                        os.write(descriptor, str(os.getpid()).encode())
                    return descriptor
        except BlockingIOError as error:
            who = os.read(descriptor, 20).decode("ascii", "replace")
            os.close(descriptor)
            raise TunerError(
                f"it is being made right now, by process {who or 'unknown'}", code="target-busy", where=str(target),
                fix="wait until that is done, or name another folder",
            ) from error  # fmt: skip
        except OSError as error:
            os.close(descriptor)
            if error.errno not in _CANNOT_LOCK:
                raise
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        os.close(descriptor)


def _clear_up(target: Path, *, locked: bool) -> None:
    """Puts back what a killed process had taken aside, and removes what else it left.

    Args:
        locked: whether nobody else can be at work here; if that is not known, what a living process made stays.
    """
    for old in target.parent.glob(f".{target.name}.replaced-*"):
        if not _living(old, locked=locked):
            with contextlib.suppress(OSError):
                if not os.path.lexists(target):
                    old.rename(target)
            shutil.rmtree(old, ignore_errors=True)
    for old in target.parent.glob(f".{target.name}.partial-*"):
        if not _living(old, locked=locked):
            shutil.rmtree(old, ignore_errors=True)


def _living(left: Path, *, locked: bool) -> bool:
    import psutil

    number = left.name.rpartition("-")[2]
    return not locked and number.isdigit() and psutil.pid_exists(int(number))


def _forget(folders: list[Path]) -> None:
    """Removes folders that were made for a target that was not, the inner ones first."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _exchanged(one: Path, other: Path) -> bool:
    """Has two names change places in one step; False where the system or the file system cannot."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            status = library.renamex_np(os.fsencode(one), os.fsencode(other), _EXCHANGE)
        else:
            status = library.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE)
    except (OSError, AttributeError):
        return False
    return bool(status == 0)


def _sync(made: Path) -> None:
    for file in made.iterdir() if made.is_dir() else (made,):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            sync_to_disk(descriptor)
        finally:
            os.close(descriptor)
    if made.is_dir():
        sync_folder(made)
