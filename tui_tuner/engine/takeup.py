"""Takes a run up, before any heavy library is imported: from here on it is known who works on it and how that ended.

Loading the libraries takes seconds, in which a process can be killed or fail as well as later. So the lock and the
first event come before them, and what fails before the run has said another word is written down as its end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tui_tuner.errors import TunerError, brief
from tui_tuner.runs.control import StopRequested
from tui_tuner.runs.events import EventLog
from tui_tuner.runs.folder import RunFolder
from tui_tuner.runs.lock import RunLock


@contextmanager
def taken_up(path: Path) -> Iterator[RunFolder]:
    """The run at `path`, locked for as long as this is open.

    Raises:
        TunerError: there is no such run, or another process writes it.
    """
    folder = RunFolder.open(path)
    with RunLock(folder):
        if _size(folder) == 0:
            _write(folder, "taken_up", pid=os.getpid())
        before = _size(folder)
        try:
            yield folder
        except StopRequested:
            raise
        except BaseException as error:
            if _size(folder) == before:  # it could not say so itself
                _write(folder, "run_finished", status="failed", reason=_sentence(error))
            raise


def note_end(folder: RunFolder, status: str, reason: str) -> None:
    """Writes the end of a session that could not write it itself; does nothing where somebody works on the run."""
    with suppress(TunerError), RunLock(folder):
        _write(folder, "run_finished", status=status, reason=reason)


def _write(folder: RunFolder, type: str, **fields: object) -> None:
    """Writes an event, where that is possible: a disk in trouble is told by whoever needs it."""
    with suppress(TunerError), EventLog(folder.events) as log:
        log.append(type, **fields)


def _size(folder: RunFolder) -> int:
    try:
        return folder.events.stat().st_size
    except OSError:
        return 0


def _sentence(error: BaseException) -> str:
    if isinstance(error, TunerError):
        return error.sentence()
    if isinstance(error, MemoryError):
        return "the machine ran out of memory"
    return f"an unexpected error: {type(error).__name__}: {brief(error)}"
