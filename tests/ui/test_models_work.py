"""Merging, handing on and deleting from the models screen: what it asks for, and what it tells of the results."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import notices, shown, until
from tests.ui.modeljobs import FUSED, answer, answer_unquantized, engine, going, models, wished
from tests.ui.workshop import SIZES, app_with, experiment, finished, open_mode, place, posed
from tui_tuner.engine.model_requests import DeleteCached, ExportAdapter, FuseAdapter
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.paths import EMBEDDED, resolve_model
from tui_tuner.ui.convertdialog import ConvertDialog
from tui_tuner.ui.fusedialog import FuseDialog
from tui_tuner.ui.handondialog import HandOnDialog
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.screens.models import ModelsScreen
from tui_tuner.ui.variantsview import VariantsView

__all__ = ["engine", "models", "place"]


# -- merging, handing on, deleting ----------------------------------------------------------------------------------


async def test_ways_to_merge_are_tried_laid_out_and_one_is_written(
    drive: Drive, engine: FakeEngine, build: Callable[..., RunBuilder], models: Path
) -> None:
    run = finished(build())
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", run=run)
        await pilot.press("f")
        await until(pilot, lambda: "Trying ways to merge" in shown(app))
        assert going(engine).request.run == str(run.folder.path) and going(engine).request.target is None
        engine.end(going(engine), FUSED)
        await until(pilot, lambda: isinstance(app.screen, FuseDialog))
        text = shown(app)
        assert "✗ stock" in text and "11.8 %" in text and "✓ 8bit  ◀ recommended" in text and "99.6 %" in text
        await pilot.press("up", "up", "enter")
        await until(pilot, lambda: "This way does not keep the fine-tune." in shown(app))
        assert wished(engine, FuseAdapter) == []
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: bool(wished(engine, FuseAdapter)))
        asked = wished(engine, FuseAdapter)[0]
        assert (asked.way, asked.target, asked.lossy) == ("8bit", models / run.folder.name, False)
        engine.end(going(engine), {**FUSED, "path": str(asked.target)})
        await until(pilot, lambda: any("done. It is" in one for one in notices(app)))
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, FuseDialog))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "Trying ways to merge" in shown(app))


async def test_an_adapter_is_handed_on(
    drive: Drive, engine: FakeEngine, build: Callable[..., RunBuilder], models: Path
) -> None:
    run = finished(build())
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", run=run)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, HandOnDialog))
        await pilot.press("down", "down")
        field = app.screen.query_one(Input)
        assert field.value == f"{run.folder.name}.gguf"
        field.value = "other"
        await pilot.press("enter")
        await until(pilot, lambda: "A GGUF file ends in .gguf." in shown(app))
        await pilot.press("up", "enter")
        await until(pilot, lambda: bool(wished(engine, ExportAdapter)))
        asked = wished(engine, ExportAdapter)[0]
        assert (asked.format, asked.target) == ("peft", models / "other")


async def test_without_an_adapter_nothing_is_offered_that_needs_one(drive: Drive, build: Callable[..., Any]) -> None:
    run = build().begin()
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment(), run=run)
        screen = app.screen
        assert isinstance(screen, ModelsScreen)
        assert not screen.check_action("fuse", ()) and not screen.check_action("hand_on", ())
        assert screen.check_action("convert", ()) and not screen.check_action("delete", ())


async def test_a_cached_model_is_deleted_after_a_question(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "models")
        await pilot.press("end", "up")
        await until(pilot, lambda: "1.8 GB on disk, all versions" in shown(app))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("escape")
        assert wished(engine, DeleteCached) == []
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("enter")
        await until(pilot, lambda: wished(engine, DeleteCached) == [DeleteCached("acme/tiny-chat")])
        handle = next(one for one in engine.handles() if isinstance(one.request, DeleteCached))
        engine.end(handle, 1_830_000_000)
        await until(pilot, lambda: any("that freed 1.8 GB" in one for one in notices(app)))


# -- the engine itself ----------------------------------------------------------------------------------------------


@pytest.mark.mlx
async def test_the_engine_lists_inspects_converts_and_lists_what_it_made(drive: Drive, models: Path) -> None:
    engine = LocalEngine()
    source = models / "own"
    shutil.copytree(resolve_model(f"{EMBEDDED}phi3-tiny", None), source)
    try:
        async with drive(engine=engine) as (app, pilot):
            await open_mode(pilot, "models", made=experiment(model_path=str(source)))
            screen = app.screen
            assert isinstance(screen, ModelsScreen)
            await until(pilot, lambda: screen.details is not None and screen.usable > 0, seconds=60)
            assert "▌ ● own" in shown(app) and "phi3-tiny" in shown(app)
            await pilot.press("c")
            await until(pilot, lambda: "bits a weight" in shown(app) and "→" in shown(app), seconds=60)
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, VariantsView), seconds=120)
            assert "own-4bit  4 bits, group 64" in shown(app)
            made = next(
                one.result for one in engine.handles() if one.title.startswith("convert") and one.request.target
            )
            assert made["measured_on"] == "40 rows of embedded:players" and made["perplexity"]["after"] > 1
            assert (models / "own-4bit" / "config.json").is_file()
            await pilot.press("enter")
            await until(pilot, lambda: screen.selected is not None and screen.selected.name == "own-4bit", seconds=60)
            assert screen.selected is not None and screen.selected.made_as == "4 bits, group 64"
    finally:
        assert engine.shutdown(30)


# -- pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pose", ["convert", "learned", "variants", "fuse", "export", "working"])
def test_picture(
    place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_TUNER_MODELS", "/home/ada/models")
    engine = FakeEngine(answer_unquantized if pose in ("learned", "variants") else answer)
    run = finished(RunBuilder(place))
    keys = {"convert": "c", "learned": "c", "variants": "v", "fuse": "f", "export": "e", "working": "b"}[pose]
    text = {
        "convert": "fits here",
        "learned": "19.3 GB",
        "variants": "perplexity:",
        "fuse": "◀",
        "export": "gguf",
        "working": "12 of 40",
    }[pose]
    before = posed("models", "Nothing stands", made=experiment(), run=run)

    async def prepare(pilot: Pilot[Any]) -> None:
        await before(pilot)
        assert isinstance(pilot.app.screen, ModelsScreen)
        if pose == "fuse":
            pilot.app.screen._work.fused[str(run.folder.path)] = FUSED
        await pilot.press(keys)
        if pose == "learned":
            await until(pilot, lambda: isinstance(pilot.app.screen, ConvertDialog))
            await pilot.press("left", "left")
        if pose == "working":
            await until(pilot, lambda: isinstance(pilot.app.screen, Question))
            await pilot.press("enter")
            going(engine).request.progress("modules", 12, 40)  # type: ignore[union-attr]
        app: Any = pilot.app
        # A dialog can be drawn before what lies under it.
        await until(pilot, lambda: text in shown(app) and "5 Benchmark" in shown(app), text)

    shot: Callable[[Pilot[Any]], Awaitable[None]] = prepare
    assert snap_compare(app_with(place, engine), terminal_size=size, run_before=shot)
