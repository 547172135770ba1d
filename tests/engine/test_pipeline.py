"""A run folder is all it takes: what fails is told in it, what was done is not done again, what changed is noticed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.comparing import compare_document, read_result
from tui_tuner.runs import EventLog, RunFolder, read_events
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx


@pytest.mark.parametrize("stage", ["check", "data", "baseline", "evaluate", "verdict"])
def test_a_defect_in_any_stage_is_told_and_the_run_can_go_on(
    stage: str, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_tuner.engine import evaluate_stage, pipeline

    names = {"check": "attach", "data": "tokenised", "verdict": "judge"}
    folder = new_run(train={"iters": 2}, data={"test": 2})

    def broken(*args: Any, **options: Any) -> Any:
        if options.get("stage", stage) != stage:
            return real(*args, **options)
        raise RuntimeError("a defect.\nand more lines")

    module = pipeline if stage in ("check", "data") else evaluate_stage
    real = getattr(module, names.get(stage, "benchmark"))
    with monkeypatch.context() as patch:
        patch.setattr(module, names.get(stage, "benchmark"), broken)
        with pytest.raises(TunerError) as caught:
            run_experiment(folder, JobControl(), ModelShelf())
    assert caught.value.code == "internal"
    assert caught.value.where == str(folder.log)
    assert "Traceback" in folder.log.read_text()
    events = read_events(folder.events)
    failed = [e for e in events if e["type"] == "stage"][-1]
    assert (failed["name"], failed["status"], failed["text"]) == (stage, "failed", "RuntimeError: a defect")
    assert (events[-1]["type"], events[-1]["status"]) == ("run_finished", "failed")
    assert run_experiment(folder, JobControl(), ModelShelf())["status"] == "finished"


def test_results_that_a_kill_left_untold_are_told(new_run: Callable[..., RunFolder]) -> None:
    """Killed between the baseline's file and its events, and in the middle of three files."""
    folder = new_run(train={"iters": 2}, data={"test": 2})
    whole = run_experiment(folder, JobControl(), ModelShelf())
    torn = [place / ".tmp-0123.safetensors" for place in (folder.adapters, folder.state, folder.evaluation)]
    for path in torn:
        path.write_bytes(b"half")
    lines = folder.events.read_bytes().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(lines) if b'"evaluation"' in line)
    folder.events.write_bytes(b"".join(lines[:cut]))
    before = (folder.evaluation / "before.jsonl").stat().st_mtime_ns
    again = run_experiment(folder, JobControl(), ModelShelf())
    assert again["verdict"] == whole["verdict"]
    assert (folder.evaluation / "before.jsonl").stat().st_mtime_ns == before
    labels = [e["label"] for e in read_events(folder.events) if e["type"] == "evaluation"]
    assert labels == ["before", "after"]
    assert not any(path.exists() for path in torn)


def stopped_in_training(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    control = JobControl()
    append = EventLog.append

    def watching(self: EventLog, type: str, **fields: Any) -> Any:
        if type == "train":
            control.stop("test")
        return append(self, type, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(EventLog, "append", watching)
        assert run_experiment(folder, control, ModelShelf())["status"] == "stopped"


@pytest.mark.parametrize("what", ["model", "data"])
def test_a_run_does_not_go_on_with_another_model_or_other_rows(
    what: str, new_run: Callable[..., RunFolder], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    folder = new_run(model={"path": str(model)}, data={"test": 2})
    stopped_in_training(folder, monkeypatch)
    changed = model / "tokenizer_config.json" if what == "model" else folder.data / "train.jsonl"
    before = changed.read_text()
    changed.write_text(before.replace("assistant", "model") if what == "model" else before.replace("fox", "owl"))
    assert changed.read_text() != before
    with pytest.raises(TunerError) as caught:
        run_experiment(folder, JobControl(), ModelShelf())
    assert caught.value.code == f"{what}-changed"
    assert str(folder.config) in caught.value.fix
    changed.write_text(before)
    finished = run_experiment(folder, JobControl(), ModelShelf())
    assert finished["status"] == "finished"
    changed.write_text(before + "\n")
    # What is finished needs neither any more.
    assert run_experiment(folder, JobControl(), ModelShelf())["verdict"] == finished["verdict"]


def test_the_folder_tells_what_it_was_made_of(new_run: Callable[..., RunFolder], tiny_model: Path) -> None:
    folder = new_run(train={"iters": 2}, data={"test": 2})
    run_experiment(folder, JobControl(), ModelShelf())
    meta = json.loads(folder.meta.read_text())
    assert meta["model_path"] == str(tiny_model)
    assert len(meta["model_fingerprint"]) == len(meta["data_fingerprint"]) == 64
    assert meta["libraries"]["mlx-lm"]
    assert str(folder.config) in meta["command"]


def test_the_verdict_is_what_a_comparison_of_the_results_gives(new_run: Callable[..., RunFolder]) -> None:
    metrics = ["rouge1", "bleu", "numeric_accuracy"]
    folder = new_run(train={"iters": 2}, data={"test": 6}, evaluation={"metrics": metrics})
    verdict = run_experiment(folder, JobControl(), ModelShelf())["verdict"]
    assert {"rouge1", "bleu", "loss", "perplexity"} <= set(verdict)
    sides = [read_result(folder.evaluation / f"{label}.jsonl") for label in ("before", "after")]
    assert compare_document(*sides)["metrics"] == verdict
    for label, low, high in (("before", "a_low", "a_high"), ("after", "b_low", "b_high")):
        told = json.loads((folder.evaluation / f"{label}.json").read_text("utf-8"))["metrics"]
        for name, one in verdict.items():
            assert (told[name]["low"], told[name]["high"]) == (one[low], one[high])
