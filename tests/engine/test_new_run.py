"""What a new run folder notes of itself: paths, versions, files by their fingerprints, and the form of its rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.config import Experiment
from tui_tuner.data.chatforms import RECORDED
from tui_tuner.engine import new_run
from tui_tuner.engine.chat_form import form_of_chat, form_of_run, record_form
from tui_tuner.engine.new_run import (
    add_fingerprints,
    check_fingerprints,
    create_run,
    keep_start,
    model_fingerprint,
    note_model,
    note_ranks,
    read_base,
    rows_fingerprint,
)
from tui_tuner.errors import TunerError
from tui_tuner.models.start import Start
from tui_tuner.runs import RunFolder
from tui_tuner.runs.files import read_json, write_json


def experiment(**sections: dict[str, Any]) -> Experiment:
    values: dict[str, dict[str, Any]] = {"model": {"path": "m"}, "data": {"source": "d.jsonl"}}
    for section, changes in sections.items():
        values.setdefault(section, {}).update(changes)
    return Experiment.model_validate(values)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return create_run(experiment(run={"name": "a"}), tmp_path / "runs", base=tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(3 << 20))
    return folder


def test_a_run_knows_where_its_paths_start_and_how_to_repeat_it(run: RunFolder, tmp_path: Path) -> None:
    meta = read_json(run.meta)
    assert read_base(run) == tmp_path
    assert meta["command"] == f"tui-tuner run {run.config}"
    assert set(meta["libraries"]) >= {"mlx", "mlx-lm", "numpy"}


def test_half_a_run_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(new_run, "write_json", stopped)
    with pytest.raises(KeyboardInterrupt):
        create_run(experiment(run={"name": "a"}), tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []


def test_no_secret_of_the_command_line_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = "hf_" + "a1B2" * 6
    monkeypatch.setattr(sys, "argv", ["tui-tuner", "run", f"--set=model.path=https://h/m?token={token}"])
    run = create_run(experiment(run={"name": "a"}), tmp_path / "runs", notes={"sweep": 3})
    assert token not in run.meta.read_text()
    assert read_json(run.meta)["sweep"] == 3
    assert read_base(run) is None


def test_the_number_of_ranks_is_noted_when_it_is_another(run: RunFolder) -> None:
    before = run.meta.read_bytes()
    note_ranks(run, 1, "")
    assert run.meta.read_bytes() == before  # one is what it is anyway
    note_ranks(run, 2, "ring")
    assert read_json(run.meta)["ranks"] == {"size": 2, "backend": "ring"}
    note_ranks(run, 1, "")
    assert read_json(run.meta)["ranks"] == {"size": 1, "backend": ""}


def test_a_model_that_was_made_for_the_run_is_noted_beside_the_one_asked_for(run: RunFolder) -> None:
    asked = read_json(run.meta)["model_path"]
    note_model(run, "/models/m-4bit")
    meta = read_json(run.meta)
    assert (meta["model_path"], meta["made_from"]) == ("/models/m-4bit", asked)


@pytest.mark.parametrize("damage", ["not json", "[]", "3"])
def test_notes_that_are_damaged_are_begun_anew(damage: str, run: RunFolder) -> None:
    run.meta.write_text(damage)
    note_ranks(run, 2, "ring")
    assert read_json(run.meta)["ranks"]["size"] == 2


def test_a_run_goes_on_with_the_files_it_began_with_and_no_others(run: RunFolder, model: Path) -> None:
    run.data.mkdir(exist_ok=True)
    rows = run.data / "train.jsonl"
    rows.write_text('{"text": "a"}\n')
    check_fingerprints(run, model, run.data)  # nothing was noted, so nothing is judged
    add_fingerprints(run, model, run.data)
    check_fingerprints(run, model, run.data)
    rows.write_text('{"text": "b"}\n')
    with pytest.raises(TunerError) as caught:
        check_fingerprints(run, model, run.data)
    assert (caught.value.code, caught.value.where) == ("data-changed", str(run.data))
    assert f"tui-tuner run {run.config}" in caught.value.fix
    rows.write_text('{"text": "a"}\n')
    (model / "config.json").write_text('{"a": 1}')
    with pytest.raises(TunerError, match="the model has changed since this run began") as caught:
        check_fingerprints(run, model, run.data)
    assert (caught.value.code, caught.value.where) == ("model-changed", str(model))


@pytest.mark.parametrize("at", [0, (1 << 20) - 1, (2 << 20), (3 << 20) - 1])
def test_a_changed_byte_at_either_end_of_the_weights_is_another_model(at: int, model: Path) -> None:
    before = model_fingerprint(model)
    content = bytearray((model / "model.safetensors").read_bytes())
    content[at] = 1
    (model / "model.safetensors").write_bytes(content)
    assert model_fingerprint(model) != before


def test_what_is_no_part_of_a_model_is_not_looked_at(model: Path) -> None:
    before = model_fingerprint(model)
    (model / "README.md").write_text("new words")
    (model / "folder.json").mkdir()
    assert model_fingerprint(model) == before
    (model / "tokenizer.model").write_bytes(b"")
    assert model_fingerprint(model) != before


def test_rows_that_moved_to_another_split_are_other_rows(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}\n")
    before = rows_fingerprint(tmp_path)
    (tmp_path / "train.jsonl").rename(tmp_path / "valid.jsonl")
    assert rows_fingerprint(tmp_path) != before


def test_weights_to_start_from_must_stay_what_they_were(run: RunFolder, tmp_path: Path) -> None:
    def start(sha: str) -> Start:
        return Start(tmp_path / "a.safetensors", sha)

    keep_start(run, start("aa"))
    keep_start(run, start("aa"))
    with pytest.raises(TunerError) as caught:
        keep_start(run, start("bb"))
    assert (caught.value.code, caught.value.where) == ("start-changed", str(tmp_path / "a.safetensors"))
    write_json(run.meta, {**read_json(run.meta), "start_from": "of another version"})
    keep_start(run, start("bb"))
    assert read_json(run.meta)["start_from"]["sha256"] == "bb"


# -- the form of a run -------------------------------------------------------------------------------------------------
def test_what_was_recorded_holds_whatever_becomes_of_the_preset(run: RunFolder, tmp_path: Path) -> None:
    mine = tmp_path / "mine.jinja"
    mine.write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    chosen = experiment(model={"path": "m", "chat_template": "mine.jinja"})
    text = form_of_run(run, chosen)
    assert text == mine.read_text()
    run.adapters.mkdir(exist_ok=True)
    record_form(run, text)
    mine.write_text("{{ 'other' }}{% for m in messages %}{{ m['content'] }}{% endfor %}")
    assert form_of_run(run, chosen) == text
    record_form(run, "never written over")
    assert (run.adapters / RECORDED).read_text() == text
    assert form_of_run(run, experiment()) == ""  # the model's own was not recorded, and is not replaced
    for adapter in (run.adapters, run.adapters / "0000004_adapters.safetensors"):
        if adapter.suffix:
            adapter.write_bytes(b"")
        assert form_of_chat("auto", adapter) == text
    assert form_of_chat("auto", None) == ""


def test_the_models_own_form_leaves_no_file(run: RunFolder) -> None:
    run.adapters.mkdir(exist_ok=True)
    record_form(run, "")
    assert not (run.adapters / RECORDED).exists()
