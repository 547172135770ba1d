"""Rows of a data set on the screen: windows of a million, order, search, places, ids, and the figures of the whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine
from tests.ui.linted import FIGURES, PROBLEMS, linted, listed, measured, nine_rows
from tests.ui.looking import notices, shown, until
from tests.ui.workshop import answering, experiment, open_mode, preview, preview_row
from tui_tuner.data.findings import Problem
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import FindRows, PreviewData
from tui_tuner.ui.widgets import data_figures, data_row
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_listing import Everything, sought
from tui_tuner.ui.widgets.data_pane import TextPane
from tui_tuner.ui.widgets.data_store import RowStore


async def test_only_rows_in_sight_are_asked_for(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(preview(counts={"train": 1_000_000, "valid": 500, "test": 500}))
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        rows = app.screen.query_one("#data-rows", RowList)
        await until(pilot, lambda: rows.count == 1_001_000 and "Report game 7." in shown(app))
        await pilot.press("g", *"700000", "enter")
        await until(pilot, lambda: "Train │game │700000." in shown(app))
        await pilot.press("end")
        await until(pilot, lambda: "Test game 499." in shown(app))
        windows = [request.only for request in engine.submitted if isinstance(request, PreviewData) and request.only]
        assert 1 < len(windows) < 8 and max(map(len, windows)) < 120
        asked = [place for window in windows for place in window]
        assert len(asked) == len(set(asked)), "a row was asked for twice"


async def test_a_row_that_the_engine_has_not_is_asked_for_once(drive: Drive, engine: FakeEngine) -> None:
    def answer(handle: JobHandle) -> None:
        if isinstance(handle.request, PreviewData):
            handle.result = preview(counts={"train": 2}, rows=[preview_row(0, "train")])
        handle.status = JobStatus.DONE

    engine.answer = answer
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await until(pilot, lambda: "✗ not rendered" in shown(app))
        await pilot.press("down")
        await until(pilot, lambda: "This row cannot be rendered; o tells why." in shown(app))
        assert sum(isinstance(request, PreviewData) and request.only != () for request in engine.submitted) == 1


async def test_the_first_rows_are_there_before_the_rest(drive: Drive, engine: FakeEngine) -> None:
    head = preview(counts={"train": 0, "valid": 0, "test": 0}, complete=False, token_lengths={"max": 0},
                   rows=[replace(preview_row(at, "train", f"Head {at}."), split="") for at in range(5)])  # fmt: skip

    def answer(handle: JobHandle) -> None:
        if isinstance(handle.request, PreviewData) and handle.request.first:
            handle.result, handle.status = head, JobStatus.DONE

    engine.answer = answer
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await until(pilot, lambda: "Head 4." in shown(app) and "reading the rest" in shown(app))
        assert "train …   valid …   test …" in shown(app)
        await pilot.press("g", "3", "enter")
        await until(pilot, lambda: any("still being read" in text for text in notices(app)))
        rest = next(h for h in engine.handles() if isinstance(h.request, PreviewData) and not h.request.first)
        engine.end(rest, preview())
        await until(pilot, lambda: "1 of 440" in shown(app) and "reading the rest" not in shown(app))


async def test_b_orders_by_length(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = nine_rows(measured())
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await until(pilot, lambda: len(listed(app)) == 9)
        await pilot.press("b")
        await until(pilot, lambda: "longest first" in shown(app))
        assert listed(app)[:4] == ["train 3", "train 1", "valid 1", "train 4"]
        await pilot.press("g", *"valid 1", "enter")
        await until(pilot, lambda: app.screen.query_one("#data-rows", RowList).cursor == 2)
        await pilot.press("b")
        await until(pilot, lambda: "shortest first" in shown(app))
        assert listed(app)[:3] == ["train 2", "valid 0", "test 0"]
        await pilot.press("b")
        await until(pilot, lambda: listed(app)[:2] == ["train 0", "train 1"])


async def test_without_lengths_b_says_so(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(preview())
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await pilot.press("b")
        await until(pilot, lambda: any("still being counted" in text for text in notices(app)))


async def test_the_rows_of_a_problem_can_be_ordered_too(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = nine_rows(measured([PROBLEMS[1]]))
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await until(pilot, lambda: "▲ 1 warning" in shown(app))
        await pilot.press("o", "enter")
        await until(pilot, lambda: listed(app) == ["train 1", "train 3", "valid 1"])
        await pilot.press("b")
        await until(pilot, lambda: listed(app) == ["train 3", "train 1", "valid 1"])
        assert "▲ truncated" in app.screen.query_one("#data-row", TextPane).plain


async def test_search_lists_what_it_finds_and_escape_leads_back(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = nine_rows(measured(), (("train", 4), ("test", 0)))
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await pilot.press("slash", *"Winslow", "enter")
        await until(pilot, lambda: listed(app) == ["train 4", "test 0"] and "Rows with “Winslow”" in shown(app))
        assert isinstance(engine.submitted[-1], PreviewData | FindRows)
        assert [request.text for request in engine.submitted if isinstance(request, FindRows)] == ["Winslow"]
        await pilot.press("escape")
        await until(pilot, lambda: len(listed(app)) == 9)
        assert app.current_mode == "data"


async def test_search_that_finds_nothing_says_so(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = nine_rows(measured(), ())
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await pilot.press("slash", *"[b]", "enter")
        await until(pilot, lambda: any("No row has “[b]” in it." in text for text in notices(app)))
        assert len(listed(app)) == 9
        await pilot.press("slash", "enter")
        await until(pilot, lambda: len(listed(app)) == 9)


@pytest.mark.parametrize(
    ("text", "place"),
    [("12", ("valid", 12)), ("train 3", ("train", 3)), ("t 3", ("train", 3)), ("te 3", ("test", 3)),
     ("train 1,200", ("train", 1200))],
)  # fmt: skip
def test_a_row_is_sought_by_number_and_split(text: str, place: tuple[str, int]) -> None:
    assert sought(text, ("valid", 0), {"train": 5000, "valid": 40, "test": 40}) == place


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "by its number"), ("valid", "by its number"), ("-1", "by its number"), ("a b 1", "by its number"),
     ("unseen 1", "no split unseen; there are train, valid"), ("40", "valid has rows 0 to 39"), ("²", "by its number")],
)  # fmt: skip
def test_a_row_that_is_not_there_is_told(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sought(text, ("valid", 0), {"train": 5000, "valid": 40, "test": 0})


def test_the_store_forgets_what_is_far_and_keeps_a_window_whole() -> None:
    store, engine = RowStore(), FakeEngine(answering(preview(counts={"train": 100_000})))
    listing = Everything({"train": 100_000})
    long = replace(preview_row(0, "train"), tokens=[(0, "x")] * 150_000)
    store.reset([replace(long, index=at) for at in range(4)])
    assert store.row(("train", 0)) is not None, "what has just come stays, however long it is"
    store.ask(engine, PreviewData(experiment()), listing, range(500, 540), 500)
    assert store.take_answer() and store.row(("train", 520)) is not None
    assert store.row(("train", 1)) is None and store.missed


async def test_i_shows_places_and_ids(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(preview())
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        pane = app.screen.query_one("#data-row", TextPane)
        await pilot.press("v", "i")
        await until(pilot, lambda: "   at       id" in pane.plain)
        assert "    0        0  · ◆ <|user|>" in pane.plain
        assert "    9        9  ●   FT" in pane.plain
        await pilot.press("down", "down", "down", "down", "i")
        await until(pilot, lambda: "│" in pane.plain)


def test_cut_tokens_are_named_below_the_ids_too() -> None:
    assert "▲ 12 tokens at the end are cut off" in data_row.token_table(preview_row(4, "train"), 60).plain


def test_figures_tell_of_lengths_cuts_padding_epochs_and_answers() -> None:
    repeated = Problem("duplicates", "warning", 2, "2 training rows repeat others", "keep one")
    plain = data_figures.draw(measured([repeated], **FIGURES), experiment(), 42).plain
    for part in ("cut at 64", "half the rows", "3 rows are cut at 64 tokens: 268 tokens (40 %)",
                 "train.max_seq_length = 300",
                 "░ prompt", "fast mode", "3.1 % padding  ← chosen", "28 % padding", "1.36 times less", "3 steps",
                 "120 steps, 40.0 epochs", "▲ 2 training rows repeat others.", "4 of 6 answers are the same; 3",
                 "[b]no[/]"):  # fmt: skip
        assert part in " ".join(plain.split()) or part in plain, part


def test_figures_of_sound_data_say_so() -> None:
    facts = measured(labels={"distinct": 6, "short": False, "top": [["a long answer", 1]]})
    facts.tokens.update(max_seq_length=512, truncated=0, lost=0)
    plain = data_figures.draw(facts, experiment(), 42).plain
    for part in ("✓ No row is cut at 512", "✓ No training row repeats another.", "6 different of 6"):
        assert part in plain, part
    assert "▲" not in plain and "Batches" not in plain


@pytest.mark.parametrize("width", [20, 24, 42, 100])
@pytest.mark.parametrize("limit", [1, 64, 299, 300, 5000])
def test_the_histogram_fits_and_marks_the_cut(width: int, limit: int) -> None:
    bars = {"edges": list(range(0, 325, 13)), "counts": [3, 0, 9, *[1] * 21]}
    drawn = [line.plain for line in data_figures.histogram(bars, limit, max(width, 24))]
    assert max(map(len, drawn)) <= max(width, 24)
    assert any("▲" in line for line in drawn) == (limit < 312)
    assert drawn[6].count("▁") + sum(glyph in drawn[6] for glyph in "▂▃▄▅▆▇█") > 0


def test_without_tokens_there_are_no_figures() -> None:
    facts = linted([])
    assert "No row could be turned into tokens" in data_figures.draw(facts, experiment(), 40).plain


async def test_f_shows_the_figures_and_leads_back(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = nine_rows(measured(**FIGURES))
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await pilot.press("f")
        figures, browser = app.screen.query_one("#data-figures", TextPane), app.screen.query_one("#data-browser")
        await until(pilot, lambda: figures.has_focus and figures.size.height > 10 and not browser.display)
        assert "Rows by length" in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: browser.display and not figures.display)
        await pilot.press("f", "f")
        await until(pilot, lambda: app.screen.query_one("#data-rows", RowList).has_focus)


async def test_wide_windows_show_the_figures_beside_the_row(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = nine_rows(measured(**FIGURES))
    async with drive(size=(160, 50)) as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await until(pilot, lambda: "120 steps, 40.0 epochs" in shown(app) and "FT" in shown(app))
        await pilot.press("f")
        await until(pilot, lambda: app.screen.query_one("#data-figures").has_focus)
        assert app.screen.query_one("#data-browser").display
