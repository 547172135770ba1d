"""The event log: one JSON object a line, only ever added to, the one account of what a run did.

The writer hands the system each line in a single write, so a kill at any moment costs at most the line being written;
what a torn line left behind is set aside when the log is next opened for writing. Readers take complete lines only.
This module must never rewrite a complete line, and must never write what strict JSON has no words for.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import TunerError
from .files import (
    encode_json,
    plain_json,
    read_failure,
    strict_json,
    sync_folder,
    sync_to_disk,
    write_all,
    write_failure,
)
from .growing import GrowingFile

Event = dict[str, Any]

_SYNC_AT_ONCE = frozenset(
    {"checkpoint", "evaluation", "verdict", "behaviour", "canaries", "run_started", "run_finished", "validation"}
)
_SYNC_INTERVAL = 1.0  # seconds between two flushes for all other types


class EventLog:
    """The writer of a run's events. One at a time for a file: whoever holds the run's lock.

    Threads of one process may share it. Opening repairs a torn last line: if only its line end is missing, the line is
    completed, otherwise it is cut off and its bytes are added to a file beside the log (`events.torn`).

    Args:
        path: the log; made when it is not there, in a folder that must be.
        clock: seconds since the epoch, for `t`.

    Raises:
        TunerError: `no-space`, `not-writable` or `not-found`, naming the file.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(path)
        self._clock = clock
        self._lock = threading.Lock()
        self._descriptor = -1
        self._cut_to: int | None = None
        self._unsynced = False
        self._synced_at = time.monotonic()
        try:
            new = not self.path.exists()
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            if new:
                sync_folder(self.path.parent)
            self._repair()
        except OSError as error:
            self._abandon()
            raise write_failure(error, self.path) from error
        except TunerError:
            self._abandon()
            raise

    def append(self, type: str, **fields: Any) -> Event:
        """Add one event and return it as readers will see it.

        Args:
            type: the event's type.
            fields: its fields; a number that is not finite is written as null and named in `nonfinite`.

        Raises:
            TunerError: `no-space` or `not-writable`; the log then is as it was before, and may be tried again.
        """
        plain, nonfinite = plain_json(fields)
        plain.pop("t", None)
        if nonfinite:
            plain["nonfinite"] = nonfinite
        with self._lock:
            if self._descriptor < 0:
                raise ValueError(f"the event log {self.path} is closed")
            event: Event = {"t": float(self._clock()), "type": str(type), **plain}
            self._write(encode_json(event) + b"\n")
            self._sync(at_once=type in _SYNC_AT_ONCE)
        return event

    def sync(self) -> None:
        """Have all events on the disk when this returns.

        Raises:
            TunerError: when the system reports that they did not get there.
        """
        with self._lock:
            self._sync(at_once=True)

    def close(self) -> None:
        """Flush and close; doing it twice is harmless."""
        with self._lock:
            if self._descriptor < 0:
                return
            try:
                self._sync(at_once=True)
            finally:
                self._abandon()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        try:
            if self._cut_to is not None:
                os.ftruncate(self._descriptor, self._cut_to)
                self._cut_to = None
            before = os.fstat(self._descriptor).st_size
        except OSError as error:
            raise write_failure(error, self.path) from error
        try:
            write_all(self._descriptor, line)
        except BaseException as error:
            self._cut_to = before
            try:
                os.ftruncate(self._descriptor, before)
                self._cut_to = None
            except OSError:
                pass  # the next append, or the next opening, cuts it
            if isinstance(error, OSError):
                raise write_failure(error, self.path) from error
            raise
        self._unsynced = True

    def _sync(self, at_once: bool) -> None:
        if not self._unsynced or self._descriptor < 0:
            return
        now = time.monotonic()
        if not at_once and now - self._synced_at < _SYNC_INTERVAL:
            return
        try:
            sync_to_disk(self._descriptor)
        except OSError as error:
            raise write_failure(error, self.path) from error
        self._unsynced = False
        self._synced_at = now

    def _repair(self) -> None:
        size = os.fstat(self._descriptor).st_size
        start = _last_line_start(self._descriptor, size)
        if start == size:
            return
        torn = _read_range(self._descriptor, start, size)
        if parse_line(torn) is not None:
            # No proper beginning of a JSON object is itself one: the line is whole but for its end.
            self._write(b"\n")
        else:
            self._keep_aside(torn)
            os.ftruncate(self._descriptor, start)
        sync_to_disk(self._descriptor)

    def _keep_aside(self, torn: bytes) -> None:
        aside = self.path.with_suffix(".torn")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            write_all(descriptor, torn + b"\n")
            sync_to_disk(descriptor)
        except OSError as error:
            raise write_failure(error, aside) from error
        finally:
            os.close(descriptor)

    def _abandon(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True)
class LogContents:
    """What a log holds: its events, how many complete lines were no events, and whether its last line is torn."""

    events: list[Event]
    damaged: int
    torn: bool


def read_log(path: Path) -> LogContents:
    """Read a whole log. A log that is not there is an empty one.

    Raises:
        TunerError: `not-readable`, naming the file.
    """
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        return LogContents([], 0, False)
    except OSError as error:
        raise read_failure(error, Path(path)) from error
    end = raw.rfind(b"\n") + 1
    events, damaged = _parse_lines(raw[:end])
    return LogContents(events, damaged, end < len(raw))


def read_events(path: Path) -> list[Event]:
    """The events of a log, oldest first: a torn last line is ignored, a damaged line within is skipped.

    Raises:
        TunerError: `not-readable`, naming the file.
    """
    return read_log(path).events


class EventTail(GrowingFile):
    """Follows a log that another thread or process writes.

    It takes complete lines only, so a line in the making is read once it is whole, and the cutting of a torn line
    goes unnoticed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.damaged = 0
        """Complete lines so far that were no events."""

    def _forget(self) -> None:
        super()._forget()
        self.damaged = 0

    def _read(self, descriptor: int, status: os.stat_result) -> list[Event]:
        raw = _read_range(descriptor, self.offset, status.st_size)
        end = raw.rfind(b"\n") + 1
        events, damaged = _parse_lines(raw[:end])
        self.offset += end
        self.damaged += damaged
        return events


def parse_line(line: bytes) -> Event | None:
    """One line as an event, or None when it is none: not strict JSON, no object, no time or no type."""
    try:
        event = strict_json(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        return None
    moment = event.get("t")
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        return None
    try:
        return event if math.isfinite(moment) else None
    except OverflowError:
        return None


def _parse_lines(raw: bytes) -> tuple[list[Event], int]:
    events: list[Event] = []
    damaged = 0
    for line in raw.split(b"\n"):
        if not line:
            continue
        event = parse_line(line)
        if event is None:
            damaged += bool(line.strip())
        else:
            events.append(event)
    return events, damaged


def _read_range(descriptor: int, start: int, end: int) -> bytes:
    parts: list[bytes] = []
    while start < end:
        part = os.pread(descriptor, min(end - start, 1 << 24), start)
        if not part:
            break
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _last_line_start(descriptor: int, size: int) -> int:
    """Where the last, unfinished line begins; `size` itself when the last line is finished."""
    block = 1 << 16
    end = size
    while end > 0:
        start = max(0, end - block)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
