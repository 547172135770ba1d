"""The list of runs comes up whatever lies in their folder, and a name leads to the run that was meant or to none."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.errors import TunerError
from tui_tuner.runs import EventLog, RunFolder, RunLock, RunState, catalogue, find_run, list_runs, summarise

NOW = datetime(2026, 3, 4, 5, 6, 7)
CONFIG = '[run]\nname = "a"\n[model]\npath = "phi"\n[train]\niters = 30\n'


def make(runs_dir: Path, name: str = "a", minutes: int = 0, config: str | None = CONFIG) -> RunFolder:
    folder = RunFolder.create(runs_dir, name, NOW + timedelta(minutes=minutes))
    if config is not None:
        folder.config.write_text(config)
    return folder


def begin(folder: RunFolder, *losses: float, status: str | None = None) -> None:
    with EventLog(folder.events) as log:
        log.append("run_started", name=folder.name[:1], steps=30, model="phi-3", resumed=False, from_step=0)
        for number, loss in enumerate(losses, start=1):
            log.append("train", step=10 * number, loss=loss)
            log.append("validation", step=10 * number, loss=loss)
        if status is not None:
            log.append("verdict", metrics={}, sentence="Better.")
            log.append("run_finished", status=status, reason="")


def test_a_run_in_a_line(tmp_path: Path) -> None:
    folder = make(tmp_path)
    begin(folder, 3.0, 1.0, 2.0, status="finished")
    summary = summarise(folder)
    assert (summary.run, summary.name, summary.state) == (folder.name, "a", RunState.FINISHED)
    assert (summary.step, summary.steps, summary.best) == (30, 30, 1.0)
    assert (summary.model, summary.verdict, summary.problem) == ("phi-3", "Better.", "")
    assert summary.created == NOW.timestamp()
    assert summary.path == folder.path


def test_a_run_that_has_not_begun_is_told_by_its_config(tmp_path: Path) -> None:
    summary = summarise(make(tmp_path))
    assert (summary.state, summary.name, summary.model, summary.step, summary.steps) == (
        RunState.QUEUED,
        "a",
        "phi",
        0,
        30,
    )
    assert (summary.best, summary.verdict) == (None, None)


def test_the_state_follows_the_lock(tmp_path: Path) -> None:
    folder = make(tmp_path)
    begin(folder, 3.0)
    assert summarise(folder).state == RunState.INTERRUPTED
    with RunLock(folder):
        assert summarise(folder).state == RunState.RUNNING
    assert summarise(folder).state == RunState.INTERRUPTED


def test_a_run_that_was_taken_up_and_never_began_says_so_once_its_process_is_gone(tmp_path: Path) -> None:
    folder = make(tmp_path)
    with RunLock(folder):
        with EventLog(folder.events) as log:
            log.append("taken_up", pid=7)
        summary = summarise(folder)
        assert (summary.state, summary.reason, summary.duration) == (RunState.QUEUED, "", 0.0)
    summary = summarise(folder)
    assert (summary.state, summary.reason) == (RunState.FAILED, "its process ended before the run began")
    begin(folder, 3.0)
    summary = summarise(folder)
    assert (summary.state, summary.reason) == (RunState.INTERRUPTED, "")


@pytest.mark.parametrize("created", [1234.5, "1970-01-01T00:20:34.500000+00:00"])
def test_the_recorded_moment_comes_first(tmp_path: Path, created: Any) -> None:
    folder = make(tmp_path)
    folder.meta.write_text(json.dumps({"created": created}))
    assert summarise(folder).created == 1234.5


def test_newest_first(tmp_path: Path) -> None:
    names = [make(tmp_path, name, minutes).name for name, minutes in (("b", 1), ("c", 3), ("a", 2))]
    assert [summary.run for summary in list_runs(tmp_path)] == [names[1], names[2], names[0]]


def test_no_folder_of_runs_is_an_empty_list(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "none") == []
    (tmp_path / "file").touch()
    assert list_runs(tmp_path / "file") == []


def test_whatever_lies_about_the_list_comes_up(tmp_path: Path) -> None:
    good = make(tmp_path, "good", 9)
    begin(good, 1.0, status="finished")
    (tmp_path / "README.md").touch()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty-20260304-050607").mkdir()
    no_config = make(tmp_path, "noconfig", 1, config=None)
    bad_config = make(tmp_path, "badconfig", 2, config="[run\n")
    odd_config = make(tmp_path, "oddconfig", 3, config='run = 1\n[train]\niters = "many"\n[model]\npath = 3\n')
    bad_log = make(tmp_path, "badlog", 4)
    bad_log.events.write_bytes(b"rubbish\n\x00\x00\n")
    no_log = make(tmp_path, "nolog", 5)
    no_log.events.unlink()
    folder_log = make(tmp_path, "folderlog", 6)
    folder_log.events.unlink()
    folder_log.events.mkdir()
    bad_meta = make(tmp_path, "badmeta", 7)
    bad_meta.meta.write_text("[")
    bad_lock = make(tmp_path, "badlock", 8)
    bad_lock.lock.mkdir()
    problems = {summary.run.partition("-")[0]: summary.problem for summary in list_runs(tmp_path)}
    assert list(problems) == [
        "good",
        "badlock",
        "badmeta",
        "folderlog",
        "nolog",
        "badlog",
        "oddconfig",
        "badconfig",
        "noconfig",
        "empty",
    ]
    assert problems["good"] == problems["badmeta"] == problems["nolog"] == problems["oddconfig"] == ""
    assert "cannot be read" in problems["folderlog"]
    assert "lock" in problems["badlock"]
    assert "2 damaged lines" in problems["badlog"]
    assert "damaged" in problems["badconfig"]
    assert "missing" in problems["noconfig"]
    assert "no run folder" in problems["empty"]
    assert no_config.name != bad_config.name != odd_config.name


def test_what_has_not_changed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [make(tmp_path, name) for name in "ab"]
    for folder in folders:
        begin(folder, 2.0, status="finished")
    read: list[str] = []
    poll = catalogue.EventTail.poll

    def note(tail: Any) -> Any:
        events = poll(tail)
        read.append(f"{tail.path.parent.name[0]} {len(events)}")
        return events

    monkeypatch.setattr(catalogue.EventTail, "poll", note)
    list_runs(tmp_path)
    assert sorted(read) == ["a 5", "b 5"]
    list_runs(tmp_path)
    assert len(read) == 2
    with EventLog(folders[0].events) as log:
        log.append("run_started", name="a", steps=60, resumed=True, from_step=10)
    assert {summary.steps for summary in list_runs(tmp_path)} == {30, 60}
    with EventLog(folders[0].events) as log:
        log.append("train", step=20, loss=1.0)
    assert {summary.step for summary in list_runs(tmp_path)} == {10, 20}
    assert read[2:] == ["a 6", "a 1"]


def test_a_log_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    folder = make(tmp_path)
    begin(folder, 2.0, 1.0)
    assert summarise(folder).step == 20
    folder.events.unlink()
    begin(folder, 5.0)
    assert (summarise(folder).step, summarise(folder).best) == (10, 5.0)
    folder.events.write_bytes(b"")
    assert (summarise(folder).step, summarise(folder).state) == (0, RunState.QUEUED)


# -- finding ----------------------------------------------------------------------------------------------------------
def test_names_beginnings_paths_and_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = make(tmp_path, "players", 0), make(tmp_path, "xsum", 1)
    for text in (old.name, "players", "p", str(old.path), str(old.path) + "/", old.path):
        assert find_run(text, tmp_path) == old
    assert find_run("last", tmp_path) == new
    monkeypatch.chdir(tmp_path)
    assert find_run(f"./{old.name}", tmp_path / "elsewhere").name == old.name


def test_a_whole_name_goes_before_longer_ones(tmp_path: Path) -> None:
    first, second = make(tmp_path), make(tmp_path)
    assert second.name == f"{first.name}-2"
    assert find_run(first.name, tmp_path) == first


def test_last_passes_over_what_is_broken(tmp_path: Path) -> None:
    folder = make(tmp_path)
    (tmp_path / "newer-20270101-000000").mkdir()
    assert find_run("last", tmp_path) == folder


def test_an_ambiguous_beginning_names_those_that_fit(tmp_path: Path) -> None:
    names = [make(tmp_path, "players", minutes).name for minutes in range(2)]
    with pytest.raises(TunerError) as caught:
        find_run("play", tmp_path)
    assert caught.value.code == "run-ambiguous"
    assert caught.value.usage
    assert all(name in caught.value.sentence() for name in names)


@pytest.mark.parametrize("typed", ["playres", "players-20260304-050608", "Players"])
def test_a_slip_is_answered_with_the_nearest(tmp_path: Path, typed: str) -> None:
    folder = make(tmp_path, "players")
    make(tmp_path, "xsum")
    with pytest.raises(TunerError) as caught:
        find_run(typed, tmp_path)
    assert caught.value.code == "run-not-found"
    assert caught.value.usage
    assert folder.name in caught.value.fix
    assert "xsum" not in caught.value.fix


@pytest.mark.parametrize("text", ["", " ", "..", ".", "last", "zzz", "a\0b", ".hidden", "~no-such-person/x"])
def test_what_is_no_run_is_not_found(tmp_path: Path, text: str) -> None:
    runs_dir = tmp_path / "runs"
    RunFolder.create(tmp_path, "outside")
    (tmp_path / "events.jsonl").touch()
    (runs_dir / ".hidden").mkdir(parents=True)
    (runs_dir / ".hidden" / "events.jsonl").touch()
    with pytest.raises(TunerError) as caught:
        find_run(text, runs_dir)
    assert caught.value.usage
    assert caught.value.code in {"run-not-found", "not-found", "not-readable"}


@pytest.mark.parametrize("text", ["./none", "folder/", "/"])
def test_a_path_to_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(TunerError) as caught:
        find_run(text, tmp_path)
    assert caught.value.usage
    assert caught.value.code in {"not-found", "not-a-run"}


def test_an_unreadable_folder_of_runs_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> Any:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(TunerError) as caught:
        list_runs(tmp_path)
    assert caught.value.code == "not-readable"
