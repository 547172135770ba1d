"""What the rules are given, and what they give back. Data only: nothing here judges."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tui_tuner.config import Experiment
from tui_tuner.runs import Columns, RunView

Severity = Literal["info", "warning", "error"]
GRAVITY: Final[dict[Severity, int]] = {"error": 0, "warning": 1, "info": 2}
"""Severities, gravest first."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Advice:
    """One thing about a run that a person should know.

    Attributes:
        code: a short stable name in kebab-case, one for each matter.
        severity: `info` may be ignored, `warning` costs quality or time, `error` makes the result worthless.
        text: one or two sentences with the run's own numbers; losses in nats per token.
        change: configuration keys and their new values for another run; empty when no setting would help.
        evidence: the numbers that the judgement rests on, by name.
    """

    code: str
    severity: Severity
    text: str
    change: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, float] = field(default_factory=dict)

    def as_fields(self) -> dict[str, Any]:
        """The fields of an `advice` event; `change` is None when no setting would help."""
        return {
            "code": self.code,
            "severity": self.severity,
            "text": self.text,
            "change": self.change or None,
            "evidence": self.evidence,
        }


@dataclass(frozen=True)
class MachineFacts:
    """What the rules may know of the machine.

    Attributes:
        memory_limit: bytes that training may use without swapping or failing; 0 when unknown.
        swap_growth: bytes by which the swap in use has grown since the run began; None when unknown.
    """

    memory_limit: int = 0
    swap_growth: int | None = None


@dataclass(frozen=True)
class Curve:
    """Finite losses by step: arrays of the same length, steps rising."""

    steps: Numbers
    losses: Numbers

    def __len__(self) -> int:
        return len(self.steps)

    def after(self, step: float) -> Curve:
        """The part at `step` and beyond."""
        start = int(np.searchsorted(self.steps, step))
        return Curve(self.steps[start:], self.losses[start:])


@dataclass(frozen=True)
class Case:
    """A run as the rules look at it.

    Attributes:
        view: the fold of its events.
        experiment: its configuration, or None for a run that only a log is known of.
        machine: what is known of the machine, or None.
    """

    view: RunView
    experiment: Experiment | None = None
    machine: MachineFacts | None = None

    @cached_property
    def train(self) -> Curve:
        """The training losses that were finite."""
        return _curve(self.view.train)

    @cached_property
    def validation(self) -> Curve:
        """The validation losses that were finite."""
        return _curve(self.view.validation)

    @property
    def iterations(self) -> int:
        """How many the run takes: as its plan says, which epochs are settled in, else as configured; 0 when unknown."""
        if self.view.plan is not None and self.view.steps:
            return self.view.steps
        return self.experiment.train.iters if self.experiment is not None else self.view.steps

    @property
    def warmup_steps(self) -> int:
        """Steps during which the learning rate still rises."""
        if self.experiment is None:
            return 0
        return self.experiment.train.warmup * self.experiment.train.grad_accumulation

    @cached_property
    def learning_rate(self) -> float | None:
        """The learning rate at its highest, or None when neither configuration nor reports tell it.

        Somebody may have set another one while the run was going; with a constant schedule the last report tells.
        """
        rates = self.reported("learning_rate")
        if self.experiment is not None and (self.experiment.train.schedule != "constant" or not len(rates)):
            return self.experiment.train.learning_rate
        if not len(rates):
            return None
        constant = self.experiment is not None and self.view.step > self.warmup_steps
        rate = float(rates[-1] if constant else rates.max())
        return rate if rate > 0 else None

    def reported(self, name: str) -> Numbers:
        """The finite values of a column of the training reports, oldest first."""
        values = self.view.train.column(name)
        return values[np.isfinite(values)]


def _curve(columns: Columns) -> Curve:
    steps, losses = columns.column("step"), columns.column("loss")
    known = np.isfinite(losses)
    return Curve(steps[known], losses[known])
