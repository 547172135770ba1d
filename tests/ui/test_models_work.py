"""What the models screen has done to models: what it offers, what it asks for, and what it tells of the results."""

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
from tests.ui.workshop import (
    SIZES,
    about_models,
    app_with,
    experiment,
    facts,
    finished,
    inspected,
    listed,
    open_mode,
    place,
    posed,
    variant,
)
from tui_tuner.engine.model_requests import ConvertModel, DeleteCached, ExportAdapter, FuseAdapter
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.results import Offers
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.errors import TunerError
from tui_tuner.models.learned.methods import Learned
from tui_tuner.models.offers import offers_for
from tui_tuner.paths import EMBEDDED, resolve_model
from tui_tuner.ui.convertdialog import ConvertDialog, forecast
from tui_tuner.ui.fusedialog import FuseDialog
from tui_tuner.ui.handondialog import HandOnDialog
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.screens.models import ModelsScreen
from tui_tuner.ui.screens.modelwork import free
from tui_tuner.ui.variantsview import VariantsView
from tui_tuner.ui.widgets.models_wish import Wish

__all__ = ["place"]

FORECAST = {
    "scheme": "4 bits, group 64", "parameters": 3_821_079_552, "bytes_before": 7_640_000_000, "bytes": 2_149_000_000,
    "bits_per_weight": 4.5, "unquantized": [], "variants": [],
    "notes": ["1 of 130 modules stay unquantized (3% of their weights): head, its width of 100 is no multiple of 64"],
}  # fmt: skip
LEARNED = {
    **FORECAST, "scheme": "gptq, 4 bits, group 64", "memory_to_make": 19_300_000_000,
    "notes": ["needs the unquantized model in memory, about 19.3 GB in all; passes over up to 128 of your rows (512 "
              "tokens each) forward once, then solves for each module, which takes longest"],
}  # fmt: skip
METHODS = Offers({"affine": ((2, 4, 8), (32, 64)), "mxfp4": ((4,), (32,))}, ("mixed_3_6",), ("float16",), False,
                 {"dynamic": (32, 64), "dwq": (32, 64), "gptq": (32, 64)})  # fmt: skip
MADE = {
    "path": "/models/phi3-tiny-4bit", **FORECAST, "perplexity": {"before": 7.9, "after": 8.2}, "kl": 0.015,
    "top1_agreement": 0.94, "variants": [variant(4), variant(8)],
}  # fmt: skip


def way(name: str, kept: float, holds: bool, size: int) -> dict[str, Any]:
    return {"way": name, "text": f"merged as {name}", "bytes": size, "kept": kept, "holds": holds, "kl": 1.2e-3 / kept,
            "top1_agreement": min(kept + 0.01, 1.0), "loss": {"base": 2.0, "adapter": 0.6, "fused": 0.6 / kept},
            "exact": {"same": int(8 * kept), "of": 8}}  # fmt: skip


WAYS = [way("stock", 0.118, False, 2_149_000_000), way("finer", 0.83, False, 2_400_000_000),
        way("8bit", 0.996, True, 3_900_000_000), way("float", 1.0, True, 7_640_000_000)]  # fmt: skip
FUSED = {"path": None, **WAYS[2], "recommended": "8bit", "ways": WAYS, "measured_on": "40 held-out rows (test)"}


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models, and a cache, of the test's own."""
    monkeypatch.setenv("TUI_TUNER_MODELS", str(tmp_path / "made"))
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "made"


def answer(handle: JobHandle) -> None:
    """Questions about models and forecasts at once; what writes a model waits for the test."""
    request = handle.request
    known = inspected(facts(), variants=[variant(4), variant(8)])
    if not about_models(handle, known) and isinstance(request, ConvertModel) and request.target is None:
        handle.status, handle.result = JobStatus.DONE, FORECAST if request.learned is None else LEARNED


def answer_unquantized(handle: JobHandle) -> None:
    """The same about a model that learned methods apply to."""
    learned = variant(4, path="/models/phi3-tiny-4bit-gptq", scheme="gptq, 4 bits, group 64", kl=0.004,
                      calibrated_on="128 train rows of players, none of which it is measured on")  # fmt: skip
    known = inspected(facts(quantization="none"), offers=METHODS, variants=[variant(4), variant(8), learned])
    if not about_models(handle, known):
        answer(handle)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(answer)


def wished(engine: FakeEngine, kind: type) -> list[Any]:
    """Requests of a kind that write something."""
    return [one for one in engine.submitted if isinstance(one, kind) and getattr(one, "target", "") is not None]


def going(engine: FakeEngine) -> JobHandle:
    return next(one for one in engine.handles() if one.status is JobStatus.RUNNING and one.request.lane == "mlx")


# -- what is offered ------------------------------------------------------------------------------------------------


def test_a_wish_has_only_the_settings_of_its_mode_and_what_fits() -> None:
    wish = Wish(Offers({"affine": ((4, 8), (32,)), "nvfp4": ((4,), (16,))}, (), ("float16",), False))
    assert wish.kinds == ("affine", "nvfp4", "another type")
    assert wish.settings == {"Mode": wish.kinds, "Bits": ("4", "8"), "Type": ("as it is", "float16")}
    asked = wish.request("m", None)
    assert (asked.bits, asked.group_size, asked.mode, asked.dtype) == (4, 32, "affine", "")
    wish.step("Bits", 1)
    wish.step("Type", 1)
    assert wish.suffix == "8bit-float16"
    wish.step("Mode", 1)
    asked = wish.request("m", None)
    assert (asked.bits, asked.group_size, asked.mode, asked.dtype) == (None, 16, "nvfp4", "float16")
    wish.step("Mode", 1)
    assert list(wish.settings) == ["Mode", "Type"] and wish.suffix == "float16"
    asked = wish.request("m", None)
    assert (asked.bits, asked.group_size, asked.mode, asked.dtype) == (None, None, "affine", "float16")


def test_mixtures_and_dequantizing_become_their_requests() -> None:
    wish = Wish(Offers({"affine": ((4, 8), (64, 128))}, ("mixed_2_6", "mixed_4_6"), (), True))
    wish.step("Mode", 1)
    wish.step("Recipe", -1)
    wish.step("Group", 1)
    asked = wish.request("m", Path("x"), "rows.jsonl", force=True)
    assert (asked.bits, asked.group_size, asked.recipe, asked.data) == (None, 128, "mixed_4_6", "rows.jsonl")
    assert asked.force and wish.suffix == "mixed-4-6-g128"
    wish.step("Mode", 1)
    assert wish.request("m", None).dequantize and wish.suffix == "dequantized"


def test_learned_methods_have_settings_of_their_own_and_become_their_requests() -> None:
    wish = Wish(METHODS)
    assert wish.kinds == ("affine", "mxfp4", "mixed bits", "dynamic", "dwq", "gptq", "another type")
    asked = {}
    for _ in range(3):
        wish.step("Mode", 1)
    for kind in ("dynamic", "dwq", "gptq"):
        assert wish.learns and wish.value("Mode") == kind and "Type" not in wish.settings
        wish.step(list(wish.settings)[-1], 1)
        asked[kind] = wish.request("m", None)
        assert wish.suffix == f"4bit-{kind}" and asked[kind].mode == "affine" and asked[kind].group_size == 64
        wish.step("Mode", 1)
    assert asked["dynamic"].learned == Learned("dynamic", 128, high_bits=8)
    assert asked["dwq"].learned == Learned("dwq", 1024, learning_rate=1e-5)
    assert asked["gptq"].learned == Learned("gptq", 128, rest_bits=4)
    assert not wish.learns and wish.request("m", None).learned is None


@pytest.mark.parametrize(
    ("changes", "methods"),
    [
        ({}, {}),
        ({"quantization": "none"}, {"dynamic": (32, 64, 128), "dwq": (32, 64, 128), "gptq": (32, 64, 128)}),
        ({"quantization": "none", "architecture": "llama", "hidden": 96},
         {"dynamic": (32,), "awq": (32,), "dwq": (32, 64, 128), "gptq": (32, 64, 128)}),
    ],
)  # fmt: skip
def test_only_methods_that_apply_to_a_model_are_offered(changes: dict[str, Any], methods: dict[str, Any]) -> None:
    assert offers_for(facts(**changes)).methods == methods


def test_a_free_place_has_a_number() -> None:
    taken = {Path("/m/a"), Path("/m/a-2")}
    assert free(Path("/m/a"), taken.__contains__) == Path("/m/a-3")
    assert free(Path("/m/b"), taken.__contains__) == Path("/m/b")


# -- converting -----------------------------------------------------------------------------------------------------


async def test_a_conversion_is_chosen_forecast_done_and_told(drive: Drive, engine: FakeEngine, models: Path) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ConvertDialog))
        await until(pilot, lambda: "7.6 GB → 2.1 GB on disk and in memory, 4.50 bits a weight" in shown(app))
        assert "✓ fits here" in shown(app) and "1 of 130 modules stay unquantized" in shown(app)
        await pilot.press("down", "right")
        await until(pilot, lambda: "‹ 5 ›" in shown(app))
        await until(pilot, lambda: any(getattr(one, "bits", 0) == 5 for one in engine.submitted))
        assert app.screen.query_one("#convert-target", Input).value == str(models / "phi3-tiny-5bit")
        await pilot.press("enter")
        await until(pilot, lambda: bool(wished(engine, ConvertModel)))
        asked = wished(engine, ConvertModel)[0]
        assert (asked.model, asked.bits, asked.group_size) == ("embedded:phi3-tiny", 5, 64)
        assert asked.target == models / "phi3-tiny-5bit" and asked.data == "embedded:players" and not asked.force
        asked.progress("modules", 12, 40)
        await until(pilot, lambda: "Converting into phi3-tiny-5bit: modules 12 of 40" in shown(app))
        engine.end(going(engine), MADE)
        await until(pilot, lambda: isinstance(app.screen, VariantsView))
        assert "7.90" in shown(app) and "8.20" in shown(app) and "94.0 %" in shown(app)
        assert "measured on 40 rows of players" in shown(app)
        await pilot.press("escape")
        assert "◌" not in shown(app)


async def test_a_learned_method_tells_its_cost_and_wants_rows(drive: Drive, engine: FakeEngine, models: Path) -> None:
    engine.answer = answer_unquantized
    async with drive() as (app, pilot):
        await open_mode(pilot, "models")
        await pilot.press("end", "up", "up", "up", "up", "c")
        await until(pilot, lambda: isinstance(app.screen, ConvertDialog))
        app.screen.query_one("#convert-data", Input).value = ""
        await pilot.press("left", "left")
        await until(pilot, lambda: "‹ gptq ›" in shown(app) and "about 19.3 GB in all" in shown(app))
        assert "Learns from rows, and is measured on others, of" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: "This way learns from rows of yours" in shown(app))
        assert wished(engine, ConvertModel) == []
        app.screen.query_one("#convert-data", Input).value = "my.jsonl"
        await pilot.press("enter")
        await until(pilot, lambda: bool(wished(engine, ConvertModel)))
        asked = wished(engine, ConvertModel)[0]
        assert asked.learned == Learned("gptq", 128, rest_bits=6) and asked.data == "my.jsonl"
        assert asked.target.name.endswith("-4bit-gptq")


def test_what_has_no_room_to_be_made_is_said() -> None:
    told = forecast(LEARNED, 16_000_000_000, 60).plain
    assert "Making it takes about 19.3 GB, and a job can have 16.0 GB here." in " ".join(told.split())


async def test_what_is_there_is_replaced_only_after_a_second_enter(
    drive: Drive, engine: FakeEngine, models: Path
) -> None:
    (models / "phi3-tiny-4bit").mkdir(parents=True)
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ConvertDialog))
        await pilot.press("enter")
        await until(pilot, lambda: "There is something in that folder already" in shown(app))
        assert wished(engine, ConvertModel) == []
        await pilot.press("enter")
        await until(pilot, lambda: bool(wished(engine, ConvertModel)))
        assert wished(engine, ConvertModel)[0].force


async def test_a_failure_and_a_stop_are_told_in_a_sentence(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("enter")
        await until(pilot, lambda: len(wished(engine, ConvertModel)) == 2)
        assert [(one.bits, one.target.name) for one in wished(engine, ConvertModel)] == [
            (4, "phi3-tiny-4bit"),
            (8, "phi3-tiny-8bit"),
        ]
        assert "1 more to come" in shown(app)
        engine.end(going(engine), error=TunerError("the disk is full", where="/models", fix="make room"))
        await until(pilot, lambda: any("the disk is full" in one for one in notices(app)))
        await pilot.press("x")
        assert going(engine).control.stop_requested
        await until(pilot, lambda: "Stopping" in shown(app))
        engine.end(going(engine), status=JobStatus.STOPPED)
        await until(pilot, lambda: any("Nothing was written" in one for one in notices(app)))


async def test_a_variant_that_is_chosen_is_gone_to_in_the_list(drive: Drive, engine: FakeEngine) -> None:
    models = [listed(), listed(path="/models/phi3-tiny-8bit", name="phi3-tiny-8bit", folder="/models/phi3-tiny-8bit",
                               source="local")]  # fmt: skip
    plain = engine.answer

    def respond(handle: JobHandle) -> None:
        if plain is not None:
            plain(handle)
        about_models(handle, inspected(facts(), variants=[variant(4), variant(8)]), models)

    engine.answer = respond
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, VariantsView))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        screen = app.screen
        assert isinstance(screen, ModelsScreen)
        await until(pilot, lambda: screen.selected == models[1])


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
        for line in app.screen.query(Input):
            line.cursor_blink = False

    shot: Callable[[Pilot[Any]], Awaitable[None]] = prepare
    assert snap_compare(app_with(place, engine), terminal_size=size, run_before=shot)
