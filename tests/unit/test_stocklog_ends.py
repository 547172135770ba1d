"""Logs of stock mlx-lm that end badly, hold several runs, are replaced, or are something else."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.stocklog import OLD, SAMPLES, TABLE, read, rows, view_of
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunState
from tui_tuner.runs.events import parse_line
from tui_tuner.runs.stocklog import StockLogReader

METAL = "libc++abi: terminating due to uncaught exception of type std::runtime_error: [METAL] Insufficient Memory"


# -- several runs, ends, other files ----------------------------------------------------------------------------------
def test_appended_runs_are_told_one_after_another(tmp_path: Path) -> None:
    table = (SAMPLES / "redirected.txt").read_text(encoding="utf-8")
    events = read(tmp_path / "l", OLD + table + OLD)
    assert [e["steps"] for e in events if e["type"] == "run_started"] == [200, 60, 200]
    view = view_of(events)
    assert (view.steps, len(view.train), len(view.checkpoints)) == (200, 3, 2)
    assert all(a["t"] <= b["t"] for a, b in itertools.pairwise(events))


def test_a_run_without_its_header_begins_where_the_iterations_do(tmp_path: Path) -> None:
    body = "".join(line + "\n" for line in OLD.splitlines() if line.startswith("Iter"))
    events = read(tmp_path / "l", body + body)
    assert [e["steps"] for e in events if e["type"] == "run_started"] == [0, 0]
    assert len(view_of(events).train) == 3


def test_a_line_told_twice_counts_once(tmp_path: Path) -> None:
    doubled = "".join(line + "\n" + line + "\n" for line in OLD.splitlines())
    events = read(tmp_path / "l", doubled.replace("Starting training..., iters: 200\n", "", 1))
    assert [e["type"] for e in events].count("run_started") == 1
    assert [e["type"] for e in events].count("train") == 3
    assert [e["type"] for e in events].count("validation") == 2


@pytest.mark.parametrize(
    ("ending", "status", "reason"),
    [
        (
            'Traceback (most recent call last):\n  File "x.py", line 1, in y\n    z()\nValueError: no rows\n',
            "failed",
            "ValueError: no rows",
        ),
        ("Traceback (most recent call last):\n  a\nKeyboardInterrupt\n", "stopped", "interrupted from the keyboard"),
        (f"{METAL}\n", "failed", METAL),
        ("Killed: 9\n", "failed", "Killed: 9"),
    ],
)
@pytest.mark.parametrize("before", [TABLE + "  10    2.0 ▼    100    0.6k\n", "Loading pretrained model\n"])
def test_a_bad_end_is_told_with_its_cause(tmp_path: Path, before: str, ending: str, status: str, reason: str) -> None:
    view = view_of(read(tmp_path / "l", before + ending))
    assert ((view.finished or {})["status"], (view.finished or {})["reason"]) == (status, reason)


def test_a_traceback_of_something_else_is_ignored(tmp_path: Path) -> None:
    view = view_of(read(tmp_path / "l", OLD + "Traceback (most recent call last):\n  a\nKeyError: 1\n"))
    assert (view.finished or {})["status"] == "finished"


def test_the_same_warning_is_told_once(tmp_path: Path) -> None:
    warning = "[WARNING] Some sequences are longer than 20 tokens. The longest sentence {} will be truncated to 20.\n"
    text = TABLE + warning.format(33) + "   1    val 2.0    0.2s\n" + warning.format(26)
    view = view_of(read(tmp_path / "l", text))
    assert [log["text"][:14] for log in view.logs if log["level"] == "warning"] == ["Some sequences"]


def test_another_file_is_not_recognised(tmp_path: Path) -> None:
    log = tmp_path / "l"
    reader = StockLogReader(log)
    log.write_text("hello\n" * 199)
    assert (reader.poll(), reader.recognised) == ([], None)
    with log.open("a") as file:
        file.write("hello\n")
    assert (reader.poll(), reader.recognised) == ([], False)
    with log.open("a") as file:
        file.write(OLD)
    assert len(reader.poll()) > 5
    assert reader.recognised is True


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=3000), st.integers(0, 3000))
def test_nothing_in_a_file_can_break_it(tmp_path: Path, rubbish: bytes, where: int) -> None:
    raw = (SAMPLES / "pty.txt").read_bytes()[-6000:]
    log = tmp_path / "l"
    log.write_bytes(raw[:where] + rubbish + raw[where:])
    for event in read(log):
        assert parse_line(json.dumps(event).encode()) == event


def test_a_replaced_or_cut_file_is_read_anew(tmp_path: Path) -> None:
    log = tmp_path / "l"
    log.write_text(OLD)
    reader = StockLogReader(log)
    assert len(reader.poll()) > 5
    log.write_text("Starting training..., iters: 5\n")
    assert [e["steps"] for e in reader.poll() if e["type"] == "run_started"] == [5]
    assert reader.generation == 1
    other = tmp_path / "other"
    other.write_text("Starting training..., iters: 7\n" * 2)
    other.replace(log)
    assert [e["steps"] for e in reader.poll() if e["type"] == "run_started"] == [7, 7]
    assert reader.generation == 2


def test_times_end_with_the_file_and_go_back_by_what_things_took(tmp_path: Path) -> None:
    log = tmp_path / "l"
    log.write_text(OLD)
    os.utime(log, (5000.0, 5000.0))
    events = StockLogReader(log).poll()
    by = {(e["type"], e.get("step")): e["t"] for e in events}
    assert by["train", 200] == events[-1]["t"] == 5000.0
    assert by["validation", 199] == pytest.approx(5000.0 - 100 / 25.0)
    assert by["train", 10] == pytest.approx(by["train", 100] - 90 / 25.674)
    assert by["run_started", None] == pytest.approx(by["train", 10] - 10 / 0.49 - 5.265)


def test_a_place_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        StockLogReader(tmp_path).poll()
    assert caught.value.code == "not-readable"
    assert StockLogReader(tmp_path / "file-to-come").poll() == []


@pytest.mark.slow
@pytest.mark.mlx
def test_the_installed_mlx_lm_still_prints_what_is_understood(tmp_path: Path) -> None:
    from tests.support.models import make_model, make_rows

    make_model(tmp_path / "m")
    for seed, name in enumerate(("train", "valid")):
        text = "".join(json.dumps(row) + "\n" for row in make_rows(16, seed))
        (tmp_path / f"{name}.jsonl").write_text(text)
    options = "--model m --train --data . --iters 7 --batch-size 2 --steps-per-report 3 --save-every 5 --num-layers 2"
    with (tmp_path / "train.log").open("wb") as log:
        subprocess.run(
            [sys.executable, "-m", "mlx_lm", "lora", *options.split()], cwd=tmp_path, stdout=log, stderr=log, check=True
        )
    view = view_of(read(tmp_path / "train.log"))
    assert (view.steps, view.model, view.state(False)) == (7, "m", RunState.FINISHED)
    assert [step for (step,) in rows(view, "train", "step")] == [3, 6, 7]
    assert [step for (step,) in rows(view, "validation", "step")] == [0, 6]
    assert all((tmp_path / "adapters" / c["path"]).is_file() for c in view.checkpoints) and view.checkpoints
