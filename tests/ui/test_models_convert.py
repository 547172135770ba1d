"""Converting from the models screen: what is offered, forecast, made, and told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine
from tests.ui.looking import notices, shown, until
from tests.ui.modeljobs import LEARNED, MADE, METHODS, answer_unquantized, engine, going, models, wished
from tests.ui.workshop import about_models, experiment, facts, inspected, listed, open_mode, place, variant
from tui_tuner.engine.model_requests import ConvertModel
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.results import Offers
from tui_tuner.errors import TunerError
from tui_tuner.models.learned.methods import Learned
from tui_tuner.models.offers import offers_for
from tui_tuner.ui.convertdialog import ConvertDialog, forecast
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.screens.models import ModelsScreen
from tui_tuner.ui.screens.modelwork import free
from tui_tuner.ui.variantsview import VariantsView
from tui_tuner.ui.widgets.models_wish import Wish

__all__ = ["engine", "models", "place"]


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
