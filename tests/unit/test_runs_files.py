"""Files in a run folder are the old one or the new one, whatever goes wrong in between."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_tuner.errors import TunerError
from tui_tuner.runs import read_json, remove_leftovers, replacing, write_atomic, write_json


def failing(code: int) -> Any:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


def test_text_and_bytes_arrive(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a.txt", "größer ≥ 1\n")
    write_atomic(tmp_path / "b.bin", b"\x00\xff")
    assert (tmp_path / "a.txt").read_text("utf-8") == "größer ≥ 1\n"
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\xff"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.bin"]


def test_the_old_permissions_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    write_atomic(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
@pytest.mark.parametrize(
    ("errno_", "code"),
    [
        (errno.ENOSPC, "no-space"),
        (errno.EDQUOT, "no-space"),
        (errno.EROFS, "not-writable"),
        (errno.EACCES, "not-writable"),
        (errno.EIO, "write-failed"),
    ],
)
def test_any_failure_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, errno_: int, code: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    if call == "rename":
        monkeypatch.setattr(Path, "replace", failing(errno_))
    else:
        monkeypatch.setattr(os, call, failing(errno_))
    with pytest.raises(TunerError) as caught:
        write_atomic(path, "new")
    monkeypatch.undo()
    assert caught.value.code == code
    assert str(path) in caught.value.sentence()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:3]))
    write_atomic(tmp_path / "a.txt", "0123456789")
    assert (tmp_path / "a.txt").read_text() == "0123456789"


def test_the_contents_are_flushed_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor: int) -> None:
        order.append("fsync")
        fsync(descriptor)

    def note_replace(path: Path, target: Path) -> Path:
        order.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    write_atomic(tmp_path / "a.txt", "x")
    assert order == ["fsync", "rename", "fsync"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        write_atomic(tmp_path / "none" / "a.txt", "x")
    assert caught.value.code == "not-found"


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    for target, blamed, said in (
        (tmp_path / "file" / "a.txt", tmp_path / "file", "is a file where a folder should be"),
        (tmp_path / "file" / "b" / "a.txt", tmp_path / "file", "is a file where a folder should be"),
        (tmp_path / "folder", tmp_path / "folder", "is a folder where a file should be"),
    ):
        with pytest.raises(TunerError) as caught:
            write_atomic(target, "x")
        assert (caught.value.code, caught.value.where, caught.value.message) == ("in-the-way", str(blamed), said)
    assert (tmp_path / "file").read_text() == "x" and (tmp_path / "folder" / "full").is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_replacing_keeps_the_suffix_and_the_old_file_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "adapters.safetensors"
    with replacing(path) as temporary:
        assert temporary.suffix == ".safetensors"
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"one")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_bytes(b"two")
        raise ZeroDivisionError
    assert path.read_bytes() == b"one"
    assert len(list(tmp_path.iterdir())) == 1


LEAVE = """
import os, signal, sys
from pathlib import Path
from tui_tuner.runs import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_kill_left_can_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "adapters.safetensors"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", LEAVE, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    assert path.read_bytes() == b"old"
    assert remove_leftovers(tmp_path) == 1
    assert remove_leftovers(tmp_path) == 0
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert remove_leftovers(tmp_path / "none") == 0


class Colour(StrEnum):
    RED = "red"


def test_json_is_strict_and_takes_what_jobs_have_at_hand(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(
        path,
        {
            "nan": math.nan,
            "deep": [np.float32(0.5), np.float64("inf"), np.arange(3)],
            "path": Path("x/y"),
            "colour": Colour.RED,
            "flag": np.bool_(True),
            "half": "\ud800",
            1: (1, 2),
        },
    )

    def refuse(name: str) -> Any:
        raise AssertionError(name)

    assert json.loads(path.read_text(), parse_constant=refuse) == {
        "nan": None,
        "deep": [0.5, None, [0, 1, 2]],
        "path": "x/y",
        "colour": "red",
        "flag": True,
        "half": "\ud800",
        "1": [1, 2],
    }


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, True, "ü\u2028"], "b": {}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


@pytest.mark.parametrize(
    ("contents", "where"),
    [(b'{"a": 1,\n "b" 2}', "a.json:2"), (b"\xff\xfe", "a.json"), (b"[" * 100_000, "a.json"), (b"", "a.json:1")],
)
def test_damaged_json_is_named(tmp_path: Path, contents: bytes, where: str) -> None:
    (tmp_path / "a.json").write_bytes(contents)
    with pytest.raises(TunerError) as caught:
        read_json(tmp_path / "a.json")
    assert caught.value.code == "damaged-file"
    assert caught.value.where.endswith(where)


def test_json_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        read_json(tmp_path / "a.json")
    assert caught.value.code == "not-found"
    assert str(tmp_path / "a.json") in caught.value.sentence()
