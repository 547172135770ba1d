"""A target is made by one process at a time, is whole or not there, and what a killed process left is cleared up."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.commands import ROOT
from tui_tuner.errors import TunerError
from tui_tuner.models import staging
from tui_tuner.models.staging import beside, claimed, take_place

DOOMED = """
import os, shutil, signal, sys
from pathlib import Path
from tui_tuner.models import staging
target, nth, exchange = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "exchange"
seen = 0
def doomed(call):
    def counting(*arguments, **options):
        global seen
        for late in (False, True):
            seen += 1
            if seen == nth:
                os.kill(os.getpid(), signal.SIGKILL)
            if not late:
                found = call(*arguments, **options)
        return found
    return counting
if not exchange:
    staging._exchanged = lambda one, other: False
staging._exchanged = doomed(staging._exchanged)
staging._sync = doomed(staging._sync)
staging.sync_folder = doomed(staging.sync_folder)
Path.rename = doomed(Path.rename)
shutil.rmtree = doomed(shutil.rmtree)
with staging.beside(target) as folder:
    (folder / "one").write_text("new")
    (folder / "two").write_text("new")
    staging.take_place(folder, target)
"""
HOLDER = """
import sys
from pathlib import Path
from tui_tuner.models.staging import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def process(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        **options,
    )


def whole(target: Path) -> str:
    """What a target's files say, all of them alike; empty for no target."""
    if not target.exists():
        return ""
    assert sorted(file.name for file in target.iterdir()) == ["one", "two"]
    said = {file.read_text() for file in target.iterdir()}
    assert len(said) == 1
    return said.pop()


def made(target: Path, said: str) -> None:
    with beside(target) as folder:
        for name in ("one", "two"):
            (folder / name).write_text(said)
        take_place(folder, target)


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("way", ["exchange", "two renames"])
def test_a_kill_at_any_step_leaves_the_old_or_the_new_one_whole(way: str, tmp_path: Path) -> None:
    seen: set[str] = set()
    for nth in range(1, 60):
        target = tmp_path / str(nth) / "model"
        made(target, "old")
        ended = process(DOOMED, target, nth, way)
        status = ended.wait(60)
        left = whole(target)
        if way == "exchange" and staging._exchanged(*_pair(tmp_path / f"probe-{nth}")):
            assert left in ("old", "new")  # never neither
        seen.add(left)
        made(tmp_path / str(nth) / "model-two", "other")  # another target's claim leaves it alone
        with claimed(target):
            assert whole(target) in ("old", "new")
        assert not hidden(target.parent)
        made(target, "newest")
        assert whole(target) == "newest" and not hidden(target.parent)
        if status == 0:
            break
        assert status == -signal.SIGKILL
    else:
        pytest.fail("the process was killed at every step")
    assert {"old", "new"} <= seen and nth > 6


def _pair(folder: Path) -> tuple[Path, Path]:
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    return folder / "a", folder / "b"


@pytest.mark.parametrize("exchange", [True, False])
def test_a_place_that_is_taken_is_taken_over(exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not exchange:
        monkeypatch.setattr(staging, "_exchanged", lambda one, other: False)
    made(tmp_path / "model", "old")
    made(tmp_path / "model", "new")
    assert whole(tmp_path / "model") == "new" and not hidden(tmp_path)


def test_what_cannot_be_renamed_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "model", "old")
    monkeypatch.setattr(staging, "_exchanged", lambda one, other: False)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if "partial" in self.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        with pytest.raises(TunerError):
            made(tmp_path / "model", "new")
    assert whole(tmp_path / "model") == "old" and not hidden(tmp_path)


def test_two_at_once_are_told_apart_in_a_sentence(tmp_path: Path) -> None:
    target = tmp_path / "model"
    holder = process(HOLDER, target, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        (tmp_path / f".model.partial-{holder.pid}").mkdir()
        with pytest.raises(TunerError) as caught, claimed(target):
            pytest.fail("was claimed twice")
        assert caught.value.code == "target-busy" and f"process {holder.pid}" in caught.value.sentence()
        assert (tmp_path / f".model.partial-{holder.pid}").is_dir()  # that of the living is left alone
    finally:
        holder.kill()
        holder.communicate()
    with claimed(target):  # a lock ends with its process
        assert hidden(tmp_path) == [".model.making"]
    assert not hidden(tmp_path)


def test_threads_are_told_apart_and_a_claim_within_a_claim_is_one(tmp_path: Path) -> None:
    target, caught = tmp_path / "model", list[str]()

    def other() -> None:
        try:
            with claimed(target):
                caught.append("claimed")
        except TunerError as error:
            caught.append(error.code)

    with claimed(target), claimed(target):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert caught == ["target-busy"]
    other()
    assert caught[-1] == "claimed" and not hidden(tmp_path)


@pytest.mark.parametrize(("number", "code"), [(errno.EROFS, "not-writable"), (errno.ENOSPC, "no-space")])
def test_a_folder_that_cannot_be_written_is_said_and_nothing_is_left(
    number: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: Any, **__: Any) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(staging.os, "open", refusing)
        with pytest.raises(TunerError) as caught, claimed(tmp_path / "a" / "b" / "model"):
            pytest.fail("was claimed")
    assert caught.value.code == code and not list(tmp_path.iterdir())


def test_a_file_system_without_locks_is_worked_on_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(staging.fcntl, "flock", refusing)
    ended = process("pass")
    ended.wait(60)
    (tmp_path / f".model.partial-{ended.pid}").mkdir()
    living = tmp_path / f".model.partial-{os.getppid()}"
    living.mkdir()
    made(tmp_path / "model", "new")
    assert whole(tmp_path / "model") == "new" and hidden(tmp_path) == [living.name]


def test_folders_made_for_nothing_go_again(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), beside(tmp_path / "a" / "b" / "model"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("platform", ["darwin", "linux"])
def test_names_are_exchanged_by_the_system_s_own_call(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def call(name: str) -> Callable[..., int]:
        return lambda *arguments: asked.append((name, *arguments)) or 0  # type: ignore[func-returns-value]

    own = {"darwin": "renamex_np", "linux": "renameat2"}[platform]
    monkeypatch.setattr(staging.sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace(**{own: call(own)}))
    assert staging._exchanged(Path("/a"), Path("/b"))
    # RENAME_SWAP of <sys/stdio.h>, and RENAME_EXCHANGE of <linux/fs.h>, are both 2.
    assert asked == [{"darwin": (own, b"/a", b"/b", 2), "linux": (own, -100, b"/a", -100, b"/b", 2)}[platform]]
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace())
    assert not staging._exchanged(Path("/a"), Path("/b"))
