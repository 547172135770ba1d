"""Small parts that a run leans on: staying awake, waiting for space, streams, progress in words, and consent."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.config import Experiment
from tui_tuner.engine import awake, consent
from tui_tuner.engine.awake import kept_awake
from tui_tuner.engine.consent import allow_code, check_metrics
from tui_tuner.engine.output import _Router
from tui_tuner.engine.patience import Patience
from tui_tuner.engine.results import ChatReply
from tui_tuner.engine.work import Work
from tui_tuner.engine.worker import _was_stopped
from tui_tuner.errors import TunerError
from tui_tuner.runs.control import JobControl


# -- staying awake -----------------------------------------------------------------------------------------------------
class Program:
    """A `caffeinate` that can be looked at."""

    def __init__(self, stays: bool = False) -> None:
        self.asked: list[list[str]] = []
        self.ended = 0
        self._stays = stays

    def __call__(self, command: list[str], **options: Any) -> Program:
        self.asked.append(command)
        assert options["stdin"] is subprocess.DEVNULL
        return self

    def terminate(self) -> None:
        self.ended += 1

    def wait(self, timeout: float) -> None:
        if self._stays:
            raise subprocess.TimeoutExpired("caffeinate", timeout)


@pytest.mark.parametrize("stays", [False, True])
def test_a_mac_is_kept_awake_for_this_process_and_no_longer(stays: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(stays)
    monkeypatch.setattr(awake.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(awake.subprocess, "Popen", program)
    with kept_awake("darwin") as held:
        assert held
        assert program.ended == 0
    assert program.ended == 1
    assert program.asked == [["/usr/bin/caffeinate", "-i", "-m", "-s", "-w", str(os.getpid())]]


def test_the_assertion_ends_with_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program()
    monkeypatch.setattr(awake.shutil, "which", lambda name: name)
    monkeypatch.setattr(awake.subprocess, "Popen", program)
    with pytest.raises(ZeroDivisionError), kept_awake("darwin"):
        raise ZeroDivisionError
    assert program.ended == 1


@pytest.mark.parametrize(("platform", "there"), [("linux", True), ("darwin", False), ("win32", True)])
def test_elsewhere_nothing_is_started(platform: str, there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awake.shutil, "which", lambda name: name if there else None)
    monkeypatch.setattr(awake.subprocess, "Popen", lambda *a, **o: pytest.fail("started something"))
    with kept_awake(platform) as held:
        assert not held


def test_a_program_that_cannot_be_started_costs_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any, **options: Any) -> Any:
        raise PermissionError

    monkeypatch.setattr(awake.shutil, "which", lambda name: name)
    monkeypatch.setattr(awake.subprocess, "Popen", refused)
    with kept_awake("darwin") as held:
        assert not held


# -- waiting for space -------------------------------------------------------------------------------------------------
def full() -> TunerError:
    return TunerError("the disk is full", code="no-space", where="/runs/a", fix="free some")


def test_a_full_disk_is_waited_for_and_told_while_it_lasts() -> None:
    control, waited, troubles = JobControl(), list[float](), list[str]()
    answers = iter([full(), full(), "written"])

    def write(name: str, *, twice: bool) -> str:
        assert (name, twice) == ("a", True)
        troubles.append(control.trouble)
        answer = next(answers)
        if isinstance(answer, TunerError):
            raise answer
        return answer

    assert Patience(control, waited.append, look=0.0)(write, "a", twice=True) == "written"
    assert troubles[0] == ""
    assert set(troubles[1:]) == {"/runs/a: the disk is full; free some. The run waits for space and then goes on."}
    assert control.trouble == ""
    assert len(waited) == 1
    assert waited[0] >= 0


def test_a_stop_ends_the_waiting_with_the_reason_that_was_waited_for() -> None:
    control, waited = JobControl(), list[float]()
    control.stop("user")

    def write() -> None:
        raise full()

    with pytest.raises(TunerError) as caught:
        Patience(control, waited.append, look=60.0)(write)
    assert caught.value.code == "no-space"
    assert not waited


def test_any_other_failure_is_not_waited_for() -> None:
    def write() -> None:
        raise TunerError("read-only", code="not-writable")

    with pytest.raises(TunerError, match="read-only"):
        Patience(JobControl(), lambda seconds: pytest.fail("waited"))(write)


def test_without_trouble_nothing_is_told() -> None:
    assert Patience(JobControl(), lambda seconds: pytest.fail("waited"))(max, 1, 2) == 2


# -- streams -----------------------------------------------------------------------------------------------------------
def test_a_stream_is_two_streams_for_two_threads() -> None:
    mine, theirs = io.StringIO(), io.StringIO()
    router = _Router(threading.get_ident(), mine, theirs)
    assert router.write("here") == 4
    other = threading.Thread(target=lambda: (router.write("there"), router.flush()))
    other.start()
    other.join()
    router.flush()
    assert (mine.getvalue(), theirs.getvalue()) == ("here", "there")
    assert router.getvalue() == "here"  # whatever else a stream has is that of the thread's own


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_log_without_space_costs_the_words_only() -> None:
    router = _Router(threading.get_ident(), Full(), io.StringIO())
    assert router.write("lost") == 4
    router.flush()


def test_a_process_without_streams_prints_into_nothing() -> None:
    """Under `pythonw`, or started by a service, `sys.stdout` is None."""
    router = _Router(-1, io.StringIO(), None)
    assert router.write("nowhere") == 7
    router.flush()
    assert router.isatty() is False
    assert router.encoding == "utf-8"


def test_who_asks_whether_it_is_a_terminal_is_answered_for_its_own_stream() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert _Router(-1, io.StringIO(), Terminal()).isatty()
    assert not _Router(threading.get_ident(), io.StringIO(), Terminal()).isatty()
    assert _Router(-1, io.StringIO(), sys.__stderr__).fileno() == sys.__stderr__.fileno()  # type: ignore[union-attr]


# -- progress in words -------------------------------------------------------------------------------------------------
def test_nothing_is_told_before_there_is_something_to_tell() -> None:
    assert Work().told() == ""


def test_parts_are_counted_and_bytes_have_a_rate() -> None:
    work = Work()
    work("rows", 1_200, 34_000)
    assert work.told() == "1,200 of 34,000"
    work.moved("model", 0, 1_000_000_000, now=0.0)
    assert work.told() == "0 B of 1.00 GB"
    work.moved("model", 100_000_000, 1_000_000_000, now=1.0)
    assert work.rate == pytest.approx(1e8)
    assert "/s, 9 s left" in work.told()


def test_a_rate_is_that_of_the_last_seconds_and_of_one_thing() -> None:
    work = Work()
    for second in range(10):
        work.moved("a", 10 * second, 1000, now=float(second))
    assert work.rate == pytest.approx(10.0)
    for second in range(10, 17):
        work.moved("a", 90 + 100 * (second - 9), 1000, now=float(second))
    assert work.rate == pytest.approx(100.0)  # what was slow is forgotten
    work.moved("b", 5, 10, now=17.0)
    assert work.rate == 0.0
    work("b", 1, 2)
    assert work.told() == "1 of 2"


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 1000)), min_size=1, max_size=30))
@settings(max_examples=30)
def test_no_rate_is_below_nothing_however_bytes_are_counted(moves: list[tuple[float, int]]) -> None:
    work, now = Work(), 0.0
    for wait, done in moves:
        now += wait
        work.moved("a", done, 1000, now=now)
        assert work.rate >= 0
        assert "-" not in work.told()


# -- what was stopped --------------------------------------------------------------------------------------------------
def reply(finish: str) -> ChatReply:
    return ChatReply("text", 1, 1, 0.1, finish, 10.0)


@pytest.mark.parametrize(
    ("result", "stopped"),
    [
        (None, False),
        ({"status": "stopped"}, True),
        ({"status": "finished"}, False),
        ({}, False),
        ([], False),
        ([{"status": "finished"}, {"status": "stopped"}], True),
        ("stopped", False),
        (reply("stopped"), True),
        ([reply("length"), reply("stopped")], True),
        (reply("length"), False),
    ],
)
def test_a_job_that_came_back_early_is_known_by_its_result(result: Any, stopped: bool) -> None:
    assert _was_stopped(result) is stopped


# -- consent -----------------------------------------------------------------------------------------------------------
def experiment(**sections: dict[str, Any]) -> Experiment:
    values: dict[str, dict[str, Any]] = {"model": {"path": "m"}, "data": {"source": "d.jsonl"}}
    for section, changes in sections.items():
        values.setdefault(section, {}).update(changes)
    return Experiment.model_validate(values)


def test_each_consent_of_a_configuration_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given_: list[str] = []
    monkeypatch.setattr(consent, "allow", given_.append)
    one, two = "a" * 64, "b" * 64
    allow_code(experiment(model={"trust_remote_code": f"{one} {two}"}))
    allow_code(experiment())
    assert given_ == [one, two]


def test_metrics_of_the_hub_are_looked_for_only_where_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from tui_tuner.evaluation.metrics import foreign

    asked: list[str] = []
    monkeypatch.setattr(foreign, "check_metric", asked.append)
    names = ["exact_match", "evaluate:meteor"]
    check_metrics(experiment(evaluation={"metrics": names}))
    check_metrics(experiment(evaluation={"metrics": names, "enabled": False}))
    assert asked == ["evaluate:meteor"]
