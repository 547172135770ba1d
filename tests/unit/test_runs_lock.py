"""Of all who want to write a run exactly one may, and a dead writer keeps nobody out."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tui_tuner.errors import TunerError
from tui_tuner.runs import Holder, RunFolder, RunLock, holder
from tui_tuner.runs.lock import process

HOLD = """
import sys
from pathlib import Path
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunLock
sys.stdin.readline()
try:
    RunLock(Path(sys.argv[1])).acquire()
    print("won", flush=True)
except TunerError as error:
    print(error.code, flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "a")


def start(folder: RunFolder) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=60)


def plant(folder: RunFolder, **fields: Any) -> None:
    me = psutil.Process()
    contents = {"pid": me.pid, "started": me.create_time(), "host": socket.gethostname(), **fields}
    folder.lock.write_text(json.dumps(contents))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_free_run_has_no_holder(folder: RunFolder) -> None:
    assert holder(folder) is None


def test_the_holder_is_this_process_until_release(folder: RunFolder) -> None:
    with RunLock(folder) as lock:
        assert lock.held
        me = psutil.Process()
        assert holder(folder) == process(me.pid)
        assert process() == Holder(me.pid, me.create_time(), socket.gethostname(), process().birth)
        assert holder(folder.path) == holder(folder)
    assert not lock.held
    assert holder(folder) is None
    assert [path.name for path in folder.path.iterdir() if path.name.startswith((".", "lock"))] == []


def test_a_second_lock_of_the_same_process_is_refused(folder: RunFolder) -> None:
    with RunLock(folder):
        with pytest.raises(TunerError) as caught:
            RunLock(folder).acquire()
        assert caught.value.code == "run-locked"
        assert str(os.getpid()) in caught.value.sentence()
        assert holder(folder) is not None


def test_a_lock_is_released_after_an_error(folder: RunFolder) -> None:
    with pytest.raises(ZeroDivisionError), RunLock(folder):
        raise ZeroDivisionError
    assert holder(folder) is None


@pytest.mark.parametrize("stale", [False, True])
def test_of_processes_that_try_at_once_one_wins(folder: RunFolder, stale: bool) -> None:
    for _ in range(3):
        if stale:
            plant(folder, pid=dead_pid())
        processes = [start(folder) for _ in range(4)]
        try:
            for process in processes:
                tell(process)
            answers = [answer(process) for process in processes]
            assert sorted(answers) == ["run-locked"] * 3 + ["won"]
            found = holder(folder)
            assert found is not None
            assert found.pid == processes[answers.index("won")].pid
        finally:
            for process in processes:
                end(process)


def test_a_stale_lock_is_judged_and_taken_over_by_one_at_a_time(folder: RunFolder) -> None:
    """Whoever is at it keeps the others from deleting, as stale, the lock that was just made."""
    plant(folder, pid=dead_pid())
    guard = os.open(folder.path, os.O_RDONLY)
    fcntl.flock(guard, fcntl.LOCK_EX)
    before = folder.lock.read_bytes()
    lock, through = RunLock(folder), threading.Event()

    def take() -> None:
        lock.acquire()
        through.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    assert not through.wait(0.2)
    assert folder.lock.read_bytes() == before
    os.close(guard)
    thread.join(20.0)
    assert through.is_set()
    assert lock.held
    lock.release()


def test_the_lock_of_a_killed_process_is_taken_over(folder: RunFolder) -> None:
    process = start(folder)
    tell(process)
    assert answer(process) == "won"
    with pytest.raises(TunerError, match=str(process.pid)):
        RunLock(folder).acquire()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert holder(folder) is None
    with RunLock(folder):
        assert holder(folder) is not None


def test_the_lock_of_a_zombie_is_taken_over(folder: RunFolder) -> None:
    process = start(folder)
    tell(process)
    assert answer(process) == "won"
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
        assert holder(folder) is None
    finally:
        process.communicate(timeout=60)


@pytest.mark.parametrize("fields", [{"started": 1_000.0}, {"pid": 2**40}, {"pid": 2**100}])
def test_a_number_used_again_is_no_holder(folder: RunFolder, fields: dict[str, Any]) -> None:
    plant(folder, **fields)
    assert holder(folder) is None
    with RunLock(folder) as lock:
        assert lock.held


def test_a_clock_that_was_set_a_little_does_not_free_the_lock(folder: RunFolder) -> None:
    plant(folder, started=psutil.Process().create_time() + 1.0)
    assert holder(folder) is not None


def test_a_process_whose_start_is_hidden_is_respected(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def hide(self: psutil.Process) -> float:
        raise psutil.AccessDenied(self.pid)

    plant(folder, started=1_000.0)
    monkeypatch.setattr(psutil.Process, "create_time", hide)
    assert holder(folder) is not None


def test_another_machine_is_respected_and_named(folder: RunFolder) -> None:
    plant(folder, host="far-away", pid=dead_pid())
    found = holder(folder)
    assert found is not None
    assert not found.here
    with pytest.raises(TunerError) as caught:
        RunLock(folder).acquire()
    assert caught.value.code == "run-locked"
    assert "far-away" in caught.value.sentence()
    assert str(folder.lock) in caught.value.sentence()
    assert folder.lock.exists()


def test_a_machine_is_known_with_and_without_its_domain(folder: RunFolder) -> None:
    plant(folder, host=socket.gethostname().partition(".")[0].upper() + ".example.org", pid=dead_pid())
    assert holder(folder) is None


BROKEN = ["", "{", "[]", '{"pid": "x"}', '{"pid": -1, "started": 1, "host": ""}', '{"pid": true}']


@pytest.mark.parametrize("contents", BROKEN)
def test_a_lock_without_sense_counts_only_while_it_may_be_in_the_making(folder: RunFolder, contents: str) -> None:
    folder.lock.write_text(contents)
    with pytest.raises(TunerError) as caught:
        RunLock(folder).acquire()
    assert caught.value.code == "run-locked"
    long_ago = time.time() - 3600
    os.utime(folder.lock, (long_ago, long_ago))
    assert holder(folder) is None
    with RunLock(folder) as lock:
        assert lock.held


def test_release_leaves_the_lock_of_another_alone(folder: RunFolder) -> None:
    lock = RunLock(folder)
    lock.acquire()
    plant(folder, host="far-away")
    lock.release()
    assert folder.lock.exists()
    assert not lock.held


def test_release_without_a_lock_or_a_folder_is_harmless(folder: RunFolder) -> None:
    RunLock(folder).release()
    lock = RunLock(folder)
    lock.acquire()
    folder.path.rename(folder.path.with_name("moved"))
    lock.release()
    assert not lock.held


def test_file_systems_without_links_or_folder_locks_serve_too(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*args: Any) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "link", unsupported)
    monkeypatch.setattr(fcntl, "flock", unsupported)
    with RunLock(folder), pytest.raises(TunerError, match=str(os.getpid())):
        RunLock(folder).acquire()
    plant(folder, pid=dead_pid())
    with RunLock(folder) as lock:
        assert lock.held


@pytest.mark.parametrize(("errno_", "code"), [(errno.EROFS, "not-writable"), (errno.ENOSPC, "no-space")])
def test_a_lock_that_cannot_be_written_says_so(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, errno_: int, code: str
) -> None:
    def fail(*args: Any) -> int:
        raise OSError(errno_, os.strerror(errno_))

    monkeypatch.setattr(os, "write", fail)
    lock = RunLock(folder)
    with pytest.raises(TunerError) as caught:
        lock.acquire()
    assert caught.value.code == code
    assert not lock.held
    assert [path.name for path in folder.path.iterdir() if path.name.startswith((".", "lock"))] == []


def test_a_lock_in_no_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        RunLock(tmp_path / "none").acquire()
    assert caught.value.code == "not-found"


def test_a_clock_that_jumped_by_hours_frees_no_lock_of_a_living_process(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Linux the system makes a process's start from its clock: as told after the jump, it is another one."""
    if not process().birth:
        pytest.skip("the start of a process is kept as it was here")
    create_time = psutil.Process.create_time
    with RunLock(folder):
        for jump in (7_200.0, -86_400.0 * 400):
            monkeypatch.setattr(psutil.Process, "create_time", lambda self, jump=jump: create_time(self) + jump)
            assert holder(folder) is not None
            with pytest.raises(TunerError, match="writing this run"):
                RunLock(folder).acquire()
    monkeypatch.undo()
    plant(folder, birth=process().birth.rpartition(":")[0] + ":1")  # its number, but begun at another moment
    assert holder(folder) is None
    plant(folder, birth="another-start-of-the-system:" + process().birth.rpartition(":")[2])
    assert holder(folder) is None


def test_an_unfinished_lock_from_what_is_now_the_future_is_none(folder: RunFolder) -> None:
    folder.lock.write_text("")
    ahead = time.time() + 7_200
    os.utime(folder.lock, (ahead, ahead))
    assert holder(folder) is None
