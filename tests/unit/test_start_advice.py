"""Advice before the start: said when it should be, silent otherwise, and every change is one that can be made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.config import Experiment, load_preset, with_overrides
from tui_tuner.config.advice import CODES, RULES, Hint, Known, advise, iterations

PRESETS = sorted(path.stem for path in (Path(__file__).parents[2] / "presets").glob("*.toml"))
PHI = Known(
    parameters=3_800_000_000, layers=32, per_rank=1_572_864, train=1000, valid=50, tokens=30_000, steps_per_epoch=250
)


def experiment(**tables: dict[str, Any]) -> Experiment:
    return Experiment.model_validate({"model": {"path": "m"}, "data": {"source": "d"}, **tables})


def said(made: Experiment, known: Known = PHI) -> dict[str, Hint]:
    return {hint.code: hint for hint in advise(made, known)}


def test_rules_and_codes_go_together() -> None:
    assert [rule.__name__.replace("_", "-") for rule in RULES] == list(CODES)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("scale", [[], ["scale=tiny"]])
def test_presets_of_the_project_get_no_warning(name: str, scale: list[str]) -> None:
    if name == "quickstart" and scale:
        pytest.skip("is small itself")
    made, _ = load_preset(str(Path(__file__).parents[2] / "presets" / f"{name}.toml"), scale)
    tiny = made.model.path.startswith("embedded:")
    rows = made.data.train or (3 * 48 if made.data.split == "facts" else 4500)
    known = replace(
        PHI,
        parameters=900_000 if tiny else PHI.parameters,
        layers=4 if tiny else 32,
        train=rows,
        valid=made.data.valid or 500,
        steps_per_epoch=-(-rows // made.train.batch_size),
        tokens=30 * rows,
    )
    assert [hint for hint in advise(made, known) if hint.severity == "warning"] == []


@pytest.mark.parametrize(
    ("tables", "known", "code", "change"),
    [
        ({"train": {"learning_rate": 1e-3}}, PHI, "rate-for-method", {"train.learning_rate": 1e-4}),
        (
            {"train": {"learning_rate": 1e-4}, "adapter": {"method": "full"}},
            PHI,
            "rate-for-method",
            {"train.learning_rate": 1e-5},
        ),
        ({"train": {"learning_rate": 1e-7}}, PHI, "rate-for-method", {"train.learning_rate": 1e-4}),
        ({"adapter": {"layers": 16}}, replace(PHI, layers=5), "layers-of-model", {"adapter.layers": 0}),
        ({"data": {"source": "d", "shape": "text"}}, PHI, "masking-texts", {"data.mask_prompt": False}),
        ({}, replace(PHI, texts=True), "masking-texts", {"data.mask_prompt": False}),
        ({"train": {"epochs": 12}}, PHI, "too-many-epochs", {"train.epochs": 3.0}),
        ({"train": {"iters": 5000}}, PHI, "too-many-epochs", {"train.iters": 750}),
        ({"train": {"iters": 100}}, PHI, "too-few-epochs", {"train.epochs": 1.0}),
        ({"train": {"iters": 100, "warmup": 60}}, PHI, "warmup-of-run", {"train.warmup": 5}),
        ({"train": {"eval_every": 10}}, replace(PHI, valid=500), "validation-dear", {"train.eval_every": 200}),
        ({"train": {"iters": 500, "save_every": 500}}, PHI, "saving-seldom", {"train.save_every": 50}),
        (
            {"adapter": {"rank": 64, "alpha": 128.0}},
            PHI,
            "rank-for-data",
            {"adapter.rank": 8, "adapter.alpha": 16.0},
        ),
        ({"train": {"batch_size": 32}}, replace(PHI, train=100), "batch-of-rows", {"train.batch_size": 6}),
        ({"train": {"max_seq_length": 512}}, replace(PHI, longest=4000), "length-of-rows", {}),
        ({"train": {"iters": 400, "eval_every": 200}}, PHI, "validation-seldom", {"train.eval_every": 50}),
        ({"train": {"patience": 9, "iters": 500, "eval_every": 100}}, PHI, "patience-of-run", {"train.eval_every": 10}),
    ],
)
def test_what_is_said_and_what_it_would_change(
    tables: dict[str, Any], known: Known, code: str, change: dict[str, Any]
) -> None:
    made = experiment(**tables)
    hint = said(made, known)[code]
    assert dict(hint.change) == change
    after = with_overrides(made, hint.overrides)
    if change:
        assert code not in said(after, known)


def test_nothing_is_said_of_what_is_not_known() -> None:
    made = experiment(train={"learning_rate": 1e-2, "epochs": 40}, adapter={"rank": 128, "layers": 60})
    assert said(made, Known()) == {}


def test_small_models_bear_more() -> None:
    made = experiment(train={"learning_rate": 1e-3})
    assert "rate-for-method" not in said(made, replace(PHI, parameters=1_000_000))


def test_facts_are_meant_to_be_repeated() -> None:
    data = {"source": "d", "split": "facts", "prompt": ["a {x}", "b {x}", "c {x}"], "completion": ["{y}"]}
    assert "too-many-epochs" not in said(experiment(data=data, train={"epochs": 40}))
    assert said(experiment(data=data, train={"epochs": 2}))["too-few-epochs"].severity == "warning"


def test_epochs_need_the_rows_to_become_iterations() -> None:
    made = experiment(train={"epochs": 2})
    assert iterations(made, Known()) is None
    assert iterations(made, PHI) == 500


def test_a_change_that_the_experiment_would_refuse_is_not_offered() -> None:
    made = experiment(train={"iters": 5000, "warmup": 900, "grad_accumulation": 4})
    hint = said(made)["too-many-epochs"]
    assert hint.change == {} and hint.fix == ""


@settings(max_examples=200, deadline=None)
@given(
    iters=st.integers(1, 20_000),
    epochs=st.sampled_from([0.0, 0.3, 1.0, 3.0, 40.0]),
    batch=st.integers(1, 64),
    rate=st.sampled_from([1e-8, 1e-5, 1e-4, 1e-2]),
    every=st.integers(1, 3000),
    rank=st.sampled_from([1, 8, 64, 256]),
    patience=st.integers(0, 20),
    rows=st.integers(1, 10_000),
    small=st.booleans(),
)
def test_every_change_is_accepted_and_ends_what_it_is_for(
    iters: int, epochs: float, batch: int, rate: float, every: int, rank: int, patience: int, rows: int, small: bool
) -> None:
    train = {"iters": iters, "epochs": epochs, "batch_size": batch, "learning_rate": rate, "eval_every": every}
    made = experiment(train={**train, "save_every": every, "patience": patience}, adapter={"rank": rank})
    known = replace(
        PHI, parameters=10**6 if small else 10**10, train=rows, valid=rows // 10, steps_per_epoch=-(-rows // batch)
    )
    for hint in advise(made, known):
        after = with_overrides(made, hint.overrides)
        if hint.code in ("rate-for-method", "layers-of-model", "saving-seldom", "rank-for-data"):
            assert hint.code not in said(after, known)
