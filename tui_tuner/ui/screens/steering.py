"""What can be asked of the run being looked at: pause, stop, resume, another rate, validate, save, end after the epoch.

A screen that offers these inherits from here and has their keys among its own. It asks through the app's jobs only, and
whichever process runs the run, hears of it. A log that another program writes cannot be asked anything, and these keys
say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual import events

from tui_tuner.errors import TunerError
from tui_tuner.runs.requests import is_heard
from tui_tuner.runs.state import RunState
from tui_tuner.ui.actions import actions_of
from tui_tuner.ui.format import rate
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.reading import RESUMABLE
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.widgets.config_subject import Subjects

if TYPE_CHECKING:
    from tui_tuner.engine.protocol import JobHandle
    from tui_tuner.ui.logfollower import LogFollower
    from tui_tuner.ui.probes import ProbeFacts
    from tui_tuner.ui.rates import RateFacts

_WHILE_GOING = {
    "pause": "pause",
    "stop": "stop",
    "learning_rate": "learning_rate",
    "evaluate_now": "evaluate",
    "checkpoint_now": "checkpoint",
    "finish_epoch": "finish_epoch",
}
"""Actions that only a run that is going can be asked for, and the request that each becomes."""


class SteeringScreen(WorkbenchScreen):
    """A screen from which the run being looked at is steered."""

    def __init__(self) -> None:
        super().__init__()
        self._subjects = Subjects()

    @property
    def state(self) -> RunState | None:
        """The state of what is being looked at; None when there is nothing, or it is still being read."""
        follower = self.tuner.state.follower
        return follower.state if follower is not None and follower.ready else None

    @property
    def job(self) -> JobHandle | None:
        """The job of this process that works on the run being looked at."""
        run = self.tuner.state.run
        return None if run is None else self.tuner.jobs.of(run.path)

    @property
    def outside(self) -> LogFollower | None:
        """The log of another program that is being looked at, or None."""
        state = self.tuner.state
        # Not asked by its class: that would bring the run doctor with it wherever a run is shown.
        return cast("LogFollower", state.follower) if state.run is None and state.follower is not None else None

    def on_key(self, event: events.Key) -> None:
        """Says why a run of another program cannot be steered; `check_action` has turned these keys off."""
        log = self.outside
        if log is None:
            return
        for action in actions_of(self.MODE):
            if action.action in (*_WHILE_GOING, "resume") and event.key in action.in_force.split(","):
                event.stop()
                self.tuner.notice(
                    f"{action.label} is not possible here: another program writes {log.name}. "
                    "It is steered, and stopped with ctrl+c, where it was started."
                )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in (*_WHILE_GOING, "resume") and self.outside is not None:
            return False
        if action in _WHILE_GOING:
            return self._listens(_WHILE_GOING[action])
        if action == "probes":
            return self.view is not None and self.outside is None
        if action == "resume":
            return self.state in RESUMABLE and self.job is None
        return super().check_action(action, parameters)

    def _listens(self, request: str) -> bool:
        """Whether the run can be asked for something now, in whichever process it is."""
        job = self.job if self.is_mounted else None
        if self.view is not None and not is_heard(request, self.view):
            return False
        if job is None:  # a run of another process can be steered as well
            return self.is_mounted and self.state in (RunState.RUNNING, RunState.PAUSED)
        return not job.control.stop_requested

    def action_pause(self) -> None:
        job = self.job
        paused = job.control.paused if job is not None else self.state is RunState.PAUSED
        self.steer("proceed" if paused else "pause")

    def action_stop(self) -> None:
        """Asks first: it is one key, and an hour may hang on it."""

        def answered(answer: str | None) -> None:
            if answer == "stop":
                self.steer("stop")
                self.refresh_bars()

        self.app.push_screen(
            Question(
                "Stop this run?",
                "What it has learned so far is saved.",
                [
                    ("stop", "Stop and save", "After the current step; you can resume it exactly."),
                    ("no", "Keep going", ""),
                ],
            ),
            answered,
        )

    def action_resume(self) -> None:
        run = self.tuner.state.run
        if run is not None:
            self.tuner.resume_run(run)

    def action_learning_rate(self) -> None:
        """Asks which rate, with the present one and what the wish would come to."""
        from tui_tuner.ui.ratedialog import RateDialog

        def answered(wish: float | str | None) -> None:
            if wish is not None and self.steer("learning_rate", wish):
                self.tuner.notice(f"The learning rate {_becomes(wish)} after the current step.")

        self.app.push_screen(RateDialog(self._rate), answered)

    def action_probes(self) -> None:
        """Shows what the run's probes were answered over its steps; from there they are asked, and others added."""
        from tui_tuner.ui.probes import ProbeTimeline

        self.app.push_screen(ProbeTimeline(self._probes, lambda prompt: self.steer("probe", prompt)))

    def _probes(self) -> ProbeFacts:
        """The run as its probes see it now."""
        from tui_tuner.runs.view import RunView
        from tui_tuner.ui.probes import ProbeFacts

        run, view = self.tuner.state.run, self.view or RunView()
        subject = self._subjects.of_run(self.tuner.state)
        configured = tuple(subject.experiment.probes.prompts) if subject is not None else ()
        return ProbeFacts(run.name if run is not None else "", view, configured, self._listens("probe"))

    def _rate(self) -> RateFacts:
        """The learning rate of the run as it is now."""
        from tui_tuner.runs.view import RunView
        from tui_tuner.ui.rates import rate_facts

        subject = self._subjects.of_run(self.tuner.state)
        return rate_facts(self.view or RunView(), subject.experiment if subject is not None else None)

    def action_evaluate_now(self) -> None:
        self._request("evaluate", "The validation loss is measured after the current step.")

    def action_checkpoint_now(self) -> None:
        self._request("checkpoint", "A checkpoint is written after the current step.")

    def action_finish_epoch(self) -> None:
        self._request("finish_epoch", "The run finishes after this epoch, and is then evaluated.")

    def _request(self, what: str, said: str) -> None:
        if self.steer(what):
            self.tuner.notice(said)

    def steer(self, what: str, value: float | str | None = None) -> bool:
        """Asks the run for something, in whichever process it runs; says so when nobody runs it."""
        run = self.tuner.state.run
        if run is None:
            return False
        try:
            self.tuner.jobs.steer(run, what, value)
        except TunerError as error:
            self.tuner.report(error)
            return False
        self.call_hook("run")
        return True


def _becomes(wish: float | str) -> str:
    """What happens to the rate, in words."""
    return f"becomes {rate(wish)}" if isinstance(wish, float) else f"is multiplied by {float(wish.lstrip('x')):g}"
