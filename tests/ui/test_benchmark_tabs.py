"""The other tabs of the benchmark screen: behaviour, canaries, checkpoints; and a row by the losses of its tokens."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import shown, shown_in, until
from tests.ui.measured import behaviour, canaries, measured
from tests.ui.workshop import HOSTILE, SAFE, SIZES, app_with, finished, open_mode, place, posed
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import TokenLosses
from tui_tuner.engine.results import RowLosses
from tui_tuner.errors import TunerError
from tui_tuner.ui.charts import LineChart
from tui_tuner.ui.widgets import benchmark_cases as cases
from tui_tuner.ui.widgets import benchmark_losses
from tui_tuner.ui.widgets.data_pane import TextPane

__all__ = ["place"]


async def open_tab(pilot: Pilot[Any], run: RunBuilder, name: str) -> None:
    await open_mode(pilot, "benchmark", run=run)
    for _ in range(6):
        if pilot.app.screen.has_class(f"-{name}"):
            break
        await pilot.press("v")
    await until(pilot, lambda: pilot.app.screen.has_class(f"-{name}"))


# -- drawing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [(5, 5, "held"), (3, 4, "held"), (5, 1, "weaker"), (3, 0, "died"), (None, 0, "not known before"), (0, 0, "held")],
)
def test_a_group_of_canaries_is_held_against_what_passed_before(before: int | None, after: int, word: str) -> None:
    first = None if before is None else canaries({"json": before})
    (entry,) = cases.entries("canaries", (first, canaries({"json": after})))
    assert cases.status(entry) == word
    assert cases.dead((first, canaries({"json": after}))) == (["json"] if word == "died" else [])


def test_what_the_result_tells_of_a_group_holds() -> None:
    told = canaries({"json": 3}, {"json": "died"})
    assert cases.dead((canaries({"json": 5}), told)) == ["json"]


@pytest.mark.parametrize(("right", "sign"), [(4, "✓ passes"), (1, "◐ 1 of 4"), (0, "✗ fails")])
def test_a_case_has_a_sign_and_a_word(right: int, sign: str) -> None:
    entry = cases.entries("behaviour", (None, behaviour((right, 0, 0))))[0]
    assert cases.line("behaviour", entry, 72).plain.rstrip().endswith(sign)


def test_documents_of_another_form_are_survived() -> None:
    odd: Any = {"cases": [{"name": 3, "answers": "none", "passed": "x", "rate": "y"}, 7], "rate": None}
    (entry,) = cases.entries("behaviour", (odd, None))
    for width in (20, 72, 150):
        cases.line("behaviour", entry, width)
        assert "Prompt" in cases.detail("behaviour", entry, ("a", "b"), width).plain
        cases.headline("behaviour", (odd, None), ("a", "b"), width)
    assert cases.detail("canaries", cases.Entry("x", {"cases": [{}, 3]}, None), ("a", "b"), 40).plain


def test_losses_are_told_by_stroke_and_figure() -> None:
    found = RowLosses(0, ["FT", " W\n", ""], [3.0, 1.0, 0.1], [0.2, 1.02, 2.5])
    content = benchmark_losses.drawing(found, f"Prompt {HOSTILE}", 72)
    assert "1.367 by the base, 1.240 with the adapter (−0.127)" in " ".join(content.plain.split())
    lines = content.plain.splitlines()
    table = [" ".join(line.split()) for line in lines[-3:]]
    assert table == ["FT 3.000 0.200 −2.800 ▲", "W↵ 1.000 1.020 +0.020 =", "∅ 0.100 2.500 +2.400 ▼"]
    assert SAFE in content.plain
    struck = {content.plain[s.start : s.end] for s in content.spans if "reverse" in str(s.style)}
    assert {"FT", "∅"} <= struck
    assert [benchmark_losses.style_of(loss).split()[0] for loss in (0.1, 1.0, 9.0)] == [
        "$text-success", "underline", "bold",
    ]  # fmt: skip
    assert "cut off" in benchmark_losses.drawing(RowLosses(0, [], [], []), "", 72).plain


# -- the screen ---------------------------------------------------------------------------------------------------


async def test_behaviour_shows_what_passes_and_why_not(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive(size=(120, 40)) as (app, pilot):
        await open_tab(pilot, measured(build()), "behaviour")
        await until(pilot, lambda: "no-chicken" in shown(app))
        text = shown(app)
        for part in ("25 % 0–55 %", "100 % 70–100 %", "✓ passes", "◐ 2 of 4", "Passed:", 'has "chicken"'):
            assert part in text, part
        assert SAFE in text and "\x1b" not in text
        await pilot.press("down", "down", "enter")
        pane = app.screen.query_one("#benchmark-behaviour", expect_type=cases.CasesPane).pane
        await until(pilot, lambda: str(pane.border_title) == "goals" and pane.has_class("zoomed"))


async def test_a_dead_canary_is_red_named_and_on_the_tab(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "benchmark", run=measured(build()))
        await until(pilot, lambda: "Canaries ✗" in shown(app))
        await open_tab(pilot, measured(build()), "canaries")
        await until(pilot, lambda: "✗ A canary died: refusal." in shown(app))
        for part in ("✓ held", "▼ weaker", "✗ died"):
            assert part in shown(app), part
        await pilot.press("down", "down")
        pane = app.screen.query_one("#benchmark-canaries", expect_type=cases.CasesPane).pane
        await until(pilot, lambda: str(pane.border_title) == "refusal")
        assert 'does not have "Paris"' in pane.plain and SAFE in pane.plain


async def test_living_canaries_make_no_noise(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    run = finished(build())
    for label in ("before", "after"):
        path = run.folder.evaluation / f"canaries-{label}.json"
        path.write_text(json.dumps(canaries({"general": 5})), encoding="utf-8")
    async with drive() as (app, pilot):
        await open_tab(pilot, run, "canaries")
        await until(pilot, lambda: "✓ No canary died" in shown(app))
        assert "Canaries ✗" not in shown(app)


async def test_checkpoints_are_drawn_with_the_best_marked(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (app, pilot):
        await open_tab(pilot, measured(build()), "checkpoints")
        pane = app.screen.query_one("#benchmark-checkpoints")
        chart = pane.query_one(LineChart)
        assert chart.series[0].name == "ROUGE-1" and list(chart.series[0].x) == [30, 60, 90, 120]
        assert [(mark.x, mark.glyph) for mark in chart.markers] == [(90.0, "◆")]
        await until(pilot, lambda: "◆ 90 0.994 0.944–1.000 0.290 best" in shown_in(app, pane).replace("▌", "").replace(
            "  ", " "))  # fmt: skip
        assert pane.step == 90  # type: ignore[attr-defined]
        await pilot.press("up")
        assert pane.step == 60  # type: ignore[attr-defined]


async def test_tabs_without_figures_say_what_they_are_for(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    async with drive() as (app, pilot):
        run = finished(build())
        for name, words in (
            ("behaviour", "named cases"),
            ("canaries", "made it forget"),
            ("checkpoints", "best at it"),
        ):
            await open_tab(pilot, run, name)
            await until(pilot, lambda words=words: words in shown(app))


def losing(engine: FakeEngine) -> JobHandle:
    """The last question for losses."""
    return next(h for h in reversed(engine.handles()) if isinstance(h.request, TokenLosses))


async def test_l_shows_the_row_token_by_token(
    drive: Drive, build: Callable[..., RunBuilder], engine: FakeEngine
) -> None:
    run = finished(build())
    async with drive() as (app, pilot):
        await open_tab(pilot, run, "rows")
        pane = app.screen.query_one("#benchmark-row", TextPane)
        await pilot.press("l")
        await until(pilot, lambda: "computing the losses" in pane.plain)
        first = losing(engine)
        assert first.request == TokenLosses(run.folder.path, 0, "FT W | Herons 4-2")
        await pilot.press("down")
        await until(pilot, lambda: losing(engine).request.index == 1)
        assert first.control.stop_requested
        engine.end(first, status=JobStatus.STOPPED)
        engine.end(losing(engine), RowLosses(1, ["FT", " W"], [2.0, 1.0], [0.1, 0.2]))
        await until(pilot, lambda: "1.500 by the base, 0.150 with the adapter" in " ".join(pane.plain.split()))
        await pilot.press("down")
        await until(pilot, lambda: losing(engine).request.index == 2)
        engine.end(losing(engine), error=TunerError("there is no such row", code="no-such-row"))
        await until(pilot, lambda: "✗ there is no such row" in pane.plain.lower() or "no such row" in pane.plain)
        await pilot.press("up")
        await until(pilot, lambda: "1.500 by the base" in " ".join(pane.plain.split()))
        assert len([h for h in engine.handles() if isinstance(h.request, TokenLosses)]) == 3
        (run.folder.adapters / "adapters.safetensors").write_bytes(b"the adapter of another checkpoint")
        await pilot.press("home", "down")
        await until(pilot, lambda: losing(engine).request.index == 1 and "the base" not in pane.plain)
        await pilot.press("l")
        await until(pilot, lambda: "Reference" in pane.plain)


async def test_without_an_adapter_there_are_no_losses_to_show(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    run = finished(build())
    (run.folder.adapters / "adapters.safetensors").unlink()
    async with drive() as (app, pilot):
        await open_tab(pilot, run, "rows")
        await until(pilot, lambda: "12 rows" in shown(app))
        assert "Token losses" not in shown(app)
        assert app.screen.check_action("losses", ()) is False


def answering_losses(handle: JobHandle) -> None:
    if isinstance(handle.request, TokenLosses):
        pieces = ["FT", " W", " |", " Her", "ons", " 4", "-", "2", "<|end|>"]
        base = [3.1, 2.6, 1.2, 0.9, 0.1, 2.9, 0.4, 2.2, 1.9]
        handle.status, handle.result = JobStatus.DONE, RowLosses(
            handle.request.index, pieces, base, [value / 9 for value in base[:-1]] + [2.4]
        )  # fmt: skip


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pose", ["behaviour", "canaries", "checkpoints", "losses", "nothing"])
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str) -> None:
    run = (finished if pose == "nothing" else measured)(RunBuilder(place))
    keys = {"behaviour": "v" * 3, "canaries": "v" * 4, "checkpoints": "v" * 5, "losses": "vvl", "nothing": "v" * 4}
    text = {"behaviour": "passes", "canaries": "A canary died", "checkpoints": "validation loss",
            "losses": "Mean loss of 9 tokens", "nothing": "made it forget"}[pose]  # fmt: skip
    app = app_with(place, FakeEngine(answering_losses))
    assert snap_compare(app, terminal_size=size, run_before=posed("benchmark", text, run=run, keys=tuple(keys[pose])))
