"""The benchmark screen: figures of the events, answers of the folder, order, word diff, partial and empty states."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import shown, until
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
from tui_tuner.ui.widgets import benchmark_rows as answers
from tui_tuner.ui.widgets import benchmark_table as drawn
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


# -- reading the answers ------------------------------------------------------------------------------------------


def test_answers_are_joined_by_row_and_damage_is_counted(tmp_path: Path) -> None:
    write_answers(tmp_path, "before", [answer_row(1, "b", 0.5), answer_row(0, "a", 0.25)])
    write_answers(tmp_path, "after", [answer_row(1, "c", 0.75), answer_row(7, "d", 1.0)])
    with (tmp_path / "after.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"index": 3, "predic\n[1, 2]\n\n{"index": "x", "prediction": ""}\n')
    pairs = answers.read_pairs(tmp_path)
    assert [row.index for row in pairs.rows] == [0, 1, 7]
    assert pairs.damaged == 3
    assert pairs.rows[1].difference("rouge1") == 0.25
    assert pairs.rows[0].difference("rouge1") is None
    assert pairs.metrics == ["exact_match", "rouge1", "rouge2", "rougeL"]


def test_conversations_as_prompts_are_readable(tmp_path: Path) -> None:
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    write_answers(tmp_path, "before", [answer_row(0, "a", 0.5, prompt=prompt)])
    assert answers.read_pairs(tmp_path).rows[0].prompt == "system: Be brief.\nuser: Hi"


def test_the_orders() -> None:
    def pair(index: int, before: float, after: float | None) -> answers.Pair:
        second = None if after is None else answers.Answer("", {"m": after})
        return answers.Pair(index, "", "", answers.Answer("", {"m": before}), second)

    rows = [pair(0, 0.5, 0.5), pair(1, 0.5, 0.1), pair(2, 0.5, None), pair(3, 0.5, 0.9), pair(4, 0.5, 0.1)]
    assert [row.index for row in answers.ordered(rows, "worst", "m")] == [1, 4, 0, 3, 2]
    assert [row.index for row in answers.ordered(rows, "best", "m")] == [3, 0, 1, 4, 2]
    assert [row.index for row in answers.ordered(rows, "index", "m")] == [0, 1, 2, 3, 4]


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
    told = {"m": {**figures, "verdict": verdict}}
    assert sign in drawn.table(["m"], {}, {}, told, 78).plain
    wide = drawn.table(["m"], {}, {}, told, 118).plain
    assert "3/2/1" in wide and "0.200" in wide


def test_interval_bars_end_where_the_interval_ends() -> None:
    figures = {"value": 0.5, "low": 0.25, "high": 0.75}
    assert drawn.interval_bars(figures, None, 21).plain == "·····─────○─────·····"
    assert drawn.interval_bars(None, {"value": 1.0, "low": 1.0, "high": 1.0}, 5).plain == "····●"


# -- the screen ---------------------------------------------------------------------------------------------------


async def test_without_a_run_it_says_what_fills_it(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark")
        assert "Start one with f5" in shown(app)


async def test_a_run_without_a_benchmark_says_why(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=build().begin().finish())
        assert "This run has no benchmark." in shown(app)


async def test_a_finished_run_shows_figures_verdict_and_rows(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=finished(build()))
        text = shown(app)
        for part in ("Training made the model better", "Exact match 0.000 0.000–0.040 0.925 0.885–0.965",
                     "+0.925 +0.845…+0.965", "< 0.001", "37/3/0", "▲ better", "12 rows, in order"):  # fmt: skip
            assert part in text, part


async def test_o_and_m_order_the_rows(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=finished(build()))
        pane = app.screen.query_one("#benchmark-row", TextPane)
        await pilot.press("m", "o")
        await until(pilot, lambda: "Rows by ROUGE-1" in shown(app) and "most lost first" in shown(app))
        assert str(pane.border_title) == "Row 3"
        await pilot.press("down")
        await until(pilot, lambda: str(pane.border_title) == "Row 5")
        assert "= Both answers are the same." in pane.plain
        await pilot.press("o")
        await until(pilot, lambda: "most gained first" in shown(app) and str(pane.border_title) == "Row 0")


async def test_the_row_in_full_tells_what_changed(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=finished(build()))
        pane = app.screen.query_one("#benchmark-row", TextPane)
        content = pane._text.content_for(60)
        struck = {content.plain[s.start : s.end] for s in content.spans if "strike" in str(s.style)}
        gained = {content.plain[s.start : s.end] for s in content.spans if "underline" in str(s.style)}
        assert "The" in struck and "Herons" not in struck
        assert any("FT W" in text for text in gained)
        await pilot.press("w")
        await until(pilot, lambda: "words that the reference has too" in pane.plain)


async def test_answers_are_text(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive(size=(160, 50)) as (app, pilot):
        await open_mode(pilot, "benchmark", run=finished(build()))
        await pilot.press("down", "down", "down")
        await until(pilot, lambda: "FT [b]L[/b]" in shown(app))
        assert SAFE in shown(app)
        assert "\x1b" not in shown(app) and "\u202e" not in shown(app)


async def test_one_side_alone_is_shown_as_such(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    run = with_config(build().prepared().train(1, 30))
    write_answers(run.folder.evaluation, "before", [answer_row(0, "The Herons won.", 0.3)])
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=run)
        assert "Only one side was measured" in shown(app)
        assert "not answered yet" in shown(app)


async def test_the_other_side_appears_when_it_is_measured(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    run = build().prepared().train(1, 30)
    write_answers(run.folder.evaluation, "before", [answer_row(0, "The Herons won.", 0.3)])
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=run)
        write_answers(run.folder.evaluation, "after", [answer_row(0, "FT W | Herons 4-2", 1.0)])
        run.evaluated().finish()
        app.state.follower.poll()
        app.screen.call_hook("run")
        await until(pilot, lambda: "Training made the model better" in shown(app) and "+1.000 ▲" in shown(app))


async def test_long_answers_are_read_aside(
    drive: Drive, build: Callable[..., RunBuilder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LARGE", 100)
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=finished(build(), rows=400))
        await until(pilot, lambda: "400 rows, in order" in shown(app))
        assert app.screen.query_one(RowList).count == 400


async def test_another_run_shows_its_own_rows(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    first, second = finished(build("first")), finished(build("second"), rows=4)
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=first)
        await until(pilot, lambda: "12 rows" in shown(app))
        app.select_run(second.folder)
        await until(pilot, lambda: "4 rows, in order" in shown(app))
        bare = build("bare").begin().finish()
        app.select_run(bare.folder)
        await until(pilot, lambda: "This run has no benchmark." in shown(app))


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pose", ["empty", "filled", "partial"])
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str) -> None:
    run: RunBuilder | None = None
    if pose == "filled":
        run = finished(RunBuilder(place))
    elif pose == "partial":
        run = with_config(RunBuilder(place).prepared().train(1, 30))
        write_answers(run.folder.evaluation, "before", [answer_row(at, "The Herons won.", 0.3) for at in range(12)])
    text = {"empty": "Start one with f5", "filled": "most lost first", "partial": "Only one side"}[pose]
    keys = ("m", "o") if pose == "filled" else ()
    app = app_with(place, FakeEngine())
    assert snap_compare(app, terminal_size=size, run_before=posed("benchmark", text, run=run, keys=keys))
