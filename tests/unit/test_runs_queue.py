"""The queue's file: order, pause, what leaves it and what stays, several processes at once, and kills."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tui_tuner.errors import TunerError
from tui_tuner.runs import EventLog, RunFolder, RunLock
from tui_tuner.runs.files import read_json
from tui_tuner.runs.lock import Holder, process
from tui_tuner.runs.queue import RunQueue

ROOT = Path(__file__).parents[2]
DEAD = Holder(2**22 - 3, 1.0, process().host)


def make(runs: Path, name: str, *events: dict[str, object]) -> RunFolder:
    folder = RunFolder.create(runs, name)
    folder.config.write_text(f'[run]\nname = "{name}"\n')
    folder.meta.write_text("{}")
    tell(folder, *events)
    return folder


def tell(folder: RunFolder, *events: dict[str, object]) -> None:
    with EventLog(folder.events) as log:
        for event in events:
            log.append(**event)  # type: ignore[arg-type]


def ended(status: str, reason: str = "") -> tuple[dict[str, object], dict[str, object]]:
    return {"type": "run_started", "name": "n"}, {"type": "run_finished", "status": status, "reason": reason}


def names(queue: RunQueue) -> list[str]:
    return [entry.run.partition("-")[0] for entry in queue.read().entries]


@pytest.fixture
def queue(tmp_path: Path) -> RunQueue:
    """Three runs that wait: a, b, c."""
    made = RunQueue(tmp_path / "runs")
    for name in "abc":
        made.add(make(made.runs_dir, name))
    return made


def run_of(queue: RunQueue, name: str) -> str:
    return next(entry.run for entry in queue.read().entries if entry.run.startswith(name))


def test_an_empty_queue_makes_no_file(tmp_path: Path) -> None:
    assert RunQueue(tmp_path / "runs").read().entries == ()
    assert not (tmp_path / "runs").exists()


def test_runs_wait_in_the_order_they_came_and_once(queue: RunQueue) -> None:
    again = queue.add(RunFolder(queue.runs_dir / run_of(queue, "a")))
    assert (names(queue), again) == (["a", "b", "c"], 1)
    assert names(RunQueue(queue.runs_dir)) == ["a", "b", "c"]  # as another process, or a restart, reads it


@pytest.mark.parametrize(
    ("run", "where", "order", "place"),
    [
        ("c", "up", "acb", 2),
        ("a", "up", "abc", 1),
        ("a", "down", "bac", 2),
        ("c", "down", "abc", 3),
        ("c", "top", "cab", 1),
        ("a", "bottom", "bca", 3),
    ],
)
def test_runs_are_moved(queue: RunQueue, run: str, where: str, order: str, place: int) -> None:
    assert queue.move(run_of(queue, run), where) == place  # type: ignore[arg-type]
    assert names(queue) == list(order)


def test_nothing_passes_what_is_worked_on(queue: RunQueue) -> None:
    turn = queue.take(process())
    assert turn.folder is not None and turn.folder.name.startswith("a-")
    assert queue.move(run_of(queue, "c"), "top") == 2
    assert names(queue) == ["a", "c", "b"]
    for act in (lambda: queue.move(turn.folder.name, "down"), lambda: queue.remove(turn.folder.name)):
        with pytest.raises(TunerError) as caught:
            act()
        assert caught.value.code == "run-going"


def test_a_run_that_never_began_is_put_aside_and_one_that_began_stays(queue: RunQueue) -> None:
    a, b = (RunFolder(queue.runs_dir / run_of(queue, name)) for name in "ab")
    tell(b, *ended("stopped", "stopped by SIGTERM"))
    aside = queue.remove(a.name)
    assert aside is not None and aside.is_dir() and not a.path.exists()
    assert sorted(each.name for each in aside.iterdir()) == sorted(
        ["events.jsonl", "config.toml", "meta.json", "data", "adapters", "state", "evaluation", "chats"]
    )
    assert queue.remove(b.name) is None
    assert b.path.is_dir()
    assert names(queue) == ["c"]


def test_clearing_takes_out_what_waits_only(queue: RunQueue) -> None:
    queue.take(process())
    assert [run.partition("-")[0] for run in queue.clear()] == ["b", "c"]
    assert names(queue) == ["a"]


def test_a_paused_queue_gives_nothing(queue: RunQueue) -> None:
    queue.pause(True)
    assert queue.take(process()).folder is None
    assert queue.take(process()).waits == "the queue is paused"
    queue.pause(False)
    assert queue.take(process()).folder is not None


def test_one_at_a_time(queue: RunQueue) -> None:
    first = queue.take(process()).folder
    assert first is not None
    assert queue.take(process()).waits == f"{first.name} is going"
    queue.give(first.name, DEAD)
    with RunLock(first):  # whoever was given it is gone, but somebody writes the run
        assert queue.take(process()).waits == f"{first.name} is going"


def test_it_waits_for_a_run_that_is_not_of_the_queue(queue: RunQueue) -> None:
    other = make(queue.runs_dir, "other")
    with RunLock(other):
        assert queue.take(process()).waits == f"{other.name} is going"
    assert queue.take(process()).folder is not None


@pytest.mark.parametrize(
    ("status", "reason", "left"),
    [
        ("finished", "", "bc"),
        ("failed", "no rows", "bc"),
        ("stopped", "stopped by user", "bc"),
        ("stopped", "stopped by request", "bc"),
        ("stopped", "stopped by SIGTERM", "abc"),
        ("stopped", "stopped by shutdown", "abc"),
    ],
)
def test_what_has_ended_leaves_and_what_was_cut_off_stays(queue: RunQueue, status: str, reason: str, left: str) -> None:
    folder = queue.take(DEAD).folder
    assert folder is not None
    tell(folder, *ended(status, reason))
    assert names(queue) == list(left)
    assert (folder.name in queue.read().ended) is (len(left) == 2)


def test_a_killed_run_comes_first_again_or_is_asked_for(queue: RunQueue) -> None:
    folder = queue.take(DEAD).folder
    assert folder is not None
    tell(folder, {"type": "run_started", "name": "n"})
    assert queue.take(process(), killed=False).waits == f"{folder.name} ended without saying so"
    assert queue.take(process()).folder == folder


def test_a_stopped_run_can_be_queued_again_and_a_finished_one_not(queue: RunQueue) -> None:
    stopped = make(queue.runs_dir, "stopped", *ended("stopped", "stopped by user"))
    assert queue.add(stopped) == 4
    assert names(queue)[-1] == "stopped"
    tell(stopped, *ended("stopped", "stopped by user"))
    assert "stopped" not in names(queue)
    with pytest.raises(TunerError) as caught:
        queue.add(make(queue.runs_dir, "done", *ended("finished")))
    assert caught.value.code == "run-finished"


def test_a_run_of_another_folder_is_refused(queue: RunQueue, tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        queue.add(make(tmp_path / "elsewhere", "x"))
    assert caught.value.code == "not-in-folder"


def test_a_folder_that_is_gone_is_forgotten(queue: RunQueue) -> None:
    folder = queue.runs_dir / run_of(queue, "b")
    folder.rename(queue.runs_dir.parent / "taken-away")
    assert names(queue) == ["a", "c"]


def test_names_that_lead_out_of_the_folder_are_passed_over(queue: RunQueue) -> None:
    found = read_json(queue.file)
    found["entries"] += [{"run": "../../etc", "added": 1}, {"run": ".queue", "added": 1}, {"added": 1}, 3]
    queue.file.write_text(json.dumps(found))
    assert names(queue) == ["a", "b", "c"]


def test_a_damaged_file_is_named_and_not_overwritten(queue: RunQueue) -> None:
    queue.file.write_text("{")
    for act in (queue.read, lambda: queue.pause(True), queue.clear):
        with pytest.raises(TunerError) as caught:
            act()
        assert caught.value.code == "damaged-file"
    assert queue.file.read_text() == "{"


def _add_many(runs: Path, letter: str, count: int) -> None:
    queue = RunQueue(runs)
    for number in range(count):
        queue.add(make(runs, f"{letter}{number}"))


def _take_all(runs: Path, taken: Path) -> None:
    queue = RunQueue(runs)
    while (turn := queue.take(process())).folder is not None or turn.waits:
        if turn.folder is not None:
            with taken.open("a") as file:
                file.write(turn.folder.name + "\n")
            tell(turn.folder, *ended("finished"))


def test_several_processes_add_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_add_many, args=(tmp_path, letter, 12)) for letter in "xyz"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(names(RunQueue(tmp_path))) == sorted(f"{letter}{number}" for letter in "xyz" for number in range(12))


def test_two_processes_take_each_run_once(tmp_path: Path) -> None:
    _add_many(tmp_path / "runs", "r", 12)
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_take_all, args=(tmp_path / "runs", tmp_path / "taken")) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    taken = (tmp_path / "taken").read_text().split()
    assert len(taken) == len(set(taken)) == 12


_CHANGER = """
import sys
from pathlib import Path
from tui_tuner.runs.queue import RunQueue
queue = RunQueue(Path(sys.argv[1]))
run = queue.read().entries[0].run
print("begun", flush=True)
while True:
    queue.move(run, "bottom"); queue.move(run, "top"); queue.pause(True); queue.pause(False)
"""


def test_a_kill_in_the_middle_of_changes_leaves_the_queue_whole(queue: RunQueue) -> None:
    for _ in range(5):
        changer = subprocess.Popen(
            [sys.executable, "-c", _CHANGER, str(queue.runs_dir)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert changer.stdout is not None and changer.stdout.readline() == "begun\n"
        changer.send_signal(signal.SIGKILL)
        changer.wait()
        assert sorted(names(queue)) == ["a", "b", "c"]
        queue.pause(False)  # nobody holds the guard any more
