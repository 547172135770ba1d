"""Runs that were deleted: put aside in one step, brought back as they were, and gone only when somebody says so.

They lie beside the runs in a folder that no list shows. It must never touch a run that somebody writes.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import TunerError
from .files import sync_folder, write_failure
from .folder import RunFolder, free_name
from .lock import RunLock
from .queue import RunQueue

TRASH = ".trash"


@dataclass(frozen=True)
class Deleted:
    """A run that was put aside.

    Attributes:
        run: its folder's name.
        when: seconds since the epoch.
        size: bytes of its files.
        path: where it lies.
    """

    run: str
    when: float
    size: int
    path: Path


def delete_run(folder: RunFolder) -> Path:
    """Puts a run aside; returns where it lies now.

    Raises:
        TunerError: `run-locked` when somebody writes it, `run-queued` when it is in the queue, or it cannot be moved.
    """
    if RunQueue(folder.path.parent).read().place(folder.name) is not None:
        raise TunerError(
            "the run waits in the queue",
            code="run-queued",
            where=folder.name,
            fix=f"take it out first with `tui-tuner queue remove {folder.name}`, or x on the Runs screen",
            usage=True,
        )
    lock = RunLock(folder)
    lock.acquire()
    try:
        trash = folder.path.parent / TRASH
        trash.mkdir(exist_ok=True)
        aside = free_name(trash, folder.name)
        folder.path.rename(aside)
        os.utime(aside)
        sync_folder(trash)
        sync_folder(folder.path.parent)
    except OSError as error:
        raise write_failure(error, folder.path) from error
    finally:
        lock.release()
    with suppress(OSError):
        (aside / "lock").unlink()
    return aside


def restore_run(name: str, runs_dir: Path) -> RunFolder:
    """Brings a deleted run back under its name, or beside one that has it by now.

    Raises:
        TunerError: `run-not-found`, or it cannot be moved.
    """
    found = next((each for each in deleted_runs(runs_dir) if each.run == name), None)
    if found is None:
        raise TunerError(
            f"there is no deleted run “{name}”",
            code="run-not-found",
            where=str(runs_dir / TRASH),
            fix="list them with `tui-tuner runs --deleted`",
            usage=True,
        )
    try:
        place = free_name(runs_dir, name)
        found.path.rename(place)
        sync_folder(runs_dir)
    except OSError as error:
        raise write_failure(error, found.path) from error
    return RunFolder.open(place)


def deleted_runs(runs_dir: Path) -> list[Deleted]:
    """The runs that were deleted, the last one first."""
    try:
        entries = [entry for entry in (runs_dir / TRASH).iterdir() if entry.is_dir() and not entry.is_symlink()]
    except OSError:
        return []
    found = [Deleted(entry.name, _moment(entry), _size(entry), entry) for entry in entries]
    return sorted(found, key=lambda each: (each.when, each.run), reverse=True)


def empty_trash(runs_dir: Path, before: float | None = None) -> int:
    """Deletes for good what was put aside, all of it or what was before a moment; returns the bytes that are free now.

    Raises:
        TunerError: something could not be deleted; the rest is gone.
    """
    freed, failure = 0, None
    for each in deleted_runs(runs_dir):
        if before is not None and each.when >= before:
            continue
        try:
            shutil.rmtree(each.path)
            freed += each.size
        except OSError as error:
            failure = error
    if failure is not None:
        raise write_failure(failure, runs_dir / TRASH) from failure
    return freed


def _moment(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _size(path: Path) -> int:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += (Path(folder) / name).lstat().st_size
    return total
