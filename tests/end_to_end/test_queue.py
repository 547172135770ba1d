"""The queue and sweeps as commands: real runs of a tiny model, in processes of their own, also when they are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.commands import Said, process
from tui_tuner.runs import read_events
from tui_tuner.runs.files import read_json
from tui_tuner.runs.lock import holder
from tui_tuner.runs.queue import RunQueue

pytestmark = pytest.mark.mlx

Tuner = Callable[..., Said]


def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def until_begun(runner: subprocess.Popen[str], queue: RunQueue) -> None:
    """Waits until a runner has given out a run, or has ended."""
    until(lambda: runner.poll() is not None or any(entry.worked_on for entry in queue.read().entries))


def passed(moment: float) -> bool:
    return time.monotonic() >= moment


def began(run: Path) -> list[bool]:
    """For each time that the run was begun, whether that went on with an earlier one."""
    return [event["resumed"] for event in read_events(run / "events.jsonl") if event["type"] == "run_started"]


def test_a_sweep_is_queued_worked_off_and_compared_as_compare_does(here: Path, workshop: Path, tuner: Tuner) -> None:
    preset = here / "swept.toml"
    text = (workshop / "tiny.toml").read_text().replace('path = "model"', f'path = "{workshop / "model"}"')
    text = text.replace('source = "rows.jsonl"', f'source = "{workshop / "rows.jsonl"}"')
    preset.write_text(text + "\n[sweep.values]\nadapter.rank = [2, 4]\n")
    dry = tuner("sweep", preset, "--dry-run", "--json").document
    assert [run["values"] for run in dry["runs"]] == [{"adapter.rank": 2}, {"adapter.rank": 4}]
    assert not (here / "runs").exists()

    said = tuner("sweep", preset, "--run", "--json")
    assert said.status == 0, said.err
    found = said.document
    assert [run["rank"] for run in found["runs"]] == [1, 2]
    losses = [run["validation_loss"] for run in found["runs"]]
    assert losses == sorted(losses)
    assert found["best"] == found["runs"][0]["run"]
    best, other = (run["run"] for run in found["runs"])
    compared = tuner("compare", other, best, "--json").document
    told = found["runs"][1]["best_against_it"]
    assert {key: compared[key] for key in told} == told
    note = read_json(here / "runs" / best / "meta.json")["sweep"]
    assert note["values"] == found["runs"][0]["values"] and note["of"] == 2
    assert tuner("sweep", "--results", "last", "--json").document == found
    assert tuner("sweep", "--results", other).out.count("validation_loss") == 1
    assert tuner("queue", "list", "--json").document["entries"] == []


def test_a_run_is_queued_as_its_preset_stands_and_a_failure_does_not_end_the_queue(
    here: Path, workshop: Path, tuner: Tuner
) -> None:
    preset = here / "mine.toml"
    text = (workshop / "tiny.toml").read_text().replace('path = "model"', f'path = "{workshop / "model"}"')
    good = text.replace('source = "rows.jsonl"', f'source = "{workshop / "rows.jsonl"}"')
    preset.write_text(good.replace(str(workshop / "rows.jsonl"), "nowhere.jsonl"))
    bad = tuner("queue", "add", preset, "--name", "bad", "--no-check", "--json").document
    preset.write_text(good)
    assert tuner("queue", "add", preset, "--name", "good", "--set", "train.iters=2", "--json").document["place"] == 2
    preset.write_text("")
    listed = tuner("queue", "--json").document
    assert [entry["state"] for entry in listed["entries"]] == ["queued", "queued"]

    said = tuner("queue", "run", "--json")
    assert said.status == 1
    assert [(one["run"].partition("-")[0], one["state"]) for one in said.document] == [
        ("bad", "failed"),
        ("good", "finished"),
    ]
    assert "nowhere.jsonl" in said.document[0]["reason"]
    assert bad["run"] in tuner("queue").out
    assert tuner("queue", "run").out == "nothing was queued\n"


def test_a_failure_ends_the_queue_where_that_is_wanted(here: Path, workshop: Path, tuner: Tuner) -> None:
    tuner("queue", "add", workshop / "tiny.toml", "--set", "data.source=nowhere.jsonl", "--no-check")
    tuner("queue", "add", workshop / "tiny.toml", "--name", "second")
    assert tuner("queue", "run", "--stop-on-failure").status == 1
    assert [entry.run.partition("-")[0] for entry in RunQueue(here / "runs").read().entries] == ["second"]


def test_moving_removing_pausing_and_clearing(here: Path, workshop: Path, tuner: Tuner) -> None:
    for name in ("one", "two", "three"):
        tuner("queue", "add", workshop / "tiny.toml", "--name", name)
    assert tuner("queue", "move", "three", "top", "--json").document["place"] == 1
    assert tuner("queue", "move", "2", "down").status == 0
    names = [entry["run"].partition("-")[0] for entry in tuner("queue", "--json").document["entries"]]
    assert names == ["three", "two", "one"]
    assert "put aside" in tuner("queue", "remove", "two").out
    assert tuner("queue", "pause", "--json").document == {"paused": True}
    assert "is paused" in tuner("queue").out
    assert tuner("queue", "resume", "--json").document == {"paused": False}
    assert "2 runs were taken out" in tuner("queue", "clear").out
    assert tuner("runs", "--json").document == []


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["queue", "add"], "add takes a preset"),
        (["queue", "move", "x"], "move takes a run and one of"),
        (["queue", "remove", "x"], "is not in the queue"),
        (["queue", "pause", "x"], "pause takes nothing more"),
        (["queue", "list", "--name", "x"], "say what to add"),
        (["queue", "list", "--stop-on-failure"], "belongs to run"),
        (["sweep"], "sweep takes a preset"),
        (["sweep", "quickstart"], "has no table [sweep]"),
        (["sweep", "--results", "nothing"], "there is no run"),
    ],
)
def test_wrong_usage_is_one_sentence(tuner: Tuner, arguments: list[str], what: str) -> None:
    said = tuner(*arguments)
    assert said.status == 2
    assert what in said.err and said.err.count("\n") == 1


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_runner_is_killed_again_and_again_and_no_run_is_lost_or_begun_twice(
    here: Path, workshop: Path, tuner: Tuner, seed: int
) -> None:
    chance = random.Random(seed)
    runs = [
        here / "runs" / tuner("queue", "add", workshop / "tiny.toml", "--name", name, "--json").document["run"]
        for name in ("one", "two", "three")
    ]
    queue = RunQueue(here / "runs")
    for _ in range(4):
        runner = process("queue", "run")
        until_begun(runner, queue)
        moment = time.monotonic() + chance.uniform(0.0, 3.0)
        until(partial(passed, moment))
        runner.send_signal(signal.SIGKILL)
        runner.communicate()
        if chance.random() < 0.5:  # and sometimes the run's own process with it
            owner = next((found for run in runs if (found := holder(run)) is not None), None)
            if owner is not None:
                os.kill(owner.pid, signal.SIGKILL)
    last = process("queue", "run", "--json")
    _, told = last.communicate(timeout=240)
    assert last.returncode == 0, told
    assert queue.read().entries == ()
    states = {run["run"]: run["state"] for run in tuner("runs", "--json").document}
    assert states == {run.name: "finished" for run in runs}
    for run in runs:
        assert began(run).count(False) == 1
        ends = [event for event in read_events(run / "events.jsonl") if event["type"] == "run_finished"]
        assert [end["status"] for end in ends] == ["finished"]


def test_a_stopped_runner_leaves_its_run_in_the_queue(here: Path, workshop: Path, tuner: Tuner) -> None:
    added = tuner("queue", "add", workshop / "tiny.toml", "--set", "train.iters=100000", "--json").document
    queue, run = RunQueue(here / "runs"), here / "runs" / added["run"]
    runner = process("queue", "run", "--json")
    until(lambda: any(event["type"] == "train" for event in read_events(run / "events.jsonl")))
    second = process("queue", "run")
    _, told = second.communicate(timeout=60)
    assert second.returncode == 1 and "works the queue off already" in told
    runner.send_signal(signal.SIGINT)
    runner.communicate(timeout=120)
    assert [entry.run for entry in queue.read().entries] == [run.name]
    assert not queue.read().entries[0].worked_on

    again = process("queue", "run", "--json")
    until(lambda: began(run) == [False, True])
    until(lambda: holder(run) is not None)
    assert tuner("stop", run.name).status == 0
    again.communicate(timeout=120)
    assert queue.read().entries == ()
