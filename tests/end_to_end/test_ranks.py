"""A run with two ranks on this machine: told, stopped, killed and resumed like any other."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.support.commands import Said, process
from tui_tuner.runs import EventTail, RunFolder, RunView, read_events, read_json
from tui_tuner.runs.lock import holder

pytestmark = pytest.mark.mlx

SHORT = ("--set=evaluation.enabled=false", "--set=adapter.dropout=0.1", "--set=train.save_every=4")


def ranks_of(folder: RunFolder) -> dict[int, psutil.Process]:
    """The living processes of a run's ranks."""
    found: dict[int, psutil.Process] = {}
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = each.cmdline()
            # The launcher has these words too, among its own.
            if words[1:4] == ["-m", "tui_tuner", "rank"] and words[4] == str(folder.path):
                found[int(each.environ()["MLX_RANK"])] = each
    return found


class Running:
    """A run with two ranks in processes of its own."""

    def __init__(self, workshop: Path, runs: Path, *options: str) -> None:
        self.process = process("run", workshop / "tiny.toml", "-n", "2", "--json", *SHORT, *options)
        assert self.process.stderr is not None
        self.folder = RunFolder.open(runs / self.process.stderr.readline().split()[1])
        self._tail, self._step = EventTail(self.folder.events), 0

    def until(self, step: int) -> None:
        """Waits for a step to be reported."""
        while self._step < step:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
            assert self.process.returncode is None
            self._step = max([self._step, *(e["step"] for e in self._tail.poll() if e["type"] == "train")])

    def ended(self) -> tuple[dict[str, Any], str]:
        """The document, and what was told, once it has ended; nothing of it may be left."""
        out, err = self.process.communicate(timeout=300)
        while ranks_of(self.folder):
            pass
        assert "Traceback" not in err
        return json.loads(out), err


@pytest.fixture
def begin(workshop: Path, here: Path) -> Iterator[Callable[..., Running]]:
    begun: list[Running] = []

    def start(*options: str) -> Running:
        begun.append(Running(workshop, here / "runs", *options))
        return begun[-1]

    yield start
    for running in begun:
        for rank in ranks_of(running.folder).values():
            with contextlib.suppress(psutil.Error):
                rank.kill()
        running.process.kill()
        running.process.communicate()


def resumed(folder: RunFolder, *options: str) -> tuple[dict[str, Any], str]:
    again = process("resume", folder.path, "--json", *options)
    out, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    return json.loads(out), err


def view_of(folder: RunFolder) -> RunView:
    view = RunView()
    view.extend(read_events(folder.events))
    return view


def same(one: RunFolder, other: RunFolder) -> None:
    """Bit for bit the same adapters and losses."""
    first, second = ((folder.adapters / "adapters.safetensors").read_bytes() for folder in (one, other))
    assert first == second
    views = [view_of(one), view_of(other)]
    assert views[0].train.column("loss").tolist() == views[1].train.column("loss").tolist()
    assert views[0].validation.column("loss").tolist() == views[1].validation.column("loss").tolist()


def test_two_ranks_run_a_run_and_a_rank_that_dies_ends_it(
    begin: Callable[..., Running], tuner: Callable[..., Said]
) -> None:
    running = begin("--set=train.iters=200", "--set=train.eval_every=1000")
    running.until(5)
    (listed,) = tuner("runs", "--json").document
    assert (listed["state"], listed["ranks"]) == ("running", 2)
    owner, ranks = holder(running.folder), ranks_of(running.folder)
    assert owner is not None
    assert owner.pid == ranks[0].pid
    ranks[1].kill()
    document, _ = running.ended()
    assert running.process.returncode == 1
    assert document["error"]["code"] == "rank-died"
    assert document["error"]["message"] == "rank 1 is gone (ended by SIGKILL)"
    assert f"tui-tuner resume {running.folder.name} -n 2" in document["error"]["fix"]
    events = read_events(running.folder.events)
    assert events[-1]["type"] == "run_finished"
    assert tuner("runs", "--json").document[0]["state"] == "failed"
    (started,) = (e for e in events if e["type"] == "run_started")
    assert (started["ranks"], started["ranks_backend"]) == (2, "ring")
    assert read_json(running.folder.meta)["ranks"] == {"size": 2, "backend": "ring"}
    assert (running.folder.path / "engine-rank1.log").is_file()
    # One process goes on with what two have trained, and says what that means.
    finished = tuner("resume", running.folder.path, "--json")
    assert finished.status == 0, finished.err
    assert (finished.document["status"], finished.document["steps"]) == ("finished", 200)
    assert "trained by 2 ranks so far, and by one rank from here on" in finished.err
    assert "no longer bit for bit" in finished.err
    assert np.isfinite(view_of(running.folder).train.column("loss")).all()


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("-n", "9"), "batch-and-ranks", "fewer rows than there are ranks"),
        (("-n", "3", "--set", "train.mode=stock"), "batch-and-ranks", "cannot share a batch of 4 evenly"),
        (("-n", "2", "--hosts", "hosts.json"), "usage", "exclude each other"),
        (("--hosts", "hosts.json"), "bad-hosts", "cannot be read"),
    ],
)
def test_what_cannot_work_is_refused_before_there_is_a_run(
    options: tuple[str, ...], code: str, says: str, workshop: Path, here: Path, tuner: Callable[..., Said]
) -> None:
    said = tuner("run", workshop / "tiny.toml", "--json", *options)
    assert (said.status, said.document["error"]["code"]) == (2, code)
    assert says in said.document["error"]["message"]
    assert not (here / "runs").exists()


def test_the_command_of_a_rank_is_for_the_launcher(here: Path, tuner: Callable[..., Said]) -> None:
    said = tuner("rank", here, "--of", "2", "--backend", "ring", "--beside", "2")
    assert said.status == 2
    assert "what mlx's launcher starts; use `tui-tuner run -n`" in said.err
    assert " rank " not in tuner("--help").out


@pytest.mark.slow
def test_a_run_of_two_ranks_that_was_stopped_and_killed_is_the_one_that_never_was(
    begin: Callable[..., Running], tuner: Callable[..., Said]
) -> None:
    """Stopped by a signal, gone on with, and every one of its processes killed in the middle of that."""
    whole = begin("--set=train.iters=40")
    document, _ = whole.ended()
    assert (document["status"], document["steps"]) == ("finished", 40)

    broken = begin("--set=train.iters=40")
    broken.until(5)
    refused = tuner("resume", broken.folder.path, "-n", "2", "--json")
    assert (refused.status, refused.document["error"]["code"]) == (1, "run-locked")
    broken.process.send_signal(signal.SIGTERM)
    document, err = broken.ended()
    assert document["status"] == "stopped"
    assert 5 <= document["steps"] < 40
    assert broken.process.returncode == 1

    again = process("resume", broken.folder.path, "-n", "2", "--json")
    tail, steps = EventTail(broken.folder.events), [0]
    tail.poll()
    while max(steps) < document["steps"] + 6:
        assert again.poll() is None
        steps += [e["step"] for e in tail.poll() if e["type"] == "train"]
    for victim in (psutil.Process(again.pid), *psutil.Process(again.pid).children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    again.communicate()
    assert again.returncode == -signal.SIGKILL
    assert tuner("runs", "--json").document[0]["state"] == "interrupted"
    document, err = resumed(broken.folder, "-n", "2")
    assert "ranks so far" not in err
    assert document["steps"] == 40
    same(whole.folder, broken.folder)


@pytest.mark.slow
def test_a_run_whose_starter_is_gone_stops_and_saves(begin: Callable[..., Running]) -> None:
    running = begin("--set=train.iters=100000")
    running.until(3)
    running.process.kill()
    running.process.wait()
    while ranks_of(running.folder):
        pass
    ending = read_events(running.folder.events)[-1]
    assert (ending["type"], ending["status"]) == ("run_finished", "stopped")
    assert holder(running.folder) is None


@pytest.mark.slow
def test_a_hosts_file_starts_ranks_too_and_one_process_s_run_can_be_gone_on_with(
    here: Path, workshop: Path, tuner: Callable[..., Said]
) -> None:
    """Two hosts that are both this machine; the benchmark before and after is rank 0's alone."""
    file = here / "hosts.json"
    file.write_text(json.dumps({"backend": "ring", "hosts": [{"ssh": "127.0.0.1", "ips": ["127.0.0.1"]}] * 2}))
    few = ("--set=train.iters=150", "--set=train.eval_every=1000", "--set=train.save_every=50")
    running = process("run", workshop / "tiny.toml", "--json", *few)
    assert running.stderr is not None
    folder = RunFolder.open(here / "runs" / running.stderr.readline().split()[1])
    tail, steps = EventTail(folder.events), [0]
    while max(steps) < 3:
        assert running.poll() is None
        steps += [e["step"] for e in tail.poll() if e["type"] == "train"]
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=300)
    document, err = resumed(folder, "--hosts", str(file))
    assert (document["status"], document["steps"]) == ("finished", 150)
    assert set(document["evaluation"]) == {"before", "after"}
    assert document["verdict"]
    assert "trained by one rank so far, and by 2 ranks from here on" in err
