"""What a run's events add up to: the one fold that every screen, list and report reads.

It takes events as they come, in pieces of any size, and gives the same picture for any cutting. It must never fail on
an event, whatever is in it: an unknown type is counted and left out, a field of the wrong kind is as good as absent. It
belongs to one thread, and it writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .columns import Columns, number
from .eta import remaining_seconds
from .events import EVENT_FIELDS, STAGE_STATUSES, STAGES, Event
from .state import RunState, StateTracker

LOG_LIMIT: Final = 2_000
_KEEP: Final = 20_000  # entries of samples, checkpoints and the like; a run has far fewer, a broken log may have more
_RESULT_STAGES: Final = ("evaluate", "verdict")


@dataclass
class StageStatus:
    """How one stage of a run stands.

    `seconds` is what the run reported or, until it does, the time from the stage's start to its last event. `done` and
    `total` count rows or steps; `total` is 0 when unknown.
    """

    name: str
    status: str = "running"
    seconds: float = 0.0
    text: str = ""
    done: int = 0
    total: int = 0
    started: float = math.nan
    updated: float = math.nan


class RunView:
    """A run as its events tell it.

    Attributes:
        version: rises with every change, so that a screen can tell whether to draw.
        train, validation: `Columns`, one row a report, by `step`; losses in nats per token.
        stages: by name, in order of appearance.
        samples, checkpoints, advice, controls, skipped: the events themselves, oldest first.
        logs: the last 2,000 log events.
        evaluations: by label ("before", "after"), then by metric: {"value", "low", "high"}.
        evaluation_rows: by label, how many rows were scored.
        verdict: {"metrics": {metric: {...}}, "sentence": str}, or None.
        started, finished: the last `run_started` and the `run_finished` that ended it, or None.
        from_step: where the last resumption took up the run; 0 for a run that was never resumed.
        unknown: how many events were of a type that is not known here.
    """

    def __init__(self) -> None:
        self.version = 0
        self.unknown = 0
        self.logs: list[Event] = []
        self.controls: list[Event] = []
        self.advice: list[Event] = []
        self.started: Event | None = None
        self.finished: Event | None = None
        self._tracker = StateTracker()
        self._elapsed_before = 0.0
        self._session_start: float | None = None
        self._session_last = 0.0
        self._forget_results()
        self._handlers: dict[str, Callable[[Event], None]] = {
            "run_started": self._on_run_started,
            "stage": self._on_stage,
            "progress": self._on_progress,
            "train": self._on_train,
            "validation": self._on_validation,
            "sample": self._on_sample,
            "checkpoint": self._on_checkpoint,
            "skipped_step": self._on_skipped_step,
            "advice": lambda event: _keep(self.advice, event, _KEEP),
            "control": lambda event: _keep(self.controls, event, _KEEP),
            "evaluation": self._on_evaluation,
            "verdict": self._on_verdict,
            "log": lambda event: _keep(self.logs, event, LOG_LIMIT),
            "run_finished": self._on_run_finished,
        }

    def extend(self, events: Iterable[Event]) -> bool:
        """Take further events into account, in the order they were written; returns whether anything changed."""
        changed = False
        handlers = self._handlers
        for event in events:
            kind = event.get("type")
            handler = handlers.get(kind) if isinstance(kind, str) else None
            if handler is None:
                self.unknown += 1
                continue
            moment = number(event.get("t"))
            if moment is not None:
                self._keep_time(str(kind), moment)
            self._tracker.add(event)
            handler(event)
            changed = True
        self.version += changed
        return changed

    # -- what screens ask -----------------------------------------------------------------------------------------------
    def state(self, alive: bool) -> RunState:
        """The run's state, given whether a living process holds its lock."""
        return self._tracker.state(alive)

    @property
    def name(self) -> str:
        """The experiment's name, empty before the run began."""
        return self._started_text("name")

    @property
    def model(self) -> str:
        """The model as the experiment names it, empty before the run began."""
        return self._started_text("model")

    @property
    def steps(self) -> int:
        """How many steps the run is to take; 0 when unknown."""
        return _count((self.started or {}).get("steps"))

    @property
    def step(self) -> int:
        """The last step that is known to be done."""
        last = self.train.last_step
        return int(max(last if len(self.train) else 0.0, self._step_floor))

    @property
    def elapsed(self) -> float:
        """Seconds at work up to the last event; the gaps before resumptions are left out."""
        return self.elapsed_at(self._session_last)

    def elapsed_at(self, now: float) -> float:
        """Seconds at work up to `now` (seconds since the epoch); after the end it no longer grows."""
        if self._session_start is None:
            return self._elapsed_before
        end = self._session_last if self.finished is not None else max(now, self._session_last)
        return self._elapsed_before + max(0.0, end - self._session_start)

    def eta_seconds(self) -> float | None:
        """Seconds that the stage at work is expected to take from its last report on; None when nothing is known yet.

        While training: the median time of recent steps for each step that is left, and the median time of a validation
        for each one that is due by then. In a stage that counts rows: the time for a row so far, for the rows left.
        """
        return remaining_seconds(self)

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

    # -- the fold -------------------------------------------------------------------------------------------------------
    def _forget_results(self) -> None:
        self.train = Columns(EVENT_FIELDS["train"][1:])
        self.validation = Columns(EVENT_FIELDS["validation"][1:])
        self.stages: dict[str, StageStatus] = {}
        self.samples: list[Event] = []
        self.checkpoints: list[Event] = []
        self.skipped: list[Event] = []
        self.evaluations: dict[str, dict[str, dict[str, Any]]] = {}
        self.evaluation_rows: dict[str, int] = {}
        self.verdict: dict[str, Any] | None = None
        self.from_step = 0
        self._step_floor = 0.0

    def _keep_time(self, kind: str, moment: float) -> None:
        if kind == "run_started":
            if self._session_start is not None:
                self._elapsed_before += max(0.0, self._session_last - self._session_start)
            self._session_start = moment
            self._session_last = moment
        elif self.finished is None:
            if self._session_start is None:
                self._session_start = moment
            self._session_last = max(self._session_last, moment)

    def _on_run_started(self, event: Event) -> None:
        again = self.started is not None
        self.started = event
        self.finished = None
        if event.get("resumed") is not True:
            if again:
                self._forget_results()
            return
        from_step = number(event.get("from_step"))
        if from_step is None:
            return
        self.from_step = max(0, int(from_step))
        self._step_floor = float(self.from_step)
        self.train.cut_after(from_step)
        self._drop_beyond(from_step)
        if from_step < self.steps:
            # More training follows, so what was measured after the earlier training is of other weights.
            self.evaluations.pop("after", None)
            self.evaluation_rows.pop("after", None)
            self.verdict = None
            for stage in _RESULT_STAGES:
                self.stages.pop(stage, None)

    def _on_train(self, event: Event) -> None:
        before = self.train.last_step
        if not self.train.append(event):
            return
        step = self.train.last_step
        if step <= before:
            self._step_floor = 0.0
            self._drop_beyond(step)

    def _on_validation(self, event: Event) -> None:
        self.validation.append(event)

    def _on_sample(self, event: Event) -> None:
        step = number(event.get("step"))
        prompt, text = event.get("prompt"), event.get("text")
        if step is None or not isinstance(prompt, str) or not isinstance(text, str):
            return
        _replace(self.samples, lambda old: old.get("step") == step and old.get("prompt") == prompt)
        _keep(self.samples, event, _KEEP)

    def _on_checkpoint(self, event: Event) -> None:
        step = number(event.get("step"))
        if step is None or not isinstance(event.get("path", ""), str):
            return
        _replace(self.checkpoints, lambda old: old.get("step") == step and old.get("path") == event.get("path"))
        _keep(self.checkpoints, event, _KEEP)

    def _on_skipped_step(self, event: Event) -> None:
        if number(event.get("step")) is not None:
            _keep(self.skipped, event, _KEEP)

    def _on_stage(self, event: Event) -> None:
        name, status = event.get("name"), event.get("status")
        if name not in STAGES or status not in STAGE_STATUSES:
            return
        moment = number(event.get("t"))
        stage = self.stages.get(name)
        if stage is None or (status == "running" and stage.status != "running"):
            stage = StageStatus(name)
            self.stages[name] = stage
        stage.status = status
        self._advance(stage, event, moment)
        seconds = number(event.get("seconds"))
        if seconds is not None:
            stage.seconds = seconds

    def _on_progress(self, event: Event) -> None:
        name = event.get("stage")
        if name not in STAGES:
            return
        stage = self.stages.setdefault(name, StageStatus(name))
        self._advance(stage, event, number(event.get("t")))

    def _advance(self, stage: StageStatus, event: Event, moment: float | None) -> None:
        text = event.get("text")
        if isinstance(text, str):
            stage.text = text
        if number(event.get("done")) is not None:
            stage.done = _count(event.get("done"))
        if number(event.get("total")) is not None:
            stage.total = _count(event.get("total"))
        if moment is not None:
            if math.isnan(stage.started):
                stage.started = moment
            stage.updated = moment
            stage.seconds = max(0.0, moment - stage.started)

    def _on_evaluation(self, event: Event) -> None:
        label = event.get("label")
        if isinstance(label, str):
            self.evaluations[label] = _metrics(event.get("metrics"))
            self.evaluation_rows[label] = _count(event.get("n"))

    def _on_verdict(self, event: Event) -> None:
        sentence = event.get("sentence")
        self.verdict = {
            "metrics": _metrics(event.get("metrics")),
            "sentence": sentence if isinstance(sentence, str) else "",
        }

    def _on_run_finished(self, event: Event) -> None:
        self.finished = event

    def _drop_beyond(self, step: float) -> None:
        """Drop what an overtaken piece of training left beyond `step`."""
        self.validation.cut_after(step)
        for kept in (self.samples, self.checkpoints, self.skipped):
            _replace(kept, lambda event: (number(event.get("step")) or 0.0) > step)

    def _started_text(self, field: str) -> str:
        value = (self.started or {}).get(field)
        return value if isinstance(value, str) else ""


def _keep(kept: list[Event], event: Event, limit: int) -> None:
    kept.append(event)
    if len(kept) > limit:
        del kept[: len(kept) - limit]


def _replace(kept: list[Event], overtaken: Callable[[Event], bool]) -> None:
    """Drop what is overtaken, in place and only when there is any."""
    if any(overtaken(event) for event in kept):
        kept[:] = [event for event in kept if not overtaken(event)]


def _count(value: Any) -> int:
    """`value` as a count; 0 when it is none."""
    result = number(value)
    return max(0, int(result)) if result is not None else 0


def _metrics(value: Any) -> dict[str, dict[str, Any]]:
    """Metrics as they can be trusted: by name, each a dict, with NaN for a number that was not finite."""
    if not isinstance(value, dict):
        return {}
    return {
        name: {key: math.nan if item is None else item for key, item in metric.items()}
        for name, metric in value.items()
        if isinstance(name, str) and isinstance(metric, dict)
    }
