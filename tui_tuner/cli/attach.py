"""The command that shows a run, or the training log of another program: on the screen, or in lines without one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tui_tuner.cli.options import Debug, Json, RunIfAny, RunsDir, find
from tui_tuner.cli.output import opened
from tui_tuner.errors import TunerError


def attach(
    run: RunIfAny = None,
    log: Annotated[
        Path | None, typer.Option("--log", help="Watch this training log of mlx-lm instead.", show_default=False)
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Lines as they come, until the run ends; no screen.")
    ] = False,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Opens the live screen of a run, whoever runs it, or of a training log; tells how it stands without a terminal."""
    if (run is None) == (log is None):
        raise TunerError(
            "attach takes a run or a log, one of them",
            code="usage",
            fix="name a run, or a file with --log",
            usage=True,
        )
    from tui_tuner.cli import output

    if json or follow or not output.has_terminal():
        from tui_tuner.cli.watching import WatchedLog, WatchedRun, tell

        with opened(json=json, debug=debug) as out:
            watched = WatchedLog(log) if log is not None else WatchedRun(find(str(run), runs_dir))
            return tell(watched, out, follow=follow)
    from tui_tuner.cli.screen import open_workbench

    if log is None:
        return open_workbench(runs_dir, run=find(str(run), runs_dir).path)
    from tui_tuner.training.watch import LogWatch

    watch = LogWatch(log)
    watch.check()  # so that a mistake is said here and not behind a screen
    return open_workbench(runs_dir, log=watch.path)
