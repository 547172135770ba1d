"""Runs: the folder each lives in, the log it writes, how it is steered, and how all of it is read back.

This package is what every job writes to and every screen reads from. It knows nothing of models or of the terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_tuner.lazy import lazily

if TYPE_CHECKING:
    from .catalogue import RunSummary, find_run, list_runs, summarise
    from .columns import Columns
    from .control import JobControl, StopRequested
    from .events import Event, EventLog, EventTail, read_events
    from .files import read_json, remove_leftovers, replacing, write_atomic, write_json
    from .folder import RunFolder
    from .lock import Holder, RunLock, holder
    from .stages import StageStatus
    from .state import RunState, derive_state
    from .view import RunView
    from .vocabulary import EVENT_FIELDS

__all__ = [
    "EVENT_FIELDS",
    "Columns",
    "Event",
    "EventLog",
    "EventTail",
    "Holder",
    "JobControl",
    "RunFolder",
    "RunLock",
    "RunState",
    "RunSummary",
    "RunView",
    "StageStatus",
    "StopRequested",
    "derive_state",
    "find_run",
    "holder",
    "list_runs",
    "read_events",
    "read_json",
    "remove_leftovers",
    "replacing",
    "summarise",
    "write_atomic",
    "write_json",
]

__getattr__ = lazily(
    __name__,
    {
        "Columns": "columns",
        "EVENT_FIELDS": "vocabulary",
        "Event": "events",
        "EventLog": "events",
        "EventTail": "events",
        "Holder": "lock",
        "JobControl": "control",
        "RunFolder": "folder",
        "RunLock": "lock",
        "RunState": "state",
        "RunSummary": "catalogue",
        "RunView": "view",
        "StageStatus": "stages",
        "StopRequested": "control",
        "derive_state": "state",
        "find_run": "catalogue",
        "holder": "lock",
        "list_runs": "catalogue",
        "read_events": "events",
        "read_json": "files",
        "remove_leftovers": "files",
        "replacing": "files",
        "summarise": "catalogue",
        "write_atomic": "files",
        "write_json": "files",
    },
)
