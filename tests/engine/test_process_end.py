"""A process that used mlx ends cleanly: after work, in the middle of it, and three times over."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.twins import twins
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.runs import RunFolder, RunState, read_events
from tui_tuner.runs.catalogue import summarise
from tui_tuner.runs.control import JobControl, StopRequested

pytestmark = pytest.mark.mlx

TRAIN_AND_CHAT = """
import sys
from pathlib import Path
from tui_tuner.chat.sampling import Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.config import load_experiment
from tui_tuner.engine.requests import ChatTurn, PreviewData, RunExperiment
from tui_tuner.engine.worker import LocalEngine

engine = LocalEngine()
engine.start()
# First, so that the libraries are imported on the other thread, to which none of their streams may belong.
look = engine.submit(PreviewData(load_experiment(Path(sys.argv[1]) / "config.toml")))
assert look.finished.wait(300) and look.error is None, look.error
run = engine.submit(RunExperiment(Path(sys.argv[1])))
voice = Voice(sys.argv[2], Path(sys.argv[1]) / "adapters")
talk = engine.submit(ChatTurn(voice, [{"role": "user", "content": "who?"}], Sampling(max_tokens=8)))
assert run.finished.wait(300) and talk.finished.wait(300)
assert run.error is None and talk.error is None, (run.error, talk.error)
assert engine.shutdown(60)
print("said", len(talk.result.text))
"""

QUIT_WHILE_TRAINING = """
import sys
from pathlib import Path
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.runs import EventTail, RunFolder

folder = RunFolder.open(Path(sys.argv[1]))
engine = LocalEngine()
engine.start()
run = engine.submit(RunExperiment(folder.path))
tail = EventTail(folder.events)
while not any(event["type"] == "train" for event in tail.poll()):
    assert not run.finished.wait(0.02), run.error
assert engine.shutdown(60)
print(run.status, run.result["status"])
"""


def in_a_process(code: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "terminate called" not in done.stderr
    return done


@pytest.mark.parametrize("attempt", twins(range(3), [0]))
def test_a_process_that_trained_and_chatted_ends_well(
    attempt: int, new_run: Callable[..., RunFolder], tiny_model: Path
) -> None:
    folder = new_run(train={"iters": 3}, data={"test": 2})
    done = in_a_process(TRAIN_AND_CHAT, folder.path, tiny_model)
    assert done.stdout.startswith("said ")
    assert summarise(folder).state is RunState.FINISHED


def test_a_process_that_quits_while_it_trains_ends_well_and_can_go_on(new_run: Callable[..., RunFolder]) -> None:
    folder = new_run(train={"iters": 400, "save_every": 1000, "eval_every": 1000}, data={"test": 2})
    done = in_a_process(QUIT_WHILE_TRAINING, folder.path)
    assert done.stdout.split() == ["stopped", "stopped"]
    summary = summarise(folder)
    assert summary.state is RunState.STOPPED
    assert 0 < summary.step < 400
    control = JobControl()
    started = [e for e in _run_until_train(folder, control) if e["type"] == "run_started"]
    assert started[-1]["resumed"] is True
    assert started[-1]["from_step"] >= summary.step


def _run_until_train(folder: RunFolder, control: JobControl) -> list[dict[str, Any]]:
    """Runs on until the next training report, and stops."""
    from tui_tuner.runs import EventLog

    append = EventLog.append

    def watching(self: EventLog, type: str, **fields: Any) -> Any:
        event = append(self, type, **fields)
        if type == "train":
            control.stop("test")
        return event

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EventLog, "append", watching)
        try:
            run_experiment(folder, control, ModelShelf())
        except StopRequested as error:  # it is turned into a status, never let out
            raise AssertionError from error
    return read_events(folder.events)
