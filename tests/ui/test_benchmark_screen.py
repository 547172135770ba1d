"""The benchmark screen: figures of the events, answers of the folder, order, word diff, partial and empty states."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import shown, shown_in, until
from tests.ui.measured import measured
from tests.ui.workshop import (
    SAFE,
    SIZES,
    answer_row,
    app_with,
    finished,
    open_mode,
    place,
    posed,
    with_config,
    write_answers,
)
from tui_tuner.evaluation.stored import Answer, Pair
from tui_tuner.ui.screens.benchmark import BenchmarkScreen
from tui_tuner.ui.widgets import benchmark_rows
from tui_tuner.ui.widgets import benchmark_table as drawn
from tui_tuner.ui.widgets.benchmark_rows import Choice, chosen, ordered
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane
from tui_tuner.ui.worddiff import word_diff, words

__all__ = ["place"]


# -- the word diff ------------------------------------------------------------------------------------------------


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_pieces_of_a_diff_are_the_texts(first: str, second: str) -> None:
    pieces = word_diff(first, second)
    assert pieces is not None
    assert "".join(text for text, _ in pieces[0]) == first
    assert "".join(text for text, _ in pieces[1]) == second
    shared = [["".join(words(text)) for text, same in side if same] for side in pieces]
    assert "".join(shared[0]) == "".join(shared[1])


def test_a_diff_is_word_by_word() -> None:
    assert word_diff("the Herons won", "the Wolves won") == (
        [("the ", True), ("Herons", False), (" won", True)],
        [("the ", True), ("Wolves", False), (" won", True)],
    )
    assert word_diff("a " * 2000, "b") is None


# -- which rows, in which order -----------------------------------------------------------------------------------


def pair(index: int, before: float, after: float | None, text: str = "", **changes: Any) -> Pair:
    second = None if after is None else Answer(text, {"m": after}, **changes)
    return Pair(index, f"prompt {index}", "", Answer("", {"m": before}), second)


def test_the_orders() -> None:
    rows = [pair(0, 0.5, 0.5), pair(1, 0.5, 0.1), pair(2, 0.5, None), pair(3, 0.5, 0.9), pair(4, 0.5, 0.1)]
    assert [row.index for row in ordered(rows, "worst", "m")] == [1, 4, 0, 3, 2]
    assert [row.index for row in ordered(rows, "worst", "m", higher_is_better=False)] == [3, 0, 1, 4, 2]
    assert [row.index for row in ordered(rows, "best", "m")] == [3, 0, 1, 4, 2]
    assert [row.index for row in ordered(rows, "index", "m")] == [0, 1, 2, 3, 4]
    assert [row.index for row in ordered(rows, "most", "m")] == [1, 3, 4, 0, 2]


def test_rows_by_their_length() -> None:
    rows = [pair(0, 0, 0, "one two"), pair(1, 0, 0, "one", tokens=9), pair(2, 0, 0, "one two three")]
    assert [row.index for row in ordered(rows, "longest", "m")] == [1, 2, 0]
    assert [row.index for row in ordered(rows, "shortest", "m")] == [0, 2, 1]


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        (Choice(), [0, 1, 2, 3]),
        (Choice(filter="changed"), [1, 2]),
        (Choice(filter="gained"), [2]),
        (Choice(filter="lost"), [1]),
        (Choice(filter="capped"), [2]),
        (Choice(filter="empty"), [0, 1, 2, 3]),
        (Choice(split="recall"), [3]),
        (Choice(text="PROMPT 2"), [2]),
        (Choice(text="blue"), [1, 2]),
    ],
)
def test_the_filters(choice: Choice, left: list[int]) -> None:
    rows = [pair(0, 0.5, 0.5), pair(1, 0.5, 0.1, "red Blue"), pair(2, 0.5, 0.9, "blue", finish="length"),
            pair(3, 0.1, None)]  # fmt: skip
    rows[3].split = "recall"
    assert [row.index for row in chosen(rows, choice, "m")] == left


def test_a_filter_goes_by_what_is_better() -> None:
    rows = [pair(0, 0.5, 0.1), pair(1, 0.5, 0.9)]
    assert [row.index for row in chosen(rows, Choice(filter="gained"), "m", higher_is_better=False)] == [0]
    assert "▲" in drawn.row_line(rows[0], "m", 60, higher_is_better=False).plain
    assert "▼" in drawn.row_line(rows[0], "m", 60).plain


# -- figures ------------------------------------------------------------------------------------------------------


def test_numbers_are_written_with_signs_and_dashes() -> None:
    values = (0.0312, -0.5, 0.0, 0.0001, None)
    assert [drawn.signed(value) for value in values] == ["+0.031", "−0.500", "0.000", "0.000", "–"]
    assert [drawn.p_value(value) for value in (0.0002, 0.04, None)] == ["< 0.001", "0.040", "–"]


@pytest.mark.parametrize(
    ("verdict", "sign"), [("better", "▲"), ("worse", "▼"), ("no measurable change", "≈"), ("strange", "·")]
)
def test_a_verdict_has_a_sign(verdict: str, sign: str) -> None:
    figures = {"difference": 0.1, "low": -0.1, "high": 0.3, "p": 0.2, "wins": 3, "ties": 2, "losses": 1}
    told = {**figures, "verdict": verdict}
    assert sign in drawn.metric_line("m", {}, {}, told, 72).plain
    wide = drawn.metric_line("m", {}, {}, told, 112).plain
    assert "3/2/1" in wide and "0.200" in wide


def test_interval_bars_end_where_the_interval_ends() -> None:
    figures = {"value": 0.5, "low": 0.25, "high": 0.75}
    assert drawn.interval_bars(figures, None, 21).plain == "·····─────○─────·····"
    assert drawn.interval_bars(None, {"value": 1.0, "low": 1.0, "high": 1.0}, 5).plain == "····●"
    assert drawn.interval_bars(None, {"value": 14.8, "low": 13.0, "high": 16.0}, 5).plain == "·····"


def test_what_is_no_number_is_a_dash() -> None:
    nan = float("nan")
    assert [drawn.score(nan), drawn.signed(nan), drawn.p_value(nan), drawn.signed(None)] == ["–"] * 4
    told = {"verdict": "better", "sentence": "better", "effect": nan, "rows_to_settle": nan, "difference": nan,
            "low": nan, "high": nan}  # fmt: skip
    text = drawn.metric_detail("m", told, {}, [], 72).plain + drawn.metric_line("m", None, None, told, 112).plain
    assert "nan" not in text and "effect –" in text and "would settle" not in text


def test_numbers_far_from_one_keep_two_decimals() -> None:
    assert [drawn.score(value) for value in (0.31, 14.823, 1840.2)] == ["0.310", "14.82", "1,840"]
    assert drawn.signed(-1840.2) == "−1,840"


# -- the screen ---------------------------------------------------------------------------------------------------


async def test_without_a_run_it_says_what_fills_it(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark")
        assert "the quickstart makes one" in shown(app)


async def test_a_run_without_a_benchmark_says_why(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=build().begin().finish())
        assert "This run has no benchmark." in shown(app)


def at_rows(app: Any) -> bool:
    return bool(app.screen.has_class("-rows") and app.screen.query_one("#benchmark-rows").has_focus)


async def open_rows(pilot: Pilot[Any], run: RunBuilder) -> TextPane:
    """The rows of a run, and the pane of the one selected."""
    await open_mode(pilot, "benchmark", run=run)
    await pilot.press("v", "v")
    await until(pilot, lambda: at_rows(pilot.app))
    return pilot.app.screen.query_one("#benchmark-row", TextPane)


async def test_a_finished_run_shows_figures_verdict_and_rows(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (app, pilot):
        await open_rows(pilot, finished(build()))
        text = shown(app)
        for part in ("Training made the model better", "Exact match 0.000 0.000–0.040 0.925 0.885–0.965",
                     "+0.925 +0.845…+0.965", "< 0.001", "37/3/0", "▲ better", "12 rows, in order"):  # fmt: skip
            assert part in text, part


async def test_the_metric_under_the_cursor_is_explained_and_orders_the_rows(
    drive: Drive, build: Callable[..., RunBuilder]
) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=measured(build()))
        pane = app.screen.query_one("#benchmark-metric", TextPane)
        await pilot.press("down", "down")
        await until(pilot, lambda: str(pane.border_title) == "ROUGE-L")
        assert "p = 0.310" in pane.plain and "about 480 rows would settle it" in pane.plain
        assert "effect +0.120 standard deviations" in pane.plain
        await pilot.press("down")
        await until(pilot, lambda: "lower is better" in pane.plain)
        assert "e to the mean loss per token" in pane.plain and "mask_prompt True" in pane.plain
        await pilot.press("down")
        await until(pilot, lambda: "not judged to be better or worse" in pane.plain)
        await pilot.press("up", "up", "enter")
        await until(pilot, lambda: at_rows(app) and "Rows by ROUGE-L" in shown(app))


async def test_the_parts_are_reported_apart(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=measured(build()))
        pane = app.screen.query_one("#benchmark-metric", TextPane)
        parts = [line.split() for line in pane.plain.splitlines() if line.startswith(("recall", "unseen"))]
        assert [(part[0], part[1], part[-1]) for part in parts] == [
            ("recall", "6", "better"),
            ("unseen", "6", "better"),
        ]
        assert "0.885" in " ".join(parts[0]) and "0.785" in " ".join(parts[1])


async def test_o_and_m_order_the_rows(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (app, pilot):
        pane = await open_rows(pilot, finished(build()))
        await pilot.press("m", "o")
        await until(pilot, lambda: "Rows by ROUGE-1" in shown(app) and "most lost first" in shown(app))
        assert str(pane.border_title) == "Row 3"
        await pilot.press("down")
        await until(pilot, lambda: str(pane.border_title) == "Row 5")
        assert "= Both answers are the same." in pane.plain
        await pilot.press("o")
        await until(pilot, lambda: "most gained first" in shown(app) and str(pane.border_title) == "Row 0")


async def test_rows_are_filtered_by_what_happened_part_and_text(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (app, pilot):
        pane = await open_rows(pilot, measured(build()))
        await pilot.press("f")
        await until(pilot, lambda: "11 of 12 rows, in order · another answer" in shown(app))
        await pilot.press("f", "f", "f")
        await until(pilot, lambda: "1 of 12 rows" in shown(app) and str(pane.border_title) == "Row 1")
        assert "✂ cut off at the token limit" in pane.plain
        await pilot.press("f")
        await until(pilot, lambda: "empty answer" in shown(app) and str(pane.border_title) == "Row 2")
        await pilot.press("escape", "x", "x")
        await until(pilot, lambda: "6 of 12 rows, in order · unseen" in shown(app))
        assert str(pane.border_title) == "Row 6"
        await pilot.press("slash", *"game 11", "enter")
        await until(pilot, lambda: str(pane.border_title) == "Row 11" and at_rows(app))
        await pilot.press("slash", *"zebra", "enter")
        await until(pilot, lambda: "No row is like that." in pane.plain)
        await pilot.press("escape")
        await until(pilot, lambda: "12 rows, in order" in shown(app))
        assert app.current_mode == "benchmark"


async def test_the_row_in_full_tells_what_changed(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (_, pilot):
        pane = await open_rows(pilot, finished(build()))
        content = pane._text.content_for(60)
        struck = {content.plain[s.start : s.end] for s in content.spans if "strike" in str(s.style)}
        gained = {content.plain[s.start : s.end] for s in content.spans if "underline" in str(s.style)}
        assert "The" in struck and "Herons" not in struck
        assert any("FT W" in text for text in gained)
        await pilot.press("w")
        await until(pilot, lambda: "words that the reference has too" in pane.plain)


async def test_answers_are_text(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive(size=(160, 50)) as (app, pilot):
        await open_rows(pilot, finished(build()))
        await pilot.press("down", "down", "down")
        await until(pilot, lambda: "FT [b]L[/b]" in shown(app))
        assert SAFE in shown(app)
        assert "\x1b" not in shown(app) and "\u202e" not in shown(app)


async def test_the_largest_window_shows_all_at_once(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive(size=(160, 50)) as (app, pilot):
        await open_mode(pilot, "benchmark", run=measured(build()))
        await until(pilot, lambda: "12 rows, in order" in shown(app))
        for part in ("Better on 3 of 4", "phi-3-mini", "10/1/1", "no measurable change", "━━●", "Reference"):
            assert part in shown(app), part


async def test_any_result_can_be_the_second_side(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=measured(build()))
        await pilot.press("v")
        results = app.screen.query_one("#benchmark-results", RowList)
        await until(pilot, lambda: results.has_focus)
        assert "● after" in " ".join(shown_in(app, results).split())
        await pilot.press("end", "enter")
        await until(pilot, lambda: "before → step-60" in shown(app))
        await pilot.press("v")
        await until(pilot, lambda: "won" in str(app.screen.query_one("#benchmark-rows").border_title))
        # Judged from the rows that are about what was trained: each of the six rose from 0.3 (row 3 from 0.4) to 0.8.
        screen = app.screen
        assert isinstance(screen, BenchmarkScreen)
        told = screen._store.told["rouge1"]
        assert (told["wins"], told["ties"], told["losses"], told["p_uncorrected"]) == (6, 0, 0, 2 / 2**6)
        assert abs(told["difference"] - (0.8 - (5 * 0.3 + 0.4) / 6)) < 1e-9
        await pilot.press("V", "enter")
        await until(pilot, lambda: "step-60 → before" in shown(app))


async def test_one_side_alone_is_shown_as_such(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    run = with_config(build().prepared().train(1, 30))
    write_answers(run.folder.evaluation, "before", [answer_row(0, "The Herons won.", 0.3)])
    async with drive() as (app, pilot):
        pane = await open_rows(pilot, run)
        assert "Only one side was measured" in shown(app)
        assert "not answered yet" in pane.plain


async def test_the_other_side_appears_when_it_is_measured(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    run = build().prepared().train(1, 30)
    write_answers(run.folder.evaluation, "before", [answer_row(0, "The Herons won.", 0.3)])
    async with drive() as (app, pilot):
        await open_rows(pilot, run)
        write_answers(run.folder.evaluation, "after", [answer_row(0, "FT W | Herons 4-2", 1.0)])
        run.evaluated().finish()
        app.state.follower.poll()
        app.screen.call_hook("run")
        await until(pilot, lambda: "Training made the model better" in shown(app) and "+1.000 ▲" in shown(app))


async def test_long_answers_are_read_aside(
    drive: Drive, build: Callable[..., RunBuilder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark_rows, "LARGE", 100)
    async with drive() as (app, pilot):
        await open_rows(pilot, finished(build(), rows=400))
        await until(pilot, lambda: "400 rows, in order" in shown(app))
        assert app.screen.query_one("#benchmark-rows", RowList).count == 400


async def test_another_run_shows_its_own_rows(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    first, second = finished(build("first")), finished(build("second"), rows=4)
    async with drive() as (app, pilot):
        await open_rows(pilot, first)
        await until(pilot, lambda: "12 rows" in shown(app))
        app.select_run(second.folder)
        await until(pilot, lambda: "4 rows, in order" in shown(app))
        bare = build("bare").begin().finish()
        app.select_run(bare.folder)
        await until(pilot, lambda: "This run has no benchmark." in shown(app))


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pose", ["empty", "verdict", "results", "rows", "partial"])
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str) -> None:
    run: RunBuilder | None = None
    if pose == "partial":
        run = with_config(RunBuilder(place).prepared().train(1, 30))
        write_answers(run.folder.evaluation, "before", [answer_row(at, "The Herons won.", 0.3) for at in range(12)])
    elif pose != "empty":
        run = measured(RunBuilder(place))
    text = {"empty": "press 0, then q", "verdict": "480 rows", "results": "phi-3-mini", "rows": "most lost first",
            "partial": "Only one side"}[pose]  # fmt: skip
    keys = {"verdict": ("m", "m"), "results": ("v",), "rows": ("m", "v", "v", "o")}.get(pose, ())
    app = app_with(place, FakeEngine())
    assert snap_compare(app, terminal_size=size, run_before=posed("benchmark", text, run=run, keys=keys))
