"""`--set`: what people type, and what they are told when it cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.config import apply_overrides, experiment_from_text, fields, parse_override, with_overrides
from tui_tuner.config.suggest import ELSEWHERE, SECTIONS_ELSEWHERE, nearest_key
from tui_tuner.errors import TunerError

BASE = '[model]\npath = "m"\n[data]\nsource = "d"\n'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("train.iters=50", 50),
        (" train.iters = 50 ", 50),
        ("train.iters=1_000", 1000),
        ("train.learning_rate=1e-5", 1e-5),
        ("train.learning_rate=.5", 0.5),
        ("train.learning_rate=1.", 1.0),
        ("train.learning_rate=1", 1),
        ("train.grad_checkpoint=true", True),
        ("run.name=second try", "second try"),
        ("run.name=007", "007"),
        ("run.name=2026-11-02", "2026-11-02"),
        ("run.name=true", "true"),
        ("run.name='quoted = yes'", "quoted = yes"),
        ('run.notes=""', ""),
        ("model.path=org/model-4bit", "org/model-4bit"),
        ("run.notes=a=b", "a=b"),
        ("adapter.method=dora", "dora"),
        ("adapter.targets=[]", []),
        ('adapter.targets=["a.b","c"]', ["a.b", "c"]),
        ("adapter.targets=[a.b, c]", ["a.b", "c"]),
        ("adapter.targets=a.b", ["a.b"]),
        ("data.prompt={question} and {answer}", ["{question} and {answer}"]),
        ("data.prompt={a = 1}", ["{a = 1}"]),
    ],
)
def test_values(text: str, value: Any) -> None:
    parsed = parse_override(text)[1]
    assert parsed == value
    assert type(parsed) is type(value)


def test_the_last_one_wins_and_the_input_stays() -> None:
    data = {"train": {"iters": 5}}
    assert apply_overrides(data, ["train.iters=6", "train.iters=7", "run.name=x"]) == {
        "train": {"iters": 7},
        "run": {"name": "x"},
    }
    assert data == {"train": {"iters": 5}}


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("train.iters", "key=value", "train.iters=50"),
        ("=5", "key=value", ""),
        ("", "key=value", ""),
        ("train.iters=", "has no value", "whole number, 1 or more"),
        ("run.notes=  ", "has no value", 'run.notes=""'),
        ("probes.prompts=", "has no value", "probes.prompts=[]"),
        ("train.itres=5", 'no key "train.itres"', "train.iters?"),
        ("iters=5", 'no key "iters"', "train.iters?"),
        ("lr=5", 'no key "lr"', "train.learning_rate?"),
        ("sweep.values.train.learning_rate=[1]", 'no key "sweep.values', "`tui-tuner sweep` takes it"),
        ("train.batch-size=5", "train.batch-size", "train.batch_size?"),
        ("Train.Iters=5", "Train.Iters", "train.iters?"),
        ("train=5", "is a section", "train.iters"),
        ("qqqq.zzzz=5", "qqqq.zzzz", "run, model, data"),
        ("train.zzzzzz=5", "train.zzzzzz", "[train] has iters"),
        ("train.iters.x=5", "train.iters.x", ""),
        ("adapter.targets=[a b, c", "list cannot be read", "single quotes"),
        ("adapter.targets=[a,,c]", "list cannot be read", "single quotes"),
    ],
)
def test_refused_texts(text: str, message: str, fix: str) -> None:
    with pytest.raises(TunerError) as caught:
        apply_overrides({}, [text])
    assert message in caught.value.message
    assert fix in caught.value.fix
    assert caught.value.where == f"--set {text}"
    assert caught.value.usage


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train.iters=many", '"many", which is not a whole number'),
        ("train.iters=true", "is true"),
        ("train.iters=0", "too small"),
        ("train.iters=1.5", "not a whole number"),
        ("train.grad_checkpoint=yes", "not true or false"),
        ("train.iters=5\nother = 6", "not a whole number"),
        ("train.learning_rate=nan", "not a finite number"),
        ("adapter.method=qlora", "not one of its words"),
        ("evaluation.metrics=rouge3", "item 1"),
        ("evaluation.metrics=evaluate:", "item 1"),
        ("run.name=\udcff", "UTF-8"),
        ('model.path=""', "empty"),
        ("train.warmup=500", "not shorter than the run"),
    ],
)
def test_wrong_values_name_the_override(text: str, words: str) -> None:
    with pytest.raises(TunerError) as caught:
        experiment_from_text(BASE, "x.toml", [text])
    assert words in caught.value.message
    assert caught.value.where.startswith("--set ")
    assert caught.value.where.isprintable()
    assert caught.value.usage


def test_with_overrides_checks_the_whole_and_leaves_the_given_one() -> None:
    made = experiment_from_text(BASE, "x")
    # Only both together are possible: one after the other would be refused.
    changed = with_overrides(made, ["data.prompt={q}", "data.completion={a}"])
    assert changed.data.prompt == ["{q}"]
    assert made.data.prompt == []
    with pytest.raises(TunerError, match=r"--set data\.prompt"):
        with_overrides(made, ["data.prompt={q}"])


def test_a_file_that_has_no_table_there_is_told_so() -> None:
    with pytest.raises(TunerError, match=r"x\.toml, line 1: train is 5"):
        experiment_from_text("train = 5\n" + BASE, "x.toml", ["train.iters=3"])


def test_names_of_other_tools_lead_to_keys_that_exist() -> None:
    keys = {info.key for info in fields()}
    assert set(ELSEWHERE.values()) <= keys
    assert set(SECTIONS_ELSEWHERE.values()) <= {info.section for info in fields()}
    # None of them is a key of ours, where the suggestion would never be read.
    for name, ours in ELSEWHERE.items():
        assert nearest_key(name, keys) == ours
        assert f"{ours.partition('.')[0]}.{name}" not in keys


def test_one_wrong_letter_is_always_put_right() -> None:
    keys = [info.key for info in fields()]
    for key in keys:
        for wrong in (f"{key}s", key[:-1], key.replace("_", "-")):
            if wrong not in keys:
                assert nearest_key(wrong, keys) == key, wrong


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([info.key for info in fields()]), st.text())
def test_any_text_is_taken_or_refused_in_words(key: str, value: str) -> None:
    try:
        with_overrides(experiment_from_text(BASE, "x"), [f"{key}={value}"])
    except TunerError as error:
        assert error.where.startswith("--set ")
        assert error.message.isprintable()
