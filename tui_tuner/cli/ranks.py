"""A run that several ranks train: the command that starts and watches them, and the one that each of them runs."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Any

from tui_tuner.cli.headless import before_after_table, perform, stopping, told
from tui_tuner.cli.output import Output
from tui_tuner.config import load_experiment
from tui_tuner.engine.document import document_of
from tui_tuner.engine.ranks.hosts import RankPlan, check_ranks
from tui_tuner.engine.ranks.launch import Launch
from tui_tuner.engine.ranks.wire import Post
from tui_tuner.engine.requests import JoinRun, RankPlace, RunExperiment
from tui_tuner.engine.takeup import note_end
from tui_tuner.errors import TunerError
from tui_tuner.runs import Event, RunFolder, RunLock, holder
from tui_tuner.runs.requests import ask

_LOOK = 0.25
_AGAIN = 2.0  # seconds after which a stop is asked for again: the run may not have been listening yet


def run_folder_on(folder: RunFolder, plan: RankPlan, output: Output) -> dict[str, Any]:
    """Runs what is left of a run folder with several ranks; returns its `--json` document.

    Raises:
        TunerError: when it fails, or a rank is gone.
    """
    check_ranks(load_experiment(folder.config), plan)
    owner = holder(folder)
    if owner is not None and owner.here:  # of another machine only rank 0, which may be there, can say whether it lives
        with RunLock(folder):
            pass
    look = told(folder, output)
    launch, wishes = Launch(folder, plan), _Stop(folder)
    ending: Event | None = None
    launch.start()
    try:
        with stopping(wishes.want, launch.kill):
            running = True
            while running:
                running = launch.look()
                wishes.ask()
                for event in look():
                    ending = event if event["type"] == "run_finished" else ending
                if running:
                    time.sleep(_LOOK)
    finally:
        launch.close()
    status = str(ending["status"]) if ending is not None else ""
    failure = launch.failure
    if failure is None and status not in ("finished", "stopped"):
        failure = TunerError("the run ended without saying why", code="rank-died", where=str(folder.log))
    # What went wrong after the run's end is of no interest any more.
    if failure is not None and status != "finished":
        if ending is None:
            note_end(folder, "failed", failure.sentence())
        raise failure
    document = document_of(folder, status)
    if not output.json and document["verdict"]:
        output.say(before_after_table(document))
    return document


class _Stop:
    """A wish to stop that is left in the run folder until the run has heard it."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._wanted = threading.Event()
        self._asked = float("-inf")

    def want(self, _: str) -> None:
        self._wanted.set()

    def ask(self) -> None:
        if self._wanted.is_set() and time.monotonic() - self._asked > _AGAIN:
            self._asked = time.monotonic()
            with contextlib.suppress(TunerError):  # nobody is there yet, or no longer
                ask(self._folder, "stop")


def be_rank(folder: Path, size: int, backend: str, beside: int, output: Output) -> int:
    """What each of the ranks does: rank 0 runs the run, the others train along.

    Args:
        size: how many ranks there are.
        beside: how many of them are on one machine at most.
    """
    from tui_tuner.models.blas import share_processors
    from tui_tuner.models.libraries import ready

    try:
        place = RankPlace(int(os.environ["MLX_RANK"]), size, backend)
    except (KeyError, ValueError) as error:
        raise TunerError(
            "this command is what mlx's launcher starts", code="usage", fix="use `tui-tuner run -n`", usage=True
        ) from error
    post = Post(place.rank, output.out)
    share_processors(beside)
    ready()
    post.begin(folder / "config.toml")
    if not post.wait_for_all():
        return 1
    request = RunExperiment(folder, place) if place.rank == 0 else JoinRun(folder, place)
    try:
        result = perform(request, begun=lambda job: post.when_lost(lambda: job.control.stop("the launcher's end")))
    except TunerError as error:
        post.failed(error)
        return 1
    post.ended(str(result["status"]) if result is not None else "stopped")
    return 0
