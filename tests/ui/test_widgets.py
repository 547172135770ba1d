"""The small widgets' arithmetic: bars, curves, stages, the result table, the words for a run's state."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from tests.ui.fakes import SENTENCE, START, RunBuilder
from tui_tuner.runs.state import RunState
from tui_tuner.training.remedies import said
from tui_tuner.ui.follower import RunFollower
from tui_tuner.ui.numbers import tiles_of
from tui_tuner.ui.reading import banner_of, progress_of
from tui_tuner.ui.widgets.advicelist import entry
from tui_tuner.ui.widgets.progress import bar
from tui_tuner.ui.widgets.result import result_content
from tui_tuner.ui.widgets.story import log_content
from tui_tuner.ui.widgets.tiles import sparkline

Build = Callable[..., RunBuilder]


@pytest.mark.parametrize(
    ("values", "width", "text"),
    [
        ([], 4, "    "),
        ([1.0, 1.0], 4, "▄▄▄▄"),
        ([0.0, 1.0], 4, "▁▁██"),
        ([0.0, math.nan, 1.0], 3, "▁ █"),
        ([math.nan, math.inf], 3, "   "),
        (list(range(8)), 8, "▁▂▃▄▅▆▇█"),
        ([0.0, 0.0, 1.0, 1.0], 2, "▁█"),
        ([1.0], 0, ""),
    ],
)
def test_sparkline(values: list[float], width: int, text: str) -> None:
    assert sparkline(np.array(values), width) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "    "), (1.0, "████"), (0.5, "██  "), (0.53, "██▏ "), (-1.0, "    "), (9.0, "████")]
)
def test_bar(share: float, text: str) -> None:
    assert bar(share, 4) == text


def follow(builder: RunBuilder) -> RunFollower:
    follower = RunFollower(builder.folder)
    follower.poll()
    return follower


def test_result_table_has_before_after_change_and_verdict(build: Build) -> None:
    view = follow(build().prepared().train(1, 120).evaluated()).view
    text = result_content(view, 100).plain
    assert text.startswith(f"▲ {SENTENCE}")
    assert "92.5 (88.5–96.5)" in text and "+92.5  ▲ better" in text
    assert "(" not in result_content(view, 50).plain.replace("(s)", "")


def test_only_shares_and_scores_out_of_one_are_told_in_percent() -> None:
    measured = {"exact_match": 0.5, "bleu": 31.25, "loss": 8.139, "perplexity": 3424.6, "length": 27.0}
    view = SimpleNamespace(
        evaluations={"before": {name: {"value": value} for name, value in measured.items()}, "after": {}},
        evaluation_rows={"before": 80},
        verdict={"metrics": {"loss": {"difference": -8.127, "verdict": "better"}}},
    )
    text = result_content(view, 100).plain
    lines = {line[:13].strip(): line[13:33].strip() for line in text.splitlines()}
    assert (lines["exact match"], lines["bleu"], lines["loss"]) == ("50.0", "31.25", "8.139")
    assert (lines["perplexity"], lines["length"]) == ("3,425", "27.00")
    assert "-8.127  ▲ better" in text


def test_result_before_training_says_what_comes(build: Build) -> None:
    assert "measured again after training" in result_content(follow(build().prepared()).view, 80).plain
    assert "The baseline is measured" in result_content(follow(build().begin()).view, 80).plain


def test_a_damaged_result_is_shown_as_dashes(build: Build) -> None:
    builder = build().begin()
    builder.add("evaluation", label="before", n=3, metrics={"rouge1": {"value": None}, "x": {"value": "[b]"}})
    text = result_content(follow(builder).view, 80).plain
    assert text.count("–") >= 4


def test_progress_counts_steps_or_rows(build: Build) -> None:
    builder = build().prepared().train(1, 60)
    view = follow(builder).view
    line = progress_of(view, RunState.RUNNING, None, builder.now)
    assert (line.text, line.done, line.total) == ("● training", 60, 120)
    # 60 steps at 2.5 a second are 24 s, and two validations of 0.8 s are due (at 90 and 120).
    assert line.left == "26 s (25–26)"
    assert progress_of(view, RunState.RUNNING, None, builder.now + 10).left == "16 s (15–16)"
    # The benchmark afterwards is expected to take as long as the baseline: 6.3 s.
    assert line.until == time.strftime("%H:%M", time.localtime(builder.now + 25.6 + 6.3))
    builder.train(61, 120).stage("train", "done").stage("evaluate", "running")
    builder.add("progress", 2.0, stage="evaluate", done=10, total=40, text="")
    line = progress_of(follow(builder).view, RunState.RUNNING, None, builder.now)
    assert (line.text, line.done, line.total) == ("● measuring after", 10, 40)
    assert line.left == "6 s"


@pytest.mark.parametrize("state", list(RunState))
def test_every_state_says_what_to_do(build: Build, state: RunState) -> None:
    view = follow(build().prepared().train(1, 60)).view
    assert len(banner_of(view, state, None).plain) > 10
    assert progress_of(view, state, None, START).text.strip()


def test_a_warning_replaces_the_all_clear(build: Build) -> None:
    builder = build().prepared().train(1, 30)
    assert "No warnings" in banner_of(follow(builder).view, RunState.RUNNING, None).plain
    builder.add("advice", code="rise", severity="warning", text="validation loss rises", change="train.iters=60")
    assert (
        banner_of(follow(builder).view, RunState.RUNNING, None).plain == "▲ validation loss rises  a shows what to do"
    )
    builder.add("advice", code="padding", severity="info", text="40 % are padding", change=None)
    assert banner_of(follow(builder).view, RunState.RUNNING, None).plain.startswith("▲ validation loss rises")
    builder.add("advice", code="diverging", severity="error", text="the run is diverging", change=None)
    builder.add("advice", code="hot", severity="warning", text="it is slow", change=None)
    assert banner_of(follow(builder).view, RunState.RUNNING, None).plain.startswith("✗ the run is diverging")


def test_a_hint_is_no_warning(build: Build) -> None:
    builder = build().prepared().train(1, 30)
    builder.add("advice", code="padding", severity="info", text="40 % are padding", change=None)
    view = follow(builder).view
    assert "No warnings" in banner_of(view, RunState.RUNNING, None).plain
    assert log_content(view, 80).plain.splitlines()[-1].endswith("i 40 % are padding")
    (hint,) = said(view)
    assert entry(hint, None, 60).plain.splitlines()[0].startswith("i info  padding")


def test_tiles_name_the_best_validation_loss(build: Build) -> None:
    builder = build().prepared().train(1, 60)
    assert {tile.label: tile.note for tile in tiles_of(follow(builder).view)}["val. loss"] == "best"
    builder.add("validation", step=90, loss=2.0, tokens=10, seconds=0.1)
    assert {tile.label: tile.note for tile in tiles_of(follow(builder).view)}["val. loss"] == "best 0.466"


def test_the_log_is_in_order_of_time(build: Build) -> None:
    builder = build().prepared().train(1, 60).add("control", what="learning_rate", by="user", value=1e-4)
    lines = log_content(follow(builder).view, 80).plain.splitlines()
    assert "360 train" in lines[0]
    assert lines[-1].endswith("» learning rate 1e-4, asked by user")
    assert any("◆ step 60: checkpoint (best)" in line for line in lines)
