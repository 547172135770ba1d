"""`kill -9`, a termination and a stop, from outside, at named and at random moments: nothing of the run is lost.

Each test interrupts one run again and again, in processes of its own, finishes it, and compares it with a run that
nobody interrupted: weights, losses and answers agree to the last bit.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.exactness import same
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.runs import EventTail, RunFolder, RunState, read_events
from tui_tuner.runs.catalogue import summarise
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.requests import ask

pytestmark = pytest.mark.mlx

ROOT = Path(__file__).parents[2]

# Much has a position: dropout, order, accumulation, schedule, the best so far; and much is written.
BUSY: dict[str, dict[str, Any]] = {
    "adapter": {"rank": 32, "dropout": 0.2},
    "train": {
        "iters": 30,
        "optimizer": "adamw",
        "schedule": "cosine",
        "warmup": 2,
        "clip_norm": 0.5,
        "grad_accumulation": 3,
        "keep": "average",
        "average_best": 2,
        "report_every": 1,
        "save_every": 2,
        "eval_every": 4,
        "keep_checkpoints": 2,
    },
    "evaluation": {"max_tokens": 4, "batch_size": 2, "reuse_answers": False},  # so that there is something to kill
    "probes": {"prompts": ["what is red?"]},
}
MODES = {"fast": BUSY, "stock": {**BUSY, "train": {**BUSY["train"], "mode": "stock"}}}

Moments = list[tuple[str, int]]
MOMENTS: dict[str, Moments] = {
    "while checkpoints are written": [
        ("half state", 1),
        ("after state", 3),  # of a step that was saved before, now with its validation's figure
        ("after index.copy.json", 2),
        ("half event checkpoint", 2),
    ],
    "while something is measured": [
        ("count baseline", 3),
        ("count validation", 1),
        ("count evaluate", 3),
    ],
    "between the stages": [
        ("after valid.jsonl", 1),
        ("before before.json", 1),
        ("half event train", 5),
        ("half event verdict", 1),
    ],
}
MORE_MOMENTS: dict[str, Moments] = {
    "while checkpoints are written": [
        ("before state", 1),
        ("half state", 3),
        ("before weights", 1),
        ("half weights", 2),
        ("after weights", 3),
        ("half adapters.safetensors", 2),
        ("after best_adapters.safetensors", 1),
        ("half index.copy.json", 1),
        ("half index.json", 2),
        ("before index.json", 3),
        ("sweep", 1),
        ("sweep", 3),
        ("half event checkpoint", 1),
    ],
    "while something is measured": [
        ("half row", 1),
        ("before before.jsonl", 1),
        ("after before.jsonl", 1),
        ("half event evaluation", 1),
        ("half event validation", 1),
        ("count validation", 4),
        ("half event validation", 2),
        ("half event sample", 1),
        ("half row", 2),
        ("half row", 3),
        ("after after.jsonl", 1),
        ("half event evaluation", 1),
    ],
    "between the stages": [
        ("half event run_started", 1),
        ("half train.jsonl", 1),
        ("before meta.json", 1),
        ("after meta.json", 1),
        ("half event plan", 1),
        ("half adapter_config.json", 1),
        ("half event train", 5),
        ("before adapters.safetensors", 14),
        ("half event train", 1),
        ("half event stage", 10),  # the verdict's last, of those that are left
        ("before summary.json", 1),
        ("half report.md", 1),
        ("half event run_finished", 1),
    ],
}


def start(*arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def whole_and(new_run: Callable[..., RunFolder], sections: dict[str, dict[str, Any]]) -> tuple[RunFolder, RunFolder]:
    whole, other = new_run(**sections), new_run(**sections)
    run_experiment(whole, JobControl(), ModelShelf())
    return whole, other


def readable(folder: RunFolder) -> None:
    """Every complete line of the log is an event, whatever came before."""
    for line in folder.events.read_text(encoding="utf-8").split("\n")[:-1]:
        assert {"t", "type"} <= json.loads(line).keys()


def finish_and_compare(whole: RunFolder, other: RunFolder) -> None:
    assert run_experiment(other, JobControl(), ModelShelf())["status"] == "finished"
    assert read_events(other.events)[-1]["status"] == "finished"
    same(whole, other)
    readable(other)
    assert not list(other.path.rglob(".tmp-*"))
    assert not list(other.path.rglob("*.partial.jsonl"))
    named = {entry["file"] for entry in json.loads((other.state / "index.json").read_text())}
    assert {path.name for path in other.state.glob("*.safetensors")} == named


def killed_at_each(moments: Moments, new_run: Callable[..., RunFolder]) -> None:
    whole, killed = whole_and(new_run, BUSY)
    for moment, nth in moments:
        process = start("tests.support.doomed", str(killed.path), moment, str(nth))
        _, said = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL, f"{moment} {nth} did not come: {said.decode()[-1000:]}"
        assert summarise(killed).state in (RunState.INTERRUPTED, RunState.QUEUED)
        readable(killed)
    finish_and_compare(whole, killed)


QUICK = "while checkpoints are written"


@pytest.mark.parametrize(
    "group", [pytest.param(group, marks=() if group == QUICK else pytest.mark.slow) for group in MOMENTS]
)
def test_kills_at_the_worst_moments(group: str, new_run: Callable[..., RunFolder]) -> None:
    killed_at_each(MOMENTS[group], new_run)


@pytest.mark.slow
@pytest.mark.parametrize("group", MORE_MOMENTS)
def test_kills_at_more_moments(group: str, new_run: Callable[..., RunFolder]) -> None:
    killed_at_each(MORE_MOMENTS[group], new_run)


def interrupt(folder: RunFolder, how: str, events: int, seconds: float) -> None:
    """Runs the folder in a process of its own; so many events later, and a little more, something ends it."""
    process = start("tui_tuner", "resume", str(folder.path))
    tail, seen = EventTail(folder.events), 0
    tail.poll()
    try:
        while process.poll() is None and seen < events:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.005)
            seen += len(tail.poll())
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        if how == "kill":
            process.send_signal(signal.SIGKILL)
        elif how == "terminate":
            process.send_signal(signal.SIGTERM)
        else:
            with contextlib.suppress(TunerError):  # it has ended meanwhile
                ask(folder, "stop")
        _, said = process.communicate(timeout=300)
    finally:
        process.kill()
    assert b"Traceback" not in said, said.decode()
    readable(folder)
    if how == "kill":
        assert process.returncode in (-signal.SIGKILL, 0), said.decode()
        return
    ended = read_events(folder.events)[-1]
    stopped = ended["type"] == "run_finished" and ended["status"] == "stopped"
    # Before it has come to listen, a termination is what it is for every program.
    assert process.returncode == (1 if stopped else 0) or process.returncode == -signal.SIGTERM, said.decode()


def at_random(seed: int, new_run: Callable[..., RunFolder]) -> None:
    chance = random.Random(seed)
    whole, other = whole_and(new_run, MODES[chance.choice(sorted(MODES))])
    length = len(read_events(whole.events))
    told: list[tuple[str, int, float]] = []
    try:
        for _ in range(chance.choice((1, 2, 3))):
            how = chance.choice(("kill", "kill", "terminate", "stop"))
            told.append((how, chance.randrange(length), chance.random() / 10))
            interrupt(other, *told[-1])
        finish_and_compare(whole, other)
    except BaseException:
        print(f"seed {seed}: {told}")
        raise


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_interruptions_at_random_moments(seed: int, new_run: Callable[..., RunFolder]) -> None:
    at_random(seed, new_run)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 23))
def test_more_interruptions_at_random_moments(seed: int, new_run: Callable[..., RunFolder]) -> None:
    at_random(seed, new_run)
