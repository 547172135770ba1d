"""What "a resumed run is the run that never was interrupted" means, and ways to interrupt one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.runs import EventLog, RunFolder, RunState, RunView, read_events
from tui_tuner.runs.catalogue import summarise
from tui_tuner.runs.control import JobControl

Watch = Callable[[str, dict[str, Any]], None]


def arrays(path: Path) -> dict[str, Any]:
    """The arrays of a safetensors file, as numpy's; numbers that numpy has no type for as their bytes."""
    import mlx.core as mx

    loaded = mx.load(str(path))
    return {name: np.array(v if v.dtype != mx.bfloat16 else v.view(mx.uint16)) for name, v in loaded.items()}


def weights(folder: RunFolder) -> dict[str, Any]:
    """The weights that a run ended with."""
    return arrays(folder.adapters / "adapters.safetensors")


def curve(folder: RunFolder) -> tuple[list[float], list[float]]:
    """Training and validation losses as a reader of the events sees them."""
    view = RunView()
    view.extend(read_events(folder.events))
    return view.train.column("loss").tolist(), view.validation.column("loss").tolist()


def same(a: RunFolder, b: RunFolder) -> None:
    """Asserts that two runs ended with the same weights, to the last bit, the same losses and the same answers."""
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.dtype == second[name].dtype
        assert value.tobytes() == second[name].tobytes(), name
    assert curve(a) == curve(b)
    for label in ("before", "after"):
        one, two = ((folder.evaluation / f"{label}.jsonl") for folder in (a, b))
        assert one.exists() == two.exists()
        assert not one.exists() or one.read_bytes() == two.read_bytes()


def events(folder: RunFolder, kind: str) -> list[dict[str, Any]]:
    """A run's events of one type."""
    return [event for event in read_events(folder.events) if event["type"] == kind]


@contextmanager
def watching(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls `watch` with the type and fields of every event of this process, right after it was written."""
    append = EventLog.append

    def appending(self: EventLog, type: str, **fields: Any) -> Any:
        event = append(self, type, **fields)
        watch(type, fields)
        return event

    with monkeypatch.context() as patch:
        patch.setattr(EventLog, "append", appending)
        yield


def run_watched(
    folder: RunFolder, control: JobControl, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Runs a folder and calls `watch` after every event."""
    with watching(watch, monkeypatch):
        return run_experiment(folder, control, ModelShelf())


def stop_after(
    folder: RunFolder, kind: str, step: int, monkeypatch: pytest.MonkeyPatch, shelf: ModelShelf | None = None
) -> None:
    """Runs the folder and asks it to stop when the first event of a kind at or after a step is written."""
    control = JobControl()

    def watch(type: str, fields: dict[str, Any]) -> None:
        if type == kind and fields.get("step", step) >= step:
            control.stop("test")

    with watching(watch, monkeypatch):
        document = run_experiment(folder, control, shelf or ModelShelf())
    assert document["status"] == "stopped"
    assert summarise(folder).state is RunState.STOPPED
