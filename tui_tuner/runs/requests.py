"""Steering a run that another process runs: requests are lines in a file that the runner watches.

A request is a wish, not a command: it is taken at the job's next safe point, or never when the run ends first. Lines
that were written before a runner began to watch are old wishes and are not taken.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from ..errors import TunerError
from .control import JobControl
from .events import EventTail
from .files import write_failure
from .folder import RunFolder
from .lock import holder
from .probes import prompt_of
from .rates import RateWish

if TYPE_CHECKING:
    from .view import RunView

FILE = "requests.jsonl"
KINDS = ("stop", "pause", "proceed", "learning_rate", "evaluate", "checkpoint", "finish_epoch", "probe")
_OF_TRAINING = ("learning_rate", "evaluate", "checkpoint", "finish_epoch", "probe")
_LOOK = 0.25


def ask(folder: RunFolder, what: str, value: Any = None) -> None:
    """Leaves a request for whoever runs the folder.

    Args:
        what: one of `KINDS`.
        value: for `learning_rate` the new rate, or a factor on the present one as `RateWish.parse` takes it; for
            `probe` a new prompt, or None to ask those there are.

    Raises:
        TunerError: `not-running` when nobody runs it, `bad-rate`, `bad-probe`, or when the folder cannot be written.
    """
    if what not in KINDS:
        raise TunerError(
            f"there is no request {what!r}", code="usage", fix=f"ask for one of {', '.join(KINDS)}", usage=True
        )
    if what == "learning_rate":
        value = RateWish.read(value).value
    if what == "probe" and value is not None:
        value = prompt_of(value)
    if holder(folder) is None and not _has_begun(folder):
        raise TunerError(
            "this run has not begun yet",
            code="not-running",
            where=folder.name,
            fix="ask again when it has; `tui-tuner queue` lists what waits, and takes out what shall not begin",
        )
    if holder(folder) is None:
        raise TunerError(
            "nobody runs this run at present",
            code="not-running",
            where=folder.name,
            fix="`tui-tuner resume` goes on with it",
        )
    line = json.dumps({"t": time.time(), "type": what, "value": value}) + "\n"
    path = folder.path / FILE
    try:
        with path.open("a", encoding="utf-8") as handle:
            handle.write(line)
    except OSError as error:
        raise write_failure(error, path) from error


def _has_begun(folder: RunFolder) -> bool:
    try:
        return folder.events.stat().st_size > 0
    except OSError:
        return False


def is_heard(what: str, view: RunView) -> bool:
    """Whether a run would still take a request: some are only for training, which may be over while the run goes on."""
    stage = view.stages.get("train")
    return what not in _OF_TRAINING or stage is None or stage.status not in ("done", "skipped")


class RequestWatch:
    """Hands the requests of a run folder's file to a job's control while it is open, four looks a second."""

    def __init__(self, folder: RunFolder, control: JobControl) -> None:
        self._control = control
        self._tail = EventTail(folder.path / FILE)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="tui-tuner-requests", daemon=True)

    def __enter__(self) -> RequestWatch:
        self._tail.poll()  # old wishes
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK):
            try:
                wishes = self._tail.poll()
            except TunerError:
                continue  # a disk in trouble: the job itself will notice
            for wish in wishes:
                obey(self._control, str(wish["type"]), wish.get("value"))


def obey(control: JobControl, what: str, value: Any = None, *, by: str = "request") -> None:
    """Passes one request on to a control; what it does not know is passed over."""
    if what == "stop":
        control.stop(by)
    elif what == "pause":
        control.pause()
    elif what == "proceed":
        control.proceed()
    elif what in KINDS:
        control.request(what, value)
