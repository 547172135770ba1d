"""The table of runs: finding, ordering, grouping, noting and deleting, with keys alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input

from tests.ui.conftest import Drive
from tests.ui.fakes import START, FakeEngine, RunBuilder
from tests.ui.looking import notices, shown, until
from tests.ui.workshop import HOSTILE, SIZES, app_with, place
from tui_tuner.runs import RunLock, list_runs
from tui_tuner.runs.folder import RunFolder
from tui_tuner.runs.labels import Labels, change_labels, labels_of
from tui_tuner.runs.trash import deleted_runs
from tui_tuner.ui.app import TunerApp

__all__ = ["place"]
Build = Callable[..., RunBuilder]


def keys(app: TunerApp) -> list[str]:
    """The keys of the table's lines; none before it is there."""
    return [str(row.key.value) for table in app.screen.query(DataTable) for row in table.ordered_rows]


def of_sweep(builder: RunBuilder, sweep: str) -> RunBuilder:
    meta = json.loads(builder.folder.meta.read_text())
    builder.folder.meta.write_text(json.dumps({**meta, "sweep": {"id": sweep}}))
    return builder


@pytest.fixture
def runs(build: Build) -> list[RunFolder]:
    """Three runs: `one` cut off, `two` and `three` finished, the second with the lower validation loss."""
    one = build("one", "20251001-000000").prepared().train(1, 90)
    two = build("two", "20251002-000000").prepared().train(1, 120).evaluated().finish()
    three = build("three", "20251003-000000").prepared().train(1, 30).finish()
    return [each.folder for each in (one, two, three)]


async def opened(app: TunerApp, pilot: Pilot[Any], runs: list[RunFolder]) -> None:
    app.go("runs")
    await until(pilot, lambda: len(keys(app)) == len(runs))


async def test_a_query_finds_as_it_is_typed_and_escape_takes_it_back(drive: Drive, runs: list[RunFolder]) -> None:
    async with drive(size=(160, 50)) as (app, pilot):
        await opened(app, pilot, runs)
        app.screen.action_find()  # type: ignore[attr-defined]
        assert isinstance(app.screen.focused, Input), "keys that come with it are for the line"
        await pilot.press(*"is:finished")
        await until(pilot, lambda: set(keys(app)) == {runs[1].name, runs[2].name})
        assert "2 of 3 runs" in shown(app)
        await pilot.press("enter", "escape")
        await until(pilot, lambda: len(keys(app)) == 3)
        await pilot.press("slash", *"stat:finished")
        await until(pilot, lambda: "did you mean state?" in shown(app))
        assert len(keys(app)) == 3, "a query that is not understood hides nothing"
        await pilot.press("escape", "escape")
        assert app.current_mode == "runs" and "did you mean" not in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "home")


async def test_a_query_that_finds_nothing_says_how_to_go_on(drive: Drive, runs: list[RunFolder]) -> None:
    async with drive() as (app, pilot):
        await opened(app, pilot, runs)
        await pilot.press("slash", *"nothing-like-it", "enter")
        await until(pilot, lambda: keys(app) == [] and "esc empties the query" in shown(app))
        await pilot.press("d", "n", "space", "enter")
        assert len(list_runs(app.runs_dir)) == 3


async def test_runs_are_sorted_by_a_key(drive: Drive, runs: list[RunFolder]) -> None:
    one, two, three = (folder.name for folder in runs)
    best = {summary.run: summary.best for summary in list_runs(runs[0].path.parent)}
    async with drive(size=(120, 40)) as (app, pilot):
        await opened(app, pilot, runs)
        await pilot.press("s")
        lowest = sorted(best, key=lambda run: best[run] if best[run] is not None else 9e9)
        await until(pilot, lambda: keys(app)[0] == lowest[0] and "sorted by best" in shown(app))
        await pilot.press("s", "s")
        await until(pilot, lambda: keys(app) == sorted([one, two, three]))


async def test_notes_stay_with_the_run(drive: Drive, runs: list[RunFolder]) -> None:
    async with drive(size=(160, 50)) as (app, pilot):
        await opened(app, pilot, runs)
        first = keys(app)[0]
        folder = RunFolder.open(app.runs_dir / first)
        await pilot.press("n", *"Keep #base", "tab", *"for Ann", "enter")
        await until(pilot, lambda: "#base #keep" in shown(app) and "for Ann" in shown(app))
        assert labels_of(folder.path) == Labels(("base", "keep"), "for Ann")
        await pilot.press("n", *"a,b", "enter")
        await until(pilot, lambda: "cannot be a tag" in shown(app))
        await pilot.press("escape", "i")
        await until(pilot, lambda: labels_of(folder.path).pinned and "★" in shown(app))
        await pilot.press("h")
        await until(pilot, lambda: first not in keys(app) and "1 archived" in shown(app))
        await pilot.press("slash", *"is:archived", "enter")
        await until(pilot, lambda: keys(app) == [first])
        await pilot.press("h")
        await until(pilot, lambda: not labels_of(folder.path).archived)


async def test_deleted_runs_come_back_with_a_key(drive: Drive, runs: list[RunFolder]) -> None:
    async with drive(size=(120, 40)) as (app, pilot):
        app.select_run(runs[2])
        await opened(app, pilot, runs)
        await pilot.press("space", "down", "space")
        await until(pilot, lambda: "2 marked" in shown(app))
        gone = set(keys(app)[:2])
        await pilot.press("d")
        await until(pilot, lambda: len(keys(app)) == 1)
        assert {each.run for each in deleted_runs(app.runs_dir)} == gone
        assert "2 runs: deleted; z brings it back." in notices(app)
        assert runs[2].name in gone
        assert app.state.run is None and app.state.follower is None
        await pilot.press("z")
        await until(pilot, lambda: len(keys(app)) == 3)
        assert deleted_runs(app.runs_dir) == []


async def test_marked_runs_are_compared(drive: Drive, runs: list[RunFolder]) -> None:
    async with drive(size=(120, 40)) as (app, pilot):
        await opened(app, pilot, runs)
        await pilot.press("space", "v")
        await until(pilot, lambda: any("Mark two runs" in each for each in notices(app)))
        await pilot.press("down", "space", "v")
        await until(pilot, lambda: type(app.screen).__name__ == "CompareScreen")
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "runs" and len(keys(app)) == 3)


async def test_home_and_end_go_to_the_first_and_the_last_run(drive: Drive, runs: list[RunFolder]) -> None:
    async with drive() as (app, pilot):
        await opened(app, pilot, runs)
        table = app.screen.query_one(DataTable)
        await pilot.press("end")
        assert table.cursor_row == table.row_count - 1 > 0
        await pilot.press("home")
        assert table.cursor_row == 0


async def test_a_run_that_is_written_is_not_deleted(drive: Drive, runs: list[RunFolder]) -> None:
    async with drive(size=(120, 40)) as (app, pilot):
        await opened(app, pilot, runs)
        name = keys(app)[0]
        with RunLock(RunFolder.open(app.runs_dir / name)):
            await pilot.press("d")
            await until(pilot, lambda: bool(notices(app)))
        assert name in keys(app) and deleted_runs(app.runs_dir) == []


async def test_a_sweep_is_a_group_that_folds(drive: Drive, build: Build) -> None:
    for number in range(3):
        of_sweep(build(f"rate-{number}", f"2025100{number + 1}-000000").prepared().train(1, 60).finish(), "rates")
    build("alone", "20251009-000000").prepared()
    async with drive(size=(160, 50)) as (app, pilot):
        app.go("runs")
        await until(pilot, lambda: len(keys(app)) == 5)
        assert "▾ sweep rates" in shown(app) and "3 of 3 done" in shown(app)
        table = app.screen.query_one(DataTable)
        table.move_cursor(row=table.get_row_index("sweep rates"))
        await pilot.press("enter")
        await until(pilot, lambda: len(keys(app)) == 2 and "▸ sweep rates" in shown(app))
        await pilot.press("d", "n", "u")
        assert len(list_runs(app.runs_dir)) == 4, "a heading is no run"
        await pilot.press("g")
        await until(pilot, lambda: len(keys(app)) == 5)
        table.move_cursor(row=table.get_row_index(next(key for key in keys(app) if key.startswith("alone"))))
        await pilot.press("g")
        await until(pilot, lambda: len(keys(app)) == 4 and "▾" not in shown(app))


async def test_what_is_noted_is_inert(drive: Drive, runs: list[RunFolder]) -> None:
    change_labels(runs[0], note=HOSTILE, add=["[red]x[/]"], pinned=True)
    async with drive(size=(160, 50)) as (app, pilot):
        await opened(app, pilot, runs)
        await until(pilot, lambda: "#[red]x[/]" in shown(app))
        assert "\x1b" not in shown(app) and "\u202e" not in shown(app)


# -- pictures -----------------------------------------------------------------------------------------------------


def listed(folder: Path) -> None:
    """Runs of every kind, fixed in time."""
    for number, rate in enumerate((0.9, 0.7, 0.8)):
        run = RunBuilder(folder, f"rates-{number}", f"2025100{number + 1}-101112").prepared()
        of_sweep(run.train(1, 120).finish(), "rates")
        run.folder.config.write_text(f"[train]\nlearning_rate = {rate}e-4\n")
    kept = RunBuilder(folder, "faq", "20251006-101112").prepared().train(1, 120).evaluated().finish()
    change_labels(kept.folder, add=["keep", "phi"], note="the one to show Ann", pinned=True)
    RunBuilder(folder, "cut-off", "20251005-101112").prepared().train(1, 60)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", ["listed", "found", "refused"])
def test_pictures(
    state: str,
    size: tuple[int, int],
    snap_compare: Any,
    place: Path,
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tui_tuner.ui.format.time.time", lambda: START + 3 * 3600)
    listed(place)

    async def prepare(pilot: Pilot[Any]) -> None:
        app: Any = pilot.app
        app.go("runs")
        await until(pilot, lambda: len(keys(app)) == 6)
        if state == "found":
            await pilot.press("slash", *"rates sort:best", "enter", "down", "space")
            await until(pilot, lambda: "1 marked" in shown(app))
        elif state == "refused":
            await pilot.press("slash", *"stat:x")
            await until(pilot, lambda: "did you mean" in shown(app))

    assert snap_compare(app_with(place, engine), terminal_size=size, run_before=prepare)
