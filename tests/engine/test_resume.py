"""A run that was stopped or killed and resumed is, bit for bit, the run that never was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.runs import EventLog, EventTail, RunFolder, RunState, RunView, read_events
from tui_tuner.runs.catalogue import summarise
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx

CASES: dict[str, dict[str, dict[str, Any]]] = {
    "lora with dropout, adam": {"adapter": {"dropout": 0.2}},
    "dora, adamw, cosine": {"adapter": {"method": "dora"}, "train": {"optimizer": "adamw", "schedule": "cosine"}},
    "full, sgd": {"adapter": {"method": "full"}, "train": {"optimizer": "sgd", "learning_rate": 1e-2}},
    "lora, adafactor, accumulation": {"train": {"optimizer": "adafactor", "grad_accumulation": 3}},
    "lora, muon": {"train": {"optimizer": "muon"}},
    "stock order, dropout": {"adapter": {"dropout": 0.1}, "train": {"mode": "stock"}},
    "frozen layers reused": {"adapter": {"layers": 1}, "train": {"reuse_frozen": True, "iters": 20}},
}


def weights(folder: RunFolder) -> dict[str, Any]:
    import mlx.core as mx

    loaded = mx.load(str(folder.adapters / "adapters.safetensors"))
    return {name: np.array(value) for name, value in loaded.items()}


def curve(folder: RunFolder) -> tuple[list[float], list[float]]:
    view = RunView()
    view.extend(read_events(folder.events))
    return view.train.column("loss").tolist(), view.validation.column("loss").tolist()


def same(a: RunFolder, b: RunFolder) -> None:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert np.array_equal(value, second[name]), name
    assert curve(a) == curve(b)


def stop_after(folder: RunFolder, kind: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the folder and asks it to stop when the first event of a kind at or after a step is written."""
    control = JobControl()
    append = EventLog.append

    def watching(self: EventLog, type: str, **fields: Any) -> Any:
        event = append(self, type, **fields)
        if type == kind and fields.get("step", step) >= step:
            control.stop("test")
        return event

    with monkeypatch.context() as patch:
        patch.setattr(EventLog, "append", watching)
        document = run_experiment(folder, control, ModelShelf())
    assert document["status"] == "stopped"
    assert summarise(folder).state is RunState.STOPPED


@pytest.mark.parametrize("name", CASES)
def test_a_stopped_run_resumes_exactly(
    name: str, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = new_run(**CASES[name]), new_run(**CASES[name])
    shelf = ModelShelf()
    run_experiment(whole, JobControl(), shelf)
    stop_after(broken, "train", 6, monkeypatch)
    document = run_experiment(broken, JobControl(), shelf)
    assert document["status"] == "finished"
    same(whole, broken)


def test_a_run_stopped_in_any_place_resumes_exactly(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stops while the baseline answers, in the first and a later validation, and again after a resume."""
    whole, broken = new_run(), new_run()
    run_experiment(whole, JobControl(), ModelShelf())
    for kind, step in (("progress", 0), ("validation", 0), ("train", 2), ("validation", 4), ("checkpoint", 8)):
        stop_after(broken, kind, step, monkeypatch)
    run_experiment(broken, JobControl(), ModelShelf())
    same(whole, broken)
    assert [p.name for p in sorted(broken.evaluation.iterdir())] == ["after.jsonl", "before.jsonl", "summary.json"]
    assert (whole.evaluation / "after.jsonl").read_bytes() == (broken.evaluation / "after.jsonl").read_bytes()


def test_a_finished_run_is_not_trained_again(new_run: Callable[..., RunFolder]) -> None:
    folder = new_run()
    first = run_experiment(folder, JobControl(), ModelShelf())
    before = weights(folder)
    again = run_experiment(folder, JobControl(), ModelShelf())
    assert (again["verdict"], again["steps"]) == (first["verdict"], first["steps"])
    assert all(np.array_equal(value, before[name]) for name, value in weights(folder).items())


@pytest.mark.parametrize("moment", [("train", 4), ("checkpoint", 8), ("validation", 9)])
def test_a_killed_run_resumes_exactly(
    moment: tuple[str, int], new_run: Callable[..., RunFolder], tiny_model: Path
) -> None:
    whole, killed = new_run(), new_run()
    run_experiment(whole, JobControl(), ModelShelf())
    kill_at(killed, *moment)
    assert summarise(killed).state is RunState.INTERRUPTED
    run_experiment(killed, JobControl(), ModelShelf())
    same(whole, killed)


def kill_at(folder: RunFolder, kind: str, step: int) -> None:
    """Runs the folder in a process of its own, and kills that without warning when an event shows up."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "tui_tuner", "resume", str(folder.path)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tail = EventTail(folder.events)
    try:
        while process.poll() is None:
            if any(e["type"] == kind and e.get("step", 0) >= step for e in tail.poll()):
                process.send_signal(signal.SIGKILL)
                break
        process.wait(60)
    finally:
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_a_damaged_checkpoint_is_noticed_and_the_one_before_used(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = new_run(), new_run()
    run_experiment(whole, JobControl(), ModelShelf())
    stop_after(broken, "train", 8, monkeypatch)
    newest = sorted(broken.state.glob("*.safetensors"))[-1]
    content = bytearray(newest.read_bytes())
    content[-5] ^= 0xFF
    newest.write_bytes(content)
    run_experiment(broken, JobControl(), ModelShelf())
    same(whole, broken)
    texts = [e["text"] for e in read_events(broken.events) if e["type"] == "log"]
    assert any("damaged" in text for text in texts)


def test_two_processes_cannot_run_one_folder(new_run: Callable[..., RunFolder]) -> None:
    from tui_tuner.runs.lock import RunLock

    folder = new_run()
    with RunLock(folder), pytest.raises(TunerError) as caught:
        run_experiment(folder, JobControl(), ModelShelf())
    assert caught.value.code == "run-locked"
    assert str(os.getpid()) in caught.value.sentence()
