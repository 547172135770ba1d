"""The queue of a folder of runs: which runs are to come, in which order, and who works on which.

It is one small file in `.queue/` beside the runs, replaced as a whole under a guard that the system frees when its
holder dies, so any number of processes may change it and a kill leaves it as it was. What became of a run is read from
the run, never kept here. It must never delete a run: a run that never began and is taken out is put aside, and one
that began stays where it is.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from ..errors import TunerError
from ..paths import config_dir
from .catalogue import RunSummary, list_runs, summarise
from .columns import number
from .files import read_json, write_failure, write_json
from .folder import QUEUE_FILE, QUEUE_FOLDER, RunFolder, free_name
from .lock import Holder, RunLock, guarded, holder, lives
from .state import RunState

REMOVED: Final = "removed"
_VERSION: Final = 1
_REMEMBERED: Final = 50
"""How many runs that have left the queue are remembered, so that it can be said what became of them."""
_BY_A_PERSON: Final = ("stopped by user", "stopped by request")
"""How a run ends that somebody wanted to end; any other stop is the end of a session, and the run is still wanted."""
Where = Literal["up", "down", "top", "bottom"]


@dataclass(frozen=True)
class Entry:
    """A run that is to come, or is worked on.

    Attributes:
        run: the folder's name.
        added: when it was queued, in seconds since the epoch.
        before: when the run had last ended at that moment; None for one that never had.
        sweep: the sweep that it belongs to, or empty.
        worker: the process that was given it last; None while nobody was.
    """

    run: str
    added: float
    before: float | None = None
    sweep: str = ""
    worker: Holder | None = None

    @property
    def worked_on(self) -> bool:
        """Whether the process that was given it lives."""
        return self.worker is not None and lives(self.worker)


@dataclass(frozen=True)
class Queue:
    """The queue at one moment.

    Attributes:
        entries: first come first; what is worked on stands at the top.
        paused: whether nothing more is begun.
        ended: names of the last runs that have left it by ending, newest last.
    """

    entries: tuple[Entry, ...] = ()
    paused: bool = False
    ended: tuple[str, ...] = ()

    def place(self, run: str) -> int | None:
        """Where a run stands, from 1; None when it is not in the queue."""
        return next((at for at, entry in enumerate(self.entries, 1) if entry.run == run), None)


@dataclass(frozen=True)
class Turn:
    """What is to be done next.

    Attributes:
        folder: the run that was given to the asker; None when none was.
        waits: why not, as a clause; empty when the queue is empty but for what the asker passes over.
    """

    folder: RunFolder | None = None
    waits: str = ""


@dataclass
class _Draft:
    entries: list[Entry] = field(default_factory=list)
    paused: bool = False
    ended: list[str] = field(default_factory=list)


class RunQueue:
    """The queue of one folder of runs; every method may be called from any process at any time.

    Args:
        runs_dir: the folder of runs. Nothing is made in it before something is queued.
    """

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = Path(runs_dir).absolute()
        self.folder = self.runs_dir / QUEUE_FOLDER
        self.file = self.folder / QUEUE_FILE

    def read(self) -> Queue:
        """The queue as it stands, without what has ended since somebody last changed it.

        Raises:
            TunerError: `damaged-file` or `not-readable`.
        """
        draft = self._load()
        self._settle(draft)
        return Queue(tuple(draft.entries), draft.paused, tuple(draft.ended))

    def add(self, folder: RunFolder, sweep: str = "") -> int:
        """Put a run at the end; one that is there already stays where it is. Returns its place, from 1.

        Raises:
            TunerError: `not-in-folder` for a run of another folder, `run-finished`, or the file cannot be written.
        """
        if folder.path.parent != self.runs_dir:
            raise TunerError(
                "lies in another folder of runs than the queue",
                code="not-in-folder",
                where=str(folder.path),
                fix=f"name its folder with --runs-dir {folder.path.parent}",
                usage=True,
            )
        summary = summarise(folder)
        if summary.state is RunState.FINISHED:
            raise TunerError(
                "has finished, so there is nothing left to do",
                code="run-finished",
                where=folder.name,
                fix="queue its configuration as a new run: `tui-tuner queue add` with its config.toml",
                usage=True,
            )
        with self._changing() as draft:
            if not any(entry.run == folder.name for entry in draft.entries):
                draft.entries.append(Entry(folder.name, time.time(), summary.ended, sweep))
            return _at(draft.entries, folder.name) + 1

    def move(self, run: str, where: Where) -> int:
        """Move a waiting run; nothing passes what is worked on. Returns its place, from 1.

        Raises:
            TunerError: `not-queued`, or `run-going` for a run that is worked on.
        """
        with self._changing() as draft:
            at = _at(draft.entries, run)
            entry = draft.entries[at]
            self._must_wait(entry)
            del draft.entries[at]
            first = sum(self._is_going(each) for each in draft.entries)
            last = len(draft.entries)
            to = {"up": at - 1, "down": at + 1, "top": first, "bottom": last}[where]
            to = min(max(to, first), last)
            draft.entries.insert(to, entry)
            return to + 1

    def remove(self, run: str) -> Path | None:
        """Take a waiting run out. One that never began is put aside, and where is returned; any other stays as it is.

        Raises:
            TunerError: as `move`.
        """
        with self._changing() as draft:
            at = _at(draft.entries, run)
            self._must_wait(draft.entries[at])
            del draft.entries[at]
        return self._put_aside(run)

    def put_back(self, aside: Path) -> RunFolder:
        """Bring back a run that `remove` put aside, under its name or beside one that has it by now, and queue it last.

        Raises:
            TunerError: it cannot be moved, or as `add`.
        """
        try:
            place = free_name(self.runs_dir, aside.name)
            aside.rename(place)
        except OSError as error:
            raise write_failure(error, aside) from error
        folder = RunFolder.open(place)
        self.add(folder, summarise(folder).sweep)
        return folder

    def clear(self) -> list[str]:
        """Take out all that wait, as `remove` does; returns their names."""
        with self._changing() as draft:
            waiting = [entry.run for entry in draft.entries if not self._is_going(entry)]
            draft.entries = [entry for entry in draft.entries if self._is_going(entry)]
        for run in waiting:
            self._put_aside(run)
        return waiting

    def pause(self, paused: bool) -> None:
        """Begin nothing more, or go on; what is being worked on is left alone."""
        with self._changing() as draft:
            draft.paused = paused

    # -- for those who work it off ------------------------------------------------------------------------------------
    def take(self, worker: Holder, passing: Collection[str] = (), *, killed: bool = True) -> Turn:
        """The next run, given to `worker`, when nothing else runs in the folder.

        Args:
            passing: runs to pass over.
            killed: whether a run that ended without saying so is taken too; otherwise the queue waits at it.
        """
        with self._changing() as draft:
            waiting = [entry for entry in draft.entries if entry.run not in passing]
            if not waiting:
                return Turn()
            if draft.paused:
                return Turn(waits="the queue is paused")
            if going := next((entry.run for entry in draft.entries if self._is_going(entry)), None):
                return Turn(waits=f"{going} is going")
            if going := next((run.run for run in list_runs(self.runs_dir) if _is_written(run)), None):
                return Turn(waits=f"{going} is going")
            entry = waiting[0]
            folder = RunFolder(self.runs_dir / entry.run)
            if not killed and _broke_off(summarise(folder)):
                return Turn(waits=f"{entry.run} ended without saying so")
            draft.entries.remove(entry)
            draft.entries.insert(0, replace(entry, worker=worker))
            return Turn(folder)

    def give(self, run: str, worker: Holder | None) -> None:
        """Note that another process works on a run, or nobody; a run that has left the queue is passed over."""
        with self._changing() as draft:
            draft.entries = [replace(each, worker=worker) if each.run == run else each for each in draft.entries]

    def drop(self, run: str) -> None:
        """Take out a run that could not be begun; it stays as it is."""
        with self._changing() as draft:
            if any(entry.run == run for entry in draft.entries):
                draft.entries = [entry for entry in draft.entries if entry.run != run]
                draft.ended.append(run)

    # -- the file -----------------------------------------------------------------------------------------------------
    @contextmanager
    def _changing(self) -> Iterator[_Draft]:
        """The queue, for this process alone; written back when it was changed."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with guarded(self.folder):
                draft = self._load()
                before = _document(draft)
                self._settle(draft)
                yield draft
                del draft.ended[:-_REMEMBERED]
                if (after := _document(draft)) != before:
                    write_json(self.file, after)
        except OSError as error:
            raise write_failure(error, self.file) from error

    def _load(self) -> _Draft:
        if not self.file.exists():
            return _Draft()
        found = read_json(self.file)
        if not isinstance(found, dict) or not isinstance(found.get("entries"), list):
            raise TunerError("is no queue", code="damaged-file", where=str(self.file), fix="restore it or delete it")
        entries = [entry for each in found["entries"] if (entry := _entry(each)) is not None]
        noted = found.get("ended")
        ended = [each for each in (noted if isinstance(noted, list) else []) if isinstance(each, str)]
        return _Draft(entries, found.get("paused") is True, ended)

    def _settle(self, draft: _Draft) -> None:
        """Take out what has ended since it was queued, and what is no longer there."""
        left = []
        for entry in draft.entries:
            try:
                summary = summarise(RunFolder.open(self.runs_dir / entry.run))
            except TunerError as error:
                if error.code in ("not-found", "not-a-run"):
                    continue
                left.append(entry)  # a disk in trouble is no reason to forget a run
                continue
            if _is_over(entry, summary) and holder(self.runs_dir / entry.run) is None:
                draft.ended.append(entry.run)
            else:
                left.append(entry)
        draft.entries = left

    def _is_going(self, entry: Entry) -> bool:
        return entry.worked_on or holder(self.runs_dir / entry.run) is not None

    def _must_wait(self, entry: Entry) -> None:
        if self._is_going(entry):
            raise TunerError(
                "is being worked on",
                code="run-going",
                where=entry.run,
                fix="stop it first with `tui-tuner stop`, which also takes it out of the queue",
                usage=True,
            )

    def _put_aside(self, run: str) -> Path | None:
        """Move the folder of a run that never began out of sight, unless somebody is just beginning it."""
        path = self.runs_dir / run
        lock = RunLock(path)
        try:
            lock.acquire()
        except TunerError:
            return None
        try:
            if summarise(RunFolder.open(path)).state is not RunState.QUEUED:
                return None
            aside = self.folder / REMOVED
            aside.mkdir(exist_ok=True)
            path.rename(aside / run)
            with suppress(OSError):
                (aside / run / "lock").unlink()
            return aside / run
        except (OSError, TunerError):
            return None  # it stays where it is, which harms nobody
        finally:
            lock.release()


def runner_place() -> Path:
    """Where `runner_lock` lies; one for each machine, for a home may be several machines'."""
    return config_dir() / f"runner-{socket.gethostname().partition('.')[0].casefold() or 'here'}"


def runner_lock() -> RunLock:
    """The right to work queues off on this machine, of which there is one for each person: the accelerator is one.

    Raises:
        TunerError: the folder of the person's settings cannot be written.
    """
    folder = runner_place()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_failure(error, folder) from error
    return RunLock(folder)


def _is_over(entry: Entry, summary: RunSummary) -> bool:
    """Whether nothing is left to do for a run: it has ended since it was queued, and not by the end of a session."""
    if summary.ended is None or summary.ended == entry.before:
        return False
    if summary.state is RunState.STOPPED:
        return summary.reason in _BY_A_PERSON
    return summary.state in (RunState.FINISHED, RunState.FAILED)


def _broke_off(summary: RunSummary) -> bool:
    """Whether somebody was at work on a run and is gone without a word."""
    return summary.state.ended and summary.ended is None


def _is_written(run: RunSummary) -> bool:
    with suppress(TunerError):
        return holder(run.path) is not None
    return False


def _at(entries: list[Entry], run: str) -> int:
    for at, entry in enumerate(entries):
        if entry.run == run:
            return at
    raise not_queued(run)


def not_queued(run: str) -> TunerError:
    """What to say about a run that is not in the queue."""
    return TunerError(
        "is not in the queue", code="not-queued", where=run, fix="list it with `tui-tuner queue list`", usage=True
    )


def _document(draft: _Draft) -> dict[str, Any]:
    entries = [{**vars(entry), "worker": vars(entry.worker) if entry.worker else None} for entry in draft.entries]
    return {"version": _VERSION, "paused": draft.paused, "entries": entries, "ended": list(draft.ended)}


def _entry(found: Any) -> Entry | None:
    """An entry as the file has it; None when it is none, or its name would lead out of the folder of runs."""
    if not isinstance(found, dict) or not isinstance(run := found.get("run"), str):
        return None
    if not run or run.startswith(".") or Path(run).name != run:
        return None
    sweep = found.get("sweep")
    return Entry(
        run,
        number(found.get("added")) or 0.0,
        number(found.get("before")),
        sweep if isinstance(sweep, str) else "",
        Holder.parse(found.get("worker")),
    )
