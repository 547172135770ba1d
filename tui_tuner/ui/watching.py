"""The run that the app looks at: followed, drawn when it has news, and its end told, here and outside.

Long event files are read in a thread, and nothing here starts or steers a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on

from tui_tuner.runs.state import RunState
from tui_tuner.ui.jobs import Jobs
from tui_tuner.ui.messages import RunChanged, RunSelected
from tui_tuner.ui.pace import Pace
from tui_tuner.ui.shell import ShellApp
from tui_tuner.ui.state import WorkbenchState
from tui_tuner.ui.status import ACTIVE

if TYPE_CHECKING:
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.settings import Settings
    from tui_tuner.ui.follower import Follower


class WatchingApp(ShellApp):
    """An app that follows one run, or the training log of another program."""

    def __init__(self, state: WorkbenchState, jobs: Jobs, settings: Settings | None) -> None:
        super().__init__(settings)
        self.state, self.jobs = state, jobs
        self.clock: Callable[[], float] = time.time
        self.pace = Pace()
        self._beats = 0
        self._news = False
        self._last_seen: tuple[Follower | None, RunState] = (None, RunState.QUEUED)
        self._trouble = ""

    def beat(self) -> None:
        """Looks at the run being followed, five times a second while it is active, else once; draws what that brings.

        Another state or stage is drawn at once, points when it is their turn. The time that passes is news once a
        second.
        """
        follower = self.state.follower
        self._beats += 1
        if follower is None or not follower.ready or (self._beats % 5 and not follower.active):
            return
        before = _standing(follower)
        try:
            self._news |= follower.poll() or (follower.active and not self._beats % 5)
            self._trouble = ""
        except Exception as error:
            # A folder that cannot be read now is told once, not five times a second.
            if str(error) != self._trouble:
                self._trouble = str(error)
                self.report(error)
            return
        if self._news and (self.pace.due() or before != _standing(follower)):
            self._news = False
            self.post_message(RunChanged())

    def select_run(self, folder: RunFolder) -> None:
        """Makes `folder` the run being looked at; a long event file is first read in a thread."""
        from tui_tuner.ui.follower import RunFollower

        self.state.run, self.state.chat = folder, None
        self._follow(RunFollower(folder, self.jobs.of))

    def leave_run(self) -> None:
        """Looks at no run any more."""
        self.state.run = self.state.follower = None
        self._last_seen = (None, RunState.QUEUED)
        self.post_message(RunSelected())

    def watch_log(self, path: Path) -> None:
        """Looks at the training log of another program instead of a run, and shows it; it can only be watched."""
        from tui_tuner.ui.logfollower import LogFollower

        self.state.run, self.state.chat = None, None
        self._follow(LogFollower(path, self.clock))
        self.go("train")

    def _follow(self, follower: Follower) -> None:
        self.state.follower = follower
        if follower.is_large:
            self.run_worker(lambda: self._first_read(follower), thread=True, exit_on_error=False, group="first-read")
        else:
            follower.poll()
        self._last_seen = (follower, follower.state)
        self.post_message(RunSelected())

    def _first_read(self, follower: Follower) -> None:
        try:
            follower.poll()
        except Exception as error:
            self.call_later(self.report, error)
        self.post_message(RunSelected())

    @on(RunChanged)
    @on(RunSelected)
    def _run_moved(self) -> None:
        self._tell_end()
        self.tell("run")

    def _tell_end(self) -> None:
        """Says that the run being looked at has ended, to somebody who looks at something else, here or elsewhere."""
        follower = self.state.follower
        if follower is None or not follower.ready:
            return
        before, self._last_seen = self._last_seen, (follower, follower.state)
        if before[0] is not follower or before[1] not in ACTIVE or follower.state in ACTIVE:
            return
        sentence = (follower.view.verdict or {}).get("sentence", "")
        self.tell_outside(follower.name, f"{follower.word}. {sentence}")
        if self.current_mode != "train" and follower.state is not RunState.FAILED:
            self.notice(f"{follower.name}: {follower.word}. {sentence} (4 shows it)".replace(".  (", ". ("))

    def tell(self, hook: str) -> None:
        """Calls a hook of the visible mode's screen, also when a dialog lies over it."""
        from tui_tuner.ui.screens.base import WorkbenchScreen

        for screen in self.screen_stack:
            if isinstance(screen, WorkbenchScreen):
                screen.call_hook(hook)
                screen.refresh_bars()


def _standing(follower: Follower) -> tuple[object, ...]:
    """What of a run nobody should wait for."""
    view = follower.view
    stage = view.running_stage
    return follower.state, stage.name if stage is not None else "", view.verdict is not None, len(view.advice)
