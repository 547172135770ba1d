"""Terminals that close, apps that are killed, two apps on one folder: real processes on terminals of their own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Said, process
from tests.support.terminal import Terminal, wait_for
from tui_tuner.runs import Event, RunFolder, RunState, read_events
from tui_tuner.runs.catalogue import summarise
from tui_tuner.runs.lock import holder

pytestmark = [pytest.mark.mlx, pytest.mark.slow]

STEPS = 150
LONG = [
    f"--set={key}" for key in (f"train.iters={STEPS}", "train.eval_every=1000", "train.save_every=25", "data.test=2")
]


@pytest.fixture
def terminal(here: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens terminals with a command of ours in front; whatever is left of them is ended."""
    opened: list[Terminal] = []

    def open_one(*arguments: str | Path) -> Terminal:
        opened.append(Terminal(*arguments))
        return opened[-1]

    yield open_one
    for each in opened:
        each.kill()


@pytest.fixture
def background(workshop: Path, here: Path) -> Iterator[tuple[subprocess.Popen[str], RunFolder]]:
    """A run in a process of its own, without a terminal."""
    running = process("run", workshop / "tiny.toml", "--json", *LONG, start_new_session=True)
    try:
        assert running.stderr is not None
        yield running, RunFolder.open(here / "runs" / running.stderr.readline().split()[1])
    finally:
        running.kill()
        running.communicate()


def the_run(here: Path) -> RunFolder | None:
    found = [path for path in (here / "runs").glob("tiny-*") if (path / "events.jsonl").is_file()]
    return RunFolder.open(found[0]) if found else None


def events(here: Path, kind: str) -> list[Event]:
    folder = the_run(here)
    return [] if folder is None else [event for event in read_events(folder.events) if event["type"] == kind]


def trained(here: Path, steps: int) -> bool:
    return any(event["step"] >= steps for event in events(here, "train"))


def pause(tuner: Callable[..., Said], here: Path, running: subprocess.Popen[Any]) -> None:
    """Has the run wait as soon as it trains, so that it is still there however long the next step takes."""
    wait_for(lambda: trained(here, 3), lambda: "the run trains", running)
    folder = the_run(here)
    assert folder is not None and tuner("steer", folder.name, "pause").status == 0
    wait_for(lambda: events(here, "control"), lambda: "the run waits", running)


def whole(folder: RunFolder) -> list[dict[str, Any]]:
    """The log's lines, each of which must be an event."""
    lines = [json.loads(line) for line in folder.events.read_text(encoding="utf-8").splitlines()]
    assert all({"t", "type"} <= line.keys() for line in lines)
    return lines


def test_a_closed_terminal_stops_and_saves_and_the_run_goes_on_exactly(
    workshop: Path, here: Path, terminal: Callable[..., Terminal], tuner: Callable[..., Said]
) -> None:
    app = terminal("--preset", workshop / "tiny.toml", *LONG, "--start")
    app.until(lambda: trained(here, 3), "the run trains")
    folder = the_run(here)
    assert folder is not None
    app.close()
    assert app.process.wait(120) == 0
    assert summarise(folder).state is RunState.STOPPED and holder(folder) is None
    last = whole(folder)[-1]
    assert (last["type"], last["status"]) == ("run_finished", "stopped")
    stopped_at = max(event["step"] for event in events(here, "train"))
    assert events(here, "checkpoint")[-1]["step"] == stopped_at  # nothing that was trained is lost
    again = terminal("attach", folder.name)
    again.until(lambda: "STOPPED" in again.drawn.upper(), "it is shown as stopped")
    again.kill()
    assert tuner("resume", folder.name, "--json").document["steps"] == STEPS
    assert events(here, "run_started")[-1]["from_step"] == stopped_at


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_a_run_in_the_background_does_not_notice_who_looks_at_it(
    how: str,
    background: tuple[subprocess.Popen[str], RunFolder],
    here: Path,
    terminal: Callable[..., Terminal],
    tuner: Callable[..., Said],
) -> None:
    running, folder = background
    pause(tuner, here, running)
    app = terminal("attach", folder.name)
    app.until(lambda: "PAUSED" in app.drawn.upper(), "the app looks on")
    if how == "closed":
        app.close()
        assert app.process.wait(120) == 0
    else:
        app.kill()
    found = holder(folder)
    assert running.poll() is None and found is not None and found.pid == running.pid
    assert summarise(folder).state is RunState.PAUSED
    assert tuner("steer", folder.name, "proceed").status == 0
    out, err = running.communicate(timeout=300)
    assert running.returncode == 0, err
    assert json.loads(out)["steps"] == STEPS and len(events(here, "run_started")) == 1
    assert [event["what"] for event in events(here, "control")] == ["pause", "proceed"]
    assert summarise(folder).state is RunState.FINISHED


def test_an_app_that_is_killed_leaves_an_interrupted_run_that_goes_on(
    workshop: Path, here: Path, terminal: Callable[..., Terminal], tuner: Callable[..., Said]
) -> None:
    app = terminal("--preset", workshop / "tiny.toml", *LONG, "--start")
    app.until(lambda: any(event["step"] >= 25 for event in events(here, "checkpoint")), "a checkpoint")
    app.kill()
    folder = the_run(here)
    assert folder is not None
    whole_lines = folder.events.read_bytes().rpartition(b"\n")[0]
    assert summarise(folder).state is RunState.INTERRUPTED
    again = terminal("attach", folder.name)
    again.until(lambda: "INTERRUPTED" in again.drawn.upper(), "it is shown as interrupted")
    again.kill()
    assert tuner("resume", folder.name, "--json").document["steps"] == STEPS
    assert folder.events.read_bytes().startswith(whole_lines)
    assert events(here, "run_started")[-1]["from_step"] >= 25


def test_a_second_app_looks_on_and_can_only_ask(
    workshop: Path, here: Path, terminal: Callable[..., Terminal], tuner: Callable[..., Said]
) -> None:
    first = terminal("--preset", workshop / "tiny.toml", *LONG, "--start")
    pause(tuner, here, first.process)
    folder = the_run(here)
    assert folder is not None
    second = terminal("attach", folder.name)
    second.until(lambda: "PAUSED" in second.drawn.upper(), "the second app looks on")
    for command in ("resume", "delete"):
        refused = tuner(command, folder.name, "--json")
        assert refused.status == 1 and refused.document["error"]["code"] == "run-locked", command
    assert tuner("label", folder.name, "--tag", "seen").status == 0
    second.type("s")
    second.until(lambda: "Stop and save" in second.drawn, "it asks back")
    second.type("\r")
    first.until(lambda: events(here, "run_finished"), "the first one stops it")
    wait_for(lambda: holder(folder) is None, lambda: "the lock is given back", first.process)
    assert first.process.poll() is None and second.process.poll() is None
    assert summarise(folder).state is RunState.STOPPED and len(events(here, "run_started")) == 1
    whole(folder)


def test_two_apps_work_one_queue_off_and_begin_no_run_twice(
    workshop: Path, here: Path, terminal: Callable[..., Terminal], tuner: Callable[..., Said]
) -> None:
    few = ["--set", "train.iters=8", "--set", "evaluation.enabled=false"]
    for name in ("one", "two", "three"):
        assert tuner("queue", "add", workshop / "tiny.toml", *few, "--name", name).status == 0
    apps = [terminal(), terminal()]

    def runs() -> dict[str, list[Event]]:
        folders = [path for name in ("one", "two", "three") for path in (here / "runs").glob(f"{name}-*")]
        return {path.name: read_events(path / "events.jsonl") for path in folders}

    def ended() -> bool:
        return all(any(event["type"] == "run_finished" for event in log) for log in runs().values())

    apps[0].until(ended, "all runs end")
    for log in runs().values():
        assert [event["resumed"] for event in log if event["type"] == "run_started"] == [False]
        assert [event["status"] for event in log if event["type"] == "run_finished"] == ["finished"]
    assert [app.process.poll() for app in apps] == [None, None]
