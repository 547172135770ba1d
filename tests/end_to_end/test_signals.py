"""Runs that are ended from outside: what they leave, and that they go on."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.commands import Said, process
from tui_tuner.runs import EventTail, RunFolder, read_events

pytestmark = pytest.mark.mlx


@pytest.fixture
def training(workshop: Path, here: Path) -> Iterator[tuple[subprocess.Popen[str], RunFolder]]:
    """A run in a process of its own that has trained a few of its 150 steps."""
    folders = [f"--set={key}" for key in ("train.iters=150", "train.eval_every=1000", "data.test=2")]
    running = process("run", workshop / "tiny.toml", "--json", *folders)
    try:
        assert running.stderr is not None
        first = running.stderr.readline()
        folder = RunFolder.open(here / "runs" / first.split()[1])
        tail = EventTail(folder.events)
        step = 0
        while step < 3:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.02)
            assert running.returncode is None
            step = max([step, *(e["step"] for e in tail.poll() if e["type"] == "train")])
        yield running, folder
    finally:
        running.kill()
        running.communicate()


def test_a_termination_stops_and_saves_and_resume_finishes(
    training: tuple[subprocess.Popen[str], RunFolder], tuner: Callable[..., Said]
) -> None:
    running, folder = training
    # Meanwhile nobody else may write the run, and the list knows that it is going.
    refused = tuner("resume", folder.path, "--json")
    assert refused.status == 1
    assert refused.document["error"]["code"] == "run-locked"
    assert str(running.pid) in refused.document["error"]["message"]
    assert tuner("runs", "--json").document[0]["state"] == "running"
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=300)
    assert running.returncode == 1, err
    document = json.loads(out)
    assert document["status"] == "stopped"
    assert 0 < document["steps"] < 150
    assert "Traceback" not in err
    assert "terminate called" not in err
    (listed,) = tuner("runs", "--json").document
    assert (listed["state"], listed["step"]) == ("stopped", document["steps"])
    finished = tuner("resume", "last", "--json")
    assert finished.status == 0, finished.err
    assert (finished.document["status"], finished.document["steps"]) == ("finished", 150)
    started = [e for e in read_events(folder.events) if e["type"] == "run_started"]
    assert [e["from_step"] for e in started] == [0, document["steps"]]


def test_a_kill_leaves_an_interrupted_run_whose_every_line_can_be_read(
    training: tuple[subprocess.Popen[str], RunFolder], tuner: Callable[..., Said]
) -> None:
    running, folder = training
    running.kill()
    running.communicate(timeout=300)
    assert running.returncode == -signal.SIGKILL
    (listed,) = tuner("runs", "--json").document
    assert listed["state"] == "interrupted"
    assert listed["step"] >= 3
    for line in folder.events.read_text(encoding="utf-8").split("\n")[:-1]:
        assert {"t", "type"} <= json.loads(line).keys()
    finished = tuner("resume", folder.name, "--json")
    assert finished.status == 0, finished.err
    assert finished.document["steps"] == 150
    for line in folder.events.read_text(encoding="utf-8").splitlines():
        json.loads(line)
