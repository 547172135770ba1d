"""The run doctor: looks at a run's curves and says what is wrong, with the numbers, and which settings would help.

Pure functions over what the events tell: no I/O, no mlx, no clock, the same answer for the same run, fast enough to be
asked after every report. It must rather stay silent than cry wolf: every judgement is measured against the noise of
the curve it is about. The rules and the reasons for their thresholds are in `tui_tuner.training.doctor`, and told to
people in docs/advice.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from tui_tuner.config import Experiment
from tui_tuner.runs import Event, RunView

from .doctor import changes, losses, resources, validations
from .doctor.case import GRAVITY, Advice, Case, MachineFacts, Severity

__all__ = ["BEFORE_TRAINING", "CODES", "Advice", "MachineFacts", "NewAdvice", "Severity", "diagnose"]

_Rule = Callable[[Case], Advice | None]

RULES: Final[tuple[_Rule, ...]] = (
    losses.not_finite,
    losses.diverging,
    losses.rate_too_high,
    losses.not_falling,
    validations.overfitting,
    validations.not_a_number,
    validations.constant,
    validations.too_small,
    validations.below_training,
    resources.memory_near_limit,
    resources.slowed_down,
    resources.padding,
)

CODES: Final = (
    "not-finite",
    "diverging",
    "learning-rate-too-high",
    "not-falling",
    "overfitting",
    "validation-not-finite",
    "validation-constant",
    "validation-too-small",
    "validation-below-training",
    "memory",
    "slowed-down",
    "padding",
)
"""Every code that a rule can give, in the order of `diagnose` within a severity."""

BEFORE_TRAINING: Final = ("model-size", "reuse-frozen")
"""Codes of what is said before the first step, by the model, the device and the configuration alone."""

_ONE_CAUSE: Final = ("not-finite", "diverging", "learning-rate-too-high", "not-falling")


def diagnose(view: RunView, experiment: Experiment | None = None, machine: MachineFacts | None = None) -> list[Advice]:
    """What is wrong with a run as far as its events tell, gravest first; empty for a healthy run.

    Args:
        view: the run's events; it may be still going.
        experiment: its configuration; without it (a log of another program) some rules say less and offer no change.
        machine: what is known of the machine; without it memory is not judged.

    Returns:
        At most one advice a code. Of what has one cause (losses not finite, rising, jumping, level) only the gravest
        is told. Every `change` is one that the experiment accepts.
    """
    case = Case(view, experiment, machine)
    found: list[Advice] = []
    for rule in RULES:
        advice = rule(case)
        if advice is None or (advice.code in _ONE_CAUSE and any(other.code in _ONE_CAUSE for other in found)):
            continue
        found.append(replace(advice, change=changes.acceptable(advice.change, experiment)))
    return sorted(found, key=lambda advice: GRAVITY[advice.severity])


class NewAdvice:
    """Remembers what was said of a run, so that each thing is said once, and again when it became graver or milder.

    What ceased for a while and came back is not said again: near a threshold it would come and go with each report.

    Args:
        said: `advice` events of the run's earlier sessions, oldest first.
    """

    def __init__(self, said: Iterable[Event] = ()) -> None:
        self._said: dict[str, str] = {}
        for event in said:
            code, severity = event.get("code"), event.get("severity")
            if isinstance(code, str) and isinstance(severity, str):
                self._said[code] = severity

    def take(self, advice: Iterable[Advice]) -> list[Advice]:
        """Those of `advice` (a whole diagnosis) whose code is new or whose severity is another than when last said."""
        new = [each for each in advice if self._said.get(each.code) != each.severity]
        self._said.update((each.code, each.severity) for each in new)
        return new
