"""Comparing any two results, exporting them, and the report on the screen."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import Input

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import notices, shown, until
from tests.ui.measured import measured
from tests.ui.workshop import SIZES, app_with, finished, open_mode, place, posed
from tui_tuner.ui.comparedialog import CompareDialog, offers
from tui_tuner.ui.exportdialog import ExportDialog
from tui_tuner.ui.reportview import ReportView, drawn
from tui_tuner.ui.screens.benchmark import BenchmarkScreen
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane

__all__ = ["place"]


# -- comparing ----------------------------------------------------------------------------------------------------


def test_every_result_of_every_run_is_offered_own_first(build: Callable[..., RunBuilder], runs_dir: Path) -> None:
    own, other = measured(build("own")), finished(build("other"))
    build("bare").begin()
    found = offers(runs_dir, own.folder.path)
    assert [offer.side.label for offer in found] == ["before", "after", "phi-3-mini", "step-60", "before", "after"]
    assert {offer.side.run for offer in found[:4]} == {own.folder.path}
    assert {offer.side.run for offer in found[4:]} == {other.folder.path}
    assert (found[1].n, found[1].metric, found[4].metric) == (12, "exact_match", "")


async def test_results_of_two_runs_are_compared(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    own, other = measured(build("own")), finished(build("other"))
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=own)
        await pilot.press("c")
        await until(pilot, lambda: "Which result is compared with?" in shown(app))
        assert isinstance(app.screen, CompareDialog)
        await pilot.press("down", "down", "down", "enter")
        await until(pilot, lambda: "against which?" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "is the first side already" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "Which result is compared with?" in shown(app))
        await pilot.press("enter", "end", "enter")
        await until(pilot, lambda: isinstance(app.screen, BenchmarkScreen))
        screen = app.screen
        assert isinstance(screen, BenchmarkScreen)
        await until(pilot, lambda: bool(screen._store.told))
        first, second = screen._store.names
        assert first.startswith("step-60 · own") and second.startswith("after · other")
        # All rows of step-60 have 0.8; of the other run row 3 has 0.1, row 5 has 0.3, ten have 1.0.
        told = screen._store.told["rouge1"]
        assert (told["wins"], told["ties"], told["losses"]) == (10, 0, 2)
        assert other.folder.path in screen._store.boards
        document = screen._store.document()
        assert set(document["sides"]) <= set(document["results"])
        await pilot.press("escape")
        await until(pilot, lambda: "Better on 3 of 4" in shown(app))


async def test_rows_of_other_tests_are_no_pairs(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    own, other = finished(build("own")), finished(build("other"))
    path = other.folder.evaluation / "after.jsonl"
    path.write_text(path.read_text("utf-8").replace('FT W | Herons 4-2", "pred', 'another", "pred'), "utf-8")
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=own)
        await pilot.press("c")
        await until(pilot, lambda: "Which result" in shown(app))
        await pilot.press("enter", "end", "enter")
        await until(pilot, lambda: "12 rows are others on the second side" in shown(app))
        assert "no scored row in common" in " ".join(shown(app).split())


# -- exporting ----------------------------------------------------------------------------------------------------


async def test_export_writes_says_where_and_never_writes_over_unasked(
    drive: Drive, build: Callable[..., RunBuilder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = measured(build())
    stem = f"{run.folder.name}-benchmark"
    (tmp_path / f"{stem}.json").write_text("mine", encoding="utf-8")
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=run)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        field = app.screen.query_one(Input)
        await until(pilot, lambda: field.value == f"{stem}.md")
        await pilot.press("up")
        await until(pilot, lambda: field.value == f"{stem}.json")
        await pilot.press("enter")
        await until(pilot, lambda: "There is such a file already" in shown(app))
        assert (tmp_path / f"{stem}.json").read_text("utf-8") == "mine"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, BenchmarkScreen))
        document = json.loads((tmp_path / f"{stem}.json").read_text("utf-8"))
        assert document["verdict"]["metrics"]["rougeL"]["rows_to_settle"] == 480
        assert notices(app)[-1] == f"Written to {tmp_path / stem}.json"


async def test_a_place_that_cannot_be_written_is_told(
    drive: Drive, build: Callable[..., RunBuilder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a short name, which no dialog has to cut
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=measured(build()))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        field = app.screen.query_one(Input)
        field.value = "nowhere/x.md"
        await pilot.press("enter")
        await until(pilot, lambda: "nowhere" in shown(app) and "▲" in shown(app))
        field.value = ""
        await pilot.press("enter")
        await until(pilot, lambda: "Type where it shall be written." in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BenchmarkScreen))


# -- the report ---------------------------------------------------------------------------------------------------


async def test_the_report_is_shown_as_text(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    run = measured(build())
    async with drive() as (app, pilot):
        await open_mode(pilot, "benchmark", run=run)
        await pilot.press("r")
        await until(pilot, lambda: "## before against after" in shown(app))
        assert "not written yet: e writes it" in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BenchmarkScreen))
        run.folder.report.write_text("# Mine [b]x[/b]\x1b[31m\n\n| a |\n", encoding="utf-8")
        await pilot.press("r")
        await until(pilot, lambda: "# Mine [b]x[/b]␛[31m" in shown(app))
        assert isinstance(app.screen, ReportView) and "report.md" in shown(app)
        await pilot.press("escape")


def test_headings_are_bold_and_lines_are_wrapped() -> None:
    content = drawn("# Head\n\n" + "word " * 30, 40)
    assert all(len(line) <= 40 for line in content.plain.split("\n"))
    assert any("bold" in str(span.style) and content.plain[span.start : span.end] == "# Head" for span in content.spans)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pose", ["compare", "export", "report"])
def test_picture(
    place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    run = measured(RunBuilder(place))
    keys = {"compare": ("c", "enter"), "export": ("e",), "report": ("r",)}[pose]
    text = {"compare": "against which?", "export": "In /, unless", "report": "against after"}[pose]
    app = app_with(place, FakeEngine())

    async def prepare(pilot: object) -> None:
        await posed("benchmark", text, run=run, keys=keys)(pilot)  # type: ignore[arg-type]
        for pane in app.screen.query(TextPane):
            assert pane.border_title is not None
        assert app.screen.query(RowList) or pose != "compare"

    assert snap_compare(app, terminal_size=size, run_before=prepare)
