"""`attach` without a screen, and the lines of a run: what is told of each event, in figures and when there are none."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Tuner, tuner
from tests.ui.fakes import START, RunBuilder
from tests.unit.test_log_watch import BEGIN, HEADER, report, written
from tui_tuner.cli import watching
from tui_tuner.cli.telling import Teller, figure
from tui_tuner.cli.watching import WatchedRun, document, summary
from tui_tuner.runs import RunFolder, RunLock

__all__ = ["tuner"]

READING = {"cpu": 0.41234, "memory": 18_253_611_008, "memory_total": 38_654_705_664, "gpu": 0.93, "gpu_power": 41.23456}


@pytest.fixture
def run(tmp_path: Path) -> RunBuilder:
    return RunBuilder(tmp_path).prepared().train(1, 60)


def told(*events: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    teller = Teller(lines.append)
    for event in events:
        teller.tell({"t": START, **event})
    return lines


# -- the machine ------------------------------------------------------------------------------------------------------
def test_the_last_reading_of_the_machine_is_told_as_system_tells_it(tuner: Tuner, run: RunBuilder) -> None:
    run.add("machine", 1.0, cpu=0.9, battery=0.5).add("machine", 2.0, **READING)
    assert tuner("attach", "last", "--json").document["machine"] == {
        "t": run.now, "cpu": 0.412, "memory": 18_253_611_008, "memory_total": 38_654_705_664, "gpu": 0.93,
        "gpu_power": 41.235,
    }, "of the last reading only, a figure that it lacks is not taken from the one before"  # fmt: skip
    (line,) = (line for line in tuner("attach", "last").out.splitlines() if line.startswith("machine"))
    assert line == "machine          processor 41 %, memory 18.3 GB, GPU 93 %, GPU's power 41 W"


def test_a_run_that_recorded_nothing_of_its_machine_has_null_and_no_line(tuner: Tuner, run: RunBuilder) -> None:
    assert tuner("attach", "last", "--json").document["machine"] is None
    run.add("machine", 1.0, cpu=None, gpu="hot", unheard_of=3)
    assert tuner("attach", "last", "--json").document["machine"] == {"t": run.now}
    assert "machine" not in tuner("attach", "last").out


def test_readings_are_no_lines_of_what_is_followed(tuner: Tuner, run: RunBuilder) -> None:
    run.add("machine", 1.0, **READING).finish("finished", "Better.")
    said = tuner("attach", "last", "--follow")
    assert said.status == 0 and "processor" not in said.out
    assert said.out.splitlines()[-1] == "finished: Better."
    assert tuner("attach", "last", "--follow", "--json").document["machine"]["gpu"] == 0.93


# -- how a run stands -------------------------------------------------------------------------------------------------
def test_a_run_at_work_says_how_long_it_will_take(run: RunBuilder, tmp_path: Path) -> None:
    with RunLock(run.folder):
        watched = WatchedRun(run.folder)
        watched.poll()
        facts = document(watched, run.now)
        assert facts["state"] == "running" and facts["seconds_left"] > 0
        assert summary(watched, run.now)[0].startswith(f"{run.folder.name}: running, step 60 of 120, about ")
        late = document(watched, run.now + 10_000)
        assert late["seconds_left"] is not None and late["seconds_left"] >= 0
    broken_off = WatchedRun(run.folder)
    broken_off.poll()
    facts = document(broken_off, run.now)
    assert (facts["state"], facts["seconds_left"]) == ("interrupted", None)


def test_a_run_that_has_not_begun_reports_nothing_yet(tuner: Tuner, tmp_path: Path) -> None:
    name = RunBuilder(tmp_path).folder.name
    found = tuner("attach", "last", "--json").document
    assert (found["state"], found["step"], found["steps"], found["train_loss"]) == ("queued", 0, 0, None)
    assert found["best_validation_step"] is None and found["advice"] == []
    assert tuner("attach", "last").out == f"{name}: queued, nothing was reported yet\n"


def test_a_loss_that_is_no_number_is_null_and_still_a_line(tuner: Tuner, tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path).prepared()
    builder.add("train", 1.0, step=5, loss=None, nonfinite=["loss"]).add("validation", 1.0, step=5, loss=None)
    found = tuner("attach", "last", "--json").document
    assert (found["train_loss"], found["validation_loss"], found["best_validation_loss"]) == (None, None, None)
    lines = tuner("attach", "last").out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["train", "loss"], ["validation", "loss"]]
    assert "best" not in lines[2]


def test_advice_comes_with_its_severity_and_change(tuner: Tuner, run: RunBuilder) -> None:
    run.add(
        "advice", code="slow", severity="warning", text="Use fewer.", change={"train.iters": 9}, evidence={}, step=60
    )
    found = tuner("attach", "last", "--json").document
    assert found["advice"] == [
        {"code": "slow", "severity": "warning", "text": "Use fewer.", "change": {"train.iters": 9}}
    ]
    assert tuner("attach", "last").out.splitlines()[-1] == "warning          Use fewer."


def test_a_run_is_followed_from_step_to_step_until_it_ends(
    tuner: Tuner, run: RunBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [lambda: run.train(61, 70), lambda: run.finish("failed", "the disk is full")]
    monkeypatch.setattr(watching.time, "sleep", lambda seconds: more.pop(0)())
    with RunLock(run.folder):
        said = tuner("attach", "last", "--follow")
    assert said.status == 1 and more == []
    assert any(line.startswith("  step 70/120: loss ") for line in said.out.splitlines())
    assert said.err == "failed: the disk is full\n"


def test_a_run_whose_writer_dies_while_it_is_followed_ends_the_following(
    tuner: Tuner, run: RunBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = RunLock(run.folder)
    lock.acquire()
    monkeypatch.setattr(watching.time, "sleep", lambda seconds: lock.release())
    said = tuner("attach", "last", "--follow", "--json")
    assert (said.status, said.document["state"]) == (1, "interrupted")


def test_a_failure_without_a_reason_says_so(tuner: Tuner, run: RunBuilder) -> None:
    run.finish("failed")
    assert tuner("attach", "last", "--follow").err == "failed: it gave no reason\n"


def test_a_log_has_no_machine(tuner: Tuner, tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    written(log, HEADER + BEGIN + report(20, 2.0))
    found = tuner("attach", "--log", log, "--json").document
    assert found["machine"] is None and found["step"] == 20


def test_the_lines_hold_what_the_document_holds(tuner: Tuner, run: RunBuilder) -> None:
    found = tuner("attach", "last", "--json").document
    lines = dict(line.split("  ", 1) for line in tuner("attach", "last").out.splitlines()[1:])
    assert float(lines["train loss"]) == pytest.approx(found["train_loss"], rel=1e-2)
    value, best = lines["validation loss"].split(", best ")
    assert float(value) == pytest.approx(found["validation_loss"], rel=1e-2)
    assert best.endswith(f" at step {found['best_validation_step']}")


def test_damaged_lines_do_not_keep_a_run_from_being_told(tuner: Tuner, run: RunBuilder) -> None:
    with run.folder.events.open("a") as file:
        file.write('{"t": 1, "type": "train", "step": \n[]\n"text"\n{"type": 7}\n')
    run.train(61, 65)
    assert tuner("attach", "last", "--json").document["step"] == 65
    RunFolder.open(run.folder.path).events.unlink()
    assert tuner("attach", str(run.folder.path)).status in (0, 1)


# -- lines of a run ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"type": "stage", "name": "check", "status": "running"}, "check: running"),
        ({"type": "stage", "name": "check", "status": "done", "seconds": 0.44}, "check: done in 0.4 s"),
        ({"type": "stage", "name": "check", "status": "running", "seconds": 9}, "check: running"),
        ({"type": "stage", "name": "data", "status": "skipped", "text": "done before"}, "data: skipped (done before)"),
        ({"type": "stage", "name": "data", "status": "failed", "seconds": 2, "text": "x"}, "data: failed in 2.0 s"),
        ({"type": "stage", "name": "data", "status": "done", "seconds": "long"}, "data: done"),
        ({"type": "validation", "step": 5, "loss": 1.23456}, "  step 5: validation loss 1.2346"),
        ({"type": "validation", "step": 5, "loss": None}, "  step 5: validation loss not a number"),
        ({"type": "log", "level": "info", "text": "made"}, "  made"),
        ({"type": "advice", "severity": "error", "text": "Stop."}, "  error: Stop."),
        ({"type": "train", "step": 5, "loss": 2}, "  step 5: loss 2.0000"),
        (
            {"type": "train", "step": 5, "loss": 2.5, "tokens_per_second": 1329.4, "learning_rate": 4e-4},
            "  step 5: loss 2.5000, 1329 tokens/s, learning rate 4.00e-04",
        ),
        (
            {"type": "forecast", "seconds": 90, "seconds_low": 60, "seconds_high": 120, "peak_memory": 2e9},
            "  it will take about 2 min (60 s to 2 min) and 2.0 GB of memory, estimated",
        ),
        (
            {"type": "forecast", "seconds": 9, "seconds_low": 6, "seconds_high": 12, "peak_memory": 2e9,
             "measured": True},
            "  it will take about 9 s (6 s to 12 s) and 2.0 GB of memory, measured",
        ),
        ({"type": "run_finished", "status": "finished", "reason": "Better."}, "finished: Better."),
        ({"type": "run_finished", "status": "stopped"}, "stopped"),
    ],
)  # fmt: skip
def test_an_event_is_told_in_a_line(event: dict[str, Any], line: str) -> None:
    assert told(event) == [line]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "forecast", "seconds": 90},
        {"type": "run_finished", "status": "failed", "reason": "said once, by the error"},
        {"type": "checkpoint", "step": 3, "path": "x"},
        {"type": "machine", "cpu": 0.5},
        {"type": "of the future"},
    ],
)
def test_what_is_not_told_gives_no_line(event: dict[str, Any]) -> None:
    assert told(event) == []


def test_steps_are_told_with_their_number_and_what_is_left_once_both_are_known() -> None:
    begun = {"type": "run_started", "steps": 100}
    first = {"type": "train", "t": START + 10, "step": 10, "loss": 1.0, "steps_per_second": 1.0}
    lines = told(begun, {"type": "stage", "name": "train", "status": "running"}, first)
    assert lines[-1].startswith("  step 10/100: loss 1.0000")
    again = told(begun, first, {**begun, "resumed": True}, {**first, "t": START + 20, "step": 11})
    assert again[-1].startswith("  step 11/100")
    anew = told(begun, first, {"type": "run_started", "steps": 0}, {**first, "step": 2})
    assert anew[-1].startswith("  step 2: loss"), "a run that began anew forgets what the one before was to take"


@pytest.mark.parametrize("value", [None, math.nan, "1.0", True, [], 10**400])
def test_what_is_no_figure_is_said_to_be_none(value: object) -> None:
    assert figure(value) == "not a number"


def test_every_kind_of_event_can_be_told_with_no_fields_at_all() -> None:
    from tui_tuner.runs.vocabulary import EVENT_FIELDS

    for kind in EVENT_FIELDS:
        lines = told({"type": kind})
        assert len(lines) <= 1 and "Traceback" not in json.dumps(lines)


def test_who_no_longer_follows_a_run_leaves_it_going(
    tuner: Tuner, run: RunBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching.time, "sleep", interrupted)
    with RunLock(run.folder):
        said = tuner("attach", "last", "--follow")
    assert (said.status, said.err) == (1, "no longer followed; the run goes on\n")
