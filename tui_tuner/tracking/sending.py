"""Sends a run's figures to one tracker: what its log holds, and what is added to it while the run goes on.

The log is the buffer: what a tracker has not taken yet stays there, and how far it got is kept in the run's folder,
so the next session goes on where this one ended. It must never write to the log, nor bring back a folder that was
deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from tui_tuner.config import Experiment
from tui_tuner.config.tracking_section import TrackerName, TrackingSection
from tui_tuner.errors import TunerError, brief
from tui_tuner.runs import EventTail, RunFolder, read_json, write_json
from tui_tuner.runs.files import read_object, write_failure
from tui_tuner.tracking.settings import settings_to_tell, versions_to_tell
from tui_tuner.tracking.story import Answer, Figures, Story, Told, Word
from tui_tuner.tracking.trackers import MAKERS, TITLES, Place, Tracker

LOOK: Final = 1.0
"""Seconds between two looks into the log of a run that goes on."""
MOST: Final = 500
"""How many of the frequent figures go to a tracker at a look; of more, some are left out evenly."""
_NOTED: Final = 2.0  # seconds between two notes of how far it got


class Say(Protocol):
    """Tells a person one sentence; `trouble` when something was not sent."""

    def __call__(self, text: str, *, trouble: bool = False) -> None: ...


@dataclass
class Progress:
    """How far a run was sent to a tracker, as `tracking/<tracker>.json` keeps it.

    Attributes:
        place: project, name and so on; another place is told everything from the beginning.
        where: where a person can look at it.
        sent: how many of the log's events are told.
        left_out: how many figures were left out because the tracker was too slow.
        problem: why the last session ended early; empty when it did not.
    """

    place: dict[str, Any] = field(default_factory=dict)
    where: str = ""
    sent: int = 0
    left_out: int = 0
    problem: str = ""


def tracking_folder(folder: RunFolder) -> Path:
    """Where a run keeps what was sent, and what trackers write."""
    return folder.path / "tracking"


def progress_of(folder: RunFolder, to: TrackerName) -> Progress:
    """How far a run was sent to a tracker; nothing is known of what cannot be read."""
    try:
        found = read_json(tracking_folder(folder) / f"{to}.json")
    except TunerError:
        return Progress()
    known = {"place": dict, "where": str, "sent": int, "left_out": int}
    if not isinstance(found, dict) or any(not isinstance(found.get(name), kind) for name, kind in known.items()):
        return Progress()
    return Progress(**{name: found[name] for name in known})


def place_of(folder: RunFolder, experiment: Experiment, section: TrackingSection) -> Place:
    """Where and under which names a run is told of."""
    meta = read_object(folder.meta)
    sweep = meta.get("sweep")
    group = sweep.get("id") if isinstance(sweep, dict) else None
    config = settings_to_tell(experiment, section.samples)
    return Place(
        section,
        folder.name,
        _identity(folder, meta),
        {**config, "versions": versions_to_tell(folder)},
        group if isinstance(group, str) else "",
        tracking_folder(folder),
    )


class Sender:
    """One session of sending.

    Args:
        folder: the run.
        to: the tracker.
        place: where and under which names.
        say: tells a person what is worth it.
        tracker: instead of the library's.
        clock: seconds of any steady clock.
    """

    def __init__(
        self,
        folder: RunFolder,
        to: TrackerName,
        place: Place,
        say: Say,
        tracker: Tracker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._to, self._place, self._say, self._clock = folder, to, place, say, clock
        self._tracker: Tracker = MAKERS[to]() if tracker is None else tracker
        self._story = Story(place.section.samples)
        self._tail = EventTail(folder.events)
        self._read = 0
        self._noted_at = clock()
        self._told_of_thinning = False
        place_words = {**_words_of(place), "samples": place.section.samples}
        self.progress = progress_of(folder, to)
        if self.progress.place != place_words:
            self.progress = Progress(place_words)
        self.figures = 0
        """How many figures this session sent."""

    def run(
        self,
        over: Callable[[], bool],
        wait: Callable[[float], Any] = time.sleep,
        *,
        live: bool,
        begun: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Sends until `over` says that nobody writes the run any more, and all that was written by then.

        Args:
            over: whether the run's writer is gone.
            wait: waits so many seconds.
            live: whether it keeps up with a run: a tracker that is slower than the run then gets fewer figures.
            begun: is told where a person can look at it.

        Raises:
            TunerError: `tracker-failed` or `tracker-missing`; what it has not taken can be sent later.
        """
        self._guarded("it could not be begun", self._begin)
        begun(self.progress.where)
        caught_up = False
        while True:
            ended = over()  # asked first: what is in the log now was written before
            items = self._news()
            self._send(self._thinned(items) if live and caught_up else items)
            caught_up = True
            if ended:
                break
            wait(LOOK)
        self._guarded("it could not be ended", lambda: self._tracker.finish(self._story.status))
        self._note(always=True)

    def give_up(self, problem: str) -> None:
        """Notes why the session ends before everything is sent; from any thread."""
        self._failed(problem)

    def _begin(self) -> None:
        self.progress.where = self._tracker.begin(self._place)
        self.progress.problem = ""
        self._note(always=True)

    def _news(self) -> list[tuple[int, Told]]:
        """What is new in the log, each with the number of the event that tells it."""
        events = self._tail.poll()
        if self._tail.generation:
            raise TunerError(
                "the run's log is another one than before", code="tracker-failed", where=str(self._folder.events)
            )
        items: list[tuple[int, Told]] = []
        for event in events:
            self._read += 1
            told = self._story.fold(event)
            if self._read > self.progress.sent:
                items += [(self._read, each) for each in told]
        return items

    def _thinned(self, items: list[tuple[int, Told]]) -> list[tuple[int, Told]]:
        frequent = [index for index, (_, told) in enumerate(items) if isinstance(told, Figures) and told.often]
        if len(frequent) <= MOST:
            return items
        every = -(-len(frequent) // MOST)
        keep = set(frequent[every - 1 :: every]) | {frequent[-1]}
        drop = set(frequent) - keep
        self.progress.left_out += len(drop)
        if not self._told_of_thinning:
            self._told_of_thinning = True
            since = f"{TITLES[self._to]} is slower than the run, so from step {items[frequent[0]][1].step:,} on"
            self._say(f"{since} some of the training figures are left out there; the run has them all", trouble=True)
        return [item for index, item in enumerate(items) if index not in drop]

    def _send(self, items: list[tuple[int, Told]]) -> None:
        for number, told in items:
            self.progress.sent = number - 1  # an event that tells several things is told again if one of them was not
            self._guarded("it stopped taking figures", partial(self._tell, told))
            self.figures += 1
            self._note()
        self.progress.sent = self._read
        self._note()

    def _tell(self, told: Told) -> None:
        match told:
            case Figures():
                self._tracker.figures(told)
            case Word():
                self._tracker.word(told)
            case Answer():
                self._tracker.answer(told)

    def _guarded(self, what: str, act: Callable[[], object]) -> None:
        try:
            act()
        except KeyboardInterrupt:
            raise
        except TunerError as error:
            self._failed(error.sentence())
            raise
        except BaseException as error:  # a library may end the process, or panic below Python
            self._failed(f"{what}: {brief(error)}")
            raise TunerError(
                f"{TITLES[self._to]}: {what} ({type(error).__name__}: {brief(error)})",
                code="tracker-failed",
                fix=f"`tui-tuner track {self._folder.name} --to {self._to}` sends what is missing",
            ) from error

    def _failed(self, problem: str) -> None:
        self.progress.problem = problem
        self._note(always=True)

    def _note(self, always: bool = False) -> None:
        now = self._clock()
        if not always and now - self._noted_at < _NOTED:
            return
        self._noted_at = now
        if not self._folder.path.is_dir():
            return  # it was deleted, and is not brought back
        with contextlib.suppress(TunerError, OSError):
            tracking_folder(self._folder).mkdir(exist_ok=True)
            write_json(tracking_folder(self._folder) / f"{self._to}.json", asdict(self.progress))


@contextlib.contextmanager
def alone(folder: RunFolder, to: TrackerName, patience: float = 0.0) -> Iterator[None]:
    """The right to send a run to a tracker, which one process has at a time; it ends with the process.

    Args:
        patience: seconds to wait for another one, such as the session before, to end.

    Raises:
        TunerError: `tracking-busy`, or the folder cannot be written.
    """
    path = tracking_folder(folder) / f"{to}.lock"
    try:
        path.parent.mkdir(exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise write_failure(error, path) from error
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise TunerError(
                        f"another process is sending this run to {TITLES[to]}",
                        code="tracking-busy",
                        where=str(folder.path),
                        fix="wait until it is done",
                    ) from None
                time.sleep(0.1)
            except OSError:
                break  # a file system without locks: nothing better can be done
        yield
    finally:
        os.close(descriptor)


class Watchdog:
    """Calls `overdue`, once, when a session has not ended so many seconds after the run's writer went away.

    A library that hangs cannot be talked to, so this looks from a thread of its own.
    """

    def __init__(
        self, over: Callable[[], bool], overdue: Callable[[], object], seconds: float, look: float = LOOK
    ) -> None:
        self._over, self._overdue, self._seconds, self._look = over, overdue, seconds, look
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="tracking-watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _watch(self) -> None:
        while not self._over():
            if self._done.wait(self._look):
                return
        if not self._done.wait(self._seconds):
            self._overdue()


def _words_of(place: Place) -> dict[str, Any]:
    """What makes a place another one than before: then everything is told there from the beginning."""
    section = place.section
    return {
        **{"project": section.project, "name": place.name, "entity": section.entity, "space": section.space},
        **{"offline": section.offline, "id": place.identity},
    }


def _identity(folder: RunFolder, meta: dict[str, Any]) -> str:
    """The same for a run wherever its folder is, and no other run's."""
    created = meta.get("created")
    digest = hashlib.sha256(f"{folder.name} {created}".encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', folder.name).strip('-')[:100]}-{digest}"
