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
from .growing import GrowingFile
from .stocklines import LineAssembler, parse, split_lines
from .stockstory import StockStory

_CHUNK: Final = 1 << 20
_LONGEST_LINE: Final = 1 << 20  # bytes without a line end; more is no log
_LONGEST_REPORT: Final = 4096  # bytes, colours and a frame of the bar before it included
_UNRECOGNISED: Final = 200  # lines after which a file is taken for something else


class StockLogReader(GrowingFile):
    """Reads a training log of mlx-lm as it grows.

    It takes complete lines only. A report that was wrapped is put together again; one whose rest has not come is told
    without it at the first `poll` that finds nothing new. Several runs in one file are told one after another, each
    from a `run_started` on, so a view shows the last.

    The first `poll` reads the whole file: do that in a thread for a large one.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._forget()

    @property
    def recognised(self) -> bool | None:
        """Whether this is a training log: True once one of mlx-lm's lines was seen, False after 200 lines without any,
        None as long as it may be either."""
        if self._story.recognised:
            return True
        return False if self._lines >= _UNRECOGNISED else None

    def _forget(self) -> None:
        super()._forget()
        self._tail = b""
        self._lines = 0
        self._last_time = 0.0
        self._assembler = LineAssembler()
        self._story = StockStory(self.path.stem)

    def _read(self, descriptor: int, status: os.stat_result) -> list[Event]:
        if status.st_size <= self.offset:
            self._settle()
            return self._timed(status.st_mtime)
        while chunk := os.pread(descriptor, _CHUNK, self.offset):
            self.offset += len(chunk)
            end = chunk.rfind(b"\n") + 1
            if end:
                self._take(self._tail + chunk[:end])
                self._tail = chunk[end:]
            else:
                self._tail = (self._tail + chunk)[-_LONGEST_LINE:]
        self._story.pause()
        return self._timed(status.st_mtime)

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
