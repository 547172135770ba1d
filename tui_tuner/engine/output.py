"""Keeps what libraries print away from the terminal: into a run's `engine.log`.

Two ways lead to a terminal, and both are closed while a job runs: Python's `sys.stdout`/`sys.stderr` for the job's own
thread, and the file descriptors 1 and 2 for code below Python. A face that owns the terminal writes to duplicates of
those descriptors, made before any job began.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from tui_tuner.runs.files import write_failure


class _Router(io.TextIOBase):
    """A stream that gives one thread's writes to a file and everyone else's to the stream that was there before."""

    def __init__(self, thread: int, mine: TextIO, theirs: Any) -> None:
        self._thread, self._mine, self.theirs = thread, mine, theirs

    def _stream(self) -> Any:
        return self._mine if threading.get_ident() == self._thread else self.theirs

    def write(self, text: str) -> int:
        stream = self._stream()
        if stream is self._mine:
            # What a library had to say is not worth a run: on a full disk it is lost.
            with contextlib.suppress(OSError):
                stream.write(text)
        elif stream is not None:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        stream = self._stream()
        if stream is self._mine:
            with contextlib.suppress(OSError):
                stream.flush()
        elif stream is not None:
            stream.flush()

    def isatty(self) -> bool:
        return bool(self.theirs.isatty()) if threading.get_ident() != self._thread and self.theirs else False

    def fileno(self) -> int:
        return int(self._stream().fileno())

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._stream(), "encoding", None) or "utf-8"

    def __getattr__(self, name: str) -> Any:
        # What a text stream has besides (`buffer`, `reconfigure`, …) is that of the stream it stands for.
        return getattr(self._stream(), name)


@contextlib.contextmanager
def printing_to(path: Path) -> Iterator[None]:
    """Sends all that this thread prints, and all C code of the process, to the end of a file while open.

    Raises:
        TunerError: when the file cannot be opened.
    """
    with _log_at(path) as log:
        me = threading.get_ident()
        routers = (_Router(me, log, sys.stdout), _Router(me, log, sys.stderr))
        sys.stdout, sys.stderr = routers
        with _descriptors_to(log.fileno()):
            try:
                yield
            finally:
                # Whoever replaced the streams meanwhile keeps theirs.
                if sys.stdout is routers[0]:
                    sys.stdout = routers[0].theirs
                if sys.stderr is routers[1]:
                    sys.stderr = routers[1].theirs


@contextlib.contextmanager
def _log_at(path: Path) -> Iterator[TextIO]:
    try:
        log = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
    except OSError as error:
        raise write_failure(error, path) from error
    try:
        yield log
    finally:
        with contextlib.suppress(OSError):  # closing writes what is left, for which there may be no space
            log.close()


@contextlib.contextmanager
def _descriptors_to(target: int) -> Iterator[None]:
    saved: list[tuple[int, int]] = []
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # a process may have none of them
            saved.append((descriptor, os.dup(descriptor)))
            os.dup2(target, descriptor)
    try:
        yield
    finally:
        for descriptor, copy in saved:
            os.dup2(copy, descriptor)
            os.close(copy)
