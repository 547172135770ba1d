"""The models screen: what it asks, what it shows of the answer, and what it says when there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import shown, until
from tests.ui.workshop import (
    HOSTILE,
    SAFE,
    SIZES,
    answering,
    app_with,
    experiment,
    facts,
    open_mode,
    place,
    posed,
    with_config,
)
from tui_tuner.config.model import AdapterSection
from tui_tuner.engine.requests import DescribeModel
from tui_tuner.errors import TunerError
from tui_tuner.paths import resolve_model
from tui_tuner.ui.widgets import models_facts
from tui_tuner.ui.widgets.data_pane import TextPane

__all__ = ["place"]

BROKEN = TunerError("holds no config.json", where="/models/none", fix="name another folder")


async def test_without_experiment_or_run_it_says_what_to_do(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "models")
        assert "Choose a preset on Home (0)" in shown(app)
        assert app.engine.submitted == []


async def test_it_asks_for_the_resolved_model_once_and_waits(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        assert engine.submitted == [DescribeModel(resolve_model("embedded:phi3-tiny", None))]
        assert "◌ reading" in shown(app)
        engine.end(engine.handles()[0], facts())
        await until(pilot, lambda: "3.82 billion (3,821,079,552)" in shown(app))
        app.go("config")
        app.go("models")
        await pilot.pause()
        assert len(engine.submitted) == 1


async def test_everything_the_model_says_is_shown(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(facts())
    async with drive(size=(140, 50)) as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        text = shown(app)
        for part in ("phi3", "32 (keys and values 8)", "4,096 tokens", "bfloat16", "4 bits, group 64", "2.1 GB",
                     "4.5 bits a weight", "<|end|>", "9216 × 3072", "Nothing stands in the way"):  # fmt: skip
            assert part in text, part


async def test_chosen_modules_carry_a_mark_and_the_sum_is_right(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(facts())
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        plain = app.screen.query_one("#models-modules", TextPane).plain
        assert "● self_attn.qkv_proj" in plain and "○ self_attn.o_proj" in plain
        # rank × (outputs + inputs) of both modules in 32 layers
        assert 32 * 16 * ((9216 + 3072) + (3072 + 8192)) == 12_058_624
        assert "12.1 million numbers, 0.32 % of the model" in " ".join(plain.split())


@pytest.mark.parametrize(
    ("adapter", "count"),
    [
        ({"rank": 8, "layers": 2}, 2 * 8 * (9216 + 3072 + 3072 + 3072 + 16384 + 3072 + 3072 + 8192)),
        ({"rank": 1, "method": "dora", "targets": ["self_attn.o_proj"]}, 32 * (3072 + 3072 + 3072)),
        ({"method": "full", "layers": 1, "targets": ["self_attn.o_proj"]},
         9216 * 3072 + 3072 * 3072 + 16384 * 3072 + 3072 * 8192),
    ],
)  # fmt: skip
def test_trained_parameters(adapter: dict[str, object], count: int) -> None:
    assert models_facts.trained_parameters(facts(), AdapterSection(**adapter)) == count


async def test_targets_that_do_not_exist_and_problems_are_named(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(facts(problems=["The tokenizer has no chat template."], chat_template=""))
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment(adapter_targets=["self_attn.q_proj"]))
        text = shown(app)
        assert "✗ adapter.targets names what is not there: self_attn.q_proj." in text
        assert "▲ The tokenizer has no chat template." in text
        assert "There is no chat template" in text


async def test_a_failure_is_one_sentence_and_r_asks_again(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(BROKEN)
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        assert "✗ /models/none: holds no config.json; name another folder." in shown(app)
        engine.answer = answering(facts())
        await pilot.press("r")
        await until(pilot, lambda: "Nothing stands in the way" in shown(app))
        assert len(engine.submitted) == 2


async def test_what_a_model_says_is_text(drive: Drive, engine: FakeEngine) -> None:
    hostile = facts(architecture=HOSTILE, chat_template=HOSTILE, tokens={HOSTILE: HOSTILE},
                    modules=[(HOSTILE, HOSTILE)], problems=[HOSTILE], quantization=HOSTILE)  # fmt: skip
    engine.answer = answering(hostile)
    async with drive(size=(160, 50)) as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        text = shown(app)
        assert text.count(SAFE) >= 4
        assert "\x1b" not in text and "\u202e" not in text


async def test_s_switches_between_experiment_and_run(
    drive: Drive, engine: FakeEngine, build: Callable[..., RunBuilder]
) -> None:
    engine.answer = answering(facts())
    run = with_config(build(), experiment(model_path="other/model")).begin()
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment(), run=run)
        assert "of the experiment players" in shown(app)
        await pilot.press("s")
        await until(pilot, lambda: f"of the run {run.folder.name}"[:30] in shown(app))
        assert engine.submitted[-1] == DescribeModel("other/model")


async def test_z_enlarges_a_pane_and_escape_takes_it_back(drive: Drive, engine: FakeEngine) -> None:
    engine.answer = answering(facts())
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        app.screen.query_one("#models-template").focus()
        await pilot.press("z")
        pane = app.screen.query_one("#models-template")
        await until(pilot, lambda: pane.size.height >= 19)
        assert "Modules of a layer" not in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: "Modules of a layer" in shown(app))
        assert app.current_mode == "models"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pose", ["empty", "filled", "error"])
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str) -> None:
    result, text = {"empty": (None, "Choose a preset"), "filled": (facts(), "Nothing stands"), "error": (BROKEN, "✗")}[
        pose
    ]
    made = None if pose == "empty" else experiment()
    app = app_with(place, FakeEngine(answering(result)))
    assert snap_compare(app, terminal_size=size, run_before=posed("models", text, made=made))
