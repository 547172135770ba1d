"""What a benchmark that is asked for goes by: labels, settings, rows, and when a result is one of the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.models import make_rows
from tui_tuner.data.prepare import Prepared, write_prepared
from tui_tuner.engine.evaluating import _check_label, _experiment, _key, _known, _rows, _told, adding_to, printing_for
from tui_tuner.engine.requests import Benchmark
from tui_tuner.engine.subject import Target, target_of
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.runs.files import write_json


@pytest.fixture
def run(new_run: Callable[..., RunFolder]) -> RunFolder:
    made, rows = new_run(), make_rows(9)
    write_prepared(Prepared(rows[:4], rows[4:6], rows[6:]), made.data)
    (made.adapters / "adapters.safetensors").write_bytes(b"weights")
    return made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "asked.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in make_rows(7, seed=3)))
    return path


def rows_of(request: Benchmark, run: RunFolder | None, target: Target | None = None) -> list[Any]:
    return _rows(request, _experiment(request, target or Target("m"), run), run)


# -- labels ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("label", ["before", "after", "verdict", "summary", "checkpoints"])
def test_a_run_s_own_names_are_not_to_be_had(label: str) -> None:
    with pytest.raises(TunerError) as caught:
        _check_label(label)
    assert (caught.value.code, caught.value.usage) == ("label-taken", True)
    assert f'"{label}"' in caught.value.message


def test_a_result_in_a_run_needs_a_name() -> None:
    with pytest.raises(TunerError, match="a result in a run needs a label") as caught:
        _check_label("")
    assert caught.value.usage
    _check_label("step-200")


# -- settings ----------------------------------------------------------------------------------------------------------
def test_what_is_asked_for_goes_over_what_the_run_has(run: RunFolder, source: Path) -> None:
    target = target_of(run.name, None, run.path.parent)
    plain = _experiment(Benchmark(run.name), target, None)
    assert plain.evaluation.max_tokens == 6  # the run's own
    asked = Benchmark(
        run.name,
        data=str(source),
        max_tokens=9,
        batch_size=2,
        metrics=("exact_match",),
        raw_prompt=True,
        overrides=("evaluation.rows=3",),
    )
    made = _experiment(asked, target, None)
    told = made.evaluation
    assert (told.max_tokens, told.batch_size, told.metrics, told.raw_prompt, told.rows) == (
        9,
        2,
        ["exact_match"],
        True,
        3,
    )
    assert (made.data.source, made.data.valid, made.data.test) == (str(source), 0, 0)


def test_a_model_alone_goes_by_the_defaults(tiny_model: Path) -> None:
    made = _experiment(Benchmark(str(tiny_model)), Target(str(tiny_model)), None)
    assert made.model.path == str(tiny_model)


# -- rows --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("split", "limit", "count"), [("test", 0, 3), ("valid", 0, 2), ("train", 0, 4), ("test", 2, 2)]
)
def test_a_run_s_rows_are_taken_by_their_split(split: str, limit: int, count: int, run: RunFolder) -> None:
    rows = rows_of(Benchmark(run.name, split=split, limit=limit), run)
    assert len(rows) == count
    start = {"train": 0, "valid": 4, "test": 6}[split]
    assert rows == make_rows(9)[start : start + count]


def test_all_rows_of_a_source_are_taken_in_its_order(source: Path) -> None:
    assert rows_of(Benchmark("m", data=str(source)), None) == make_rows(7, seed=3)


@pytest.mark.parametrize(
    ("request_", "code", "says"),
    [
        (Benchmark("m", split="tests"), "usage", "choose from test, valid, train, unseen"),
        (Benchmark("m"), "usage", "give --data, or name a run"),
        (Benchmark("m", split="unseen"), "no-rows", "take another split"),
    ],
)
def test_rows_that_are_not_there_are_one_sentence(request_: Benchmark, code: str, says: str, run: RunFolder) -> None:
    with pytest.raises(TunerError) as caught:
        rows_of(request_, run if code == "no-rows" else None)
    assert caught.value.code == code
    assert caught.value.fix == says


def test_texts_have_no_prompt_to_answer(new_run: Callable[..., RunFolder]) -> None:
    run = new_run()
    write_prepared(Prepared([{"text": "a"}], [], [{"text": "b"}]), run.data)
    with pytest.raises(TunerError) as caught:
        rows_of(Benchmark(run.name), run)
    assert (caught.value.code, caught.value.where) == ("no-prompt", run.name)


def test_a_folder_of_splits_gives_the_one_that_is_asked_for(tmp_path: Path) -> None:
    for name, seed in (("train", 1), ("test", 2)):
        text = "".join(json.dumps(row) + "\n" for row in make_rows(5, seed=seed))
        (tmp_path / f"{name}.jsonl").write_text(text)
    assert rows_of(Benchmark("m", data=str(tmp_path), split="test"), None) == make_rows(5, seed=2)
    with pytest.raises(TunerError) as caught:
        rows_of(Benchmark("m", data=str(tmp_path), split="valid"), None)
    assert (caught.value.code, caught.value.usage) == ("no-rows", True)
    assert "train" in caught.value.fix
    assert "test" in caught.value.fix


# -- results of the same -----------------------------------------------------------------------------------------------
def test_a_result_is_of_the_same_weights_rows_and_settings_only(run: RunFolder, source: Path) -> None:
    def key(*overrides: str, which: str = "", rows: int = 3) -> str:
        target = target_of(f"{run.name}{which}", None, run.path.parent)
        experiment = _experiment(Benchmark(run.name, overrides=overrides), target, None)
        return _key(target, experiment, make_rows(rows), overrides)

    same = key()
    assert key() == same
    assert key("evaluation.batch_size=1") == same  # which changes no answer
    others = [key("evaluation.max_tokens=7"), key("evaluation.raw_prompt=true"), key(which=":base"), key(rows=2)]
    (run.adapters / "adapters.safetensors").write_bytes(b"others")
    others.append(key())
    assert len({same, *others}) == 6


@pytest.mark.parametrize("settings", [None, [], {}, {"key": "other"}, "abc"])
def test_a_label_with_another_result_is_taken_whatever_that_is(settings: Any, tmp_path: Path) -> None:
    assert _known(tmp_path, "mine", "abc") is None
    write_json(tmp_path / "mine.json", {"settings": settings})
    with pytest.raises(TunerError) as caught:
        _known(tmp_path, "mine", "abc")
    assert (caught.value.code, caught.value.where) == ("label-taken", str(tmp_path / "mine.json"))
    write_json(tmp_path / "mine.json", ["no document"])
    with pytest.raises(TunerError, match="made otherwise"):
        _known(tmp_path, "mine", "abc")


def test_a_known_result_is_told_as_a_new_one_is(tmp_path: Path) -> None:
    document = {
        "settings": {"key": "abc"},
        "metrics": {"exact_match": {"value": 0.5, "low": 0.1, "high": 0.9, "more": 1}},
        **{"n": 4, "model": "m", "adapter": "", "splits": {}},
    }
    write_json(tmp_path / "mine.json", document)
    found = _known(tmp_path, "mine", "abc")
    assert found == document
    told = _told(tmp_path, "mine", document)
    assert told["metrics"] == {"exact_match": {"value": 0.5, "low": 0.1, "high": 0.9}}
    assert told["rows"] == str(tmp_path / "mine.jsonl")


def test_whoever_adds_to_a_run_holds_its_lock(run: RunFolder) -> None:
    with adding_to(run) as log:
        log.append("log", level="info", text="added")
        with pytest.raises(TunerError) as caught, adding_to(run):
            pass
        assert caught.value.code == "run-locked"
    with adding_to(run):
        pass


def test_a_result_s_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(TunerError), printing_for(None, tmp_path / "taken" / "results"):
        pass
    with printing_for(None, tmp_path / "new"):
        print("from a library")
    assert (tmp_path / "new" / "engine.log").read_text() == "from a library\n"
