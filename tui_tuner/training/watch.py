"""Watches a training log of stock mlx-lm from outside: its events, what they add up to, and the run doctor's advice.

The one job behind `attach --log`, for the screen and for the lines without one. It only reads the file, and knows no
more of the program that writes it than the file says: whether that still runs can be guessed from its silence alone.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Final

import numpy as np

from tui_tuner.errors import TunerError
from tui_tuner.runs.events import Event
from tui_tuner.runs.files import read_failure
from tui_tuner.runs.state import RunState
from tui_tuner.runs.stocklog import StockLogReader
from tui_tuner.runs.view import RunView

from .advice import NewAdvice, diagnose

_SAMPLE: Final = 1 << 13  # bytes at either end of a file that tell text from anything else
_SHORT: Final = 1 << 20  # bytes that are read in an instant
_BINARY: Final = 0.05  # share of characters that no text has
_RECENT: Final = 20  # reports
_PATIENCE: Final = 5.0  # silences as long as the longest so far
_SHORTEST: Final = 60.0  # seconds
_FIRST: Final = 1800.0  # seconds that loading, and a first validation, may take
_TEXT_CONTROLS: Final = "\t\n\v\f\r\x07\x08\x0e\x0f\x1b"
_WORDS: Final = {RunState.QUEUED: "waiting", RunState.INTERRUPTED: "quiet"}


def word_of(state: RunState) -> str:
    """A state in the word that is true of a log: whether a silent one was interrupted, nobody can know."""
    return _WORDS.get(state, state.value)


class LogWatch:
    """A log being watched, whether somebody still writes it or not.

    Args:
        path: the file; it need not be there yet.

    Attributes:
        path: its absolute path.
        view: the last run that the log tells of, advice included.
        runs: how many runs the log tells of.
        changed: when the file was last written to, in seconds since the epoch; 0 before it was read.
        problem: why the log cannot be read as one at the moment, or None.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111  a link keeps its own name
        self.view = RunView()
        self.runs = 0
        self.changed = 0.0
        self.problem: TunerError | None = None
        self._reader = StockLogReader(self.path)
        self._generation = self._reader.generation
        self._advice = NewAdvice()
        self._longest_wait = 0.0

    @property
    def size(self) -> int:
        """Bytes of the file; 0 when it is not there."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def check(self) -> None:
        """Sees beforehand to it that there is a log; all of it is only looked through when it is short.

        Raises:
            TunerError: `not-found`, `not-readable` or `not-a-log`, naming the file.
        """
        self._look()
        if self.size <= _SHORT:
            trial = LogWatch(self.path)
            trial.poll()
            if trial.problem is not None:
                raise trial.problem

    def poll(self) -> list[Event]:
        """Takes in what was written since the last call; never fails, but sets `problem`.

        The first call reads all there is: do that in a thread for a large file.

        Returns:
            The new events in order, those of the doctor among them; empty when there is nothing new.
        """
        try:
            self._look()
            events = self._reader.poll()
            if self._reader.recognised is False:
                raise TunerError(
                    "holds no training log of mlx-lm",
                    code="not-a-log",
                    where=str(self.path),
                    fix="name the file that the output of `mlx_lm.lora` goes to",
                )
        except TunerError as error:
            self.problem = error
            events = []
        else:
            self.problem = None
        if self._reader.generation != self._generation:
            self._generation = self._reader.generation
            self._begin()
            self.runs = 0
        return self._fold(events)

    def state(self, now: float) -> RunState:
        """The run's state as far as its log tells.

        Args:
            now: seconds since the epoch.

        Returns:
            `interrupted` means no more than that the log has been silent for much longer than before.
        """
        return self.view.state(alive=now - self.changed <= self.patience)

    @property
    def patience(self) -> float:
        """Seconds of silence that are nothing unusual, going by how long reports and validations took so far."""
        times, spent = self.view.train.column("t"), self.view.validation.column("seconds")[-_RECENT:]
        gaps = np.diff(times[-_RECENT - 1 :])
        if not len(gaps):
            return _FIRST
        longest = float(np.nanmax(gaps)) + (float(np.nanmax(spent)) if np.isfinite(spent).any() else 0.0)
        return max(_SHORTEST, _PATIENCE * max(longest, self._longest_wait))

    # -- reading ------------------------------------------------------------------------------------------------------
    def _look(self) -> None:
        """Sees to it that the file is one that can be read, and notes when it was written.

        Raises:
            TunerError: it is not, with the reason.
        """
        try:
            status = self.path.stat()
            if not stat.S_ISREG(status.st_mode):
                what = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
                raise TunerError(
                    f"is {what}", code="not-a-log", where=str(self.path), fix="name the file that the log is written to"
                )
            if not self._reader.recognised and _looks_binary(self.path, status.st_size):
                raise TunerError(
                    "holds no text",
                    code="not-a-log",
                    where=str(self.path),
                    fix="name the file that the output of `mlx_lm.lora` goes to",
                )
        except FileNotFoundError as error:
            if not self.changed:
                raise read_failure(error, self.path) from error
            raise TunerError(
                "is no longer there; what it said until then is shown", code="not-found", where=str(self.path)
            ) from error
        except (OSError, ValueError) as error:  # a NUL in the name
            failure = error if isinstance(error, OSError) else OSError(str(error))
            raise read_failure(failure, self.path) from error
        if len(self.view.train) and status.st_mtime > self.changed:
            self._longest_wait = max(self._longest_wait, status.st_mtime - self.changed)
        self.changed = status.st_mtime

    def _begin(self) -> None:
        """Another run begins: what was said of the one before is of that one."""
        self.view, self._advice, self._longest_wait = RunView(), NewAdvice(), 0.0

    def _fold(self, events: list[Event]) -> list[Event]:
        beginnings = [at for at, event in enumerate(events) if event["type"] == "run_started"]
        if beginnings:
            self._begin()
            self.runs += len(beginnings)
        latest = events[beginnings[-1] :] if beginnings else events
        self.view.extend(latest)
        if any(event["type"] in ("train", "validation") for event in latest):
            found = self._advice.take(diagnose(self.view))
            said: list[dict[str, Any]] = [{"t": latest[-1]["t"], "type": "advice", **a.as_fields()} for a in found]
            self.view.extend(said)
            events = [*events, *said]
        return events


def _looks_binary(path: Path, size: int) -> bool:
    """Whether the beginning or the end of a file is something else than text."""
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
        file.seek(max(0, size - _SAMPLE))
        tail = file.read(_SAMPLE)
    # A log that was emptied under its writer begins with a hole, which reads as NULs.
    return any(_share_of_others(part.lstrip(b"\x00")) > _BINARY for part in (head, tail))


def _share_of_others(raw: bytes) -> float:
    """The share of characters that no text of a terminal has."""
    text = raw.decode("utf-8", "replace")
    odd = sum(1 for sign in text if sign == "\ufffd" or (sign < " " and sign not in _TEXT_CONTROLS))
    return odd / len(text) if text else 0.0
