"""Runs on a disk in trouble, and wishes that come too late: what is said, and that nothing is lost by it."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.ui.fakes import RunBuilder
from tui_tuner.errors import TunerError
from tui_tuner.runs import JobControl, RunFolder, RunLock, RunView, read_events
from tui_tuner.runs.queue import REMOVED, RunQueue, runner_lock, runner_place
from tui_tuner.runs.requests import FILE, KINDS, RequestWatch, ask, is_heard, obey
from tui_tuner.runs.state import RunState
from tui_tuner.runs.trash import TRASH, delete_run, deleted_runs, empty_trash, restore_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunBuilder(tmp_path).prepared().train(1, 10).folder


def refused(call: Any, *arguments: Any, **options: Any) -> TunerError:
    with pytest.raises(TunerError) as caught:
        call(*arguments, **options)
    assert "\n" not in caught.value.sentence()
    return caught.value


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# -- putting aside ----------------------------------------------------------------------------------------------------
def test_a_run_that_cannot_be_moved_stays_and_is_free_again(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "rename", full)
    assert refused(delete_run, run).code == "no-space"
    monkeypatch.undo()
    assert run.events.is_file() and deleted_runs(run.path.parent) == []
    with RunLock(run):
        assert refused(delete_run, run).code == "run-locked"
    assert delete_run(run).is_dir()


def test_what_was_put_aside_can_be_told_brought_back_and_is_whole(run: RunFolder, tmp_path: Path) -> None:
    before = {path.relative_to(run.path): path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    aside = delete_run(run)
    (found,) = deleted_runs(tmp_path)
    assert (found.run, found.path, found.size) == (run.name, aside, sum(map(len, before.values())))
    back = restore_run(run.name, tmp_path)
    after = {path.relative_to(back.path): path.read_bytes() for path in back.path.rglob("*") if path.is_file()}
    assert after == before and deleted_runs(tmp_path) == []


def test_a_run_that_cannot_come_back_stays_where_it_is(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_run(run)
    monkeypatch.setattr(Path, "rename", full)
    assert refused(restore_run, run.name, tmp_path).code == "no-space"
    monkeypatch.undo()
    assert [each.run for each in deleted_runs(tmp_path)] == [run.name]
    error = refused(restore_run, "nobody", tmp_path)
    assert (error.code, error.usage) == ("run-not-found", True) and "tui-tuner runs --deleted" in error.fix


def test_one_name_deleted_twice_is_two_runs(tmp_path: Path) -> None:
    first = RunBuilder(tmp_path).prepared().folder
    delete_run(first)
    delete_run(RunBuilder(tmp_path).prepared().folder)
    assert sorted(each.run for each in deleted_runs(tmp_path)) == [first.name, f"{first.name}-2"]
    RunBuilder(tmp_path)
    assert restore_run(first.name, tmp_path).name == f"{first.name}-2", "the name is taken by now"


def test_only_what_is_old_enough_is_freed_and_the_bytes_are_told(run: RunFolder, tmp_path: Path) -> None:
    aside = delete_run(run)
    os.utime(aside, (1000.0, 1000.0))
    second = delete_run(RunBuilder(tmp_path, "other").prepared().folder)
    os.utime(second, (2000.0, 2000.0))
    assert [each.when for each in deleted_runs(tmp_path)] == [2000.0, 1000.0]
    size = next(each.size for each in deleted_runs(tmp_path) if each.path == aside)
    assert empty_trash(tmp_path, before=1000.0) == 0
    assert empty_trash(tmp_path, before=2000.0) == size
    assert [each.path for each in deleted_runs(tmp_path)] == [second]


def test_what_cannot_be_freed_is_said_and_the_rest_is_gone(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays, goes = delete_run(run), delete_run(RunBuilder(tmp_path, "other").prepared().folder)
    real = shutil.rmtree

    def some(path: Path) -> None:
        if path == stays:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        real(path)

    monkeypatch.setattr(shutil, "rmtree", some)
    assert refused(empty_trash, tmp_path).code == "not-writable"
    assert stays.is_dir() and not goes.exists()


def test_what_lies_in_the_trash_besides_is_no_run(tmp_path: Path) -> None:
    assert deleted_runs(tmp_path) == [] and empty_trash(tmp_path) == 0
    trash = tmp_path / TRASH
    trash.mkdir()
    (trash / "a file").touch()
    (trash / "a link").symlink_to(tmp_path)
    assert deleted_runs(tmp_path) == []
    empty_trash(tmp_path)
    assert (trash / "a link").is_symlink(), "nothing outside is ever followed"


# -- the queue --------------------------------------------------------------------------------------------------------
@pytest.fixture
def waiting(tmp_path: Path) -> RunQueue:
    queue = RunQueue(tmp_path)
    for name in ("one", "two"):
        queue.add(RunBuilder(tmp_path, name).folder)
    return queue


def test_a_queue_on_a_full_disk_stays_as_it_was(waiting: RunQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    before = waiting.file.read_bytes()
    monkeypatch.setattr("tui_tuner.runs.queue.write_json", full)
    error = refused(waiting.pause, True)
    assert (error.code, error.where) == ("no-space", str(waiting.file))
    assert waiting.file.read_bytes() == before and not waiting.read().paused


@pytest.mark.parametrize("text", ["[]", '{"entries": 3}', '"text"'])
def test_a_file_that_is_no_queue_is_named(text: str, waiting: RunQueue) -> None:
    waiting.file.write_text(text)
    error = refused(waiting.read)
    assert (error.code, error.where) == ("damaged-file", str(waiting.file))
    assert refused(waiting.clear).code == "damaged-file" and waiting.file.read_text() == text


def test_what_an_entry_lacks_is_as_good_as_absent(waiting: RunQueue) -> None:
    found = json.loads(waiting.file.read_text())
    for entry in found["entries"]:
        entry.update(added="soon", before=[], sweep=7, worker={"pid": "x"})
    found["entries"] += [None, {"run": ""}, {"run": ".."}, {"run": 7}]
    found["ended"] = "nobody"
    waiting.file.write_text(json.dumps(found))
    entries = waiting.read().entries
    assert len(entries) == 2 and waiting.read().ended == ()
    assert all((entry.before, entry.sweep, entry.worker) == (None, "", None) for entry in entries)


def test_a_run_that_cannot_be_put_aside_leaves_the_queue_all_the_same(
    waiting: RunQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = waiting.read().entries[0].run
    monkeypatch.setattr(Path, "rename", full)
    assert waiting.remove(name) is None
    monkeypatch.undo()
    assert (waiting.runs_dir / name / "events.jsonl").is_file() and waiting.read().place(name) is None
    assert not (waiting.runs_dir / name / "lock").exists()


def test_a_queued_run_is_not_deleted_and_a_removed_one_is_put_aside(waiting: RunQueue) -> None:
    name = waiting.read().entries[0].run
    error = refused(delete_run, RunFolder.open(waiting.runs_dir / name))
    assert error.code == "run-queued" and f"tui-tuner queue remove {name}" in error.fix
    assert waiting.remove(name) == waiting.folder / REMOVED / name
    assert refused(waiting.remove, name).code == "not-queued"


def test_what_could_not_be_begun_leaves_and_is_remembered(waiting: RunQueue) -> None:
    name = waiting.read().entries[0].run
    waiting.drop(name)
    waiting.drop(name)
    waiting.drop("nobody")
    assert waiting.read().ended == (name,) and (waiting.runs_dir / name).is_dir()


def test_the_right_to_work_off_is_one_for_a_person_and_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "settings"))
    with runner_lock():
        assert refused(runner_lock().acquire).code == "run-locked"
    assert runner_place().parent == tmp_path / "settings"
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    assert refused(runner_lock).code == "in-the-way"


# -- wishes -----------------------------------------------------------------------------------------------------------
def test_a_run_that_has_not_begun_is_not_said_to_be_resumed(run: RunFolder) -> None:
    run.events.unlink(missing_ok=True)
    for _ in range(2):
        error = refused(ask, run, "stop")
        assert (error.code, error.message) == ("not-running", "this run has not begun yet")
        assert "resume" not in error.fix and "tui-tuner queue" in error.fix
        run.events.touch()


def test_a_wish_that_nobody_would_hear_is_refused(run: RunFolder) -> None:
    error = refused(ask, run, "stop")
    assert (error.code, error.fix) == ("not-running", "`tui-tuner resume` goes on with it")
    assert refused(ask, run, "dance").usage and not (run.path / FILE).exists()
    with RunLock(run):
        assert refused(ask, run, "learning_rate", "fast").code == "bad-rate"
        assert refused(ask, run, "probe", "").code == "bad-probe"
        assert not (run.path / FILE).exists(), "a wrong wish leaves no trace"


def test_a_wish_on_a_full_disk_is_said(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunLock(run):
        monkeypatch.setattr("tui_tuner.runs.requests.holder", lambda folder: "somebody")
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", full)
            error = refused(ask, run, "stop")
    assert (error.code, error.where) == ("no-space", str(run.path / FILE))


def test_what_is_asked_is_what_is_heard_in_the_same_order(run: RunFolder) -> None:
    control = JobControl()
    with RunLock(run):
        ask(run, "stop")  # an old wish, left for the runner before
        watch = RequestWatch(run, control)
        watch._tail.poll()
        for what, value in (("evaluate", None), ("learning_rate", "x0.5"), ("probe", "Say hello."), ("pause", None)):
            ask(run, what, value)
        for wish in watch._tail.poll():
            obey(control, str(wish["type"]), wish.get("value"))
    assert control.take_requests() == [
        ("evaluate", None), ("learning_rate", "x0.5"), ("probe", "Say hello."),
    ]  # fmt: skip
    assert control.paused and not control.stop_requested


@pytest.mark.parametrize("what", KINDS)
def test_every_wish_is_obeyed_and_an_unknown_one_passed_over(what: str) -> None:
    control = JobControl()
    obey(control, "dance")
    assert not control.stop_requested and not control.paused and control.take_requests() == []
    obey(control, what, 1.0)
    if what == "stop":
        assert control.stop_requested
    elif what == "pause":
        assert control.paused
        obey(control, "proceed")
        assert not control.paused
    elif what != "proceed":
        assert [each for each, _ in control.take_requests()] == [what]


def test_wishes_for_training_are_not_heard_after_it(tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path).prepared().train(1, 10)
    for heard in (True, False):
        view = RunView()
        view.extend(read_events(builder.folder.events))
        assert is_heard("stop", view) and is_heard("evaluate", view) is heard
        builder.stage("train", "done")
    assert is_heard("checkpoint", RunView()), "before training it will be heard when that begins"


def test_a_state_follows_from_the_log_and_the_lock_alone(run: RunFolder) -> None:
    view = RunView()
    view.extend(read_events(run.events))
    assert view.state(alive=True) is RunState.RUNNING and view.state(alive=False) is RunState.INTERRUPTED
    view.extend([{"t": 1.0, "type": "run_finished", "status": "stopped", "reason": ""}])
    assert view.state(alive=True) is RunState.STOPPED
