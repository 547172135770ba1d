"""The marks on a run's curve: what people and the guard did, what was skipped, and where checkpoints stand.

Each kind has a sign of its own, a word for the legend, and a sentence for the crosshair. Pure functions of a view; what
was overtaken by a resumption or a rollback is not on the curve and gets no mark (the log still tells of it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui_tuner.runs.columns import number
from tui_tuner.ui import format as fmt
from tui_tuner.ui.charts.marks import QUIET, Mark
from tui_tuner.ui.text import visible

if TYPE_CHECKING:
    from tui_tuner.runs.events import Event
    from tui_tuner.runs.view import RunView

_MOST = 500
"""Marks of one kind; a run has far fewer, a broken log may have more."""


@dataclass(frozen=True)
class Kind:
    """A kind of mark: its sign, a word for it, how much it matters, and whether it changes the course of the curve (and
    so gets a line)."""

    sign: str
    label: str
    rank: int
    rule: bool = False


KINDS: dict[str, Kind] = {
    "best": Kind("◆", "best", 9, rule=True),
    "rollback": Kind("↶", "rollback", 8, rule=True),
    "learning_rate": Kind("η", "learning rate", 7, rule=True),
    "resumed": Kind("↻", "resumed", 6, rule=True),
    "skipped": Kind("×", "skipped", 5),
    "pause": Kind("‖", "pause", 4),
    "finish_epoch": Kind("⇥", "last epoch", 4),
    "evaluate": Kind("△", "validated", 3),
    "checkpoint": Kind("◈", "saved", 3),
    "checkpoint_due": Kind("◇", "checkpoint", QUIET),
}
"""What is marked, by name; those named like a `control` event's `what` stand for one."""


def marks_of(view: RunView) -> list[Mark]:
    """All marks of a run, in no order."""
    marks = [_mark("skipped", event, f"step skipped: {event.get('reason') or 'it says not why'}")
             for event in view.skipped[-_MOST:]]  # fmt: skip
    events = view.interventions[-_MOST:]
    for event in events:
        if event.get("type") == "run_started":
            marks.append(_mark("resumed", event, "resumed here", event.get("from_step")))
        elif event.get("what") in KINDS:
            marks.append(_mark(str(event["what"]), event, _detail(event, events)))
    asked = {mark.x for mark in marks if mark.glyph == KINDS["checkpoint"].sign}
    best = max((event["step"] for event in view.checkpoints if event.get("best")), default=None)
    for event in view.checkpoints[-_MOST:]:
        if event["step"] == best:
            marks.append(_mark("best", event, f"best checkpoint{_loss_at(view, event['step'])}"))
        elif event["step"] not in asked:
            marks.append(_mark("checkpoint_due", event, "checkpoint"))
    return marks


def _mark(kind: str, event: Event, detail: str, step: object = None) -> Mark:
    what = KINDS[kind]
    at = number(event.get("step") if step is None else step) or 0.0
    label = what.label
    if kind == "learning_rate" and (value := number(event.get("value"))) is not None:
        label = f"{what.sign} {fmt.rate(value)}"
    return Mark(at, what.sign, label, f"{visible(detail)}, step {at:,.0f}", what.rank, what.rule)


def _detail(event: Event, events: list[Event]) -> str:
    """What the crosshair says of a wish that was obeyed."""
    what, value, before = event.get("what"), number(event.get("value")), number(event.get("before"))
    if what == "learning_rate":
        old = f"{fmt.rate(before)} → " if before is not None else "now "
        return f"learning rate {old}{fmt.rate(value)}"
    if what == "rollback":
        return f"taken back to this checkpoint by the guard, learning rate {fmt.rate(value)}"
    if what == "pause":
        ends = (other["t"] - event["t"] for other in events if other.get("what") == "proceed")
        lasted = min((seconds for seconds in ends if seconds >= 0), default=None)
        return "paused" if lasted is None else f"paused for {fmt.duration(lasted)}"
    if what == "finish_epoch":
        return "asked to end after this epoch"
    return "validation asked for" if what == "evaluate" else "checkpoint asked for"


def _loss_at(view: RunView, step: float) -> str:
    """The validation loss at a step, in brackets; empty when there was none."""
    found = view.validation.column("loss")[view.validation.column("step") == step]
    return f" (validation {fmt.number(float(found[-1]))})" if len(found) else ""
