"""What a run's events add up to: the one fold that every screen, list and report reads.

It takes events as they come, in pieces of any size, and gives the same picture for any cutting. It must never fail on
an event, whatever is in it: an unknown type is counted and left out, a field of the wrong kind is as good as absent. It
belongs to one thread, and it writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np

from .clock import WorkClock
from .columns import Columns, count, number
from .eta import Outlook, outlook
from .events import Event
from .latest import LatestEvents, step_of
from .stages import StageStatus, apply_progress, apply_stage
from .state import NEVER_BEGAN, RunState, StateTracker
from .vocabulary import EVENT_FIELDS

LOG_LIMIT: Final = 2_000
_KEEP: Final = 20_000  # entries of samples, checkpoints and the like; a run has far fewer, a broken log may have more
_RESULT_STAGES: Final = ("evaluate", "verdict")


class RunView:
    """A run as its events tell it.

    Attributes:
        version: rises with every change, so that a screen can tell whether to draw.
        train, validation: `Columns`, one row a report, by `step`; losses in nats per token.
        machine: `Columns`, one row a reading of the machine, with its moment as `step` (seconds since the epoch, rising
            also where a clock was set back).
        stages: by name, in order of appearance.
        advice, controls: the events themselves, oldest first.
        logs: the last 2,000 log events.
        evaluations: by label ("before", "after"), then by metric: {"value", "low", "high"}.
        evaluation_rows: by label, how many rows were scored.
        verdict: {"metrics": {metric: {...}}, "sentence": str}, or None.
        plan: the last `plan` event, or None: how many steps the rows make.
        forecast: the last `forecast` event, or None: what the run was expected to take before its first step.
        started, finished: the last `run_started` and the `run_finished` that ended it, or None.
        probing: the last `progress` event of probes that are being answered, None when none are.
        clock: when it was at work.
        from_step: where the last resumption took up the run; 0 for a run that was never resumed.
        unknown: how many events were of a type that is not known here.

    Args:
        curves: whether the training reports are kept in full; else only steps and losses, for a list of runs.
    """

    def __init__(self, *, curves: bool = True) -> None:
        self._curves = curves
        self.version = 0
        self.unknown = 0
        self.logs: list[Event] = []
        self.controls: list[Event] = []
        self.advice: list[Event] = []
        self.started: Event | None = None
        self.plan: Event | None = None
        self.forecast: Event | None = None
        self.probing: Event | None = None
        self.finished: Event | None = None
        self._outlook: tuple[int, Outlook | None] = (-1, None)
        self._tracker = StateTracker()
        self.clock = WorkClock()
        self._forget_results()

    def extend(self, events: Iterable[Event]) -> bool:
        """Take further events into account, in the order they were written; returns whether anything changed."""
        changed = False
        for event in events:
            kind = event.get("type")
            handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
            if handler is None:
                self.unknown += 1
                continue
            moment = number(event.get("t"))
            if moment is not None and kind != "taken_up":  # loading libraries is no work on the run
                if kind == "run_started":
                    self.clock.begin(moment)
                else:
                    self.clock.note(moment)
            self._tracker.add(event)
            handler(self, event)
            changed = True
        self.version += changed
        return changed

    # -- what screens ask ---------------------------------------------------------------------------------------------
    def state(self, alive: bool) -> RunState:
        """The run's state, given whether a living process holds its lock."""
        return self._tracker.state(alive)

    @property
    def reason(self) -> str:
        """Why it ended, as it said, or why it never began, once nobody works on it; empty when there is nothing."""
        said = str((self.finished or {}).get("reason") or "")
        return NEVER_BEGAN if self._tracker.never_began else said

    @property
    def name(self) -> str:
        """The experiment's name, empty before the run began."""
        return self._started_text("name")

    @property
    def model(self) -> str:
        """The model as the experiment names it, empty before the run began."""
        return self._started_text("model")

    @property
    def device(self) -> str:
        """What mlx computes on, in words; empty when the run does not say."""
        return self._started_text("device")

    @property
    def device_advice(self) -> str:
        """What would make it compute faster; empty when there is nothing to do."""
        return self._started_text("device_advice")

    @property
    def memory_limit(self) -> int:
        """Bytes that the run may take on its machine; 0 when unknown."""
        return count((self.started or {}).get("memory_limit"))

    @property
    def ranks(self) -> int:
        """How many processes train it together; 1 before the run began."""
        return max(count((self.started or {}).get("ranks")), 1)

    @property
    def steps(self) -> int:
        """How many steps the run is to take; 0 when unknown."""
        return count((self.plan or self.started or {}).get("steps"))

    @property
    def step(self) -> int:
        """The last step that is known to be done."""
        last = self.train.last_step
        return int(max(last if len(self.train) else 0.0, self._step_floor))

    @property
    def samples(self) -> list[Event]:
        """What the model said to the fixed prompts, oldest first."""
        return self._samples.as_list()

    @property
    def checkpoints(self) -> list[Event]:
        """The checkpoints that were written, oldest first; their files may have made room for later ones."""
        return self._checkpoints.as_list()

    @property
    def skipped(self) -> list[Event]:
        """The steps that changed nothing, oldest first."""
        return self._skipped.as_list()

    @property
    def interventions(self) -> list[Event]:
        """What steered the run and still holds: `control` events and resumptions (`run_started`), oldest first.

        What a resumption or a rollback overtook is left out; `controls` has it all.
        """
        return self._interventions.as_list()

    @property
    def elapsed(self) -> float:
        """Seconds at work up to the last event; the gaps before resumptions are left out."""
        return self.clock.elapsed()

    def elapsed_at(self, now: float) -> float:
        """Seconds at work up to `now` (seconds since the epoch); after the end it no longer grows."""
        return self.clock.elapsed(now)

    def outlook(self) -> Outlook | None:
        """When the stage at work is expected to be done, how sure that is, and what comes after; None if unknown."""
        if self._outlook[0] != self.version:
            self._outlook = (self.version, outlook(self))
        return self._outlook[1]

    def eta_seconds(self, now: float | None = None) -> float | None:
        """Seconds that the stage at work is expected to take, or None if unknown; how sure that is says `outlook`.

        Args:
            now: the moment to count from, in seconds since the epoch; else it is that of the last measurement.
        """
        expected = self.outlook()
        if expected is None:
            return None
        return expected.seconds if now is None else expected.left(now).seconds

    @property
    def running_stage(self) -> StageStatus | None:
        """The stage at work, or None between stages and after the end."""
        if self.finished is not None:
            return None
        return next((stage for stage in reversed(self.stages.values()) if stage.status == "running"), None)

    @property
    def best_validation(self) -> float | None:
        """The lowest validation loss so far in nats per token, or None."""
        losses = self.validation.column("loss")
        return float(np.nanmin(losses)) if len(losses) and not np.isnan(losses).all() else None

    # -- the fold -----------------------------------------------------------------------------------------------------
    def _forget_results(self) -> None:
        self.train = Columns(EVENT_FIELDS["train"][1:]) if self._curves else Columns(("loss",), closed=True)
        self.validation = Columns(EVENT_FIELDS["validation"][1:])
        self.machine = Columns(EVENT_FIELDS["machine"]) if self._curves else Columns(closed=True)
        self.stages: dict[str, StageStatus] = {}
        self._samples = LatestEvents(_KEEP)
        self._checkpoints = LatestEvents(_KEEP)
        self._skipped = LatestEvents(_KEEP)
        self._interventions = LatestEvents(_KEEP)
        self.evaluations: dict[str, dict[str, dict[str, Any]]] = {}
        self.evaluation_rows: dict[str, int] = {}
        self.verdict: dict[str, Any] | None = None
        self.from_step = 0
        self._step_floor = 0.0

    def _drop_beyond(self, step: float) -> None:
        """Drop what an overtaken piece of training left beyond `step`."""
        self.validation.cut_after(step)
        for kept in (self._samples, self._checkpoints, self._skipped, self._interventions):
            kept.cut_after(step)

    def _started_text(self, field: str) -> str:
        value = (self.started or {}).get(field)
        return value if isinstance(value, str) else ""


def _keep(kept: list[Event], event: Event, limit: int) -> None:
    kept.append(event)
    if len(kept) > limit:
        del kept[: len(kept) - limit]


def _on_run_started(view: RunView, event: Event) -> None:
    again = view.started is not None
    view.started = event
    view.finished = view.probing = None
    if event.get("resumed") is not True:
        if again:
            view._forget_results()
        return
    # What was at work when the run broke off is so no longer; it comes again when its turn comes.
    for name in [name for name, stage in view.stages.items() if stage.status == "running"]:
        del view.stages[name]
    from_step = number(event.get("from_step"))
    if from_step is None:
        return
    view.from_step = max(0, int(from_step))
    view._step_floor = float(view.from_step)
    view.train.cut_after(from_step)
    view._drop_beyond(from_step)
    view._interventions.add(from_step, "resumed", event)
    if from_step < view.steps:
        # More training follows, so what was measured after the earlier training is of other weights.
        view.evaluations.pop("after", None)
        view.evaluation_rows.pop("after", None)
        view.verdict = None
        for stage in _RESULT_STAGES:
            view.stages.pop(stage, None)


def _on_plan(view: RunView, event: Event) -> None:
    view.plan = event


def _on_forecast(view: RunView, event: Event) -> None:
    view.forecast = event


def _on_train(view: RunView, event: Event) -> None:
    before = view.train.last_step
    if not view.train.append(event):
        return
    step = view.train.last_step
    if step <= before:
        view._step_floor = 0.0
        view._drop_beyond(step)


def _on_validation(view: RunView, event: Event) -> None:
    view.validation.append(event)


def _on_machine(view: RunView, event: Event) -> None:
    moment = number(event.get("t"))
    if moment is not None and view._curves:
        # A clock that was set back must not take away what was measured.
        view.machine.append({**event, "step": max(moment, math.nextafter(view.machine.last_step, math.inf))})


def _on_sample(view: RunView, event: Event) -> None:
    step, prompt = step_of(event), event.get("prompt")
    if step is not None and isinstance(prompt, str) and isinstance(event.get("text"), str):
        view._samples.add(step, prompt, event)


def _on_progress(view: RunView, event: Event) -> None:
    if event.get("stage") == "probes":
        view.probing = event if count(event.get("done")) < count(event.get("total")) else None
        return
    apply_progress(view.stages, event)


def _on_checkpoint(view: RunView, event: Event) -> None:
    step, path = step_of(event), event.get("path", "")
    if step is not None and isinstance(path, str):
        view._checkpoints.add(step, path, event)
        # A stop saves between two reports: what is saved is done, and is where resuming goes on.
        view._step_floor = max(view._step_floor, step)


def _on_skipped_step(view: RunView, event: Event) -> None:
    step = step_of(event)
    if step is not None:
        view._skipped.add(step, None, event)


def _on_control(view: RunView, event: Event) -> None:
    _keep(view.controls, event, _KEEP)
    step, what = step_of(event), event.get("what")
    if step is None or not isinstance(what, str):
        return
    if what == "rollback":
        view._step_floor = 0.0
        view._interventions.cut_after(step)
    view._interventions.add(step, what, event)


def _on_evaluation(view: RunView, event: Event) -> None:
    label = event.get("label")
    if isinstance(label, str):
        view.evaluations[label] = _metrics(event.get("metrics"))
        view.evaluation_rows[label] = count(event.get("n"))


def _on_verdict(view: RunView, event: Event) -> None:
    sentence = event.get("sentence")
    view.verdict = {
        "metrics": _metrics(event.get("metrics")),
        "sentence": sentence if isinstance(sentence, str) else "",
    }


def _on_run_finished(view: RunView, event: Event) -> None:
    view.finished, view.probing = event, None
    view.clock.end()


def _metrics(value: Any) -> dict[str, dict[str, Any]]:
    """Metrics as they can be trusted: by name, each a dict, with NaN for a number that was not finite."""
    if not isinstance(value, dict):
        return {}
    return {
        name: {key: math.nan if item is None else item for key, item in metric.items()}
        for name, metric in value.items()
        if isinstance(name, str) and isinstance(metric, dict)
    }


_HANDLERS: Final[dict[str, Callable[[RunView, Event], None]]] = {
    "taken_up": lambda view, event: None,
    "run_started": _on_run_started,
    "plan": _on_plan,
    "forecast": _on_forecast,
    "stage": lambda view, event: apply_stage(view.stages, event),
    "progress": _on_progress,
    "train": _on_train,
    "validation": _on_validation,
    "machine": _on_machine,
    "sample": _on_sample,
    "checkpoint": _on_checkpoint,
    "skipped_step": _on_skipped_step,
    "advice": lambda view, event: _keep(view.advice, event, _KEEP),
    "control": _on_control,
    "evaluation": _on_evaluation,
    "verdict": _on_verdict,
    "log": lambda view, event: _keep(view.logs, event, LOG_LIMIT),
    "run_finished": _on_run_finished,
}
