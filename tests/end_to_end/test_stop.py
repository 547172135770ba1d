"""`tui-tuner stop` reaches a run in another process, which saves and can be resumed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tui_tuner.config import load_experiment
from tui_tuner.engine.handover import continue_in_background
from tui_tuner.engine.new_run import create_run
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.runs import EventTail, RunState, read_events
from tui_tuner.runs.catalogue import summarise
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.lock import holder

pytestmark = pytest.mark.mlx


def test_a_run_is_handed_over_stopped_from_outside_and_resumed(workshop: Path, tmp_path: Path) -> None:
    """Train here, go on in a process of its own, stop that by the command, and end up where one run would have."""
    experiment = load_experiment(workshop / "tiny.toml", ["train.iters=60", "train.report_every=1"])
    whole = create_run(experiment, tmp_path / "runs", base=workshop)
    run_experiment(whole, JobControl(), ModelShelf())
    moved = create_run(experiment, tmp_path / "runs", base=workshop)
    control = JobControl()
    control.stop("handover")
    assert run_experiment(moved, control, ModelShelf())["status"] == "stopped"

    tail = EventTail(moved.events)
    tail.poll()
    pid = continue_in_background(moved, timeout=120)
    assert pid != os.getpid()
    seen: list[str] = []
    while "train" not in seen:
        seen += [event["type"] for event in tail.poll()]
        assert "run_finished" not in seen
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "tui_tuner", "stop", str(moved.path)]
    said = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (said.returncode, said.stderr) == (0, "")
    while "run_finished" not in seen:
        seen += [event["type"] for event in tail.poll()]
    while holder(moved) is not None:  # it said so, but has not left yet
        pass
    assert summarise(moved).state in (RunState.STOPPED, RunState.FINISHED)
    run_experiment(moved, JobControl(), ModelShelf())
    one, two = ((folder.adapters / "adapters.safetensors").read_bytes() for folder in (whole, moved))
    assert one == two
    assert read_events(moved.events)[-1]["status"] == "finished"
