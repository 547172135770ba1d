"""What was read for a dialog or a view that was left just then: it comes to nothing, and to no error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen

from tests.ui.conftest import Drive
from tests.ui.fakes import RunBuilder
from tests.ui.looking import until
from tui_tuner.evaluation.together import bring_together, read_members
from tui_tuner.ui.comparedialog import CompareDialog
from tui_tuner.ui.reportview import ReportView
from tui_tuner.ui.screens.compare import CompareScreen


async def left(pilot: Pilot[Any], screen: Screen[Any]) -> None:
    """Shows a screen and leaves it."""
    pilot.app.push_screen(screen)
    await until(pilot, lambda: pilot.app.screen is screen)
    await pilot.press("escape")
    await until(pilot, lambda: not screen.is_attached)


async def test_a_report_that_nobody_waits_for_any_more(drive: Drive) -> None:
    async with drive() as (_app, pilot):
        screen = ReportView(lambda: ("", ""))
        await left(pilot, screen)
        screen._show("# A report", "report.md")


async def test_results_that_nobody_waits_for_any_more(drive: Drive, tmp_path: Path) -> None:
    async with drive() as (_app, pilot):
        screen = CompareDialog(tmp_path, None)
        await left(pilot, screen)
        screen._show([])
        screen._fail("The runs cannot be listed.")


async def test_a_comparison_that_nobody_waits_for_any_more(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    folders = [build(name).prepared().train(1, 5).finish().folder for name in ("one", "two")]
    async with drive() as (_app, pilot):
        screen = CompareScreen(folders)
        await left(pilot, screen)
        together = bring_together(read_members(folders), judged=False)
        screen._show(together)
        screen._take(together)
