"""The process beside a run that sends its figures to one tracker: `python -m tui_tuner.tracking FOLDER TRACKER`.

It ends with the run: when the process that writes the run is gone, what is left is sent, for a minute at most. What a
person should know goes to standard output, a JSON object a line, {"text", "trouble"}; all that libraries print goes
to standard error, which whoever starts it leads to a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from tui_tuner.config import load_experiment
from tui_tuner.config.tracking_section import TRACKERS, TrackerName
from tui_tuner.errors import TunerError, brief
from tui_tuner.runs import Holder, RunFolder, holder
from tui_tuner.tracking.sending import Sender, Watchdog, alone, place_of
from tui_tuner.tracking.trackers import TITLES

END: Final = 60.0
"""Seconds that a tracker has after the run's end to take what is left."""
_HANDOVER: Final = END + 15.0


def main(arguments: list[str]) -> int:
    """Sends a run that is going on; returns the exit status."""
    folder, name = RunFolder.open(Path(arguments[0])), arguments[1]
    to = next(known for known in TRACKERS if known == name)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print is no message
    with contextlib.suppress(OSError):
        os.nice(5)  # the run comes first

    def say(text: str, *, trouble: bool = False) -> None:
        _say(out, text, trouble)

    over = gone(folder)
    try:
        with alone(folder, to, _HANDOVER):
            _send(folder, to, over, say)
    except TunerError as error:
        say(error.sentence(), trouble=True)
        return 1
    except Exception as error:
        say(f"{TITLES[to]}: an unexpected error ({type(error).__name__}: {brief(error)})", trouble=True)
        return 1
    return 0


def gone(folder: RunFolder) -> Callable[[], bool]:
    """A function that says whether whoever writes the run now no longer does: it ended, or another session began."""
    writer = _holder(folder)

    def over() -> bool:
        now = _holder(folder)
        return now is None or writer is None or (now.pid, now.host) != (writer.pid, writer.host)

    return over


def _holder(folder: RunFolder) -> Holder | None:
    try:
        return holder(folder)
    except TunerError:
        return None


def _send(folder: RunFolder, to: TrackerName, over: Callable[[], bool], say: Callable[..., None]) -> None:
    experiment = load_experiment(folder.config)
    sender = Sender(folder, to, place_of(folder, experiment, experiment.tracking), say)

    def overdue() -> None:
        text = f"{TITLES[to]} did not take everything within {END:.0f} s of the run's end"
        say(f"{text}; `tui-tuner track {folder.name} --to {to}` sends what is missing", trouble=True)
        sender.give_up(text)
        os._exit(1)  # a library that hangs ends in no other way

    def begun(where: str) -> None:
        section = experiment.tracking
        at = f": {where}" if where else (f", in files below {folder.name}/tracking" if section.offline else "")
        say(f"figures go to {TITLES[to]}, project {section.project}{at}")

    with Watchdog(over, overdue, END):
        sender.run(over, live=True, begun=begun)


def _say(out: TextIO, text: str, trouble: bool) -> None:
    try:
        out.write(json.dumps({"text": text, "trouble": trouble}) + "\n")
        out.flush()
    except (OSError, ValueError):
        pass  # nobody listens any more


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # what a library left behind, threads and hooks, is not waited for
