"""Writes a transcript's lines on a thread of its own, so that neither a slow disk nor a flush holds up who talks.

Lines are written in the order in which they came, each in a single write. What cannot be written now (a full disk, a
folder that went away) is kept and written as soon as that is possible; meanwhile `problem` says so. It must never raise
in the face of who talks, never write into a file that another process is writing, and never bring back a folder that
somebody deleted.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner.atomic import read_failure, write_failure
from tui_tuner.errors import TunerError
from tui_tuner.runs.events import EventLog

HOLD = 1.0
"""Seconds after which text is written although no sentence has ended."""
RETRY = 2.0
"""Seconds between two attempts to write what could not be written."""
_SENTENCE_ENDS = ".!?…。！？\n"


@dataclass(frozen=True)
class Entry:
    """One line to be: when it happened, what, and its fields."""

    t: float
    type: str
    fields: dict[str, Any]


@dataclass
class _Growing:
    """Text that waits for the end of its sentence."""

    type: str
    fields: dict[str, Any]
    parts: list[str]
    since: float


class Scribe:
    """The writer of one transcript.

    Args:
        folder: where a new transcript is made, with the first line.
        stem: its name without the suffix; a number is added when it is taken.
        clock: seconds since the epoch.
        told: what an existing transcript holds already, in case that it has to be written anew.
        path: the existing transcript, which is opened at once.

    Raises:
        TunerError: the existing transcript cannot be opened (as `EventLog`), or another process is writing it
            (`transcript-busy`).
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        *,
        clock: Callable[[], float] = time.time,
        told: Sequence[Entry] = (),
        path: Path | None = None,
    ) -> None:
        self.path = path
        self.problem = ""
        self._folder, self._stem, self._clock = folder, stem, clock
        # A folder of runs that is not there yet may be made; one that goes away later was deleted by somebody.
        self._may_make_parents = not folder.parent.exists()
        self._changed = threading.Condition()
        self._entries: list[Entry] = list(told)
        self._written = len(self._entries)
        self._growing: dict[Hashable, _Growing] = {}
        self._thread: threading.Thread | None = None
        self._closing = self._hurry = False
        self._log: EventLog | None = None
        self._held = -1
        self._moment = self._again_at = 0.0
        if path is not None:
            self._open(path)

    # -- what is called by who talks -----------------------------------------------------------------------------
    def put(self, type: str, fields: dict[str, Any], t: float = 0.0) -> None:
        """Notes a line; text that is still growing goes before it."""
        with self._changed:
            self._release()
            self._entries.append(Entry(t or self._clock(), type, fields))
            self._wake()

    def grow(self, key: Hashable, type: str, fields: dict[str, Any], text: str) -> None:
        """Notes further text of a line that is written, with what has come by then as `text`, when a sentence ends."""
        with self._changed:
            growing = self._growing.get(key)
            if growing is None:
                growing = self._growing[key] = _Growing(type, fields, [], time.monotonic())
            end = max(text.rfind(sign) for sign in _SENTENCE_ENDS) + 1
            if end:
                growing.parts.append(text[:end])
                self._write_out(growing)
                text, growing.parts, growing.since = text[end:], [], time.monotonic()
            if text:
                growing.parts.append(text)
            else:
                del self._growing[key]
            self._wake()

    def flush(self, timeout: float = 5.0) -> bool:
        """Has all that was noted in the file when this returns; False when it cannot be written, or not in time."""
        with self._changed:
            self._release()
            self._hurry = True
            self._wake()
            self._changed.wait_for(lambda: self._done or (self.problem and not self._hurry), timeout)
            return self._done

    def close(self, timeout: float = 2.0) -> bool:
        """Writes the rest and ends; False when something could not be written. Doing it twice is harmless."""
        atexit.unregister(self.close)
        with self._changed:
            self._release()
            if self._written < len(self._entries):
                self._wake()
            self._closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)
        elif self._log is not None:
            self._abandon()
        return self._done

    @property
    def _done(self) -> bool:
        return self._written == len(self._entries)

    # -- with the lock held --------------------------------------------------------------------------------------
    def _wake(self) -> None:
        if self._closing:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="transcript", daemon=True)
            self._thread.start()
            atexit.register(self.close)
        self._changed.notify_all()

    def _write_out(self, growing: _Growing) -> None:
        self._entries.append(Entry(self._clock(), growing.type, {**growing.fields, "text": "".join(growing.parts)}))

    def _release(self, held: float = 0.0) -> None:
        """Makes lines of the text that was held so many seconds or longer."""
        latest = time.monotonic() - held
        for key, growing in list(self._growing.items()):
            if growing.since <= latest:
                self._write_out(growing)
                del self._growing[key]

    def _patience(self) -> float | None:
        """Seconds until there is something to do without being woken; None for never."""
        moments = [growing.since + HOLD for growing in self._growing.values()]
        if self.problem:
            moments.append(self._again_at)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _due(self) -> bool:
        return self._closing or self._hurry or (self._written < len(self._entries) and not self.problem)

    # -- the thread ----------------------------------------------------------------------------------------------
    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due() and (patience := self._patience()) != 0:
                    self._changed.wait(patience)  # whoever wakes it may have brought text that is due sooner
                self._release(HOLD)
                waiting = self._entries[self._written :]
                closing = self._closing
            problem = self._write(waiting) if waiting else ""
            with self._changed:
                self.problem, self._hurry = problem, False
                self._again_at = time.monotonic() + RETRY
                self._changed.notify_all()
                if closing:
                    break
        self._abandon()

    def _write(self, waiting: list[Entry]) -> str:
        """Writes lines; what hindered it as a clause, empty when nothing did."""
        try:
            if self._log is not None and not self._still_there():
                # Deleted or moved away with its folder: all of it is written again, once there is a place.
                self._abandon()
                self._written, waiting = 0, self._entries[: self._written] + waiting
            if self._log is None:
                self._open(self._claim())
            assert self._log is not None
            for entry in waiting:
                self._moment = entry.t
                self._log.append(entry.type, **entry.fields)
                self._written += 1
            if any(entry.type != "said" for entry in waiting):
                self._log.sync()
        except TunerError as error:
            return f"{error.where}: {error.message}" if error.where else error.message
        except OSError as error:
            return write_failure(error, self._folder).message
        return ""

    def _claim(self) -> Path:
        """A new empty file of a name that nobody has.

        Raises:
            TunerError: as `write_failure`.
        """
        number = 1
        while True:
            path = self._folder / (f"{self._stem}.jsonl" if number == 1 else f"{self._stem}-{number}.jsonl")
            try:
                self._folder.mkdir(parents=self._may_make_parents, exist_ok=True)
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
            except FileExistsError as error:
                if not self._folder.is_dir():
                    raise write_failure(error, self._folder) from error
                number += 1
                continue
            except OSError as error:
                raise write_failure(error, self._folder) from error
            self._may_make_parents = False
            return path

    def _open(self, path: Path) -> None:
        self._held = hold(path)
        try:
            self._log = EventLog(path, clock=lambda: self._moment)
        except TunerError:
            self._abandon()
            raise
        self.path = path

    def _still_there(self) -> bool:
        assert self.path is not None
        try:
            now, ours = self.path.stat(), os.fstat(self._held)
        except OSError:
            return False
        return (now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino)

    def _abandon(self) -> None:
        if self._log is not None:
            try:
                self._log.close()
            except TunerError as error:
                self.problem = error.message
            self._log = None
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


def hold(path: Path) -> int:
    """Takes a transcript for writing; the descriptor holds it until it is closed or the process ends.

    Raises:
        TunerError: it is being written already (`transcript-busy`), or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise read_failure(error, path) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise TunerError(
            "this conversation is going on in another window",
            code="transcript-busy",
            where=path.name,
            fix="go on there, or close it first",
            usage=True,
        ) from error
    except OSError:
        pass  # a file system that cannot lock: as good as alone
    return descriptor
