"""What is found of experiments before they are queued: a sentence for each problem, and nothing is fetched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.config import Experiment
from tui_tuner.engine import beforehand
from tui_tuner.engine.beforehand import must_work
from tui_tuner.errors import TunerError

pytestmark = pytest.mark.mlx

Make = Callable[..., Experiment]


@pytest.fixture
def make(tiny_model: Path, tiny_rows: Path) -> Make:
    def experiment(**sections: dict[str, Any]) -> Experiment:
        values: dict[str, dict[str, Any]] = {"model": {"path": str(tiny_model)}, "data": {"source": str(tiny_rows)}}
        for name, section in sections.items():
            values[name] = {**values.get(name, {}), **section}
        return Experiment.model_validate(values)

    return experiment


def refused(*experiments: Experiment, base: Path | None = None) -> TunerError:
    with pytest.raises(TunerError) as caught:
        must_work(experiments, base, [f"the {number}." for number in range(1, len(experiments) + 1)])
    return caught.value


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n{bad\n')
    return path


def test_what_can_work_is_let_pass_and_looked_at_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts: list[Any] = []
    real = beforehand.draft
    monkeypatch.setattr(beforehand, "draft", lambda data, *rest: drafts.append(data) or real(data, *rest))
    must_work([make(train={"learning_rate": rate}) for rate in (1e-3, 1e-4, 1e-5)], None, ["1", "2", "3"])
    assert len(drafts) == 1


def test_one_problem_is_its_own_sentence(make: Make, bad: Path, tmp_path: Path) -> None:
    error = refused(make(data={"source": str(bad)}))
    assert error.sentence().startswith(f"{bad}, line 2, column 2 (row 2): the JSON is malformed")
    assert refused(make(data={"source": "no.jsonl"}), base=tmp_path).code == "no-such-data"
    assert refused(make(data={"valid": 30, "test": 30})).code  # more than there are
    assert refused(make(model={"path": str(tmp_path)})).code == "model-no-config"
    assert "no_proj" in refused(make(adapter={"targets": ["no_proj"]})).sentence()
    assert refused(make(adapter={"start_from": "nowhere"}), base=tmp_path).code == "adapter-not-found"


def test_several_problems_are_a_sentence_each(make: Make, bad: Path) -> None:
    error = refused(make(data={"source": str(bad)}, model={"path": "nowhere"}))
    assert error.code == "cannot-work"
    assert error.message.startswith("it cannot run, so it is not queued. nowhere: there is no such model folder")
    assert "bad.jsonl, line 2" in error.message


def test_of_several_it_is_said_which_cannot_work(make: Make, tiny_model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    (broken / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    good, wrong = make(), make(model={"path": str(broken)})
    error = refused(good, wrong, wrong, good)
    assert error.code == "model-lfs-pointer" or "Git-LFS" in error.message
    assert error.message.startswith("2 of 4 runs cannot work, so nothing is queued. Number 2 (the 2.) and 1 more: ")
    assert "2 of 2 runs cannot work, so nothing is queued. All: " in refused(wrong, wrong).message


def test_what_is_on_the_hub_is_left_to_the_run(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(beforehand, "in_cache", lambda name, revision: None)
    monkeypatch.chdir(tmp_path)
    must_work([make(model={"path": "acme/small"}, data={"source": "hf:acme/rows"})], None)
    must_work([make(data={"source": "acme/rows"})], None)
    with pytest.raises(TunerError):
        must_work([make(data={"source": "acme/rows.jsonl"})], None)
