"""Runs a run folder without a screen: the same engine and events, told as lines."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tui_tuner.cli.output import Output
from tui_tuner.engine.protocol import JobHandle
from tui_tuner.engine.requests import Request, RunExperiment
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.runs import Event, EventTail, RunFolder, RunView

_LOOK = 0.25
_STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def run_folder(folder: RunFolder, output: Output) -> dict[str, Any]:
    """Runs what is left of a run folder; returns its `--json` document.

    Raises:
        TunerError: when it fails.
    """
    tail = EventTail(folder.events)
    tail.poll()  # what happened before is not told again
    teller = _Teller(output)

    def look() -> None:
        for event in tail.poll():
            teller.tell(event)

    document = perform(RunExperiment(folder.path), look)
    if not output.json and document["verdict"]:
        output.say(before_after_table(document))
    return dict(document)


def perform(request: Request, look: Callable[[], None] = lambda: None) -> Any:
    """Runs one request on an engine of its own, calling `look` now and then; returns its result.

    A first interrupt or termination asks the job to stop and save; a second one ends the process at once.

    Raises:
        TunerError: when the job fails.
    """
    engine = LocalEngine()
    engine.start()
    try:
        handle = engine.submit(request)
        with _stopping(handle):
            while not handle.finished.wait(_LOOK):
                look()
            look()
    finally:
        if not engine.shutdown(timeout=60.0):
            os._exit(1)  # a worker that cannot be joined would abort the interpreter on its way out
    if handle.error is not None:
        raise handle.error
    return handle.result


@contextlib.contextmanager
def _stopping(handle: JobHandle) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread only
        return
    asked = False

    def stop(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        handle.control.stop(signal.Signals(number).name)

    numbers = [getattr(signal, name) for name in _STOP_SIGNALS if hasattr(signal, name)]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Teller:
    """Turns events into lines of progress."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._view = RunView()

    def tell(self, event: Event) -> None:
        self._view.extend([event])
        line = self._line(event)
        if line:
            self._output.note(line)

    def _line(self, event: Event) -> str:
        kind = event["type"]
        if kind == "stage":
            # Why it failed is said once, by the error that ends the command.
            text = f" ({event['text']})" if event.get("text") and event["status"] != "failed" else ""
            took = f" in {event['seconds']:.1f} s" if event["status"] in ("done", "failed") else ""
            return f"{event['name']}: {event['status']}{took}{text}"
        if kind == "train":
            eta = self._view.eta_seconds()
            left = f", about {eta:.0f} s left" if eta is not None else ""
            return (
                f"  step {event['step']}/{self._view.steps}: loss {_figure(event['loss'])}, "
                f"{event['tokens_per_second']:.0f} tokens/s, learning rate {event['learning_rate']:.2e}{left}"
            )
        if kind == "validation":
            return f"  step {event['step']}: validation loss {_figure(event['loss'])}"
        if kind == "log":
            return f"  {event['text']}"
        if kind == "run_finished" and event["status"] != "failed":
            return f"{event['status']}: {event['reason']}" if event["reason"] else str(event["status"])
        return ""


def _figure(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.4f}"


def before_after_table(document: dict[str, Any]) -> str:
    """The metrics of a finished run as a text table, with 95 % intervals."""
    before, after = document["evaluation"]["before"], document["evaluation"]["after"]
    rows = [("metric", "before", "after", "difference", "verdict")]
    for name, judged in document["verdict"].items():
        difference = f"{judged['difference']:+.3f} ({judged['low']:+.3f} to {judged['high']:+.3f})"
        rows.append((name, _interval(before[name]), _interval(after[name]), difference, judged["verdict"]))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(["", *lines, ""])


def _interval(metric: dict[str, float]) -> str:
    return f"{metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"
