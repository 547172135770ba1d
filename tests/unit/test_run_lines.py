"""The list of runs in lines: which stand in which order, what a narrow terminal leaves out, and what a line says."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.runs.catalogue import RunSummary
from tui_tuner.runs.labels import Labels
from tui_tuner.runs.query import parse_query
from tui_tuner.runs.state import RunState
from tui_tuner.runs.view import RunView
from tui_tuner.ui.runslist import COLUMNS, SORTS, Line, arranged, called, cells_of, fitting
from tui_tuner.ui.status import RUN_STATES, SEVERITIES, STAGE_STATES, VERDICTS, advice_mark, status_content

WIDTHS = {key: width for key, _, width in COLUMNS}


def summary(run: str, **changes: Any) -> RunSummary:
    plain = RunSummary(run, run, RunState.FINISHED, 100, 100, 0.0, Path(run), "org/model", 0.4731, None)
    return replace(plain, **changes)


def cells(run: RunSummary, line: Line | None = None, **options: Any) -> dict[str, str]:
    made = cells_of(line or Line(run.run, run), WIDTHS, **{"marked": False, "folded": False, **options})
    return {key: content.plain for key, content in made.items()}


# -- order and groups -------------------------------------------------------------------------------------------------
def test_the_runs_of_a_sweep_stand_below_a_heading_where_the_first_of_them_would_be() -> None:
    runs = [summary("c"), summary("b2", sweep="s"), summary("a"), summary("b1", sweep="s"), summary("z", sweep="one")]
    lines = arranged(runs, ())
    assert [line.key for line in lines] == ["c", "sweep s", "b2", "b1", "a", "z"]
    assert [line.last for line in lines] == [False, False, False, True, False, False]
    assert lines[1].run is None and [run.run for run in lines[1].members] == ["b2", "b1"]
    assert [line.sweep for line in lines] == ["", "s", "s", "s", "", ""], "a sweep of one run is no group"


def test_a_folded_sweep_is_its_heading_alone() -> None:
    runs = [summary("b2", sweep="s"), summary("b1", sweep="s"), summary("c2", sweep="t"), summary("c1", sweep="t")]
    assert [line.key for line in arranged(runs, {"s"})] == ["sweep s", "sweep t", "c2", "c1"]
    assert [line.key for line in arranged(runs, {"s"}, grouped=False)] == ["b2", "b1", "c2", "c1"]
    assert arranged([], {"s"}) == []


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["", "s", "t"]), max_size=12), st.sets(st.sampled_from(["s", "t"])))
def test_no_run_is_lost_or_listed_twice(sweeps: list[str], folded: set[str]) -> None:
    runs = [summary(f"r{number}", sweep=sweep) for number, sweep in enumerate(sweeps)]
    lines = arranged(runs, folded)
    hidden = [run.run for line in lines if line.run is None and line.sweep in folded for run in line.members]
    shown = [line.run.run for line in lines if line.run is not None]
    assert sorted(shown + hidden) == sorted(run.run for run in runs)
    assert len({line.key for line in lines}) == len(lines)
    assert [name for name in shown if name not in hidden and not runs[int(name[1:])].sweep] == [
        run.run for run in runs if not run.sweep
    ]


def test_what_the_key_sorts_by_is_a_query_that_is_understood() -> None:
    runs = [summary("b", best=0.2, duration=5.0, created=1.0), summary("a", best=0.9, duration=9.0, created=2.0)]
    order = {text: [run.run for run in parse_query(text).find(runs)] for text in SORTS if text}
    assert order["sort:best"] == order["sort:-created"][::-1] == ["b", "a"]
    assert order["sort:name"] == order["sort:-duration"] == ["a", "b"]


# -- cells ------------------------------------------------------------------------------------------------------------
def test_a_line_tells_state_steps_loss_and_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 7_200.0)
    run = summary(
        "players-20251009-085320", state=RunState.STOPPED, step=1_200, steps=12_000,
        settings={"train.learning_rate": 2e-5},
        duration=3_725.0, verdict="better", labels=Labels(tags=("idea", "v2")), curve=(3.0, 2.0, 1.0),
    )  # fmt: skip
    told = cells(run)
    assert told == {
        "mark": "", "state": "■ stopped", "run": "players-20251009-085320", "steps": "1,200/12,000", "best": "  0.473",
        "curve": told["curve"], "verdict": "better", "tags": "#idea #v2", "rate": "2e-5", "time": "1:02:05",
        "created": "2 h ago", "model": "org/model",
    }  # fmt: skip
    assert set(told) == set(WIDTHS)
    assert told["curve"][0] == "█" and told["curve"][-1] == "▁" and len(told["curve"]) == WIDTHS["curve"]


def test_what_a_run_does_not_tell_is_a_dash() -> None:
    empty = summary("r", steps=0, step=0, best=None, settings={"train.learning_rate": "odd"}, model="")
    told = cells(empty)
    assert {key: told[key].strip() for key in ("steps", "best", "verdict", "rate", "time")} == dict.fromkeys(
        ("steps", "best", "verdict", "rate", "time"), "–"
    )
    assert (told["tags"], told["model"], told["curve"].strip()) == ("", "", "")


def test_marked_pinned_and_queued_are_each_told_by_a_sign() -> None:
    pinned = summary("r", labels=Labels(pinned=True), state=RunState.QUEUED)
    assert cells(pinned, marked=True, place=3)["mark"] == "▣★"
    assert cells(pinned, marked=True, place=3)["state"] == "◌ queued 3"
    assert cells(pinned)["state"] == "◌ queued"
    assert cells(replace(pinned, state=RunState.RUNNING), place=3)["state"] == "● running", "it has left the queue"


def test_the_runs_of_a_group_hang_on_a_branch_and_keep_both_ends_of_their_names() -> None:
    run = summary("a-very-long-name-of-a-run-20251009-085320", sweep="s")
    inside = cells(run, Line(run.run, run, "s"))["run"]
    last = cells(run, Line(run.run, run, "s", last=True))["run"]
    assert inside.startswith("├ a-very") and last.startswith("└ a-very")
    assert inside.endswith("085320") and len(inside) == WIDTHS["run"]


def test_a_heading_says_how_many_are_through_and_the_best_of_them() -> None:
    members = (
        summary("a", best=0.5), summary("b", best=0.25, state=RunState.RUNNING), summary("c", best=None),
        summary("d", best=float("nan"), state=RunState.FAILED),
    )  # fmt: skip
    heading = Line("sweep s", None, "s", members)
    told = cells(members[0], heading)
    assert (told["state"], told["run"], told["best"].strip()) == ("2 of 4 done", "▾ sweep s", "0.250")
    assert cells(members[0], heading, folded=True)["run"] == "▸ sweep s"
    assert set(told) == set(WIDTHS)
    assert cells(members[2], Line("sweep s", None, "s", members[2:]))["best"] == ""


@pytest.mark.parametrize("field", ["run", "verdict", "model"])
def test_text_from_outside_is_shown_and_not_obeyed(field: str) -> None:
    hostile = "[bold]\x1b[2J\u202e"
    run = replace(summary("r"), **{field: hostile})
    assert cells(run)[field] == "[bold]␛[2J‹rlo›"


# -- columns ----------------------------------------------------------------------------------------------------------
@settings(max_examples=50)
@given(st.integers(0, 260))
def test_columns_take_the_room_that_there_is_and_no_more(room: int) -> None:
    chosen = fitting(room)
    assert sum(width + 2 for _, _, width in chosen) <= room
    assert [key for key, _, _ in chosen] == [key for key, _, _ in COLUMNS if key in {key for key, _, _ in chosen}]
    assert all(width >= WIDTHS[key] for key, _, width in chosen)


def test_a_small_terminal_shows_what_tells_runs_apart() -> None:
    assert [key for key, _, _ in fitting(78)][:5] == ["mark", "state", "run", "steps", "best"]
    assert fitting(0) == []
    wide = {key: width for key, _, width in fitting(400)}
    assert wide["run"] == WIDTHS["run"] + 12 and wide["verdict"] > 100


# -- states -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("table", [RUN_STATES, STAGE_STATES, SEVERITIES, VERDICTS])
def test_no_meaning_hangs_on_the_colour(table: dict[Any, tuple[str, str]]) -> None:
    signs = [sign for sign, _ in table.values()]
    assert len(set(signs)) == len(signs) and all(len(sign) == 1 for sign in signs)


def test_every_state_has_its_sign() -> None:
    assert set(RUN_STATES) == set(RunState)
    assert status_content(RunState.PAUSED, "paused at 12").plain == "‖ paused at 12"


@pytest.mark.parametrize(
    ("severity", "sign"), [("error", "✗"), ("info", "i"), ("warning", "▲"), ("odd", "▲"), (None, "▲")]
)
def test_advice_of_unknown_weight_is_taken_for_a_warning(severity: Any, sign: str) -> None:
    assert advice_mark({"severity": severity})[0] == sign
    assert advice_mark({}) == SEVERITIES["warning"]


@pytest.mark.parametrize(
    ("width", "text"),
    [(28, "sweep-06-20261122-104356"), (20, "sweep-06…1122-104356"), (15, "sweep-06…104356"), (12, "sweep-…04356")],
)
def test_runs_of_a_sweep_can_be_told_apart_where_there_is_little_room(width: int, text: str) -> None:
    assert called("sweep-06-20261122-104356", width) == text and len(text) <= width


def test_a_name_without_a_moment_is_cut_in_the_middle() -> None:
    assert called("a-name-of-somebodys-own", 9) == "a-na…-own"


def test_what_was_saved_between_two_reports_is_done() -> None:
    view = RunView()
    view.extend([{"type": "train", "step": 50, "loss": 1.0}, {"type": "checkpoint", "step": 53, "path": "53"}])
    assert view.step == 53
    view.extend([{"type": "control", "what": "rollback", "step": 53, "by": "guard"}])
    assert view.step == 50
    view.extend([{"type": "train", "step": 40, "loss": 1.0}])
    assert view.step == 40
