"""The data screen: what it asks, the list, the three forms of a row, and what it says when there is nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.linted import FIGURES, PROBLEMS, measured, nine_rows, with_problems
from tests.ui.looking import notices, shown, until
from tests.ui.workshop import (
    HOSTILE,
    SAFE,
    SIZES,
    answering,
    app_with,
    experiment,
    open_mode,
    place,
    posed,
    preview,
    preview_row,
    with_config,
)
from tui_tuner.engine.requests import LoadLibraries, PreviewData
from tui_tuner.engine.results import DataPreview, PreviewRow
from tui_tuner.errors import TunerError
from tui_tuner.ui.widgets import data_row, data_summary
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane

__all__ = ["place"]

BROKEN = TunerError("the object is not closed", where="players.jsonl line 17", fix="mend the line")


def spans_of(text: str, row: PreviewRow) -> set[str]:
    """The styles that lie over the first occurrence of `text` in the token view."""
    content = data_row.tokens(row, 200)
    at = content.plain.index(text)
    return {str(span.style) for span in content.spans if span.start <= at < span.end}


async def test_the_linter_s_findings_are_counted_and_listed(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = with_problems(PROBLEMS)
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await until(pilot, lambda: "✗ 1 error   ▲ 1 warning   · 1 hint" in shown(app))
        await pilot.press("o")
        about = app.screen.query_one("#data-row", TextPane)
        await until(pilot, lambda: "9 held-out rows stand in training too." in about.plain)
        for part in ("It blocks training.", "fix  drop-leaks  x applies it", "12, 57"):
            assert part in about.plain, part
        await pilot.press("down")
        await until(pilot, lambda: "train.max_seq_length = 512" in about.plain)
        assert SAFE in about.plain and HOSTILE not in about.plain
        await pilot.press("escape")
        await until(pilot, lambda: "Report game 0" in shown(app))


async def test_enter_on_a_problem_shows_its_rows_and_escape_leads_back(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = with_problems(PROBLEMS)
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await pilot.press("o", "enter")
        rows = app.screen.query_one("#data-rows", RowList)
        await until(pilot, lambda: rows.count == 2 and "Rows: leakage" in str(rows.border_title))
        await until(pilot, lambda: "Test game 1." in shown(app) and "Test game 4." in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: rows.count == 3)  # the problems
        await pilot.press("escape")
        await until(pilot, lambda: rows.count == 440)  # all rows
        assert app.current_mode == "data"


async def test_x_applies_a_fix_and_takes_it_back(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = with_problems(PROBLEMS)
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await pilot.press("o", "x")
        await until(
            pilot, lambda: app.state.experiment is not None and app.state.experiment.data.fixes == ["drop-leaks"]
        )
        about = app.screen.query_one("#data-row", TextPane)
        await until(pilot, lambda: "is applied; x takes it back" in about.plain)
        await pilot.press("x")
        await until(pilot, lambda: app.state.experiment is not None and app.state.experiment.data.fixes == [])
        await pilot.press("down", "x")
        await until(
            pilot, lambda: app.state.experiment is not None and app.state.experiment.train.max_seq_length == 512
        )


async def test_nothing_found_is_said(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = with_problems([])
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await until(pilot, lambda: "✓ no problems found in any row" in shown(app))


async def test_a_run_s_own_data_can_not_be_fixed(
    drive: Drive, engine: FakeEngine, build: Callable[..., RunBuilder]
) -> None:
    engine.answer = with_problems(PROBLEMS)
    run = with_config(build().begin(), experiment())
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", run=run)
        await pilot.press("o")
        about = app.screen.query_one("#data-row", TextPane)
        await until(pilot, lambda: "fix  drop-leaks" in about.plain)
        assert "x applies it" not in about.plain
        await pilot.press("x")
        assert app.state.experiment is None


async def test_without_experiment_or_run_it_says_what_to_do(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "data")
        assert "hoose a preset" in shown(app)
        assert [type(request) for request in app.engine.submitted] == [LoadLibraries], "what takes time is done early"


async def test_it_asks_once_and_again_when_the_data_changes(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        assert "◌ reading the rows" in shown(app)
        app.set_experiment(experiment(train_iters=7))
        await pilot.pause()
        assert len(engine.submitted) == 1
        app.set_experiment(experiment(data_train=9))
        await until(pilot, lambda: len(engine.submitted) == 2)
        assert engine.handles()[0].control.stop_requested
        assert isinstance(engine.submitted[1], PreviewData) and engine.submitted[1].experiment.data.train == 9


async def test_counts_lengths_and_notes_are_shown(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(preview())
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment(train_max_seq_length=256))
        text = shown(app)
        for part in ("train 360", "valid 40", "test 40", "prompt → answer", "median 52", "longest ▲ 301",
                     "trained on 9,312 tokens", "2 wordings each", "3 rows are cut", "1 of 440"):  # fmt: skip
            assert part in text, part


def test_the_bar_gives_every_split_that_has_rows_a_cell() -> None:
    lopsided = data_summary.bar({"train": 10_000, "valid": 1, "test": 1}, 20).plain
    assert lopsided == "█" * 18 + "▓░"
    plain = data_summary.bar({"train": 100, "valid": 50, "test": 50}, 20).plain
    assert (plain.count("█"), plain.count("▓"), plain.count("░")) == (10, 5, 5)
    assert data_summary.bar({}, 20).plain == ""


def test_the_loss_mask_is_told_by_weight_as_well_as_colour() -> None:
    row = preview_row(0, "train", "Report it.")
    assert any("bold underline" in style for style in spans_of("FT", row))
    assert all("bold" not in style for style in spans_of("Report", row))
    assert any("reverse" in style for style in spans_of("<|user|>", row))


def test_without_a_masked_prompt_the_first_token_still_is_no_target() -> None:
    row = PreviewRow(0, "train", {"text": "a b"}, "a b", [(1, "a"), (2, " b")], 0, 0)
    assert data_row.trained_count(row) == 1
    assert any("bold underline" in style for style in spans_of(" b", row))
    assert all("bold" not in style for style in spans_of("a", row))


def test_boundaries_line_breaks_and_cut_tokens_are_visible() -> None:
    plain = data_row.tokens(preview_row(4, "train", "Do it."), 80).plain
    assert plain.startswith("<|user|>│↵\nDo │it. │<|end|>│↵\n<|assistant|>│↵\nFT│ W│")
    assert "▲ 12 tokens at the end are cut off" in plain


@pytest.mark.parametrize(
    ("piece", "special"),
    [("<|end|>", True), ("</s>", True), ("[INST]", True), ("<|im_start|>", True), ("<b>", False), ("a <|end|>", False)],
)
def test_special_tokens_are_told_by_their_spelling_where_nobody_else_says(piece: str, special: bool) -> None:
    row = PreviewRow(0, "train", {}, piece, [(7, piece)], 1, 0)
    assert data_row.is_special(row, 7, piece) is special
    for told in (frozenset({7}), frozenset[int]()):
        assert data_row.is_special(replace(row, special=told), 7, piece) is bool(told)


def test_conversations_and_nested_values_are_shown_in_full() -> None:
    row = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ["a", HOSTILE]}],
           "tools": {"x": 1}}  # fmt: skip
    plain = data_row.record(row, 60).plain
    for part in ("messages", "system", "Be brief.", '"a"', "tools", '"x": 1', "‹rlo›"):
        assert part in plain, part


async def test_v_steps_through_the_three_forms(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(preview())
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        pane = app.screen.query_one("#data-row", TextPane)
        assert "│" in pane.plain
        await pilot.press("v")
        assert "completion\n  FT W | 4-2" in pane.plain
        await pilot.press("v")
        assert "<|assistant|>\nFT W | 4-2<|end|>" in pane.plain
        await pilot.press("V")
        assert "completion\n" in pane.plain


async def test_rows_by_arrow_key_n_and_p(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(preview())
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        pane = app.screen.query_one("#data-row", TextPane)
        await pilot.press("down", "n", "n", "p")
        await until(pilot, lambda: "train 2 " in str(pane.border_title))
        await pilot.press("end")
        await until(pilot, lambda: "test 39 " in str(pane.border_title))
        await pilot.press("down", "home")
        await until(pilot, lambda: "train 0 " in str(pane.border_title))


async def test_g_goes_to_a_row_and_says_when_there_is_none(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(preview())
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        pane, rows = app.screen.query_one("#data-row", TextPane), app.screen.query_one("#data-rows", RowList)
        await pilot.press("g", *"valid 3", "enter")
        await until(pilot, lambda: "valid 3 " in str(pane.border_title))
        assert rows.has_focus
        await pilot.press("g", "4", "enter")
        await until(pilot, lambda: "valid 4 " in str(pane.border_title))
        await pilot.press("g", "9", "9", "enter")
        await until(pilot, lambda: any("valid has rows 0 to 39" in text for text in notices(app)))
        assert rows.cursor == 364
        await pilot.press("g", "escape")
        await until(pilot, lambda: rows.has_focus)
        assert app.current_mode == "data"


async def test_enter_gives_the_row_all_the_room(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(preview())
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#data-row").size.height >= 19)
        await pilot.press("n")
        await until(pilot, lambda: "train 1 " in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "2 of 440" in shown(app))


async def test_rows_are_text(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(preview(notes=[HOSTILE]))
    async with drive(size=(160, 50)) as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await pilot.press("down", "down", "v")
        await until(pilot, lambda: shown(app).count(SAFE) >= 2 and "[bold red]no" in shown(app))
        assert "\x1b" not in shown(app) and "\u202e" not in shown(app)


async def test_a_failure_is_one_sentence_and_r_asks_again(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(BROKEN)
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        assert "✗ players.jsonl line 17: the object is not closed; mend the line." in shown(app)
        engine.answer = answering(preview())
        await pilot.press("r")
        await until(pilot, lambda: "train 360" in shown(app))


async def test_no_rows_at_all_is_no_accident(drive: Drive, engine: FakeEngine) -> None:
    nothing = DataPreview({"train": 0, "valid": 0, "test": 0}, "text", [], [], {}, 0)
    engine.answer = answering(nothing)
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await pilot.press("n", "down", "v", "end")
        assert "There are no rows." in shown(app)


async def test_a_run_shows_the_rows_it_was_trained_on(
    drive: Drive, engine: FakeEngine, build: Callable[..., RunBuilder]
) -> None:
    run = with_config(build().begin())
    (run.folder.data / "train.jsonl").write_text("{}\n", encoding="utf-8")
    async with drive() as (_, pilot):
        await open_mode(pilot, "data", run=run)
        asked = engine.submitted[0]
        assert isinstance(asked, PreviewData)
        assert asked.experiment.data.source == str(run.folder.data)
        assert asked.experiment.data.prompt == []


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "pose", ["empty", "filled", "error", "problems", "sound", "figures", "longest", "found", "ids"]
)
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str) -> None:
    answer, text, keys = {
        "empty": (answering(None), "choose a preset", ()),
        "filled": (answering(preview()), "train 2 ", ("down", "down")),
        "error": (answering(BROKEN), "✗", ()),
        "problems": (with_problems(PROBLEMS), "It blocks training", ("o",)),
        "sound": (with_problems([]), "no problems found", ()),
        "figures": (nine_rows(measured(**FIGURES)), "Rows by length", ("f",)),
        "longest": (nine_rows(measured()), "longest first", ("b",)),
        "found": (nine_rows(measured(), (("train", 4), ("test", 0))), "Rows with", ("slash", *"Winslow", "enter")),
        "ids": (answering(preview()), "   at       id", ("i",)),
    }[pose]
    made = None if pose == "empty" else experiment()
    app = app_with(place, FakeEngine(answer))
    assert snap_compare(app, terminal_size=size, run_before=posed("data", text, made=made, keys=keys))
