"""Watching a training log from outside: what it adds up to, what is wrong with a file, when silence means something."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tui_tuner.errors import TunerError
from tui_tuner.runs import RunState
from tui_tuner.training.watch import LogWatch, word_of

SAMPLES = Path(__file__).parents[1] / "support" / "stocklogs"
HEADER = "Loading pretrained model\nTrainable parameters: 0.041% (1.311M/3212.750M)\n"
BEGIN = "Starting training..., iters: 600\n"


def report(step: int, loss: float, validation: float | None = None) -> str:
    """What mlx-lm prints around an iteration of a second's length."""
    head = "" if validation is None else f"Iter {step}: Val loss {validation}, Val took 1.0s\n"
    return head + (
        f"Iter {step}: Train loss {loss}, Learning Rate 1.000e-05, It/sec 1.0, Tokens/sec 300.0, "
        f"Trained Tokens {300 * step}, Peak mem 9.707 GB\n"
    )


OVERFIT = "".join(
    report(step, round(2.0 - step / 400, 3), round(2.0 + abs(step - 200) / 200, 3)) for step in range(20, 601, 20)
)


def written(path: Path, text: str, at: float = 5000.0) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
    os.utime(path, (at, at))


def test_a_log_grows_into_a_run_with_the_doctors_advice(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    written(log, HEADER + BEGIN)
    watch = LogWatch(log)
    assert [event["type"] for event in watch.poll()] == ["run_started", "stage", "log"]
    assert (watch.problem, watch.view.steps, watch.state(5001.0)) == (None, 600, RunState.RUNNING)
    written(log, OVERFIT, 6000.0)
    events = watch.poll()
    assert events[-1]["type"] == "advice"
    assert [advice["code"] for advice in watch.view.advice] == ["overfitting"]
    assert watch.poll() == [], "the same is not said twice"
    assert watch.view.eta_seconds(6000.0) == 0.0


def test_what_is_left_is_told_where_the_total_is_known(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    written(log, HEADER + BEGIN + report(20, 2.0) + report(40, 1.9))
    watch = LogWatch(log)
    watch.poll()
    assert watch.view.eta_seconds(5000.0) == pytest.approx(560.0)
    assert watch.view.eta_seconds(5060.0) == pytest.approx(500.0)
    unknown = tmp_path / "unknown.log"
    written(unknown, report(20, 2.0) + report(40, 1.9))
    watch = LogWatch(unknown)
    watch.poll()
    assert (watch.view.step, watch.view.eta_seconds(5000.0)) == (40, None)


def test_the_last_run_of_several_is_the_one_that_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    done = "Saved final weights to adapters/adapters.safetensors.\n"
    written(log, HEADER + BEGIN + OVERFIT + done + HEADER + BEGIN + report(20, 2.0))
    watch = LogWatch(log)
    watch.poll()
    assert (watch.runs, watch.view.step, watch.view.advice, len(watch.view.logs)) == (2, 20, [], 1)
    assert watch.view.elapsed == pytest.approx(20.0), "the first run's time is not this one's"
    earlier = watch.view
    written(log, done + HEADER + BEGIN, 7000.0)
    watch.poll()
    assert (watch.runs, watch.view.step) == (3, 0)
    assert watch.view is not earlier


def test_a_rewritten_log_is_folded_anew(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    written(log, HEADER + BEGIN + OVERFIT)
    watch = LogWatch(log)
    watch.poll()
    log.write_text(HEADER + BEGIN + report(20, 1.5))
    watch.poll()
    assert (watch.view.step, watch.view.advice, watch.runs) == (20, [], 1)


def test_a_log_that_vanishes_stays_readable_and_may_come_back(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    written(log, HEADER + BEGIN + report(20, 2.0))
    watch = LogWatch(log)
    watch.poll()
    log.unlink()
    watch.poll()
    assert watch.problem is not None and "no longer there" in watch.problem.sentence()
    assert watch.view.step == 20
    written(log, HEADER + BEGIN + report(40, 1.9))
    watch.poll()
    assert (watch.problem, watch.view.step) == (None, 40)


def test_silence_means_something_only_when_it_is_long_for_this_log(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    written(log, HEADER + BEGIN)
    watch = LogWatch(log)
    watch.poll()
    assert watch.state(5000.0 + 1700) is RunState.RUNNING, "a large model may load for long"
    assert watch.state(5000.0 + 1900) is RunState.INTERRUPTED
    written(log, report(20, 2.0) + report(40, 1.9, 1.5), 6000.0)
    watch.poll()
    # A report took 21 seconds at most, and a validation one more: five times that.
    assert watch.state(6000.0 + 109) is RunState.RUNNING
    assert watch.state(6000.0 + 111) is RunState.INTERRUPTED
    assert word_of(watch.state(6000.0 + 111)) == "quiet"
    written(log, report(60, 1.8), 6300.0)
    watch.poll()
    assert watch.state(6300.0 + 5 * 299) is RunState.RUNNING, "it was silent for 300 seconds before, and went on"
    written(log, "Saved final weights to adapters/adapters.safetensors.\n", 6301.0)
    watch.poll()
    assert watch.state(1e9) is RunState.FINISHED


@pytest.mark.parametrize(
    ("name", "raw", "code", "said"),
    [
        ("none", None, "not-found", "does not exist"),
        ("folder", "folder", "not-a-log", "is a folder"),
        ("pipe", "pipe", "not-a-log", "is no regular file"),
        ("nul\0", None, "not-readable", "cannot be read"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, "not-a-log", "holds no text"),
        # A safetensors file: a header of text, then weights.
        ("a.safetensors", b'\x10\x27\0\0\0\0\0\0{"w":' + b" " * 9995 + b"\x1f\xe9\x9b" * 4000, "not-a-log", "no text"),
        ("prose.txt", b"It was a dark and stormy night.\n" * 200, "not-a-log", "holds no training log"),
    ],
)
def test_a_file_that_is_no_log_is_one_sentence(
    tmp_path: Path, name: str, raw: bytes | str | None, code: str, said: str
) -> None:
    path = tmp_path / name
    if raw == "folder":
        path.mkdir()
    elif raw == "pipe":
        os.mkfifo(path)
    elif isinstance(raw, bytes):
        path.write_bytes(raw)
    watch = LogWatch(path)
    assert watch.poll() == []
    assert watch.problem is not None
    assert (watch.problem.code, said in watch.problem.sentence()) == (code, True), watch.problem.sentence()
    with pytest.raises(TunerError) as caught:
        LogWatch(path).check()
    assert caught.value.sentence() == watch.problem.sentence()


@pytest.mark.parametrize("text", ["", HEADER, HEADER + BEGIN, "hello\n" * 150])
def test_what_may_still_become_a_log_is_waited_for(tmp_path: Path, text: str) -> None:
    log = tmp_path / "train.log"
    written(log, text)
    watch = LogWatch(log)
    watch.check()
    watch.poll()
    assert watch.problem is None
    written(log, BEGIN + report(20, 2.0), 6000.0)
    watch.poll()
    assert (watch.problem, watch.view.step) == (None, 20)


def test_a_log_that_was_emptied_under_its_writer_begins_with_a_hole(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_bytes(b"\0" * 40_000 + b"\n" + (BEGIN + report(20, 2.0)).encode())
    watch = LogWatch(log)
    watch.check()
    watch.poll()
    assert (watch.problem, watch.view.step) == (None, 20)


@pytest.mark.parametrize("sample", ["redirected", "pty", "narrow"])
def test_real_logs_are_text(sample: str) -> None:
    watch = LogWatch(SAMPLES / f"{sample}.txt")
    watch.check()
    watch.poll()
    assert (watch.problem, watch.view.steps, watch.runs) == (None, 60, 1)
