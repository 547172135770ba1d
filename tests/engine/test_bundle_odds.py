"""Bundles of runs that are not as they should be: without events, rows or adapter, with damaged notes, and in use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.engine.bundles import _clean_file, _cleaner, _portable, make_bundle
from tui_tuner.errors import TunerError
from tui_tuner.runs import EventLog, RunFolder, RunLock
from tui_tuner.runs.archive import Part
from tui_tuner.runs.files import write_json


@pytest.fixture
def run(new_run: Callable[..., RunFolder]) -> RunFolder:
    made = new_run()
    with EventLog(made.events) as log:
        log.append("log", level="info", text=f"read {made.path}/data from {Path.home()}/work")
    return made


def test_a_run_that_has_not_begun_is_bundled_with_words_on_what_it_lacks(run: RunFolder, tmp_path: Path) -> None:
    told = make_bundle(run, tmp_path / "a.tar.gz", with_data=True)
    assert (told["data"], told["adapter"]) == (False, False)
    assert told["files"] == ["config.toml", "meta.json", "events.jsonl"]
    assert told["notes"][-2:] == [
        "the run has no prepared rows, so none are in the bundle",
        "the run has no adapter, so none is in the bundle",
    ]
    assert told["size"] == (tmp_path / "a.tar.gz").stat().st_size


def test_what_is_there_is_replaced_only_when_that_is_said(run: RunFolder, tmp_path: Path) -> None:
    place = tmp_path / "a.tar.gz"
    place.write_text("mine")
    with pytest.raises(TunerError) as caught:
        make_bundle(run, place)
    assert (caught.value.code, place.read_text()) == ("exists", "mine")
    assert make_bundle(run, place, replace=True)["size"] > 4


def test_a_run_that_somebody_writes_is_not_bundled(run: RunFolder, tmp_path: Path) -> None:
    with RunLock(run), pytest.raises(TunerError) as caught:
        make_bundle(run, tmp_path / "a.tar.gz")
    assert caught.value.code == "run-locked"
    assert not (tmp_path / "a.tar.gz").exists()


@pytest.mark.parametrize("notes", ["", "[]", "{", "3"])
def test_damaged_notes_cost_the_notes_and_nothing_else(notes: str, run: RunFolder, tmp_path: Path) -> None:
    run.meta.write_text(notes)
    assert "config.toml" in make_bundle(run, tmp_path / "a.tar.gz")["files"]


def test_places_go_out_of_texts_the_longest_first_and_words_stay(run: RunFolder, tmp_path: Path) -> None:
    write_json(run.meta, {"base": str(tmp_path / "ünï"), "model_path": "owner/name", "data_path": "/"})
    clean = _cleaner(run)
    assert clean(f"in {run.path}/data") == f"in {run.name}/data"
    assert str(tmp_path) not in clean(json.dumps({"base": str(tmp_path / "ünï")}))
    assert clean("owner/name, 3/4 and and/or stay") == "owner/name, 3/4 and and/or stay"


def test_a_file_that_is_not_there_stays_so_and_one_that_cannot_be_read_is_told(tmp_path: Path, run: RunFolder) -> None:
    part = Part("adapters/adapter_config.json", tmp_path / "none.json")
    assert _clean_file(part, _cleaner(run)) is part
    (tmp_path / "there.json").write_text(json.dumps({"model": str(run.path)}))
    cleaned = _clean_file(Part("a.json", tmp_path / "there.json"), _cleaner(run))
    assert cleaned.source == json.dumps({"model": run.name}).encode()


def test_names_that_mean_something_elsewhere_stay_and_places_are_noted(new_run: Callable[..., RunFolder]) -> None:
    from tui_tuner.config import load_experiment

    experiment = load_experiment(new_run(tracking={"to": ["trackio"]}).config)
    notes: list[str] = []
    copy, template = _portable(experiment, notes)
    assert (copy.model.path, copy.data.source, copy.tracking.to, template) == ("phi3", "rows.jsonl", [], None)
    assert [note.partition(" lay on")[0] for note in notes] == ["the model", "the data"]
    assert experiment.tracking.to == ["trackio"]  # the run's own stays as it is
    named: Any = experiment.model_copy(deep=True)
    named.model.path, named.data.source = "owner/name", "hf:owner/rows"
    again: list[str] = []
    assert _portable(named, again)[0].model.path == "owner/name"
    assert again == []


def test_a_chat_template_of_one_s_own_goes_along_by_its_text(new_run: Callable[..., RunFolder], tmp_path: Path) -> None:
    from tui_tuner.config import load_experiment

    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    experiment = load_experiment(new_run(model={"chat_template": str(file)}).config)
    copy, template = _portable(experiment, [])
    assert (copy.model.chat_template, template) == ("template.jinja", file.read_bytes())
    file.unlink()
    assert _portable(experiment, [])[1] is None
