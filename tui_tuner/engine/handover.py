"""Hands a run to a process of its own, so that app, terminal and connection may go away.

Resuming is exact, so handing over is nothing but: stop and save here, resume there. The new process leads a session of
its own and holds no terminal.
"""

from __future__ import annotations

import time
from pathlib import Path

from tui_tuner.engine.background import start
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.runs.folder import QUEUE_FOLDER
from tui_tuner.runs.lock import holder
from tui_tuner.runs.queue import runner_place

_LOOK = 0.05


def continue_in_background(folder: RunFolder, timeout: float = 30.0) -> int:
    """Starts `tui-tuner resume` on a stopped run and waits until it has taken the run's lock; returns its process id.

    What it prints goes to the run's `engine.log`.

    Raises:
        TunerError: when the process ends before it has taken the run over, or takes longer than `timeout` seconds.
    """
    process = start(["resume", str(folder.path)], folder.log)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        owner = holder(folder)
        if owner is not None and owner.pid == process.pid:
            return process.pid
        if process.poll() is not None:
            if process.returncode == 0:  # there was so little left that it is done already
                return process.pid
            raise TunerError(
                "the background process ended before it took the run over",
                code="handover-failed",
                where=str(folder.log),
                fix="look there, then `tui-tuner resume` the run",
            )
        time.sleep(_LOOK)
    raise TunerError(
        f"the background process did not take the run over within {timeout:.0f} s",
        code="handover-failed",
        where=str(folder.log),
        fix="look there, and at `tui-tuner runs`",
    )


def work_off_in_background(runs_dir: Path, timeout: float = 30.0) -> int:
    """Starts `tui-tuner queue run` in a process of its own and waits until it works; returns its process id.

    Raises:
        TunerError: it ended before it began.
    """
    log = runs_dir / QUEUE_FOLDER / "runner.log"
    process = start(["queue", "run", "--runs-dir", str(runs_dir)], log)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and process.poll() is None:
        owner = holder(runner_place())
        if owner is not None and owner.pid == process.pid:
            return process.pid
        time.sleep(_LOOK)
    if process.poll() == 0:
        return process.pid
    raise TunerError(
        "the background process did not take the queue over",
        code="handover-failed",
        where=str(log),
        fix="look there, then `tui-tuner queue run`",
    )
