"""Runs a run folder without a screen: the same engine and events, told as lines."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tui_tuner import units
from tui_tuner.cli.output import Output
from tui_tuner.cli.telling import Teller
from tui_tuner.engine.document import document_of
from tui_tuner.engine.protocol import JobHandle
from tui_tuner.engine.requests import Request, RunExperiment
from tui_tuner.engine.takeup import note_end
from tui_tuner.engine.tracked import settle
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.errors import TunerError
from tui_tuner.runs import Event, EventTail, RunFolder
from tui_tuner.runs.catalogue import summarise

_LOOK = 0.25
_SENDING = 10.0  # seconds that a process waits for trackers before it ends
_STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def run_folder(folder: RunFolder, output: Output) -> dict[str, Any]:
    """Runs what is left of a run folder; returns its `--json` document.

    Raises:
        TunerError: when it fails.
    """
    try:
        document = perform(RunExperiment(folder.path), told(folder, output))
        if document is None:  # asked to stop before the engine came to it
            document = never_begun(folder)
    finally:
        settle(_SENDING, lambda names: output.note(f"sending the last figures to {' and '.join(names)}"))
    if not output.json and document["verdict"]:
        output.say(before_after_table(document))
    return dict(document)


def never_begun(folder: RunFolder) -> dict[str, Any]:
    """The document of a run that was stopped before it could say so itself, once that is written down."""
    if summarise(folder).ended is None:
        note_end(folder, "stopped", "stopped before it began")
    return document_of(folder, "stopped")


def told(folder: RunFolder, output: Output) -> Callable[[], list[Event]]:
    """A function that tells what happened in a run since it was last called, and returns it; the past is left out."""
    tail = EventTail(folder.events)
    tail.poll()
    teller = Teller(output.note)

    def look() -> list[Event]:
        events = tail.poll()
        for event in events:
            teller.tell(event)
        return events

    return look


def perform(
    request: Request, look: Callable[[], Any] = lambda: None, begun: Callable[[JobHandle], None] = lambda _: None
) -> Any:
    """Runs one request on an engine of its own, calling `look` now and then, and `begun` once; returns its result.

    A first interrupt or termination asks the job to stop and save; a second one ends the process at once.

    Raises:
        TunerError: when the job fails.
    """
    with one_engine() as engine:
        return attend(engine, request, look, begun)


@contextlib.contextmanager
def one_engine() -> Iterator[LocalEngine]:
    """An engine for as long as it is open; what one request has loaded is there for the next."""
    engine, asked = LocalEngine(), list[str]()
    try:
        with stopping(asked.append):  # threads that are half started could not be ended
            engine.start()
        if asked:
            raise KeyboardInterrupt
        yield engine
    finally:
        with stopping(lambda _: None):  # it ends as it is
            ended = engine.shutdown(timeout=60.0)
        if not ended:
            os._exit(1)  # a worker that cannot be joined would abort the interpreter on its way out


def attend(
    engine: LocalEngine,
    request: Request,
    look: Callable[[], Any] = lambda: None,
    begun: Callable[[JobHandle], None] = lambda _: None,
) -> Any:
    """As `perform`, on an engine that is there."""
    asked, handles = list[str](), list[JobHandle]()

    def stop(by: str) -> None:
        asked.append(by)
        for each in handles:
            each.control.stop(by)

    with stopping(stop):
        handle = engine.submit(request)
        handles.append(handle)
        if asked:  # meanwhile
            handle.control.stop(asked[0])
        begun(handle)
        while not handle.finished.wait(_LOOK):
            look()
        look()
    if handle.error is not None:
        raise handle.error
    return handle.result


def completed(request: Request, look: Callable[[], Any], stopped: str, fix: str = "") -> dict[str, Any]:
    """As `perform`, where a stop is a failure.

    Args:
        stopped: what is said then, and what to do about it.

    Raises:
        TunerError: the job failed, or was stopped.
    """
    document = perform(request, look)
    if document is None:
        raise TunerError(stopped, code="stopped", fix=fix)
    return dict(document)


@contextlib.contextmanager
def stopping(stop: Callable[[str], None], at_once: Callable[[], None] = lambda: None) -> Iterator[None]:
    """While open, a first interrupt or termination calls `stop` with the signal's name; a second one ends the process.

    Args:
        at_once: what is done before that end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread only
        return
    asked = False

    def hear(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            at_once()
            os._exit(128 + number)
        asked = True
        stop(signal.Signals(number).name)

    there = [getattr(signal, name) for name in _STOP_SIGNALS if hasattr(signal, name)]
    # `nohup` means that the terminal's end shall not be heard.
    numbers = [n for n in there if n == signal.SIGINT or signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, hear) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def before_after_table(document: dict[str, Any]) -> str:
    """The metrics of a finished run as a text table, with 95 % intervals."""
    before, after = document["evaluation"]["before"], document["evaluation"]["after"]
    rows = [("metric", "before", "after", "difference", "verdict")]
    for name, judged in document["verdict"].items():
        difference = f"{judged['difference']:+.3f} ({judged['low']:+.3f} to {judged['high']:+.3f})"
        rows.append((name, units.interval(before[name]), units.interval(after[name]), difference, judged["verdict"]))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(["", *lines, ""])
