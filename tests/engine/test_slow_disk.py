"""A disk that takes a quarter of a second for each write: runs lose nothing, and come out the same."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.runs import RunFolder, read_events
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx

_TIMED = {"t", "seconds", "tokens_per_second", "steps_per_second", "peak_memory", "seconds_low", "seconds_high"}


@contextmanager
def slow_disk(monkeypatch: pytest.MonkeyPatch, place: Path, seconds: float) -> Iterator[dict[str, int]]:
    """Delays every write, flush and rename below a folder; counts them by the thread's name."""
    counted: dict[str, int] = {}
    opened: dict[int, str] = {}
    really_open = os.open

    def remember(path: Any, *arguments: Any, **options: Any) -> int:
        descriptor = really_open(path, *arguments, **options)
        opened[descriptor] = str(path)
        return descriptor

    def slowly(real: Callable[..., Any], path_of: Callable[..., str]) -> Callable[..., Any]:
        def act(*arguments: Any, **options: Any) -> Any:
            if path_of(arguments[0]).startswith(str(place)):
                name = threading.current_thread().name
                counted[name] = counted.get(name, 0) + 1
                time.sleep(seconds)
            return real(*arguments, **options)

        return act

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", remember)
        patch.setattr(os, "write", slowly(os.write, lambda descriptor: opened.get(descriptor, "")))
        patch.setattr(os, "fsync", slowly(os.fsync, lambda descriptor: opened.get(descriptor, "")))
        patch.setattr(os, "replace", slowly(os.replace, str))
        yield counted


def story(folder: RunFolder) -> list[dict[str, Any]]:
    """What happened, without how long it took and how far it was in between."""
    return [
        {key: value for key, value in event.items() if key not in _TIMED}
        for event in read_events(folder.events)
        if event["type"] in ("train", "validation", "checkpoint", "evaluation", "verdict", "run_finished")
    ]


@pytest.mark.slow
def test_a_run_on_a_slow_disk_is_the_run_on_a_fast_one(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    fast, slow = new_run(), new_run()
    assert run_experiment(fast, JobControl(), ModelShelf())["status"] == "finished"
    with slow_disk(monkeypatch, slow.path, 0.25) as counted:
        assert run_experiment(slow, JobControl(), ModelShelf())["status"] == "finished"
    assert sum(counted.values()) > 50
    assert story(slow) == story(fast)
    one, two = ((each.adapters / "adapters.safetensors").read_bytes() for each in (fast, slow))
    assert one == two
