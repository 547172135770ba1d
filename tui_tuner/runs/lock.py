"""Who writes a run: a lock file with the writer's process, its start time and its machine.

Two writers on one log would ruin it, so of all that try at once exactly one gets the lock. A process number alone
proves nothing, for numbers are used again: the start time goes with it. It must never take a lock from a living
process, nor from another machine, whose processes cannot be seen from here.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import psutil

from ..errors import TunerError
from .columns import number
from .files import read_failure, sync_folder, write_all, write_failure
from .folder import RunFolder

_START_TOLERANCE: Final = 2.0  # seconds by which the system's start times wobble when its clock is set
_UNFINISHED: Final = 10.0  # seconds for which a lock without contents is taken to be in the making
_NO_LINKS: Final = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}


@dataclass(frozen=True)
class Holder:
    """The process that writes a run.

    Attributes:
        pid: its number.
        started: when it started, in seconds since the epoch; on Linux it moves when the system's clock is set.
        host: its machine's name.
        birth: what tells it from any other process of its number whatever the clock says; empty where nothing does.
    """

    pid: int
    started: float
    host: str
    birth: str = ""

    @property
    def here(self) -> bool:
        """Whether it is a process of this machine."""
        return _same_host(self.host, socket.gethostname())

    @classmethod
    def parse(cls, fields: object) -> Holder | None:
        """The process that a JSON object names; None when it names none."""
        if not isinstance(fields, dict):
            return None
        pid, started, host = fields.get("pid"), number(fields.get("started")), fields.get("host")
        birth = fields.get("birth", "")
        if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0 or started is None:
            return None
        if not isinstance(host, str):
            return None
        return cls(pid, started, host, birth if isinstance(birth, str) else "")


def process(pid: int | None = None) -> Holder:
    """A process of this machine as a holder; the one that asks when no number is given.

    Raises:
        psutil.NoSuchProcess: there is none of that number.
    """
    found = psutil.Process(pid)
    return Holder(found.pid, found.create_time(), socket.gethostname(), _birth(found.pid))


class RunLock:
    """The right to write a run.

    Use it as a context manager, or pair `acquire` with `release`. It belongs to the process that acquired it.

    Args:
        folder: the run, or the path of its folder.
    """

    def __init__(self, folder: RunFolder | Path) -> None:
        self.path = _lock_path(folder)
        self._mine: bytes | None = None
        self._pid = 0

    @property
    def held(self) -> bool:
        """Whether this object holds the lock at present."""
        return self._mine is not None and self._pid == os.getpid()

    def acquire(self) -> None:
        """Take the lock, also over from a process that no longer lives.

        Raises:
            TunerError: `run-locked` when another process (or another part of this one) writes the run, naming it;
                `not-writable` or `no-space` when the lock cannot be written.
        """
        contents = json.dumps({**vars(process()), "token": secrets.token_hex(8)}).encode()
        try:
            with guarded(self.path.parent):
                while not _create(self.path, contents):
                    found = _read(self.path)
                    if found is not None and _is_current(self.path, found):
                        raise _locked(self.path, found)
                    self.path.unlink(missing_ok=True)
                sync_folder(self.path.parent)
        except OSError as error:
            raise write_failure(error, self.path) from error
        self._mine = contents
        self._pid = os.getpid()

    def release(self) -> None:
        """Give the lock back. Harmless when it is not held, or when the file is no longer the one that was made."""
        if not self.held:
            return
        try:
            with guarded(self.path.parent):
                if _read(self.path) == self._mine:
                    self.path.unlink(missing_ok=True)
        except FileNotFoundError:
            pass  # the folder is gone, and the lock with it
        except OSError as error:
            raise write_failure(error, self.path) from error
        finally:
            self._mine = None

    def __enter__(self) -> RunLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder(folder: RunFolder | Path) -> Holder | None:
    """The process that writes a run, or None when nobody does. A lock of another machine counts as held.

    Raises:
        TunerError: `not-readable` when there is a lock that may not be read.
    """
    path = _lock_path(folder)
    try:
        raw = _read(path)
    except OSError as error:
        raise read_failure(error, path) from error
    if raw is None or not _is_current(path, raw):
        return None
    return _parse(raw)


def _lock_path(folder: RunFolder | Path) -> Path:
    return folder.lock if isinstance(folder, RunFolder) else Path(folder) / "lock"


def _create(path: Path, contents: bytes) -> bool:
    """Make the lock file with its contents in one step; False when there is one already."""
    temporary = path.with_name(f".tmp-{secrets.token_hex(6)}.lock")
    _write_new(temporary, contents)
    try:
        os.link(temporary, path)
        return True
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: for a moment the lock is there without contents.
        try:
            _write_new(path, contents)
            return True
        except FileExistsError:
            return False
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_new(path: Path, contents: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        write_all(descriptor, contents)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


@contextmanager
def guarded(folder: Path) -> Iterator[None]:
    """Let one process at a time judge and take over a lock; the system frees the guard of a process that dies.

    Without it two processes could both find a lock stale, and the slower one would delete the faster one's new lock.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Some network file systems cannot lock a folder; the lock file itself still admits one creator only.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _parse(raw: bytes) -> Holder | None:
    try:
        return Holder.parse(json.loads(raw))
    except (ValueError, RecursionError):
        return None


def _is_current(path: Path, raw: bytes) -> bool:
    """Whether the lock's writer is to be respected: alive, out of sight, or still writing the lock."""
    found = _parse(raw)
    if found is None:
        try:
            return abs(time.time() - path.stat().st_mtime) < _UNFINISHED  # a clock that was set back makes it lie ahead
        except OSError:
            return False
    return lives(found)


def lives(found: Holder) -> bool:
    """Whether the process is still the one that is meant, and not another with its number; true for other machines."""
    if not found.here:
        return True
    try:
        process = psutil.Process(found.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if found.birth and (birth := _birth(found.pid)):
            return birth == found.birth
        return abs(process.create_time() - found.started) <= _START_TOLERANCE
    except (psutil.NoSuchProcess, OverflowError):
        return False
    except psutil.AccessDenied:
        # There is one, but the system hides when it started: better to wait for it than to write beside it.
        return True


def _birth(pid: int) -> str:
    """When a process began, counted by the system since it was started, and which start that was; Linux tells both.

    There the start in seconds since the epoch is made from these and the clock, so it moves when the clock is set.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        about = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        ticks = int(about.rpartition(")")[2].split()[19])  # the name before it may hold anything, brackets too
    except (OSError, ValueError, IndexError):
        return ""
    return f"{boot}:{ticks}"


def _same_host(one: str, other: str) -> bool:
    """Whether two names are one machine's; networks append their domain to a name, and take it away again."""
    return one.partition(".")[0].casefold() == other.partition(".")[0].casefold()


def _locked(path: Path, raw: bytes) -> TunerError:
    found = _parse(raw)
    if found is None:
        return TunerError(
            "another process is just starting to write this run",
            code="run-locked",
            where=str(path),
            fix="try again in a few seconds",
        )
    if not found.here:
        return TunerError(
            f"process {found.pid} on the machine {found.host} is writing this run",
            code="run-locked",
            where=str(path.parent),
            fix=f"stop it there, or delete {path} if that process is no longer running",
        )
    who = "this process" if found.pid == os.getpid() else f"process {found.pid}"
    return TunerError(
        f"{who} (pid {found.pid}) is writing this run",
        code="run-locked",
        where=str(path.parent),
        fix="wait for it, or stop it with `tui-tuner stop`",
    )
