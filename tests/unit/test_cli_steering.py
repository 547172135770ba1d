"""A run is steered by a command, and its advice is told with the command that follows it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Tuner, tuner
from tests.ui.fakes import RunBuilder
from tui_tuner.cli.steering import Wish
from tui_tuner.config import Experiment, dump_experiment, load_experiment
from tui_tuner.runs.lock import RunLock
from tui_tuner.runs.requests import KINDS

__all__ = ["tuner"]


@pytest.fixture
def builder(tmp_path: Path) -> RunBuilder:
    return RunBuilder(tmp_path).prepared().train(1, 40)


@pytest.fixture
def going(builder: RunBuilder) -> Iterator[RunBuilder]:
    """A run that somebody runs at this moment."""
    with RunLock(builder.folder):
        yield builder


def asked(builder: RunBuilder) -> list[tuple[str, Any]]:
    file = builder.folder.path / "requests.jsonl"
    if not file.exists():
        return []
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [(line["type"], line["value"]) for line in lines]


def test_every_wish_that_a_run_takes_has_its_word() -> None:
    assert {wish.value.replace("-", "_") for wish in Wish} == set(KINDS)


@pytest.mark.parametrize("wish", [wish for wish in Wish if wish is not Wish.LEARNING_RATE])
def test_a_wish_reaches_the_run(tuner: Tuner, going: RunBuilder, wish: Wish) -> None:
    said = tuner("steer", "last", wish.value)
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(f"{going.folder.name} was asked to ")
    what = wish.value.replace("-", "_")
    assert tuner("steer", "players", wish.value, "--json").document == {"run": str(going.folder.path), "asked": what}
    assert asked(going) == [(what, None)] * 2


def test_a_new_probe_reaches_the_run(tuner: Tuner, going: RunBuilder) -> None:
    said = tuner("steer", "last", "probe", "Say [b]x0.5[/b].", "--json")
    assert said.document == {"run": str(going.folder.path), "asked": "probe", "value": "Say [b]x0.5[/b]."}
    assert "one more probe" in tuner("steer", "last", "probe", "5e-6").out
    assert asked(going) == [("probe", "Say [b]x0.5[/b]."), ("probe", "5e-6")]
    empty = tuner("steer", "last", "probe", "  ")
    assert (empty.status, len(asked(going))) == (2, 2)
    assert "a probe is a text" in empty.err


@pytest.mark.parametrize(("text", "value"), [("5e-6", 5e-6), ("0.00005", 5e-5), ("x0.5", "x0.5"), ("/4", "x0.25")])
def test_a_learning_rate_reaches_the_run(tuner: Tuner, going: RunBuilder, text: str, value: Any) -> None:
    said = tuner("steer", "last", "learning-rate", text, "--json")
    assert said.document == {"run": str(going.folder.path), "asked": "learning_rate", "value": value}
    assert "learning rate" in tuner("steer", "last", "learning-rate", text).out
    assert asked(going) == [("learning_rate", value)] * 2


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["learning-rate"], "there is no learning rate to set"),
        (["learning-rate", "fast"], '"fast": it is no learning rate'),
        (["learning-rate", "40"], "at most 10"),
        (["evaluate", "3"], "evaluate takes no value"),
        (["faster"], "faster"),
        ([], "WISH"),
    ],
)
def test_a_wrong_wish_is_one_sentence_and_reaches_nobody(
    tuner: Tuner, going: RunBuilder, arguments: list[str], word: str
) -> None:
    said = tuner("steer", "last", *arguments)
    assert (said.status, said.out) == (2, "")
    assert word in said.err and said.err.count("\n") == 1
    assert asked(going) == []


def test_what_training_alone_takes_is_refused_once_it_is_over(tuner: Tuner, going: RunBuilder) -> None:
    going.train(41, 120).stage("train", "done", 0.2, 48.7).stage("evaluate", "running")
    for words in (["learning-rate", "x0.5"], ["evaluate"], ["checkpoint"], ["finish-epoch"]):
        said = tuner("steer", "last", *words, "--json")
        assert (said.status, said.document["error"]["code"]) == (1, "training-over")
    assert tuner("steer", "last", "stop").status == 0
    assert asked(going) == [("stop", None)]


def test_a_run_that_nobody_runs_is_not_steered(tuner: Tuner, builder: RunBuilder) -> None:
    for words in (["steer", "last", "pause"], ["stop", "last"]):
        said = tuner(*words, "--json")
        assert (said.status, said.document["error"]["code"]) == (1, "not-running")


# -- advice -----------------------------------------------------------------------------------------------------------
def configured(builder: RunBuilder, **train: Any) -> RunBuilder:
    made = Experiment.model_validate(
        {
            "run": {"name": "players"},
            "model": {"path": "embedded:phi3-tiny"},
            "data": {"source": "embedded:players"},
            "train": {"learning_rate": 1e-4, "iters": 400, **train},
        }
    )
    builder.folder.config.write_text(dump_experiment(made), encoding="utf-8")
    return builder


def advised(builder: RunBuilder) -> RunBuilder:
    builder.add(
        "advice", code="overfitting", severity="warning", text="Validation has risen from 0.443 to 0.475.",
        change={"train.iters": 200}, step=400,
    )  # fmt: skip
    builder.add("advice", code="slowed-down", severity="warning", text="It is slow.", change=None, step=40)
    change = {"train.learning_rate": 1e-5}
    return builder.add("advice", code="diverging", severity="error", text="It rises.", change=change, step=1400)


def test_advice_is_told_with_old_and_new_values_and_the_command(tuner: Tuner, builder: RunBuilder) -> None:
    advised(configured(builder))
    said = tuner("advice", "last")
    lines = said.out.splitlines()
    assert (said.status, said.err) == (0, "")
    assert lines[0] == "error: diverging, said at step 1,400"
    assert lines[2] == "    train.learning_rate  1e-4 → 1e-5"
    assert lines[3] == f"  tui-tuner run {builder.folder.config} --name players-2 --set train.learning_rate=1e-05"
    assert "  nothing to change in the configuration" in lines
    assert lines[-2] == "diverging and overfitting together:"
    document = tuner("advice", "last", "--json").document
    assert document["run"] == str(builder.folder.path)
    assert [one["code"] for one in document["advice"]] == ["diverging", "slowed-down", "overfitting"]
    first, second, third = document["advice"]
    assert first["differences"] == [{"key": "train.learning_rate", "old": "1e-4", "new": "1e-5"}]
    assert (second["change"], second["command"], second["problem"]) == (None, None, "")
    assert third["change"] == {"train.iters": 200}
    words = shlex.split(document["together"])
    made = load_experiment(Path(words[2]), [word for word in words if "=" in word])
    assert (made.train.iters, made.train.learning_rate) == (200, 1e-5)


def test_no_advice_is_said(tuner: Tuner, builder: RunBuilder) -> None:
    assert tuner("advice", "last").out == f"{builder.folder.name}: no advice, nothing looked wrong so far\n"
    assert tuner("advice", "last", "--json").document["advice"] == []


def test_a_change_that_cannot_be_made_says_why(tuner: Tuner, builder: RunBuilder) -> None:
    advised(configured(builder, warmup=300))
    last = tuner("advice", "last", "--json").document["advice"][-1]
    assert last["command"] is None
    assert "train.warmup is 300, which is not shorter than the run of 200 updates" in last["problem"]
    assert "train.warmup is 300" in tuner("advice", "last").out
    builder.folder.config.write_text("[train]\nitres = 3\n", encoding="utf-8")
    said = tuner("advice", "last", "--json")
    assert said.status == 0
    assert "itres" in said.document["advice"][0]["problem"]
    assert said.document["advice"][0]["differences"][0] == {"key": "train.learning_rate", "old": None, "new": "1e-5"}
