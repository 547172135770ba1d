"""Two programs on one folder of runs: what both do at once is done once, and who comes too late is told so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.errors import TunerError
from tui_tuner.runs import EventLog, RunFolder, RunLock
from tui_tuner.runs.labels import change_labels, labels_of
from tui_tuner.runs.queue import RunQueue
from tui_tuner.runs.trash import TRASH, delete_run, deleted_runs, restore_run

ROUNDS = 12


def race(*acts: Callable[[], Any]) -> tuple[list[Any], list[TunerError]]:
    """What came of acts that begin at one moment: results, and refusals; anything else is raised."""
    gate, lock = threading.Barrier(len(acts)), threading.Lock()
    done: list[Any] = []
    refused: list[TunerError] = []
    broken: list[BaseException] = []

    def run(act: Callable[[], Any]) -> None:
        gate.wait()
        try:
            found = act()
            with lock:
                done.append(found)
        except TunerError as error:
            with lock:
                refused.append(error)
        except BaseException as error:
            with lock:
                broken.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if broken:
        raise broken[0]
    return done, refused


def made(place: Path, name: str = "players") -> RunFolder:
    folder = RunFolder.create(place, name)
    with EventLog(folder.events) as log:
        log.append("run_started", name=name)
        log.append("run_finished", status="finished", reason="")
    return folder


def test_a_run_that_several_delete_is_deleted_once(tmp_path: Path) -> None:
    for _ in range(ROUNDS):
        folder = made(tmp_path)
        done, refused = race(*[lambda folder=folder: delete_run(folder)] * 4)
        assert len(done) == 1 and len(refused) == 3
        assert {error.code for error in refused} <= {"not-found", "run-locked", "run-not-found"}, refused
        assert not folder.path.exists() and len((done[0] / "events.jsonl").read_text().splitlines()) == 2
        assert not (done[0] / "lock").exists()
    assert len(deleted_runs(tmp_path)) == ROUNDS


def test_a_run_that_several_restore_comes_back_once(tmp_path: Path) -> None:
    for _ in range(ROUNDS):
        name = delete_run(made(tmp_path)).name
        done, refused = race(*[lambda name=name: restore_run(name, tmp_path)] * 4)
        assert len(done) == 1 and len(refused) == 3
        assert done[0].events.is_file() and deleted_runs(tmp_path) == []


def test_a_run_is_labelled_and_deleted_at_once(tmp_path: Path) -> None:
    for _ in range(ROUNDS):
        folder = made(tmp_path)
        done, _ = race(lambda folder=folder: delete_run(folder), lambda folder=folder: change_labels(folder, add=["a"]))
        aside = next(each for each in done if isinstance(each, Path))
        assert not folder.path.exists() and (aside / "events.jsonl").is_file()
        assert len(done) == 1 or labels_of(aside).tags == ("a",)
        assert [path.name for path in tmp_path.iterdir()] == [TRASH]


def test_labels_of_several_are_all_kept(tmp_path: Path) -> None:
    folder = made(tmp_path)
    for number in range(ROUNDS):
        tags = [f"t{number}-{each}" for each in range(4)]
        _, refused = race(
            *[lambda tag=tag: change_labels(folder, add=[tag]) for tag in tags],
            lambda number=number: change_labels(folder, note=f"n{number}"),
        )
        assert refused == [] and set(tags) <= set(labels_of(folder.path).tags)
        assert labels_of(folder.path).note == f"n{number}"


def test_a_run_that_somebody_writes_is_neither_deleted_nor_run_again(tmp_path: Path) -> None:
    folder = made(tmp_path)
    with RunLock(folder):
        for act in (lambda: delete_run(folder), lambda: RunLock(folder).acquire()):
            with pytest.raises(TunerError) as caught:
                act()
            assert caught.value.code == "run-locked"
        assert change_labels(folder, pinned=True).pinned  # a word on it harms nobody
    assert folder.events.is_file()


def test_a_queue_that_several_change_loses_nothing(tmp_path: Path) -> None:
    folders = []
    for number in range(ROUNDS):
        folder = RunFolder.create(tmp_path, f"run{number}")
        folder.config.write_text("")
        folders.append(folder)
    _, refused = race(*[lambda folder=folder: RunQueue(tmp_path).add(folder) for folder in folders])
    assert refused == []
    assert {entry.run for entry in RunQueue(tmp_path).read().entries} == {folder.name for folder in folders}
    _, refused = race(
        *[lambda folder=folder: RunQueue(tmp_path).remove(folder.name) for folder in folders[:6]],
        *[lambda folder=folder: RunQueue(tmp_path).move(folder.name, "top") for folder in folders[6:]],
    )
    assert refused == []
    assert {entry.run for entry in RunQueue(tmp_path).read().entries} == {folder.name for folder in folders[6:]}
