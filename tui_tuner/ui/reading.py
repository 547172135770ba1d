"""What a run says, in the words and numbers of the train screen. Pure functions of view, state and the time of day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tui_tuner.runs.state import RunState
from tui_tuner.training.remedies import said
from tui_tuner.ui import format as fmt
from tui_tuner.ui.status import ACTIVE, RUN_STATES, SEVERITIES
from tui_tuner.ui.text import inert, visible
from tui_tuner.ui.widgets.progress import Progress

if TYPE_CHECKING:
    from tui_tuner.engine.protocol import JobHandle
    from tui_tuner.runs.view import RunView
    from tui_tuner.ui.logfollower import LogFollower

RESUMABLE = (RunState.STOPPED, RunState.INTERRUPTED, RunState.FAILED, RunState.QUEUED)
"""States from which a run that no job works on can go on (a queued one without a job was never started)."""
_DOING = {
    "check": "checking",
    "data": "preparing the data",
    "baseline": "measuring before",
    "train": "training",
    "evaluate": "measuring after",
    "verdict": "comparing",
}


def progress_of(view: RunView, state: RunState, job: JobHandle | None, now: float) -> Progress:
    """The progress line of a run.

    Args:
        view: the run.
        state: its state.
        job: the job of this process that works on it, or None.
        now: seconds since the epoch.
    """
    sign, style = RUN_STATES[state]
    active = state in ACTIVE
    stage = view.running_stage if active else None
    text = state.value
    if state is RunState.QUEUED:
        text = "starting …" if _is_running(job) else "waiting for its turn" if job is not None else "not started"
    done, total = view.step, view.steps
    if state is RunState.RUNNING:
        text = _DOING.get(stage.name, stage.name) if stage is not None else "running"
        if stage is not None and stage.name != "train" and stage.total:
            done, total = stage.done, stage.total
    if job is not None and job.control.stop_requested:
        sign, text, style = "◌", "stopping, saving …", "$text-warning"
    elif job is not None and job.control.paused and state is RunState.RUNNING:
        text = "pausing …"
    began = view.started is not None
    elapsed = (view.elapsed_at(now) if active else view.elapsed) if began else None
    left, until = _left(view, now) if state is RunState.RUNNING else ("", "")
    return Progress(f"{sign} {text}", done, total, elapsed, left, until, style, active)


def _left(view: RunView, now: float) -> tuple[str, str]:
    """How long the stage at work still takes, with its interval, and when the whole run is done; empty if unknown."""
    found = view.outlook()
    if found is None:
        return "", ""
    found = found.left(now)
    until = "" if found.after is None else fmt.moment(now + found.seconds + found.after, now)
    return fmt.expected(found.seconds, found.low, found.high), until


def banner_of(view: RunView, state: RunState, job: JobHandle | None) -> Content:
    """One line: whether all is well, or what happened and what to do now."""
    if state is RunState.FAILED:
        reason = view.reason or "it gave no reason; its folder's engine.log may"
        return Content.assemble(
            ("✗ ", "bold $text-error"), inert(reason, "$text-error"), ("  r tries again", "$text-muted")
        )
    if state is RunState.INTERRUPTED:
        step = max((int(c["step"]) for c in view.checkpoints), default=0)
        where = f"its checkpoint at step {step:,}" if step else "the start (no checkpoint yet)"
        return _line("↯", "$text-warning", "It ended without saying so.", f"r resumes from {where}")
    if state is RunState.STOPPED:
        return _line("■", "$text-warning", f"Stopped and saved at step {view.step:,}.", "r resumes exactly there")
    if state is RunState.FINISHED:
        todo = "6 talks to the result · 5 shows every row · 7 all runs"
        return _line("✓", "$text-success", "Finished.", f"a shows the advice · {todo}" if view.advice else todo)
    if state is RunState.PAUSED:
        return _line("‖", "$text-warning", "Paused between two steps.", "space goes on · s stops and saves")
    if state is RunState.QUEUED:
        if _is_running(job):
            return _line("◌", "$text-muted", "Loading the model and looking at the data.", "s stops")
        if job is not None:
            return _line("◌", "$text-muted", "Waiting for the run before it.", "7 shows all runs")
        return _line("◌", "$text-muted", "It was set up and never started.", "r starts it")
    if job is not None and job.control.trouble:
        return Content.assemble(("▲ ", "bold $text-warning"), inert(job.control.trouble, "$text-warning"))
    return _health(view, here=job is not None)


def progress_of_log(log: LogFollower, now: float) -> Progress:
    """The progress line of a log of another program, at `now` (seconds since the epoch)."""
    view, state = log.view, log.state
    sign, style = RUN_STATES[state]
    running = state is RunState.RUNNING
    elapsed = None if view.started is None else view.elapsed_at(now) if running else view.elapsed
    left, until = _left(view, now) if running else ("", "")
    text = "training" if running else log.word
    return Progress(f"{sign} {text}", view.step, view.steps, elapsed, left, until, style, log.active)


def banner_of_log(log: LogFollower) -> Content:
    """One line: what the log says of its run, or what is wrong with the file."""
    view, state = log.view, log.state
    if log.problem is not None:
        return Content.assemble(("▲ ", "bold $text-warning"), inert(log.problem.sentence(), "$text-warning"))
    reason = str((view.finished or {}).get("reason") or "")
    if state is RunState.FAILED:
        return Content.assemble(("✗ ", "bold $text-error"), inert(reason or "It broke off.", "$text-error"))
    if state is RunState.STOPPED:
        return _line("■", "$text-warning", f"Stopped at step {view.step:,}.", visible(reason))
    if state is RunState.FINISHED:
        advised = "a shows what looked wrong" if view.advice else ""
        return _line("✓", "$text-success", "Finished.", " · ".join(filter(None, (visible(reason), advised))))
    if state is RunState.QUEUED:
        return _line(
            "◌", "$text-muted", "Nothing was reported yet.", "the first figures are shown as soon as they come"
        )
    if state is RunState.INTERRUPTED:
        fact = f"Nothing new for {fmt.duration(log.silence)}."
        return _line("↯", "$text-warning", fact, "it came much faster before: it may have ended without saying so")
    return _warnings(view) or _line("✓", "$text-success", "No warnings.", "it is steered where it was started")


def _is_running(job: JobHandle | None) -> bool:
    return job is not None and job.status.value == "running"


def _line(sign: str, style: str, fact: str, todo: str) -> Content:
    return Content.assemble((f"{sign} {fact}", f"bold {style}"), (f"  {todo}", "$text-muted"))


def _health(view: RunView, here: bool) -> Content:
    """How a running run is doing: its last warning, or that there is none. Mere hints stand in the log."""
    todo = "space pauses · s stops and saves"
    healthy = _line("✓", "$text-success", "No warnings.", todo if here else f"another process works on it · {todo}")
    return _warnings(view) or healthy


def _warnings(view: RunView) -> Content | None:
    """What is wrong with a running run, as far as was noticed."""
    advice = said(view)
    if advice and advice[0].severity != "info":
        sign, style = SEVERITIES[advice[0].severity]
        return Content.assemble(
            (f"{sign} ", f"bold {style}"), inert(advice[0].text, style), ("  a shows what to do", "$text-muted")
        )
    if view.skipped:
        last = view.skipped[-1]
        return Content.assemble(
            (f"▲ {len(view.skipped)} steps skipped, ", "$text-warning"), inert(last.get("reason", ""), "$text-warning")
        )
    return None
