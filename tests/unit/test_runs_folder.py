"""A run folder appears whole or not at all, and nothing else is taken for one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.runs.folder import stamp_of, stem_of

NOW = datetime(2026, 3, 4, 5, 6, 7)


def test_the_name_is_safe_and_carries_the_moment(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "runs", "My run: ../../x", NOW)
    assert folder.path.parent == tmp_path / "runs"
    assert folder.name.endswith("-20260304-050607")
    assert "/" not in folder.name
    assert ":" not in folder.name
    assert stamp_of(folder.name) == NOW
    assert f"{stem_of(folder.name)}-20260304-050607" == folder.name


def test_a_taken_name_is_numbered(tmp_path: Path) -> None:
    names = [RunFolder.create(tmp_path, "a", NOW).name for _ in range(3)]
    assert names == ["a-20260304-050607", "a-20260304-050607-2", "a-20260304-050607-3"]
    assert {stem_of(name) for name in names} == {"a"}
    assert {stamp_of(name) for name in names} == {NOW}


@pytest.mark.parametrize("kind", ["file", "empty folder", "dangling link"])
def test_what_is_in_the_way_is_left_alone(tmp_path: Path, kind: str) -> None:
    obstacle = tmp_path / "a-20260304-050607"
    if kind == "file":
        obstacle.write_text("mine")
    elif kind == "empty folder":
        obstacle.mkdir()
    else:
        obstacle.symlink_to(tmp_path / "nowhere")
    folder = RunFolder.create(tmp_path, "a", NOW)
    assert folder.name == "a-20260304-050607-2"
    assert os.path.lexists(obstacle)
    assert not (tmp_path / "nowhere").exists()


def test_the_places(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a", NOW)
    assert {path.name for path in folder.path.iterdir() if path.is_dir()} == {
        "data",
        "adapters",
        "state",
        "evaluation",
        "chats",
    }
    places = {
        "config.toml": folder.config,
        "meta.json": folder.meta,
        "events.jsonl": folder.events,
        "data": folder.data,
        "adapters": folder.adapters,
        "state": folder.state,
        "evaluation": folder.evaluation,
        "chats": folder.chats,
        "report.md": folder.report,
        "engine.log": folder.log,
        "lock": folder.lock,
    }
    assert places == {name: folder.path / name for name in places}


@pytest.mark.parametrize("below", ["", "deep/er"])
def test_a_file_where_runs_should_live_is_named(tmp_path: Path, below: str) -> None:
    (tmp_path / "runs").write_text("x")
    with pytest.raises(TunerError) as caught:
        RunFolder.create(tmp_path / "runs" / below, "a")
    assert caught.value.sentence() == (
        f"{tmp_path / 'runs'}: is a file where a folder should be; move it away, or choose another place."
    )


@pytest.mark.parametrize("call", ["mkdir", "touch", "rename"])
@pytest.mark.parametrize(("errno_", "code"), [(errno.ENOSPC, "no-space"), (errno.EROFS, "not-writable")])
def test_nothing_half_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, errno_: int, code: str
) -> None:
    original = getattr(Path, call)

    def fail(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == "evaluation" or call != "mkdir":
            raise OSError(errno_, os.strerror(errno_))
        return original(path, *args, **kwargs)

    monkeypatch.setattr(Path, call, fail)
    with pytest.raises(TunerError) as caught:
        RunFolder.create(tmp_path, "a", NOW)
    monkeypatch.undo()
    assert caught.value.code == code
    assert str(tmp_path) in caught.value.sentence()
    assert list(tmp_path.iterdir()) == []


MANY = """
import sys
from datetime import datetime
from pathlib import Path
from tui_tuner.runs import RunFolder
sys.stdin.readline()
for _ in range(20):
    print(RunFolder.create(Path(sys.argv[1]), "a", datetime(2026, 3, 4, 5, 6, 7)).name)
"""


def test_several_processes_never_share_a_folder(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    names = [name for process in processes for name in process.communicate("go\n", timeout=60)[0].split()]
    assert len(names) == 60
    assert len(set(names)) == 60
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_made_folder_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder.create(tmp_path, "a", NOW)
    assert RunFolder.open(folder.path) == folder
    monkeypatch.chdir(tmp_path)
    assert RunFolder.open(Path(folder.name)).path.is_absolute()
    monkeypatch.chdir(folder.path)
    assert RunFolder.open(Path()).name == folder.name
    assert RunFolder.open(Path("data/..")).name == folder.name


@pytest.mark.parametrize("mark", ["events.jsonl", "config.toml", "meta.json"])
def test_one_of_its_files_makes_a_run_folder(tmp_path: Path, mark: str) -> None:
    with pytest.raises(TunerError):
        RunFolder.open(tmp_path)
    (tmp_path / mark).touch()
    assert RunFolder.open(tmp_path).path == tmp_path


@pytest.mark.parametrize(("name", "code"), [("none", "not-found"), ("file", "not-a-run"), ("folder", "not-a-run")])
def test_what_is_no_run_is_refused(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(TunerError) as caught:
        RunFolder.open(tmp_path / name)
    assert caught.value.code == code
    assert str(tmp_path / name) in caught.value.sentence()


def test_a_path_that_no_system_takes_is_refused(tmp_path: Path) -> None:
    for text in ("a\0b", "x" * 5000):
        with pytest.raises(TunerError):
            RunFolder.open(tmp_path / text)


@pytest.mark.parametrize("name", ["a", "a-20261399-000000", "20260304-050607"])
def test_names_without_a_moment(name: str) -> None:
    assert stamp_of(name) is None
