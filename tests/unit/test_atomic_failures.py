"""Files in trouble: what a failed write or read is called, that the old file stays, and that nothing is left behind."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner import atomic
from tui_tuner.atomic import (
    read_failure,
    remove_leftovers,
    replacing,
    sync_folder,
    sync_to_disk,
    write_all,
    write_atomic,
    write_failure,
)
from tui_tuner.errors import TunerError


def failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "code", "fix"),
    [
        (errno.ENOSPC, "no-space", "free some space and resume the run"),
        (errno.EDQUOT, "no-space", "free some space and resume the run"),
        (errno.EFBIG, "no-space", "free some space and resume the run"),
        (errno.EACCES, "not-writable", "choose another folder or change its rights"),
        (errno.EROFS, "not-writable", "choose another folder or change its rights"),
        (errno.ENOENT, "not-found", "create the folder first"),
        (errno.EISDIR, "in-the-way", "move it away, or choose another place"),
        (errno.EIO, "write-failed", ""),
    ],
)
def test_a_failed_write_says_what_to_do(number: int, code: str, fix: str, tmp_path: Path) -> None:
    found = write_failure(failure(number), tmp_path / "none" / "file")
    assert (found.code, found.fix, found.where) == (code, fix, str(tmp_path / "none" / "file"))
    assert "\n" not in found.sentence()


@pytest.mark.parametrize("number", [errno.ENOTDIR, errno.EEXIST])
def test_what_is_in_the_way_is_named_itself(number: int, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    found = write_failure(failure(number), tmp_path / "runs" / "a" / "b")
    assert (found.code, found.where) == ("in-the-way", str(tmp_path / "runs"))
    assert "is a file where a folder should be" in found.sentence()


def test_a_link_that_leads_nowhere_is_in_the_way_too(tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(tmp_path / "gone")
    assert write_failure(failure(errno.EEXIST), tmp_path / "runs").where == str(tmp_path / "runs")


def test_a_folder_in_the_way_of_nothing_is_a_missing_one(tmp_path: Path) -> None:
    assert write_failure(failure(errno.ENOTDIR), tmp_path / "x").code == "not-found"
    assert write_failure(failure(errno.EEXIST), tmp_path / "x").code == "write-failed"


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (errno.ENOENT, "not-found", "does not exist; check the path"),
        (errno.ENOTDIR, "not-found", "does not exist"),
        (errno.EPERM, "not-readable", "may not be read; change its rights"),
        (errno.EIO, "not-readable", "cannot be read ("),
    ],
)
def test_a_failed_read_says_what_to_do(number: int, code: str, said: str) -> None:
    found = read_failure(failure(number), Path("file"))
    assert found.code == code and said in found.sentence()


def test_an_error_without_words_of_the_system_has_its_own() -> None:
    assert "cannot be written (odd)" in write_failure(OSError("odd"), Path("f")).sentence()
    assert "cannot be read (odd)" in read_failure(OSError("odd"), Path("f")).sentence()


# -- one file in the place of another ---------------------------------------------------------------------------------
@settings(max_examples=25)
@given(text=st.text(max_size=40), raw=st.binary(max_size=40))
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, text: str, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("atomic") / "file"
    write_atomic(path, text)
    assert path.read_bytes() == text.encode("utf-8", "backslashreplace")
    write_atomic(path, raw)
    assert path.read_bytes() == raw and [each.name for each in path.parent.iterdir()] == ["file"]


def test_half_a_character_is_written_as_its_escape(tmp_path: Path) -> None:
    write_atomic(tmp_path / "f", "a\ud800b")
    assert (tmp_path / "f").read_text() == "a\\ud800b"


def test_the_rights_of_the_old_file_are_kept_and_those_of_a_new_one_are_the_persons(tmp_path: Path) -> None:
    path = tmp_path / "f"
    before = os.umask(0o027)
    try:
        write_atomic(path, "a")
        assert path.stat().st_mode & 0o777 == 0o640
        path.chmod(0o604)
        write_atomic(path, "b")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o604


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("step", ["write_all", "sync_to_disk", "sync_folder"])
def test_a_failure_at_any_step_leaves_the_old_or_the_new_file_and_no_third(
    step: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    write_atomic(path, "old")

    def fails(*_: Any) -> None:
        raise failure(number)

    monkeypatch.setattr(atomic, step, fails)
    with pytest.raises(TunerError) as caught:
        write_atomic(path, "new")
    assert caught.value.where == str(path)
    assert path.read_text() == ("new" if step == "sync_folder" else "old")
    assert [each.name for each in tmp_path.iterdir()] == ["f"]


def test_whoever_writes_by_name_gets_a_name_with_the_same_ending(tmp_path: Path) -> None:
    target = tmp_path / "weights.safetensors"
    with replacing(target) as temporary:
        assert temporary.suffix == ".safetensors" and temporary.parent == tmp_path
        temporary.write_text("w")
        assert not target.exists(), "nobody sees it before it is whole"
    assert target.read_text() == "w"


def test_a_writer_that_fails_or_writes_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "f") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    with pytest.raises(TunerError), replacing(tmp_path / "f"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_or_its_absence_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        write_atomic(tmp_path / "none" / "f", "x")
    assert caught.value.code == "not-found"
    (tmp_path / "folder").mkdir()
    with pytest.raises(TunerError) as caught:
        write_atomic(tmp_path / "folder", "x")
    assert caught.value.code == "in-the-way"
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_only_what_a_kill_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".tmp-0123456789ab.json").touch()
    (tmp_path / ".tmp-folder").mkdir()
    (tmp_path / "kept.json").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".tmp-x").touch()
    assert remove_leftovers(tmp_path) == 1
    assert (tmp_path / "kept.json").exists() and (tmp_path / "sub" / ".tmp-x").exists()
    assert remove_leftovers(tmp_path / "none") == 0


# -- the disk ---------------------------------------------------------------------------------------------------------
def test_a_system_that_takes_a_part_gets_the_rest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken = bytearray()

    def some(descriptor: int, data: memoryview) -> int:
        taken.extend(data[:3])
        return min(3, len(data))

    monkeypatch.setattr(os, "write", some)
    write_all(99, b"0123456789")
    assert bytes(taken) == b"0123456789"
    monkeypatch.setattr(os, "write", lambda descriptor, data: 0)
    with pytest.raises(OSError, match="No space"):
        write_all(99, b"x")


def test_on_macos_the_drives_own_cache_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda descriptor, what: calls.append(("full", what)))
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append(("fsync", descriptor)))
    sync_to_disk(7)
    assert calls == [("full", 51)], "fsync alone would stop at the drive's cache"

    def cannot(number: int) -> Any:
        def fails(*_: Any) -> None:
            raise failure(number)

        return fails

    monkeypatch.setattr(fcntl, "fcntl", cannot(errno.ENOTSUP))
    sync_to_disk(7)
    assert calls[1:] == [("fsync", 7)], "a file system without it is flushed as well as can be"
    monkeypatch.setattr(fcntl, "fcntl", cannot(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        sync_to_disk(7)


@pytest.mark.parametrize(("number", "passes"), [(errno.EINVAL, True), (errno.EACCES, True), (errno.EIO, False)])
def test_a_folder_that_cannot_be_flushed_is_no_failure_but_a_broken_disk_is(
    number: int, passes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(descriptor: int) -> None:
        raise failure(number)

    monkeypatch.setattr(os, "fsync", fails)
    if passes:
        sync_folder(tmp_path)
    else:
        with pytest.raises(OSError, match="Input/output"):
            sync_folder(tmp_path)
