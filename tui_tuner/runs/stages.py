"""The stages of a run as its events tell them: which are done, which is at work, how far it is.

Like the whole view it must never fail on an event, and takes a field of the wrong kind as absent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .columns import count, number
from .events import Event
from .vocabulary import STAGE_STATUSES, STAGES


@dataclass
class StageStatus:
    """How one stage of a run stands.

    `seconds` is what the run reported or, until it does, the time from the stage's start to its last event. `done` and
    `total` count rows or steps; `total` is 0 when unknown. `started` and `updated` are seconds since the epoch, NaN
    before there is one.
    """

    name: str
    status: str = "running"
    seconds: float = 0.0
    text: str = ""
    done: int = 0
    total: int = 0
    started: float = math.nan
    updated: float = math.nan


def apply_stage(stages: dict[str, StageStatus], event: Event) -> None:
    """Take a `stage` event into account; a stage that runs again starts anew and keeps its place in the order."""
    name, status = event.get("name"), event.get("status")
    if name not in STAGES or status not in STAGE_STATUSES:
        return
    stage = stages.get(name)
    if stage is None or (status == "running" and stage.status != "running"):
        stage = stages[name] = StageStatus(name)
    stage.status = status
    _advance(stage, event)
    seconds = number(event.get("seconds"))
    if seconds is not None:
        stage.seconds = seconds


def apply_progress(stages: dict[str, StageStatus], event: Event) -> None:
    """Take a `progress` event into account."""
    name = event.get("stage")
    if name in STAGES:
        _advance(stages.setdefault(name, StageStatus(name)), event)


def _advance(stage: StageStatus, event: Event) -> None:
    text = event.get("text")
    if isinstance(text, str):
        stage.text = text
    if number(event.get("done")) is not None:
        stage.done = count(event.get("done"))
    if number(event.get("total")) is not None:
        stage.total = count(event.get("total"))
    moment = number(event.get("t"))
    if moment is not None:
        if math.isnan(stage.started):
            stage.started = moment
        stage.updated = moment
        stage.seconds = max(0.0, moment - stage.started)
