"""The document that `run --json` prints, from a run's events: for whoever ran it, and for whoever only watched."""

from __future__ import annotations

from typing import Any

from tui_tuner.runs import RunFolder, RunView, read_events


def document_of(folder: RunFolder, status: str) -> dict[str, Any]:
    """What came of a run.

    Args:
        status: `finished` or `stopped`.
    """
    events = read_events(folder.events)
    view = RunView()
    view.extend(events)
    # As they were written: the view has NaN where a figure does not exist.
    measured = {event["label"]: event["metrics"] for event in events if event["type"] == "evaluation"}
    judged = [event["metrics"] for event in events if event["type"] == "verdict"]
    return {
        "run": str(folder.path),
        "status": status,
        "steps": view.step,
        "evaluation": {label: measured[label] for label in view.evaluations},
        "verdict": judged[-1] if view.verdict is not None else {},
    }
