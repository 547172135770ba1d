"""What a file system refuses is told in a sentence, and what was there is there still."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tui_tuner import atomic
from tui_tuner.errors import TunerError
from tui_tuner.runs.archive import Part, unpack, write_archive
from tui_tuner.runs.control import JobControl, StopRequested
from tui_tuner.runs.events import EventTail
from tui_tuner.runs.folder import RunFolder
from tui_tuner.runs.lock import RunLock
from tui_tuner.runs.requests import FILE, ask
from tui_tuner.runs.trash import TRASH, delete_run, deleted_runs, empty_trash, restore_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder.create(tmp_path / "runs", "exp")
    folder.events.write_text('{"t": 1.0, "type": "log", "level": "info", "text": "a"}\n')
    return folder


def refusing(number: int) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


# -- deleting and bringing back ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (errno.EACCES, "not-writable", "may not be written; choose another folder or change its rights."),
        (errno.ENOSPC, "no-space", "no space left on the disk; free some space and resume the run."),
        (errno.EIO, "write-failed", "cannot be written (Input/output error)."),
    ],
)
def test_a_run_that_cannot_be_moved_stays_where_it_is(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, number: int, code: str, said: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refusing(number))
        with pytest.raises(TunerError) as caught:
            delete_run(run)
    assert (caught.value.code, caught.value.sentence()) == (code, f"{run.path}: {said}")
    assert run.events.is_file() and not run.lock.exists()  # nobody holds it any more
    aside = delete_run(run)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refusing(number))
        with pytest.raises(TunerError) as caught:
            restore_run(run.name, run.path.parent)
    assert (caught.value.code, caught.value.where) == (code, str(aside))
    assert restore_run(run.name, run.path.parent).events.is_file()


def test_what_can_be_deleted_for_good_is_and_the_rest_is_told(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = run.path.parent
    other = RunFolder.create(runs, "other")
    other.events.write_bytes(b"12345")
    for folder in (run, other):
        delete_run(folder)
    from tui_tuner.runs import trash

    real = trash.shutil.rmtree

    def rmtree(path: Path) -> None:
        if path.name == run.name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        real(path)

    monkeypatch.setattr(trash.shutil, "rmtree", rmtree)
    with pytest.raises(TunerError) as caught:
        empty_trash(runs)
    assert (caught.value.code, caught.value.where) == ("not-writable", str(runs / TRASH))
    assert [each.run for each in deleted_runs(runs)] == [run.name]


def test_a_link_in_the_trash_is_no_run(run: RunFolder, tmp_path: Path) -> None:
    runs = run.path.parent
    assert deleted_runs(runs) == []  # no folder yet
    delete_run(run)
    (tmp_path / "precious").mkdir()
    (runs / TRASH / "link").symlink_to(tmp_path / "precious")
    assert [each.run for each in deleted_runs(runs)] == [run.name]
    assert empty_trash(runs) > 0
    assert (tmp_path / "precious").is_dir()
    with pytest.raises(TunerError) as caught:
        restore_run("link", runs)
    assert (caught.value.code, caught.value.fix) == ("run-not-found", "list them with `tui-tuner runs --deleted`")


# -- wishes to a run --------------------------------------------------------------------------------------------------
def test_a_wish_is_a_line_for_whoever_runs_the_folder(run: RunFolder) -> None:
    with pytest.raises(TunerError) as caught:
        ask(run, "pause")
    assert (caught.value.code, caught.value.where) == ("not-running", run.name)
    with RunLock(run):
        ask(run, "learning_rate", "x0.5")
        ask(run, "probe", "Who are you?")
        ask(run, "probe")
        for what, value, code in (("dance", None, "usage"), ("learning_rate", "fast", "bad-rate"),
                                  ("probe", " ", "bad-probe")):  # fmt: skip
            with pytest.raises(TunerError) as caught:
                ask(run, what, value)
            assert caught.value.code == code
        (run.path / FILE).rename(run.path / "kept")
        (run.path / FILE).mkdir()
        with pytest.raises(TunerError) as caught:
            ask(run, "stop")
    assert (caught.value.code, caught.value.where) == ("in-the-way", str(run.path / FILE))
    lines = [json.loads(line) for line in (run.path / "kept").read_text().splitlines()]
    told = [("learning_rate", "x0.5"), ("probe", "Who are you?"), ("probe", None)]
    assert [(line["type"], line["value"]) for line in lines] == told


def test_a_log_that_may_not_be_read_is_named(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    tail = EventTail(run.events)
    assert [event["type"] for event in tail.poll()] == ["log"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refusing(errno.EACCES))
        with pytest.raises(TunerError) as caught:
            tail.poll()
    assert caught.value.sentence() == f"{run.events}: may not be read; change its rights."
    assert tail.poll() == []  # and it goes on where it was


# -- a job's control --------------------------------------------------------------------------------------------------
def test_what_is_heard_at_one_moment_is_whole() -> None:
    control = JobControl()
    control.request("evaluate")
    control.pause()
    heard = control.hear(take=False)
    assert (heard.stop, heard.paused, heard.requests) == (None, True, [])
    heard.check()  # nobody asked for a stop
    heard = control.hear()
    assert heard.requests == [("evaluate", None)] and control.hear().requests == []
    control.stop("signal")
    control.stop("user")
    with pytest.raises(StopRequested, match="signal"):
        control.hear().check()


def test_a_trouble_is_told_when_it_changes() -> None:
    control, told = JobControl(), []
    control.on_change(lambda: told.append(control.trouble))
    for text in ("The disk is full.", "The disk is full.", ""):
        control.set_trouble(text)
    assert told == ["The disk is full.", ""]


def test_every_listener_hears_although_one_fails() -> None:
    control, heard = JobControl(), []

    def fail() -> None:
        raise ValueError("first")

    control.on_change(fail)
    leave = control.on_change(lambda: heard.append("second"))
    with pytest.raises(ValueError, match="first"):
        control.pause()
    assert heard == ["second"] and control.paused
    leave()
    leave()  # twice is no harm
    with pytest.raises(ValueError, match="first"):
        control.proceed()
    assert heard == ["second"]


# -- archives ---------------------------------------------------------------------------------------------------------
def test_a_part_that_may_not_be_read_leaves_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "events.jsonl"
    source.write_text("{}\n")
    real = Path.open

    def opened(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self == source:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(TunerError) as caught:
        write_archive(tmp_path / "a.tar.gz", {}, [Part("events.jsonl", source)])
    assert (caught.value.code, caught.value.where) == ("not-readable", str(source))
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


def test_a_full_disk_leaves_no_half_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(tmp_path / "a.tar.gz", {}, [Part("events.jsonl", b"{}\n")])
    real = Path.open

    def opened(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if "w" in mode or "x" in mode:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(TunerError) as caught:
        unpack(tmp_path / "a.tar.gz", tmp_path / "into")
    assert caught.value.code == "no-space"
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


# -- the disk itself --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answer", "calls"),
    [
        (None, ["full"]),  # Apple's flush goes through the drive's cache
        (errno.ENOTSUP, ["full", "fsync"]),  # where the file system has none, the usual one serves
        (errno.EIO, ["full"]),  # what did not get there is told
    ],
)
def test_macos_is_asked_for_a_flush_of_the_drive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: int | None, calls: list[str]
) -> None:
    made = []

    def full(descriptor: int, command: int) -> None:
        made.append("full")
        if answer is not None:
            raise OSError(answer, os.strerror(answer))

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", full)
    monkeypatch.setattr(os, "fsync", lambda descriptor: made.append("fsync"))
    if answer == errno.EIO:
        with pytest.raises(OSError, match="Input/output error"):
            atomic.sync_to_disk(0)
    else:
        atomic.sync_to_disk(0)
    assert made == calls


@pytest.mark.parametrize(("number", "fails"), [(errno.EINVAL, False), (errno.EACCES, False), (errno.EIO, True)])
def test_a_folder_that_cannot_be_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, fails: bool
) -> None:
    monkeypatch.setattr(os, "fsync", refusing(number))
    if fails:
        with pytest.raises(OSError, match="Input/output error"):
            atomic.sync_folder(tmp_path)
    else:
        atomic.sync_folder(tmp_path)


def test_a_write_that_takes_nothing_is_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda descriptor, data: 0)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_all(1, b"abc")
