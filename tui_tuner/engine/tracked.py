"""Starts what sends a run's figures to trackers, and brings what it has to say into the run's log.

Each tracker has a process of its own, which reads the log. A run starts it and leaves it alone: neither its slowness
nor its death is felt, and the run's end does not wait for it. It must never raise into a run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Any, Final

from tui_tuner.config.tracking_section import TrackerName
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.tracking.sending import tracking_folder
from tui_tuner.tracking.trackers import TITLES, is_there, missing

Emit = Callable[..., object]
_MOST: Final = 50  # sentences of one tracker that go into the log
_LONGEST: Final = 2000
_going: list[subprocess.Popen[str]] = []
_guard = threading.Lock()


def send_along(folder: RunFolder, to: Sequence[TrackerName], emit: Emit) -> None:
    """Starts a process for each tracker; what is wrong with one is a line in the log.

    Args:
        folder: the run, whose lock this process holds.
        to: the trackers.
        emit: writes an event, as `EventLog.append`; called from other threads as long as it takes any.
    """
    for name in to:
        if not is_there(name):
            _tell(emit, missing(name).sentence(), trouble=True)
            continue
        try:
            _start(folder, name, emit)
        except (OSError, TunerError) as error:
            _tell(emit, f"{TITLES[name]} could not be started ({error}); the run goes on without it", trouble=True)


def settle(seconds: float, told: Callable[[Sequence[str]], object] = lambda _: None) -> None:
    """Waits until everything is sent that this process's runs have to send, so many seconds at most.

    What takes longer goes on by itself, as far as the system lets it.

    Args:
        told: is told, once, which processes are waited for, when there are any.
    """
    deadline = time.monotonic() + seconds
    with _guard:
        waiting = [process for process in _going if process.poll() is None]
    if waiting:
        told([process.args[-1] for process in waiting if isinstance(process.args, list)])
    for process in waiting:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))


def _start(folder: RunFolder, name: TrackerName, emit: Emit) -> None:
    place = tracking_folder(folder)
    place.mkdir(exist_ok=True)
    with (place / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tui_tuner.tracking", str(folder.path), name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # an interrupt in the terminal is for the run, whose end is still to be sent
            cwd=os.sep,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    with _guard:
        _going[:] = [one for one in _going if one.poll() is None] + [process]
    threading.Thread(target=_listen, args=(process, name, emit), name=f"tracking-{name}", daemon=True).start()


def _listen(process: subprocess.Popen[str], name: TrackerName, emit: Emit) -> None:
    assert process.stdout is not None
    told, troubled = 0, False
    with process.stdout as lines:
        for line in _lines(lines):
            text, trouble = _message(line)
            if text and told < _MOST:
                told += 1
                troubled = troubled or trouble
                _tell(emit, text, trouble)
    status = process.wait()
    if status and not troubled:
        _tell(emit, f"{TITLES[name]} ended with status {status}; the run goes on without it", trouble=True)


def _lines(stream: IO[str]) -> Any:
    with suppress(OSError, ValueError):
        yield from stream


def _message(line: str) -> tuple[str, bool]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return "", False
    if not isinstance(found, dict) or not isinstance(found.get("text"), str):
        return "", False
    return found["text"][:_LONGEST], found.get("trouble") is True


def _tell(emit: Emit, text: str, trouble: bool) -> None:
    with suppress(TunerError, ValueError):  # a full disk; a log that is closed, because the run has ended
        emit("log", level="warning" if trouble else "info", text=text)
