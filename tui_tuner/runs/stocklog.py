"""Follows the training log of stock mlx-lm, and tells it in this project's own events.

So the live screen, the charts and the run doctor work on a run that `mlx_lm.lora` makes with its output sent to a file
(`mlx_lm.lora ... > train.log`, `| tee train.log`, or `script train.log`). Only what the log says becomes an event, and
nothing is made up: fields that mlx-lm does not print are absent. It only reads, and must never fail on what is in the
file.

**Steps.** mlx-lm validates before the update of the iteration that it names, so `Iter 200: Val loss` is the loss after
199 updates, and is told as step 199 (`Iter 1` as step 0: the untrained adapter). Versions before March 2024 validated
after the update; they print the training loss of an iteration before its validation loss, and where that is seen the
step is the iteration's own. Training reports and checkpoints always follow the update.

**Times.** The log has none. The last event of a reading gets the time of the file's last change; those before it are
placed back from there by the durations that the log implies. Followed live, that is the true time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from .events import Event
from .files import read_failure
from .stocklines import LineAssembler, parse, split_lines
from .stockstory import StockStory

_CHUNK: Final = 1 << 20
_LONGEST_LINE: Final = 1 << 20  # bytes without a line end; more is no log
_LONGEST_REPORT: Final = 4096  # bytes, colours and a frame of the bar before it included
_HEAD_BYTES: Final = 256
_UNRECOGNISED: Final = 200  # lines after which a file is taken for something else


class StockLogReader:
    """Reads a training log of mlx-lm as it grows.

    It takes complete lines only. A report that was wrapped is put together again; one whose rest has not come is told
    without it at the first `poll` that finds nothing new. Several runs in one file are told one after another, each
    from a `run_started` on, so a view shows the last. When the file is replaced or cut, it starts over.

    The first `poll` reads the whole file: do that in a thread for a large one.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.generation = 0
        """How often the file turned out to be another one than before; a follower then folds anew."""
        self._file: tuple[int, int] | None = None
        self._forget()

    @property
    def recognised(self) -> bool | None:
        """Whether this is a training log: True once one of mlx-lm's lines was seen, False after 200 lines without any,
        None as long as it may be either."""
        if self._story.recognised:
            return True
        return False if self._lines >= _UNRECOGNISED else None

    def poll(self) -> list[Event]:
        """The events of what was added since the last call; empty when nothing was, or when there is no file yet.

        Raises:
            TunerError: `not-readable`, naming the file.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise read_failure(error, self.path) from error
        try:
            changed = self._read(descriptor)
            return self._timed(changed)
        except OSError as error:
            raise read_failure(error, self.path) from error
        finally:
            os.close(descriptor)

    def _forget(self) -> None:
        self._offset = 0
        self._tail = b""
        self._head = b""
        self._lines = 0
        self._last_time = 0.0
        self._assembler = LineAssembler()
        self._story = StockStory(self.path.stem)

    def _read(self, descriptor: int) -> float:
        """Take in what is new; returns when the file was last changed, in seconds since the epoch."""
        status = os.fstat(descriptor)
        identity = (status.st_dev, status.st_ino)
        if self._file is not None and (
            identity != self._file
            or status.st_size < self._offset
            or os.pread(descriptor, len(self._head), 0) != self._head
        ):
            self._forget()
            self.generation += 1
        self._file = identity
        if status.st_size <= self._offset:
            self._settle()
            return status.st_mtime
        while chunk := os.pread(descriptor, _CHUNK, self._offset):
            self._offset += len(chunk)
            end = chunk.rfind(b"\n") + 1
            if end:
                self._take(self._tail + chunk[:end])
                self._tail = chunk[end:]
            else:
                self._tail = (self._tail + chunk)[-_LONGEST_LINE:]
        if len(self._head) < _HEAD_BYTES:
            self._head = os.pread(descriptor, min(_HEAD_BYTES, self._offset), 0)
        self._story.pause()
        return status.st_mtime

    def _take(self, raw: bytes) -> None:
        self._lines += sum(1 for line in raw.splitlines() if line.strip())
        for line in split_lines(raw.decode("utf-8", "replace")):
            for found in self._assembler.add(line):
                self._story.tell(found)

    def _settle(self) -> None:
        """Nothing new has come: what waits for its rest is told as it is, and a last line without its end if whole."""
        short = len(self._tail) <= _LONGEST_REPORT
        lines = split_lines(self._tail.decode("utf-8", "replace")) if short else []
        found = parse(lines[-1]) if lines else None
        if found is not None and (found.kind == "final" or (found.kind in ("train", "validation") and found.whole)):
            self._take(self._tail)
            self._tail = b""
        for each in self._assembler.flush():
            self._story.tell(each)
        self._story.pause()

    def _timed(self, changed: float) -> list[Event]:
        told = self._story.take()
        moment = max(changed, self._last_time)
        events: list[Event] = []
        for event, seconds in reversed(told):
            events.append({"t": max(moment, self._last_time), **event})
            moment -= seconds
        if events:
            self._last_time = events[0]["t"]
        return events[::-1]
