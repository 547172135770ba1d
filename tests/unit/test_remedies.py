"""Advice as it is read back from a run: the newest of each matter, gravest first; and what follows it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.config import Experiment, load_experiment
from tui_tuner.config.difference import Difference, of_change, value_text
from tui_tuner.config.toml import dump_experiment
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunView
from tui_tuner.training.remedies import (
    Said,
    combined,
    command,
    follow,
    next_name,
    said,
)


def experiment(**train: Any) -> Experiment:
    return Experiment.model_validate(
        {"run": {"name": "players"}, "model": {"path": "m"}, "data": {"source": "d"}, "train": train}
    )


def view(*advice: dict[str, Any]) -> RunView:
    made = RunView()
    made.extend({"t": float(step), "type": "train", "step": step, "loss": 1.0} for step in (10, 20, 30))
    made.extend({"t": 25.0, "type": "advice", **one} for one in advice)
    return made


def advice(code: str, severity: str = "warning", **change: Any) -> Said:
    return Said(code, severity, f"{code}.", 1, {key.replace("__", "."): value for key, value in change.items()})  # type: ignore[arg-type]


def test_the_newest_of_each_matter_is_listed_gravest_first() -> None:
    found = said(
        view(
            {"code": "padding", "severity": "info", "text": "a."},
            {"code": "diverging", "severity": "warning", "text": "b.", "step": 12},
            {"code": "memory", "severity": "warning", "text": "c."},
            {"code": "diverging", "severity": "error", "text": "d.", "change": {"train.warmup": 3}, "step": 24},
        )
    )
    assert [(one.code, one.severity, one.text) for one in found] == [
        ("diverging", "error", "d."),
        ("memory", "warning", "c."),
        ("padding", "info", "a."),
    ]
    assert (found[0].step, found[0].change) == (24, {"train.warmup": 3})
    assert found[1].step == 20  # an event that does not say it: the last report before it


@pytest.mark.parametrize(
    "event",
    [{}, {"text": ""}, {"text": 3}, {"text": "x", "severity": 9, "code": None, "change": "\x1b[2J", "step": "1"}],
)
def test_what_is_no_advice_does_no_harm(event: dict[str, Any]) -> None:
    found = said(view(event))
    assert found == ([Said("", "warning", "x", 20)] if event.get("text") == "x" else [])
    assert said(RunView()) == []


def test_a_change_is_told_beside_the_old_values() -> None:
    change = {
        "train.learning_rate": 5e-5,
        "train.mode": "fast",
        "train.epochs": 0.0,
        "adapter.targets": [],
        "no.key": 1,
    }
    assert of_change(change, experiment(learning_rate=1e-4, mode="stock", epochs=2.0)) == [
        Difference("train.learning_rate", "1e-4", "5e-5"),
        Difference("train.mode", "stock", "fast"),
        Difference("train.epochs", "2.0", "0.0"),
        Difference("adapter.targets", "[]", "[]"),
        Difference("no.key", None, "1"),
    ]
    assert of_change({"train.iters": 3}, None) == [Difference("train.iters", None, "3")]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-4, "1e-4"), (3.3e-6, "3.3e-6"), (0.05, "0.05"), (0.0, "0.0"), (12, "12"), (True, "true"), ("", '""')],
)
def test_values_are_read_as_people_write_them(value: Any, text: str) -> None:
    assert value_text(value) == text


def test_changes_of_one_advice_stay_together_and_the_graver_one_wins() -> None:
    first = advice("overfitting", "error", train__iters=200, train__eval_every=50)
    second = advice("memory", train__batch_size=2, train__grad_accumulation=2, train__iters=800)
    third = advice("diverging", train__learning_rate=1e-5, train__eval_every=50)
    nothing = advice("slowed-down")
    remedy = combined([first, second, third, nothing])
    assert remedy.change == {"train.iters": 200, "train.eval_every": 50, "train.learning_rate": 1e-5}
    assert remedy.followed == [first, third]
    assert remedy.left_out == [(second, "train.iters")]


def test_the_experiment_that_follows_leaves_the_old_one_alone() -> None:
    old = experiment(iters=400, learning_rate=1e-4)
    new = follow(old, {"train.iters": 200, "train.learning_rate": 5e-5}, "players-2")
    assert (new.run.name, new.train.iters, new.train.learning_rate) == ("players-2", 200, 5e-5)
    assert old == experiment(iters=400, learning_rate=1e-4)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"train.iters": 10}, "train.warmup is 20, which is not shorter"),
        ({"train.learning_rate": 50.0}, "train.learning_rate is 50.0"),
        ({"train.nope": 1}, "train.nope"),
        ({"nope": 1}, "nope"),
        ({"run": "x"}, "run"),
    ],
)
def test_a_change_that_would_not_be_valid_is_one_sentence(change: dict[str, Any], word: str) -> None:
    with pytest.raises(TunerError) as caught:
        follow(experiment(warmup=20), change, "players-2")
    sentence = caught.value.sentence()
    assert word in sentence and "\n" not in sentence


def test_a_name_that_no_run_has(tmp_path: Path) -> None:
    assert next_name("players", tmp_path / "none") == "players-2"
    for name in ("players", "players-2", "phi-3", "my-run-2"):
        (tmp_path / f"{name}-20260304-050607").mkdir()
    assert next_name("players", tmp_path) == "players-3"
    assert next_name("players-2", tmp_path) == "players-3"
    assert next_name("phi-3", tmp_path) == "phi-3-2"
    assert next_name("my run", tmp_path) == "my run-3"
    assert next_name("new", tmp_path) == "new-2"


def test_a_name_too_long_for_a_folder_is_counted_on_too(tmp_path: Path) -> None:
    (tmp_path / f"{'x' * 60}-20260304-050607").mkdir()
    assert next_name("x" * 70, tmp_path) == f"{'x' * 58}-2"
    (tmp_path / f"{'x' * 58}-2-20260304-050608").mkdir()
    assert next_name("x" * 70, tmp_path) == f"{'x' * 58}-3"


def test_the_command_makes_the_same_experiment(tmp_path: Path) -> None:
    """What a shell makes of the command, the program reads as the change that was meant."""
    file = tmp_path / "a run's" / "config.toml"
    file.parent.mkdir()
    old = experiment(iters=400, mode="stock")
    file.write_text(dump_experiment(old), encoding="utf-8")
    change = {
        "train.learning_rate": 3.3e-6,
        "train.mode": "fast",
        "train.grad_checkpoint": True,
        "adapter.targets": ["attention", "mlp.down_proj"],
        "run.notes": "a 'quoted' \"text\"; $HOME true",
    }
    words = shlex.split(command(file, change, "players 2"))
    assert words[:5] == ["tui-tuner", "run", str(file), "--name", "players 2"]
    assert words[5::2] == ["--set"] * len(change)
    assert load_experiment(Path(words[2]), words[6::2]) == follow(old, change, "players")
