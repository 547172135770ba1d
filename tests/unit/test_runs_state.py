"""A run's state is read from its events and its lock, in every order they can come."""

from __future__ import annotations

from typing import Any

import pytest

from tui_tuner.runs import RunState, RunView, derive_state

TAKEN_UP = {"t": 0.2, "type": "taken_up", "pid": 7}
STARTED = {"t": 1.0, "type": "run_started", "resumed": False, "from_step": 0}
RESUMED = {"t": 5.0, "type": "run_started", "resumed": True, "from_step": 10}
STAGE = {"t": 2.0, "type": "stage", "name": "train", "status": "running"}
TRAIN = {"t": 3.0, "type": "train", "step": 1}
PAUSE = {"t": 3.0, "type": "control", "what": "pause", "by": "user"}
PROCEED = {"t": 3.5, "type": "control", "what": "proceed", "by": "user"}
STOP = {"t": 3.5, "type": "control", "what": "stop", "by": "user"}
LOG = {"t": 0.5, "type": "log", "level": "info", "text": "created"}


def ended(status: Any) -> dict[str, Any]:
    return {"t": 4.0, "type": "run_finished", "status": status, "reason": ""}


CASES = [
    ([], False, "queued"),
    ([LOG], False, "queued"),
    ([LOG], True, "queued"),
    ([TAKEN_UP], True, "queued"),
    ([TAKEN_UP], False, "failed"),
    ([TAKEN_UP, LOG], False, "failed"),
    ([TAKEN_UP, ended("stopped")], False, "stopped"),
    ([TAKEN_UP, STARTED], True, "running"),
    ([TAKEN_UP, STARTED], False, "interrupted"),
    ([TAKEN_UP, TAKEN_UP, STARTED, ended("finished")], False, "finished"),
    ([STARTED], True, "running"),
    ([STARTED], False, "interrupted"),
    ([STAGE], False, "interrupted"),
    ([STARTED, STAGE, TRAIN], True, "running"),
    ([STARTED, STAGE, TRAIN], False, "interrupted"),
    ([STARTED, PAUSE], True, "paused"),
    ([STARTED, PAUSE], False, "interrupted"),
    ([STARTED, PAUSE, PROCEED], True, "running"),
    ([STARTED, PAUSE, STOP], True, "running"),
    ([STARTED, PAUSE, TRAIN], True, "paused"),
    ([STARTED, ended("finished")], False, "finished"),
    ([STARTED, ended("finished")], True, "finished"),
    ([STARTED, PAUSE, ended("stopped")], True, "stopped"),
    ([STARTED, ended("failed"), LOG, PAUSE], False, "failed"),
    ([STARTED, ended("stopped"), RESUMED], True, "running"),
    ([STARTED, ended("stopped"), RESUMED], False, "interrupted"),
    ([STARTED, PAUSE, ended("stopped"), RESUMED], True, "running"),
    ([STARTED, ended("failed"), RESUMED, ended("finished")], False, "finished"),
    ([STARTED, ended("odd")], False, "failed"),
    ([STARTED, ended(None)], False, "failed"),
    ([STARTED, ended(["finished"])], False, "failed"),
]


@pytest.mark.parametrize(("events", "alive", "state"), CASES)
def test_state(events: list[dict[str, Any]], alive: bool, state: str) -> None:
    assert derive_state(events, alive) == RunState(state)
    view = RunView()
    for event in events:
        view.extend([event])
    assert view.state(alive) == RunState(state)


def test_only_ended_states_can_be_resumed() -> None:
    assert {state.value for state in RunState if state.ended} == {"stopped", "finished", "failed", "interrupted"}
