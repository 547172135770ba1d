"""Following a log of stock mlx-lm: real logs of 0.32, and the older sentences.

The files in tests/support/stocklogs are real: mlx-lm 0.32.2 training a tiny phi3 for 60 iterations, with its output
sent to a file, and recorded from a terminal of 120 and of 40 columns.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.stocklog import OLD, SAMPLES, TABLE, read, rows, view_of
from tui_tuner.runs import RunState, RunView
from tui_tuner.runs.events import parse_line
from tui_tuner.runs.stocklog import StockLogReader
from tui_tuner.runs.vocabulary import EVENT_FIELDS
from tui_tuner.training.advice import diagnose


# -- the table of 0.32 ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sample", ["redirected", "pty", "narrow"])
def test_a_real_log_is_told_in_full(sample: str) -> None:
    view = view_of(read(SAMPLES / f"{sample}.txt"))
    assert (view.name, view.model, view.steps, view.step) == (sample, "m", 60, 60)
    assert (view.started or {})["method"] == "lora"
    assert rows(view, "train", "step", "loss", "trained_tokens") == [
        (10, 5.262, 600),
        (20, 4.838, 1200),
        (30, 4.519, 1800),
        (40, 4.395, 2400),
        (50, 4.350, 3000),
        (60, 4.351, 3600),
    ]
    assert rows(view, "validation", "step", "loss") == [(0, 6.015), (19, 4.665), (39, 4.498), (59, 4.559)]
    assert [(c["step"], c["path"]) for c in view.checkpoints] == [
        (step, f"{step:07d}_adapters.safetensors") for step in (20, 40, 60)
    ]
    assert view.state(alive=False) is RunState.FINISHED
    assert any("Test loss 4.319" in log["text"] for log in view.logs)
    assert 2 < view.elapsed < 10
    assert np.isnan(view.train.column("learning_rate")).all()  # the table does not tell it


def test_figures_of_the_table_are_those_printed() -> None:
    events = read(SAMPLES / "redirected.txt")
    first = next(e for e in events if e["type"] == "train")
    assert (first["tokens_per_second"], "tokens" in first) == (511.0, False)
    validation = next(e for e in events if e["type"] == "validation")
    assert validation["seconds"] == 0.22


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sample=st.sampled_from(["redirected", "pty", "narrow", "old"]), cuts=st.lists(st.integers(0, 18_000), max_size=12)
)
def test_any_cutting_gives_the_same_run(tmp_path: Path, sample: str, cuts: list[int]) -> None:
    raw = OLD.encode() if sample == "old" else (SAMPLES / f"{sample}.txt").read_bytes()
    log = tmp_path / "train.log"
    log.write_bytes(b"")
    reader, view = StockLogReader(log), RunView()
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(raw)], strict=True):
        with log.open("ab") as file:
            file.write(raw[start:end])
        view.extend(reader.poll())
        view.extend(reader.poll())
    whole = tmp_path / "whole.log"
    whole.write_bytes(raw)
    expected = view_of(read(whole))
    for name, fields in (("train", ("step", "loss", "trained_tokens")), ("validation", ("step", "loss", "seconds"))):
        np.testing.assert_array_equal(rows(view, name, *fields), rows(expected, name, *fields))
    assert [(c["step"], c["path"]) for c in view.checkpoints] == [(c["step"], c["path"]) for c in expected.checkpoints]
    assert (view.steps, view.state(False)) == (expected.steps, expected.state(False))


def test_a_run_still_going_is_not_finished(tmp_path: Path) -> None:
    raw = (SAMPLES / "redirected.txt").read_text(encoding="utf-8")
    view = view_of(read(tmp_path / "l", raw[: raw.index("  50")]))
    assert (view.finished, view.step, view.state(alive=True)) == (None, 40, RunState.RUNNING)
    assert view.eta_seconds() is not None


def test_a_full_bar_alone_is_no_end(tmp_path: Path) -> None:
    bar = "train ████ 100% · 1,000/1,000\n"
    assert view_of(read(tmp_path / "a", TABLE + "   990    1.0 ▼    500    9.9k\n" + bar)).finished is None
    done = view_of(read(tmp_path / "b", TABLE + bar + "  1000    1.0 ▼    500    9.9k\n" + bar))
    assert (done.finished or {})["status"] == "finished"


def test_numbers_with_separators_and_nan(tmp_path: Path) -> None:
    rows_ = "   1    val   nan    1,234.50s\n  10      nan ▲    12,345    1234.5k\n"
    events = read(tmp_path / "l", TABLE + rows_)
    train = next(e for e in events if e["type"] == "train")
    assert (train["loss"], train["nonfinite"]) == (None, ["loss"])
    assert (train["tokens_per_second"], train["trained_tokens"]) == (12345.0, 1_234_500)
    view = view_of(events)
    assert (view.steps, view.model) == (1000, "org/m")
    assert math.isnan(view.train.last("loss")) and view.validation.last("seconds") == 1234.5
    assert [a.code for a in diagnose(view)] == ["not-finite"]


@pytest.mark.parametrize(
    "row",
    [
        "  10    5.262 ▼    1,625\n      0.6k\n",
        "  10    5.262 ▼\n    1,625    0.6k\n",
        "  10    5.262\n▼    1,625\n 0.6k\n",
    ],
)
def test_a_wrapped_row_is_put_together(tmp_path: Path, row: str) -> None:
    view = view_of(read(tmp_path / "l", TABLE + row + "  save  0000010_adapters.safetensors\n"))
    assert rows(view, "train", "step", "loss", "tokens_per_second", "trained_tokens") == [(10, 5.262, 1625, 600)]
    assert len(view.checkpoints) == 1


# -- the older sentences ----------------------------------------------------------------------------------------------
def test_the_older_format_is_told_in_full(tmp_path: Path) -> None:
    events = read(tmp_path / "old-run.log", OLD)
    view = view_of(events)
    assert (view.name, view.steps, view.step) == ("old-run", 200, 200)
    fields = ("step", "loss", "learning_rate", "steps_per_second", "tokens_per_second", "trained_tokens", "tokens")
    assert rows(view, "train", *fields)[1] == (100, 1.505, 1e-5, 25.674, 8056.378, 32807, 29517)
    assert view.train.last("peak_memory") == pytest.approx(10.588e9)
    # The loss is measured before the update of the iteration that is named.
    assert rows(view, "validation", "step", "loss", "seconds") == [(0, 2.936, 5.265), (199, 1.441, 4.812)]
    assert [c["path"] for c in view.checkpoints] == ["0000100_adapters.safetensors", "0000200_adapters.safetensors"]
    assert (view.finished or {})["status"] == "finished"
    assert all(set(e) - {"t", "type"} <= set(EVENT_FIELDS[e["type"]]) for e in events)
    assert all(parse_line(json.dumps(e).encode()) == e for e in events)


def test_early_versions_validated_after_the_update(tmp_path: Path) -> None:
    text = (
        "Iter 1: Val loss 2.612, Val took 1822.826s\n"
        "Iter 190: Train loss 1.774, It/sec 0.013, Tokens/sec 1.273\n"
        "Iter 200: Train loss 1.555, It/sec 0.013, Tokens/sec 1.169\n"
        "Iter 200: Val loss 1.400, Val took 1800.0s\n"
        "Iter 200: Saved adapter weights to adapters.npz.\n"
    )
    view = view_of(read(tmp_path / "l", text))
    assert rows(view, "validation", "step", "loss") == [(0, 2.612), (200, 1.4)]
    assert rows(view, "train", "step", "tokens_per_second") == [(190, 1.273), (200, 1.169)]
    assert view.checkpoints[0]["path"] == "adapters.npz"


LINE = (
    "Iter 10: Train loss 2.503, Learning Rate 1.000e-05, It/sec 0.9, Tokens/sec 350.1, Trained Tokens 3890, "
    "Peak mem 6.2 GB"
)


@pytest.mark.parametrize(
    "wrapped",
    [
        LINE.replace("0.9, ", "0.9,\n"),
        LINE.replace("350.1", "35\n0.1"),
        LINE.replace("It/sec", "It/s\nec").replace("3890", "3\n890"),
        LINE.replace("Peak", "\n  Peak"),
        "  3%|▎| 3/100 [00:10<05:00]" + LINE.replace("3890", "3890.0"),
        "\x1b[1mIter 10:\x1b[0m" + LINE.removeprefix("Iter 10:") + "\r",
        "\x1b]0;title\x07Calculating loss...:  50%|█\r\x1b[K" + LINE,
        "2026-01-02T03:04:05 " + LINE,
    ],
)
def test_sentences_survive_wrapping_bars_and_colours(tmp_path: Path, wrapped: str) -> None:
    view = view_of(read(tmp_path / "l", wrapped + "\nIter 20: Val loss 2.1, Val took 1.0s\n"))
    fields = ("step", "loss", "learning_rate", "steps_per_second", "tokens_per_second", "trained_tokens", "peak_memory")
    assert rows(view, "train", *fields) == [(10, 2.503, 1e-5, 0.9, 350.1, 3890, 6.2e9)]
    assert rows(view, "validation", "step") == [(19,)]


def test_a_partial_last_line_waits_for_its_end(tmp_path: Path) -> None:
    log = tmp_path / "l"
    line = "Iter 10: Train loss 2.503, Learning Rate 1.000e-05, It/sec 0.9, Tokens/sec 350.1, Trained Tokens 3890"
    reader = StockLogReader(log)
    assert (reader.poll(), reader.recognised) == ([], None)
    log.write_text(line[:24])  # "Train loss 2.50" of 2.503
    assert [reader.poll(), reader.poll()] == [[], []]
    log.write_text(line)
    assert [reader.poll(), reader.poll()] == [[], []]
    log.write_text(line + "\n")
    assert reader.poll() == []  # what early versions print last is not yet known to be the last
    assert [e["loss"] for e in reader.poll() if e["type"] == "train"] == [2.503]
    assert reader.poll() == []


def test_a_whole_last_line_without_its_end_is_told_once(tmp_path: Path) -> None:
    log = tmp_path / "l"
    log.write_text(OLD.rstrip("\n"))
    reader = StockLogReader(log)
    assert reader.poll()[-1]["type"] == "checkpoint"
    assert reader.poll()[-1]["type"] == "run_finished"
    log.write_text(OLD)
    assert reader.poll() == []


def test_the_run_doctor_reads_a_log_too(tmp_path: Path) -> None:
    text = (
        "Iter 1: Val loss 3.571, Val took 2.1s\nIter 200: Val loss 0.443, Val took 2.0s\nIter 200: Train loss 0.201\n"
        "Iter 200: Saved adapter weights to adapters/adapters.safetensors and adapters/0000200_adapters.safetensors.\n"
        "Iter 400: Val loss 0.475, Val took 2.0s\nIter 400: Train loss 0.134\n"
    )
    (advice,) = diagnose(view_of(read(tmp_path / "l", text)))
    assert advice.code == "overfitting"
    assert "checkpoint of step 200" in advice.text
