"""What the learning rate of a run is, and what it would become: the words and numbers behind the rate dialog.

Pure functions of a run's view and its configuration. The figures of a schedule come from its plain arithmetic; what the
run really does is told by its events, which have the last word wherever both know.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from tui_tuner.runs.columns import number
from tui_tuner.runs.rates import RateWish
from tui_tuner.training.schedule import changes_by_itself, scheduled_rate, update_at
from tui_tuner.ui import format as fmt

if TYPE_CHECKING:
    from tui_tuner.config.model import Experiment, TrainSection
    from tui_tuner.runs.view import RunView

QUICK = (("x0.5", "Halve"), ("x2", "Double"), ("x0.1", "A tenth"))
"""What is offered without typing: the wish and its name."""
_MUCH = 3.0
"""From how many times the configured rate on it is said that this is much."""


@dataclass(frozen=True)
class RateFacts:
    """The learning rate of a run as far as is known.

    Attributes:
        present: the rate in force, or None when neither events nor configuration tell.
        step: after which step it was so.
        steps: how many the run takes, 0 when unknown.
        train: the configuration's section with `iters` settled, or None when there is none.
    """

    present: float | None
    step: int
    steps: int
    train: TrainSection | None

    @property
    def scheduled(self) -> bool:
        """Whether the rate changes by itself."""
        return self.train is not None and changes_by_itself(self.train)

    def planned(self, step: int) -> float | None:
        """What the configuration has after a step; None without one."""
        return None if self.train is None else scheduled_rate(self.train, update_at(self.train, step))

    @property
    def factor(self) -> float:
        """What the schedule is multiplied by at present: 1 when nobody changed it, or when it cannot be told."""
        planned = self.planned(self.step) if self.scheduled else None
        return self.present / planned if self.present and planned else 1.0


def rate_facts(view: RunView, experiment: Experiment | None) -> RateFacts:
    """The rate in force: as the last report has it, unless somebody set another one since.

    Args:
        view: the run.
        experiment: its configuration, or None when it cannot be read.
    """
    train = None if experiment is None else experiment.train
    if train is not None and view.steps:
        train = train.model_copy(update={"iters": view.steps, "epochs": 0.0})
    step, present, moment = 0, math.nan, -math.inf
    if len(view.train):
        step, present, moment = int(view.train.last("step")), view.train.last("learning_rate"), view.train.last("t")
    for event in view.interventions:
        value, at, when = (number(event.get(name)) for name in ("value", "step", "t"))
        set_one = event.get("what") in ("learning_rate", "rollback")
        if set_one and value is not None and at is not None and when is not None and when > moment:
            step, present = int(at), value
    if not math.isfinite(present):
        planned = None if train is None else scheduled_rate(train, update_at(train, view.step))
        return RateFacts(planned, view.step, view.steps, train)
    return RateFacts(present, step, view.steps, train)


def now_content(facts: RateFacts) -> Content:
    """Two lines: the rate in force, and what the schedule has to do with it."""
    of = f" of {facts.steps:,}" if facts.steps else ""
    lines = [
        Content.assemble(
            ("Now       ", "$text-muted"),
            (fmt.rate(facts.present), "bold"),
            (f"  at step {facts.step:,}{of}", "$text-muted"),
        )
    ]
    if facts.scheduled and facts.train is not None:
        told = f"{facts.train.schedule}, {fmt.rate(facts.planned(facts.step))} there"
        if facts.train.warmup:
            told = f"warm-up of {facts.train.warmup:,}, then {told}"
        if abs(facts.factor - 1) > 1e-3:
            told += f", multiplied by {facts.factor:.3g}"
    else:
        told = "none: the rate stays as it is set"
    lines.append(Content.assemble(("Schedule  ", "$text-muted"), told))
    return Content("\n").join(lines)


def preview(facts: RateFacts, wish: RateWish) -> Content:
    """What a wish would make of the rest of the run, a line a moment.

    Raises:
        TunerError: when the wish cannot be granted.
    """
    present = facts.present or 0.0
    new = wish.rate(present)
    if not facts.scheduled or present <= 0:
        lines = [_line("from the next update on", facts.present, new)]
    else:
        lines = [Content.styled("The whole rest of the schedule is multiplied:", "$text-muted")]
        lines += [_line(name, rate, rate * new / present) for name, rate in _moments(facts)]
    highest = facts.train.learning_rate if facts.train is not None else None
    top = max([new, *(rate * new / present for _, rate in _moments(facts))]) if facts.scheduled and present else new
    if highest and top >= _MUCH * highest * (1 - 1e-9):  # a threefold is one, however it was rounded
        lines.append(Content.styled(f"▲ {top / highest:.3g} times the configured {fmt.rate(highest)}", "$text-warning"))
    return Content("\n").join(lines)


def _moments(facts: RateFacts) -> list[tuple[str, float]]:
    """Moments of the rest of the run with the rate foreseen at present: now, the peak to come, half-way, the last."""
    train = facts.train
    if train is None:
        return []
    steps = [facts.step]
    peak = (train.warmup + 1) * train.grad_accumulation
    if train.warmup and facts.step < peak <= train.iters:
        steps.append(peak)
    steps += [(max(steps) + train.iters) // 2, train.iters]
    found = []
    for step in dict.fromkeys(step for step in steps if step >= facts.step):
        name = "now" if step == facts.step else f"step {step:,}"
        name += " (peak)" if step == peak and train.warmup and step > facts.step else ""
        found.append((name, (facts.planned(step) or 0.0) * facts.factor))
    return found


def _line(name: str, old: float | None, new: float) -> Content:
    return Content.assemble((f"{name:<24}", "$text-muted"), f"{fmt.rate(old):>8} → ", (fmt.rate(new), "bold"))
