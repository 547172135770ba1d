"""A run for tests of trackers: its folder, its log, and fakes of the trackers' libraries."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import ROOT
from tui_tuner.config import Experiment, dump_experiment
from tui_tuner.runs import EventLog, RunFolder

FAKES = ROOT / "tests" / "support" / "trackers"
SECRET = "the colour of the vault is puce"
INTERVAL = {"value": 0.5, "low": 0.4, "high": 0.6}


def experiment(**sections: dict[str, Any]) -> Experiment:
    values: dict[str, Any] = {"model": {"path": "org/model"}, "data": {"source": "/home/ann/secret place/rows.jsonl"}}
    return Experiment.model_validate({**values, **sections})


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path, "players")
    made.config.write_text(dump_experiment(experiment(tracking={"to": ["wandb"], "project": "mine", "tags": ["a"]})))
    made.meta.write_text('{"created": 5.0, "libraries": {"mlx": "0.32"}, "sweep": {"id": "lr"}}')
    return made


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The fakes in place of the libraries, here and in processes of ours; gives what they were told."""
    log = tmp_path / "told.jsonl"
    log.touch()
    monkeypatch.setenv("FAKE_TRACKER_LOG", str(log))
    monkeypatch.setenv("PYTHONPATH", f"{FAKES}{os.pathsep}{ROOT}")
    for name in ("HF_HUB_OFFLINE", "WANDB_ERROR_REPORTING", "WANDB_SILENT", "WANDB_MODE", "TRACKIO_SPACE_ID"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.syspath_prepend(str(FAKES))
    for name in ("trackio", "wandb"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield lambda: [json.loads(line) for line in log.read_text().splitlines()]
    for name in ("trackio", "wandb"):
        sys.modules.pop(name, None)


def write(folder: RunFolder, *events: tuple[str, dict[str, Any]]) -> None:
    with EventLog(folder.events) as log:
        for kind, fields in events:
            log.append(kind, **fields)


def steps(first: int, last: int) -> list[tuple[str, dict[str, Any]]]:
    return [("train", {"step": step, "loss": 1 / step, "learning_rate": 1e-4}) for step in range(first, last + 1)]


WHOLE = [
    ("run_started", {"name": "players", "model": "/home/ann/models/x"}),
    ("evaluation", {"label": "before", "metrics": {"rougeL": INTERVAL}, "n": 3}),
    ("sample", {"step": 0, "prompt": SECRET, "text": SECRET}),
    *steps(1, 3),
    ("validation", {"step": 3, "loss": 0.25, "tokens": 9, "seconds": 1.0}),
    ("log", {"level": "info", "text": SECRET}),
    ("advice", {"code": "x", "severity": "info", "text": SECRET, "change": None, "evidence": {}, "step": 3}),
    ("canaries", {"label": "after", "rate": 0.5, "low": 0.4, "high": 0.6, "n": 40, "died": []}),
    ("evaluation", {"label": "after", "metrics": {"rougeL": INTERVAL}, "n": 3}),
    ("verdict", {"metrics": {"rougeL": {"difference": 0.1, "low": 0.0, "high": 0.2, "p": 0.04, "sentence": SECRET}},
                 "sentence": "Better."}),
    ("run_finished", {"status": "finished", "reason": SECRET}),
]  # fmt: skip
