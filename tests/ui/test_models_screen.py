"""The models screen: which models it lists, what it asks of each, and what it says when there is nothing to say."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import shown, shown_in, until
from tests.ui.workshop import (
    HOSTILE,
    SAFE,
    SIZES,
    about_models,
    answering,
    app_with,
    experiment,
    facts,
    listed,
    open_mode,
    place,
    posed,
    shelf,
    with_config,
)
from tui_tuner.config.model import AdapterSection
from tui_tuner.engine.model_requests import AskDevice, InspectModel, ListModels
from tui_tuner.engine.protocol import JobHandle
from tui_tuner.errors import TunerError
from tui_tuner.models.facts import fit
from tui_tuner.ui.screens.models import ModelsScreen
from tui_tuner.ui.widgets import models_facts
from tui_tuner.ui.widgets.config_facts import trained
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane

__all__ = ["place"]

BROKEN = TunerError("holds no config.json", where="/models/none", fix="name another folder")


def screen_of(app: Any) -> ModelsScreen:
    assert isinstance(app.screen, ModelsScreen)
    return app.screen


def lines_of(app: Any) -> list[str]:
    """The list's lines as they are shown, without those of the border."""
    region = app.screen.query_one("#models-list").content_region
    return [line[region.x : region.right] for line in shown(app).splitlines()[region.y : region.bottom]]


@pytest.mark.parametrize(
    ("needed", "usable", "found"),
    [(70, 100, "fits"), (71, 100, "tight"), (90, 100, "tight"), (91, 100, "too large"), (0, 100, None), (9, 0, None)],
)
def test_whether_a_model_fits(needed: int, usable: int, found: str | None) -> None:
    assert fit(needed, usable) == found


async def test_it_asks_for_list_and_device_and_waits(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "models")
        assert engine.submitted == [AskDevice(), ListModels(app.runs_dir, ())]
        assert "◌ looking which models there are" in shown(app)
        about_models(engine.handles()[1], facts())
        engine.tell()
        await until(pilot, lambda: "llama-8b-4bit" in shown(app))
        assert engine.submitted[-1] == InspectModel("embedded:phi3-tiny")
        asked = len(engine.submitted)
        app.go("config")
        app.go("models")
        await pilot.pause()
        assert len(engine.submitted) == asked


async def test_no_model_at_all_says_what_to_do(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = lambda handle: void(about_models(handle, facts(), []))
    async with drive() as (app, pilot):
        await open_mode(pilot, "models")
        assert "There is no model on this machine." in shown(app)


def void(_: object) -> None:
    return None


async def test_each_line_tells_size_bits_and_fit_by_sign_and_word(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(facts())
    async with drive(size=(120, 40)) as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        told = [" ".join(line.split()) for line in lines_of(app)]
        for line in (
            "▌ ● phi3-tiny 2.1 GB 4.5 ✓ fits ✓ fits",
            "llama-8b 16.1 GB 16.0 ✓ fits ▲ tight",
            "llama-8b-4bit 4.5 GB 4.5 ✓ fits ✗ large",
            "cut – – ✗ see details",
            "acme/tiny-chat 901 MB 6.6 ✓ fits ✓ fits",
            "other/model – – – –",
            "In the Hub's cache",
            "Named, and not on this machine",
        ):
            assert line in told, (line, told)


async def test_until_the_memory_is_known_nothing_is_said_to_fit(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = lambda handle: void(isinstance(handle.request, AskDevice) or about_models(handle, facts()))
    async with drive() as (app, pilot):
        await open_mode(pilot, "models")
        assert "llama-8b" in shown(app) and "fits" not in shown(app)
        about_models(engine.handles()[0], facts())
        engine.tell()
        await until(pilot, lambda: "✗ large" in shown(app))


async def test_everything_the_model_says_is_shown(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(facts())
    async with drive(size=(160, 60)) as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        text = shown(app)
        for part in ("phi3", "32 (keys and values 8)", "4,096 tokens", "bfloat16", "4 bits, group 64", "2.1 GB",
                     "4.5 bits a weight", "<|end|>", "9216 × 3072", "Nothing stands in the way", "24.0 GB",
                     "✓ fits, ~9.8 GB", "129 modules at 4 bits in groups of 64", "has weights of its own", "mit",
                     "A conversation as the template writes it"):  # fmt: skip
            assert part in text, part


async def test_another_line_is_another_model_and_what_was_read_is_not_asked_again(
    drive: Drive, engine: FakeEngine
) -> None:
    engine.answer = answering(facts())
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        await pilot.press("down")
        await until(pilot, lambda: engine.submitted[-1] == InspectModel("/models/llama-8b"))
        await until(pilot, lambda: screen_of(app).details is not None)
        asked = len(engine.submitted)
        await pilot.press("up", "down", "up")
        await until(pilot, lambda: screen_of(app).selected == shelf()[0])
        assert len(engine.submitted) == asked
        assert "of the experiment players" in shown(app)


async def test_what_is_not_here_is_not_fetched_by_looking(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(facts())
    async with drive() as (app, pilot):
        await open_mode(pilot, "models")
        await pilot.press("end")
        await until(pilot, lambda: "It is not on this machine." in shown(app))
        assert InspectModel("other/model") not in engine.submitted
        assert "preset other" in shown_in(app, app.screen.query_one("#models-sizes"))


async def test_chosen_modules_carry_a_mark_and_the_sum_is_right(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(facts())
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        plain = app.screen.query_one("#models-modules", TextPane).plain
        assert "● self_attn.qkv_proj" in plain and "○ self_attn.o_proj" in plain
        # rank × (outputs + inputs) of both modules in 32 layers
        assert 32 * 16 * ((9216 + 3072) + (3072 + 8192)) == 12_058_624
        assert "12.1 million numbers, 0.32 % of the model" in " ".join(plain.split())
        await pilot.press("down")
        await until(pilot, lambda: "●" not in app.screen.query_one("#models-modules", TextPane).plain)


@pytest.mark.parametrize(
    ("adapter", "count"),
    [
        ({"rank": 8, "layers": 2}, 2 * 8 * (9216 + 3072 + 3072 + 3072 + 16384 + 3072 + 3072 + 8192)),
        ({"rank": 1, "method": "dora", "targets": ["self_attn.o_proj"]}, 32 * (3072 + 3072 + 3072)),
        ({"method": "full", "layers": 1, "targets": ["self_attn.o_proj"]},
         9216 * 3072 + 3072 * 3072 + 16384 * 3072 + 3072 * 8192),
        ({"rank": 2, "layer_numbers": [0, 5, 9], "targets": ["q_proj"]}, 3 * 2 * (9216 + 3072)),
    ],
)  # fmt: skip
def test_trained_parameters(adapter: dict[str, object], count: int) -> None:
    found = trained(AdapterSection(**adapter), facts())
    assert found is not None and found.parameters == count


@pytest.mark.parametrize(("method", "count"), [("lora", 4 * 8 * (128 + 64)), ("full", 4 * 128 * 64)])
def test_each_expert_of_a_module_is_trained(method: str, count: int) -> None:
    mixture = facts(modules=[("mlp.switch_mlp.up_proj", "4 × 128 × 64")], layers=3)
    found = trained(AdapterSection(method=method, rank=8, layers=1), mixture)
    assert found is not None and found.parameters == count


def test_targets_are_marked_as_they_are_meant() -> None:
    """By groups, last parts and other tools' names, as training takes them; and as many layers as are named."""
    adapter = AdapterSection(rank=8, targets=["q_proj", "mlp"], layer_numbers=[3, 7])
    plain = models_facts.modules(facts(), adapter, 80).plain
    for mark, name in ("●", "self_attn.qkv_proj"), ("○", "self_attn.o_proj"), ("●", "mlp.down_proj"):
        assert f"{mark} {name}" in plain
    assert "3 of 4 modules in 2 of 32 layers" in plain and "✗" not in plain


async def test_targets_that_do_not_exist_and_problems_are_named(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(facts(problems=["The tokenizer has no chat template."], chat_template=""))
    async with drive(size=(160, 50)) as (app, pilot):
        await open_mode(pilot, "models", made=experiment(adapter_targets=["self_attn.nothing"]))
        text = " ".join(app.screen.query_one("#models-modules", TextPane).plain.split())
        assert '✗ adapter.targets: The model has no module "self_attn.nothing" to train; it has' in text
        assert "▲ The tokenizer has no chat template." in shown(app)
        assert "There is no chat template" in text


async def test_a_failure_is_one_sentence_and_r_asks_again(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(BROKEN)
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        pane = app.screen.query_one("#models-sizes")
        assert "✗ /models/none: holds no config.json; name another folder." in shown_in(app, pane)
        engine.answer = answering(facts())
        await pilot.press("r")
        await until(pilot, lambda: "Nothing stands in the way" in shown(app))
        assert engine.submitted.count(InspectModel("embedded:phi3-tiny")) == 2


async def test_what_a_model_says_is_text(drive: Drive, engine: FakeEngine) -> None:
    hostile = facts(architecture=HOSTILE, chat_template=HOSTILE, tokens={HOSTILE: HOSTILE},
                    modules=[(HOSTILE, HOSTILE)], problems=[HOSTILE], quantization=HOSTILE)  # fmt: skip
    models = [listed(name=HOSTILE, architecture=HOSTILE, problem=HOSTILE, made_as=HOSTILE, named_by=[HOSTILE])]
    engine.answer = lambda handle: void(about_models(handle, hostile, models))
    async with drive(size=(200, 60)) as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        text = shown(app)
        assert text.count(SAFE) >= 6
        assert "\x1b" not in text and "\u202e" not in text


async def test_s_goes_to_the_experiments_model_and_to_the_runs(
    drive: Drive, engine: FakeEngine, build: Callable[..., RunBuilder]
) -> None:
    engine.answer = answering(facts())
    run = with_config(build(), experiment(model_path="acme/tiny-chat")).begin()
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment(), run=run)
        assert "of the experiment players" in shown(app)
        await pilot.press("s")
        await until(pilot, lambda: f"of the run {run.folder.name}"[:30] in shown(app))
        assert engine.submitted[-1] == InspectModel("/cache/tiny-chat")
        wished = [one for one in engine.submitted if isinstance(one, ListModels)][-1]
        assert [(who, path) for who, path, _ in wished.named] == [
            ("experiment players", "embedded:phi3-tiny"),
            (f"run {run.folder.name}", "acme/tiny-chat"),
        ]


async def test_u_makes_the_selected_model_the_experiments(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(facts())
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        assert not screen_of(app).check_action("use", ())
        await pilot.press("down")
        await until(pilot, lambda: screen_of(app).check_action("use", ()))
        await pilot.press("u")
        await until(pilot, lambda: app.state.experiment.model.path == "/models/llama-8b")
        assert app.state.edited
        await until(pilot, lambda: "▌ ● llama-8b" in shown(app))


async def test_z_enlarges_a_pane_and_escape_takes_it_back(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(facts())
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        app.screen.query_one("#models-modules").focus()
        await pilot.press("z")
        pane = app.screen.query_one("#models-modules")
        await until(pilot, lambda: pane.size.height >= 18)
        assert "In the Hub's cache" not in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.query_one("#models-list", RowList).size.height > 3)
        assert app.current_mode == "models"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pose", ["empty", "filled", "error", "light"])
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str) -> None:
    def answer(handle: JobHandle) -> None:
        about_models(handle, BROKEN if pose == "error" else facts(), [] if pose == "empty" else None)

    text = {"empty": "There is no model", "error": "✗ /models/none"}.get(pose, "Nothing stands")
    app = app_with(place, FakeEngine(answer))
    keys = ("t",) if pose == "light" else ()
    assert snap_compare(app, terminal_size=size, run_before=posed("models", text, made=experiment(), keys=keys))
