"""The process beside a run that sends its figures: what it says, how it ends, and when the run is over for it."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.tracked import fake, folder, steps, write
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder, RunLock
from tui_tuner.tracking import __main__ as process
from tui_tuner.tracking.sending import Watchdog, alone, progress_of, tracking_folder

__all__ = ["fake", "folder"]

Begin = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Begin:
    """Does what the process does, in this one; gives its status and what it said."""

    def call(folder: RunFolder, to: str = "wandb") -> tuple[int, list[dict[str, Any]]]:
        capfd.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(process.os, "dup2", lambda *_: None)  # this process goes on, and its output with it
            patch.setattr(process.os, "nice", lambda *_: 0)
            status = process.main([str(folder.path), to])
        return status, [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]

    return call


def test_what_is_in_the_log_is_sent_and_where_it_went_is_said(
    folder: RunFolder, fake: Callable[[], list[dict[str, Any]]], begin: Begin
) -> None:
    write(folder, ("run_started", {}), *steps(1, 3), ("run_finished", {"status": "finished", "reason": ""}))
    status, said = begin(folder)
    assert status == 0
    assert said == [
        {"text": "figures go to Weights & Biases, project mine: https://tracker.example/me/run", "trouble": False}
    ]
    assert [line["values"]["step"] for line in fake() if line["what"] == "log"] == [1, 2, 3]
    assert fake()[-1] == {"what": "finish", "exit_code": 0} and progress_of(folder, "wandb").sent == 5


def test_a_tracker_that_refuses_is_one_sentence_of_trouble(
    folder: RunFolder, fake: Callable[[], Any], begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_TRACKER", "refuses")
    status, said = begin(folder)
    assert (status, len(said), said[0]["trouble"]) == (1, 1, True)
    assert "could not be begun" in said[0]["text"] and "\n" not in said[0]["text"]


def test_a_defect_of_our_own_is_said_too(folder: RunFolder, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_send", lambda *_: 1 / 0)
    status, said = begin(folder)
    assert status == 1
    assert said == [
        {"text": "Weights & Biases: an unexpected error (ZeroDivisionError: division by zero)", "trouble": True}
    ]


def test_a_damaged_configuration_is_named(folder: RunFolder, begin: Begin) -> None:
    folder.config.write_text("not = [toml")
    status, said = begin(folder)
    assert status == 1 and said[0]["trouble"] and "config.toml" in said[0]["text"]


def test_a_second_process_waits_and_gives_up_with_a_sentence(
    folder: RunFolder, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_HANDOVER", 0.0)
    with alone(folder, "wandb"):
        status, said = begin(folder)
        with alone(folder, "trackio"):
            pass
    assert status == 1 and "another process is sending this run to Weights & Biases" in said[0]["text"]
    with alone(folder, "wandb"):
        assert (tracking_folder(folder) / "wandb.lock").exists(), "the right ends with whoever had it"


def test_the_run_is_over_when_its_writer_is_gone_or_another_one(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert process.gone(folder)(), "nobody writes it"
    with RunLock(folder):
        over = process.gone(folder)
        assert not over()
        text = folder.lock.read_text()
        other = {**json.loads(text), "pid": os.getppid(), "host": "another-machine"}
        folder.lock.write_text(json.dumps(other))
        assert over(), "another session goes on with it"
        folder.lock.write_text(text)
        assert not over()
    assert over()

    def unreadable(_: object) -> Any:
        raise TunerError("may not be read", code="not-readable")

    monkeypatch.setattr(process, "holder", unreadable)
    assert over(), "a lock that cannot be read keeps nobody waiting"


def test_nobody_who_listens_is_no_failure(folder: RunFolder) -> None:
    closed = io.StringIO()
    closed.close()
    process._say(closed, "hello", trouble=False)
    heard = io.StringIO()
    process._say(heard, "ä", trouble=True)
    assert json.loads(heard.getvalue()) == {"text": "ä", "trouble": True}


def test_a_library_that_hangs_is_given_up_and_the_rest_can_be_sent_later(
    folder: RunFolder, fake: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, said = list[int](), list[str]()

    class AtOnce:
        """A watchdog whose time is up."""

        def __init__(self, over: Any, overdue: Callable[[], object], seconds: float) -> None:
            self._overdue = overdue

        def __enter__(self) -> None:
            self._overdue()

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(process, "Watchdog", AtOnce)
    monkeypatch.setattr(process.os, "_exit", left.append)
    noted: list[str] = []
    monkeypatch.setattr(process.Sender, "give_up", lambda self, problem: noted.append(problem))
    process._send(folder, "wandb", lambda: True, lambda text, trouble=False: said.append(text))
    assert left == [1] and noted == ["Weights & Biases did not take everything within 60 s of the run's end"]
    assert said[0] == f"{noted[0]}; `tui-tuner track {folder.name} --to wandb` sends what is missing"


# -- the right to send, and the time it may take ----------------------------------------------------------------------
def test_a_folder_that_cannot_be_written_is_said(folder: RunFolder) -> None:
    tracking_folder(folder).write_text("a file where a folder should be")
    with pytest.raises(TunerError) as caught, alone(folder, "wandb"):
        pass
    assert caught.value.code in ("in-the-way", "not-found") and "tracking" in caught.value.where


def test_a_file_system_without_locks_keeps_nobody_from_sending(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", cannot)
    sent: list[str] = []
    with alone(folder, "wandb"):
        sent.append("wandb")
    assert sent == ["wandb"]


@pytest.mark.parametrize("ends", [True, False])
def test_only_a_session_that_does_not_end_is_overdue(ends: bool) -> None:
    overdue, over = threading.Event(), threading.Event()
    watchdog = Watchdog(over.is_set, overdue.set, 60.0 if ends else 0.0, look=0.001)
    with watchdog:
        over.set()
        if not ends:
            assert overdue.wait(30)
    watchdog._thread.join(30)
    assert not watchdog._thread.is_alive() and overdue.is_set() is not ends


def test_a_session_that_ends_before_its_run_is_not_watched_any_longer() -> None:
    watchdog = Watchdog(lambda: False, lambda: pytest.fail("overdue"), 0.0, look=60.0)
    with watchdog:
        pass
    watchdog._thread.join(30)
    assert not watchdog._thread.is_alive()


def test_notes_of_another_form_are_as_good_as_none(folder: RunFolder, tmp_path: Path) -> None:
    tracking_folder(folder).mkdir()
    path = tracking_folder(folder) / "wandb.json"
    good = {"place": {}, "where": "w", "sent": 3, "left_out": 1, "more": "kept by a later version"}
    path.write_text(json.dumps(good))
    assert (progress_of(folder, "wandb").sent, progress_of(folder, "trackio").sent) == (3, 0)
    for wrong in ({**good, "sent": "3"}, {**good, "place": []}, [], {"sent": 3}):
        path.write_text(json.dumps(wrong))
        assert progress_of(folder, "wandb").sent == 0
