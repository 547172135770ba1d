"""The runs there are: a line for each, and finding one by what a person calls it.

A list must come up whatever lies in the folder of runs: a broken run is listed with what is wrong with it, and what is
no run is passed over. It must never write, and never lead out of the folder of runs by a mere name.
"""

from __future__ import annotations

import difflib
import os
import threading
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ..errors import TunerError
from .columns import count, means, number
from .events import EventTail
from .files import read_object
from .folder import RunFolder, stamp_of, stem_of
from .labels import LABELS, NOTHING, Labels, labels_of
from .lock import holder
from .state import RunState
from .view import RunView

LAST: Final = "last"
"""What stands for the newest run wherever a run is asked for."""
_CURVE: Final = 24


@dataclass(frozen=True)
class RunSummary:
    """One run in a line.

    Attributes:
        run: the folder's name, which is how commands call the run.
        name: the experiment's name.
        state: as derived from events and lock.
        step, steps: how far it is, of how many; 0 when unknown.
        created: seconds since the epoch.
        path: the folder.
        model: the model as the experiment names it.
        best: the lowest validation loss in nats per token, or None.
        verdict: the verdict's sentence, or None.
        problem: what is wrong with the folder, in a clause; empty when nothing is.
        ranks: how many processes train it, or last trained it.
        ended: when it last said that it had ended, in seconds since the epoch; None while it has not.
        reason: what it gave as the reason; empty while it has not.
        sweep: the sweep that it belongs to; empty when it belongs to none.
        labels: what a person noted of it.
        settings: what its configuration says, by full key such as `train.learning_rate`.
        duration: seconds at work, 0 before it began.
        curve: its training loss from the first step to the last in at most 24 means; NaN where nothing was reported.
    """

    run: str
    name: str
    state: RunState
    step: int
    steps: int
    created: float
    path: Path
    model: str
    best: float | None
    verdict: str | None
    problem: str = ""
    ranks: int = 1
    ended: float | None = None
    reason: str = ""
    sweep: str = ""
    labels: Labels = NOTHING
    settings: Mapping[str, Any] = field(default_factory=dict)
    duration: float = 0.0
    curve: tuple[float, ...] = ()


def summarise(folder: RunFolder) -> RunSummary:
    """One run in a line; what was read before and has not changed is not read again.

    Raises:
        TunerError: `not-readable` when its log or lock may not be read.
    """
    with _lock:
        reading = _readings.get(folder.path)
        if reading is None:
            reading = _readings[folder.path] = _Reading(folder)
        alive = holder(folder) is not None
        return reading.summary(alive)


def list_runs(runs_dir: Path) -> list[RunSummary]:
    """All runs in a folder, newest first; none when there is no such folder.

    Raises:
        TunerError: `not-readable` when the folder itself may not be read.
    """
    runs_dir = Path(runs_dir).absolute()
    try:
        entries = sorted(entry for entry in runs_dir.iterdir() if not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise TunerError(
            f"cannot be listed ({error.strerror})", code="not-readable", where=str(runs_dir), fix="change its rights"
        ) from error
    summaries = [summary for entry in entries if (summary := _list_entry(entry)) is not None]
    _forget_others(runs_dir, {summary.path for summary in summaries})
    return sorted(summaries, key=lambda summary: (summary.created, summary.run), reverse=True)


def find_run(name_or_path: str | Path, runs_dir: Path) -> RunFolder:
    """The run that a person means.

    Args:
        name_or_path: a run's name, the beginning of one that no other shares, "last" for the newest, or a path.
        runs_dir: where names are looked up.

    Raises:
        TunerError: `run-not-found` with the nearest names, `run-ambiguous` with those that fit, or `not-a-run`; all are
            the caller's to mend (`usage`).
    """
    text = str(name_or_path).strip()
    if isinstance(name_or_path, Path) or _is_path(text):
        try:
            return RunFolder.open(Path(text))
        except TunerError as error:
            error.usage = True
            raise
    names = _names(runs_dir)
    if text in names:
        return RunFolder.open(Path(runs_dir) / text)
    if text == LAST:
        for summary in list_runs(runs_dir):
            with suppress(TunerError):  # the newest that is a run, whatever broken folder is newer
                return RunFolder.open(summary.path)
    fitting = [name for name in names if text and name.startswith(text)]
    if len(fitting) == 1:
        return RunFolder.open(Path(runs_dir) / fitting[0])
    if len(fitting) > 1:
        raise TunerError(
            f"{len(fitting)} runs begin with “{text}”: {_some(fitting)}",
            code="run-ambiguous",
            where=str(runs_dir),
            fix="give more of the name",
            usage=True,
        )
    raise _not_found(text, names, runs_dir)


# -- reading one run --------------------------------------------------------------------------------------------------
class _Reading:
    """What is known of one run, brought up to date from where its log was last read."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._files = (folder.events, folder.config, folder.meta, folder.path / LABELS)
        self._signature: tuple[Any, ...] | None = None
        self._following: tuple[EventTail, RunView] | None = None
        self._if_alive: RunSummary | None = None
        self._if_not: RunSummary | None = None

    def summary(self, alive: bool) -> RunSummary:
        signature = tuple(_signature_of(path) for path in self._files)
        if signature != self._signature or self._if_alive is None or self._if_not is None:
            self._if_alive, self._if_not = self._read()
            self._signature = signature
        return self._if_alive if alive else self._if_not

    def _read(self) -> tuple[RunSummary, RunSummary]:
        tail, view = self._following or (EventTail(self._folder.events), RunView(curves=False))
        generation = tail.generation
        events = tail.poll()
        if tail.generation != generation:
            view = RunView(curves=False)
        view.extend(events)
        # An ended run is not read again as a rule, so its curves need not stay in memory.
        self._following = None if view.finished is not None else (tail, view)
        running = _describe(self._folder, view, tail.damaged)
        return running, replace(running, state=view.state(False), reason=view.reason)


_readings: dict[Path, _Reading] = {}
_lock = threading.Lock()


def _describe(folder: RunFolder, view: RunView, damaged: int) -> RunSummary:
    config, problem = _config_of(folder)
    if damaged:
        problem = problem or f"{damaged} damaged {'line' if damaged == 1 else 'lines'} in its event log"
    meta = read_object(folder.meta)
    noted = meta.get("sweep")
    sweep = noted.get("id") if isinstance(noted, dict) else None
    return RunSummary(
        run=folder.name,
        name=view.name or _text(config, "run", "name") or folder.name,
        state=view.state(True),
        step=view.step,
        steps=view.steps or count(config.get("train", {}).get("iters")),
        created=_created(folder, view, meta),
        path=folder.path,
        model=view.model or _text(config, "model", "path"),
        best=view.best_validation,
        verdict=(view.verdict or {}).get("sentence") or None,
        problem=problem,
        ranks=view.ranks,
        ended=number((view.finished or {}).get("t")),
        reason=str((view.finished or {}).get("reason") or ""),
        sweep=sweep if isinstance(sweep, str) else "",
        labels=labels_of(folder.path),
        settings={f"{section}.{key}": value for section, table in config.items() for key, value in table.items()},
        duration=view.elapsed,
        curve=means(view.train.column("loss"), _CURVE),
    )


def _config_of(folder: RunFolder) -> tuple[dict[str, dict[str, Any]], str]:
    """The tables of the run's experiment as they stand, and what is wrong with the file."""
    try:
        tables = tomllib.loads(folder.config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, "its config.toml is missing"
    except OSError as error:
        return {}, f"its config.toml cannot be read ({error.strerror})"
    except (ValueError, RecursionError):
        return {}, "its config.toml is damaged"
    return {key: value for key, value in tables.items() if isinstance(value, dict)}, ""


def _text(config: dict[str, dict[str, Any]], section: str, key: str) -> str:
    value = config.get(section, {}).get(key)
    return value if isinstance(value, str) else ""


def _created(folder: RunFolder, view: RunView, meta: dict[str, Any]) -> float:
    """When the run was made, in seconds since the epoch: as recorded, as its name says, or as its log begins."""
    recorded = meta.get("created")
    moment = number(recorded)
    if moment is None and isinstance(recorded, str):
        try:
            moment = datetime.fromisoformat(recorded).timestamp()
        except (ValueError, OverflowError, OSError):
            moment = None
    stamp = stamp_of(folder.name)
    if moment is None and stamp is not None:
        moment = stamp.timestamp()
    if moment is None and view.started is not None:
        moment = number(view.started.get("t"))
    return moment if moment is not None else _modified(folder.path)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _signature_of(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


# -- the folder of runs -----------------------------------------------------------------------------------------------
def _list_entry(entry: Path) -> RunSummary | None:
    """The line of one entry of the folder of runs; None when it is no run."""
    try:
        if not entry.is_dir():
            return None
        folder = RunFolder.open(entry)
    except TunerError as error:
        # Only a name that a run would have makes an odd folder worth a line.
        return _broken(entry, error.message) if stamp_of(entry.name) is not None else None
    except OSError as error:
        return _broken(entry, f"cannot be read ({error.strerror})")
    try:
        return summarise(folder)
    except TunerError as error:
        return _broken(entry, error.sentence())


def _broken(path: Path, problem: str) -> RunSummary:
    stamp = stamp_of(path.name)
    created = stamp.timestamp() if stamp is not None else _modified(path)
    return RunSummary(path.name, path.name, RunState.INTERRUPTED, 0, 0, created, path, "", None, None, problem)


def _forget_others(runs_dir: Path, present: set[Path]) -> None:
    with _lock:
        for path in [path for path in _readings if path.parent == runs_dir and path not in present]:
            del _readings[path]


# -- names ------------------------------------------------------------------------------------------------------------
def _is_path(text: str) -> bool:
    return os.sep in text or text.startswith("~") or (os.altsep is not None and os.altsep in text)


def _names(runs_dir: Path) -> list[str]:
    try:
        return sorted(
            entry.name for entry in Path(runs_dir).iterdir() if not entry.name.startswith(".") and entry.is_dir()
        )
    except OSError:
        return []


def _some(names: list[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, …"


def _not_found(text: str, names: list[str], runs_dir: Path) -> TunerError:
    if not names:
        fix = "there are no runs yet: begin one with `tui-tuner run`, or name the folder with --runs-dir"
    else:
        # People remember what they called a run rather than when they began it; the newest of a name goes first.
        stems = {name: stem_of(name).casefold() for name in reversed(names)}
        near = difflib.get_close_matches(stem_of(text).casefold(), set(stems.values()), n=3)
        close = sorted((name for name in stems if stems[name] in near), key=lambda name: near.index(stems[name]))
        fix = f"did you mean {_some(close)}?" if close else "list the runs with `tui-tuner runs`"
    return TunerError(f"there is no run “{text}”", code="run-not-found", where=str(runs_dir), fix=fix, usage=True)
