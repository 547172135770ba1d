"""From advice to another run: the difference it would make, a question, and the experiment that follows it.

The run that was advised is only read. What is made of its configuration is a new experiment, and a new run if that is
wished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui_tuner.paths import noted_base
from tui_tuner.runs.lock import holder
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.text import clip_middle, visible

if TYPE_CHECKING:
    from tui_tuner.config.model import Experiment
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.training.remedies import Remedy, Said
    from tui_tuner.ui.app import TunerApp

_LOOK = 0.25
"""Seconds between looks at whether a run of another process has ended."""


@dataclass(frozen=True)
class Proposal:
    """An experiment that follows advice.

    Attributes:
        experiment: the new experiment.
        before: the one of the run.
        remedy: what is changed, and what is left out.
        folder: the run that was advised.
    """

    experiment: Experiment
    before: Experiment
    remedy: Remedy
    folder: RunFolder

    @property
    def text(self) -> str:
        """The difference, line by line."""
        from tui_tuner.config.difference import of_change

        changes = of_change(self.remedy.change, self.before)
        width = max(len(each.key) for each in changes)
        name = clip_middle(self.experiment.run.name, 40)
        lines = [f"{name}: as {clip_middle(self.before.run.name, 40)}, but"]
        lines += [f"  {each.key:<{width}}  {each.old} → {each.new}" for each in changes]
        lines += [
            f"Left out: {visible(one.code)} wants {visible(key)} otherwise; it can follow in the run after this one."
            for one, key in self.remedy.left_out
        ]
        return "\n".join(lines)


def propose(app: TunerApp, folder: RunFolder, advice: Sequence[Said]) -> Proposal | None:
    """The experiment that follows some advice, given gravest first; None when there is nothing to change.

    Raises:
        TunerError: when the run's configuration cannot be read, or the change would not make a valid one.
    """
    from tui_tuner.config.toml import load_experiment
    from tui_tuner.training.remedies import combined, follow, next_name

    remedy = combined(advice)
    if not remedy.change:
        return None
    before = load_experiment(folder.config)
    made = follow(before, remedy.change, next_name(before.run.name, app.runs_dir))
    return Proposal(made, before, remedy, folder)


def offer(app: TunerApp, advice: Sequence[Said]) -> None:
    """Shows the difference that the advice would make and asks what to do with it."""
    folder = app.state.run
    if folder is None:
        app.notice("Another program runs this, so there is no configuration here that could follow the advice.")
        return
    proposal = propose(app, folder, advice)
    if proposal is None:
        app.notice("There is nothing to change in the configuration for this.")
        return
    elsewhere = _elsewhere(app)

    def answered(answer: str | None) -> None:
        if answer in (None, "no"):
            return
        app.set_experiment(proposal.experiment, base=noted_base(proposal.folder.path), edited=True)
        if answer == "config":
            app.go("config")
        elif answer == "stop" and elsewhere is not None:
            _start_after(app, elsewhere)
        else:
            if answer == "stop":
                for handle in app.jobs.runs():
                    handle.control.stop()
            app.start_run()

    app.push_screen(Question("Follow the advice", proposal.text, _choices(app, elsewhere)), answered)


def _elsewhere(app: TunerApp) -> RunFolder | None:
    """The run being looked at, if another process is at work on it."""
    folder, follower = app.state.run, app.state.follower
    if folder is None or follower is None or app.jobs.of(folder.path) is not None:
        return None
    return folder if follower.active and holder(folder) is not None else None


def _choices(app: TunerApp, elsewhere: RunFolder | None) -> list[tuple[str, str, str]]:
    going = app.jobs.runs()
    end = [
        ("config", "Open in Config", "Shows it, to be started with f5 when you like."),
        ("no", "Not now", "Changes nothing."),
    ]
    if going:
        which = "the run that is going" if len(going) == 1 else f"the {len(going)} runs before it"
        return [
            ("start", "Start it after this", f"Queued: it begins when {which} has ended."),
            ("stop", "Stop and save, then start it", "What goes now ends after its step and can be resumed."),
            *end,
        ]
    if elsewhere is not None:
        return [
            (
                "stop",
                "Stop and save that run, then start it",
                "It is in another process, and can be resumed.",
            ),
            ("start", "Start it beside that run", "Both share this machine, and are slower for it."),
            *end,
        ]
    return [("start", "Start it now", "As a run of its own; the old one stays as it is."), *end]


def _start_after(app: TunerApp, folder: RunFolder) -> None:
    """Asks a run of another process to stop, and starts the experiment's once it has ended."""
    app.jobs.steer(folder, "stop")
    app.writer.do(app.jobs.maker(app.state, app.runs_dir), lambda made: _wait_with(app, folder, made))


def _wait_with(app: TunerApp, folder: RunFolder, made: RunFolder) -> None:
    app.notice(f"{made.name} starts when {folder.name} has stopped.")

    async def follow() -> None:
        while holder(folder) is not None:
            await asyncio.sleep(_LOOK)
        app.jobs.submit(made)
        if app.state.run == folder:
            app.select_run(made)
        else:
            app.notice(f"{made.name} has started (7 shows it).")

    app.run_worker(follow(), exit_on_error=False, group="start-after")
