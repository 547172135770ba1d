"""A run that was stopped, or went back to a checkpoint, is, bit for bit, the run that never was interrupted.

Kills from outside, at any moment, are in `test_kills.py`; what damage to checkpoints does, in `test_checkpoints.py`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.exactness import events, run_watched, same, stop_after, weights
from tests.support.twins import twins
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx

Sections = dict[str, dict[str, Any]]

METHODS: dict[str, dict[str, Any]] = {
    "lora with dropout": {"method": "lora", "dropout": 0.2},
    "dora": {"method": "dora"},
    "full": {"method": "full"},
}
RATES = {"adam": 1e-3, "adamw": 1e-3, "muon": 1e-3, "sgd": 1e-2, "adafactor": 1e-3}
ACCUMULATION = {"each step": 1, "accumulated": 3}
MODES = ("fast", "stock")
PRODUCT = list(itertools.product(METHODS, RATES, ACCUMULATION, MODES))
QUICK = [
    ("lora with dropout", "muon", "accumulated", "fast"),
    ("lora with dropout", "sgd", "each step", "stock"),
    ("dora", "adafactor", "accumulated", "stock"),
    ("dora", "adam", "each step", "fast"),
    ("dora", "adamw", "each step", "fast"),
    ("full", "muon", "each step", "fast"),
    ("full", "adamw", "each step", "fast"),
]

# What else a configuration can hold that has a position of its own, or decides what a run ends with.
RIDERS: dict[str, Sections] = {
    "clipping": {"train": {"clip_norm": 0.05, "optimizer": "adamw", "weight_decay": 0.1}},
    "warm-up, then a cosine": {"train": {"warmup": 3, "schedule": "cosine", "grad_accumulation": 2}},
    "warm-up, then a line": {"train": {"warmup": 4, "schedule": "linear", "mode": "stock"}},
    "warm-up, then constant": {"train": {"warmup": 9}},
    "frozen layers reused": {"adapter": {"layers": 1}, "train": {"reuse_frozen": True, "iters": 20}},
    "frozen layers reused, dropout above": {
        "adapter": {"layers": 1, "dropout": 0.3},
        "train": {"reuse_frozen": True, "iters": 20, "grad_accumulation": 3},
    },
    "the best kept, by loss": {"train": {"keep": "best", "learning_rate": 3e-2, "eval_every": 2}},
    "the best kept, by answers": {"train": {"keep": "best", "best_by": "rouge1", "best_rows": 4, "eval_every": 3}},
    "the average of the best": {"train": {"keep": "average", "average_best": 3, "eval_every": 2}},
    "the last kept": {"train": {"keep": "last", "learning_rate": 3e-2, "eval_every": 2}},
    "patience": {"train": {"patience": 2, "learning_rate": 1e-1, "eval_every": 2, "iters": 40}},
    "whole epochs": {"data": {"train": 18}, "train": {"epochs": 3.0}},
    "recomputed activations": {"adapter": {"dropout": 0.1}, "train": {"grad_checkpoint": True}},
    "probes answered": {"adapter": {"dropout": 0.1}, "probes": {"prompts": ["what is red?", "who runs?"]}},
    "probes answered, stock": {"train": {"mode": "stock"}, "probes": {"prompts": ["what is red?"]}},
    "a few validation batches, stock": {"train": {"mode": "stock", "eval_batches": 1, "eval_every": 2}},
}
USUAL = (
    "clipping",
    "warm-up, then a cosine",
    "frozen layers reused, dropout above",
    "the best kept, by loss",
    "patience",
    "probes answered",
)
NO_ANSWERS: Sections = {"evaluation": {"enabled": False}}


def merged(*parts: Sections) -> Sections:
    """Sections of several, the later ones first in rank."""
    result: Sections = {}
    for part in parts:
        for section, values in part.items():
            result.setdefault(section, {}).update(values)
    return result


def die_at(folder: RunFolder, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the folder until a step is reported and fails there: all since the last checkpoint is lost."""

    def watch(kind: str, fields: dict[str, Any]) -> None:
        if kind == "train" and fields["step"] >= step:
            raise RuntimeError("as if killed")

    with pytest.raises(TunerError):
        run_watched(folder, JobControl(), watch, monkeypatch)


def interrupted_equals_whole(
    sections: Sections, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop after step 5, a loss of steps 9 to 11, and a stop in the validation that follows step 11."""
    sections = merged({"train": {"report_every": 1, "save_every": 4, "eval_every": 11}}, NO_ANSWERS, sections)
    whole, broken = new_run(**sections), new_run(**sections)
    shelf = ModelShelf()
    run_experiment(whole, JobControl(), shelf)
    last = events(whole, "train")[-1]["step"]
    stop_after(broken, "train", min(5, last - 1), monkeypatch, shelf)
    if last > 11:
        die_at(broken, 11, monkeypatch)
        assert not (broken.state / "0000011.safetensors").exists()
        stop_after(broken, "validation", 10, monkeypatch)
    document = run_experiment(broken, JobControl(), shelf)
    assert document["status"] == "finished"
    same(whole, broken)


def case(names: tuple[str, str, str, str]) -> Sections:
    method, optimizer, accumulation, mode = names
    train = {
        "optimizer": optimizer,
        "learning_rate": RATES[optimizer],
        "grad_accumulation": ACCUMULATION[accumulation],
        "mode": mode,
    }
    return {"adapter": METHODS[method], "train": train}


def test_the_quick_cases_have_every_value() -> None:
    assert set(QUICK) <= set(PRODUCT)
    assert [set(values) for values in zip(*QUICK, strict=True)] == [
        set(values) for values in zip(*PRODUCT, strict=True)
    ]


@pytest.mark.parametrize(
    "names", [pytest.param(c, marks=() if c in QUICK else pytest.mark.slow) for c in PRODUCT], ids=", ".join
)
def test_an_interrupted_run_is_the_whole_run(
    names: tuple[str, str, str, str], new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted_equals_whole(case(names), new_run, monkeypatch)


@pytest.mark.parametrize("name", twins(RIDERS, USUAL))
def test_an_interrupted_run_with(name: str, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted_equals_whole(RIDERS[name], new_run, monkeypatch)


@pytest.mark.parametrize("method", ["lora with dropout", "dora"])
@pytest.mark.parametrize("bits", twins([4, 8], [4]))
def test_an_interrupted_run_on_a_quantized_base(
    method: str,
    bits: int,
    new_run: Callable[..., RunFolder],
    model_of: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sections: Sections = {"model": {"path": str(model_of("phi3", bits))}, "adapter": METHODS[method]}
    interrupted_equals_whole(merged(sections, {"train": {"mode": "stock"}} if bits == 8 else {}), new_run, monkeypatch)


def test_a_run_stopped_in_any_place_resumes_exactly(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stops while the baseline answers, in the first and a later validation, after a resume, and in the last stages."""
    whole, broken = new_run(), new_run()
    run_experiment(whole, JobControl(), ModelShelf())
    moments = (("progress", 0), ("validation", 0), ("train", 2), ("validation", 4), ("checkpoint", 8))
    for kind, step in moments:
        stop_after(broken, kind, step, monkeypatch)
    for stage in ("train", "evaluate"):
        stop_when_done(broken, stage, monkeypatch)
    run_experiment(broken, JobControl(), ModelShelf())
    same(whole, broken)
    files = ["after.json", "after.jsonl", "before.json", "before.jsonl", "summary.json", "verdict.json"]
    assert [p.name for p in sorted(broken.evaluation.iterdir())] == files


def stop_when_done(folder: RunFolder, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    control = JobControl()

    def watch(kind: str, fields: dict[str, Any]) -> None:
        if kind == "stage" and (fields["name"], fields["status"]) == (stage, "done"):
            control.stop("test")

    assert run_watched(folder, control, watch, monkeypatch)["status"] == "stopped"


@pytest.mark.parametrize("mode", twins(MODES, ["fast"]))
@pytest.mark.parametrize("asked", ["probes", "answers that choose the best"])
def test_a_stop_while_answers_are_made_in_a_validation(
    asked: str, mode: str, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of the step that follows were drawn already; they must not be left out."""
    sections = merged(NO_ANSWERS, {"train": {"mode": mode, "eval_every": 3, "save_every": 100, "report_every": 1}})
    if asked == "probes":
        sections["probes"] = {"prompts": ["what is red?", "who runs?"]}
    else:
        sections["train"] |= {"best_by": "rouge1", "best_rows": 4}
    whole, broken = new_run(**sections), new_run(**sections)
    run_experiment(whole, JobControl(), ModelShelf())
    stop_after(broken, "validation", 5, monkeypatch)
    stopped_at = events(broken, "checkpoint")[-1]["step"]
    assert stopped_at == events(broken, "validation")[-1]["step"]  # it did stop before the step that follows
    run_experiment(broken, JobControl(), ModelShelf())
    same(whole, broken)


def test_a_finished_run_is_not_trained_again(new_run: Callable[..., RunFolder]) -> None:
    folder = new_run()
    first = run_experiment(folder, JobControl(), ModelShelf())
    before = weights(folder)
    again = run_experiment(folder, JobControl(), ModelShelf())
    assert (again["verdict"], again["steps"]) == (first["verdict"], first["steps"])
    assert all(np.array_equal(value, before[name]) for name, value in weights(folder).items())


def test_two_processes_cannot_run_one_folder(new_run: Callable[..., RunFolder]) -> None:
    from tui_tuner.runs.lock import RunLock

    folder = new_run()
    with RunLock(folder), pytest.raises(TunerError) as caught:
        run_experiment(folder, JobControl(), ModelShelf())
    assert caught.value.code == "run-locked"
    assert str(os.getpid()) in caught.value.sentence()
