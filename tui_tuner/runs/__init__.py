"""Runs: the folder each lives in, the log it writes, how it is steered, and how all of it is read back.

This package is what every job writes to and every screen reads from. It knows nothing of models or of the terminal.
"""

from __future__ import annotations

from .columns import Columns
from .control import JobControl, StopRequested
from .events import EVENT_FIELDS, Event, EventLog, EventTail, read_events
from .files import read_json, replacing, write_atomic, write_json
from .folder import RunFolder
from .state import RunState, derive_state
from .view import RunView, StageStatus

__all__ = [
    "EVENT_FIELDS",
    "Columns",
    "Event",
    "EventLog",
    "EventTail",
    "JobControl",
    "RunFolder",
    "RunState",
    "RunView",
    "StageStatus",
    "StopRequested",
    "derive_state",
    "read_events",
    "read_json",
    "replacing",
    "write_atomic",
    "write_json",
]
