"""A scan that is kept is the scan; whatever would change it makes another one; damage is none."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_tuner.config import Experiment
from tui_tuner.data import scancache
from tui_tuner.engine import dataset
from tui_tuner.engine.dataset import DataFacts, data_facts
from tui_tuner.paths import resolve_model

pytestmark = pytest.mark.mlx

ROWS: list[dict[str, Any]] = [
    *({"prompt": f"Say the word {n} times.", "completion": " ".join(["word"] * (1 + n % 7))} for n in range(40)),
    {"prompt": "Write to me.", "completion": "ada@lovelace.org \\n and so on"},
    {"prompt": "Say the word 3 times.", "completion": "no"},
    {"prompt": "", "completion": "nothing was asked"},
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "scans"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """As many numbers as there were real scans."""
    counted: list[int] = []
    real = dataset.scan
    monkeypatch.setattr(dataset, "scan", lambda *given, **named: counted.append(1) or real(*given, **named))
    return counted


def asked(source: Path, **sections: Any) -> Experiment:
    model = sections.pop("model", "embedded:phi3-tiny")
    return Experiment.model_validate({"model": {"path": str(model)}, "data": {"source": str(source)}, **sections})


def same(one: DataFacts, other: DataFacts) -> None:
    assert one.as_json() == other.as_json()
    for field in fields(one.report):
        ours, theirs = getattr(one.report, field.name), getattr(other.report, field.name)
        if field.name == "hits":
            assert list(ours) == list(theirs) and all(np.array_equal(ours[code], theirs[code]) for code in ours)
        elif isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
        else:
            assert ours == theirs, field.name


def test_the_second_time_nothing_is_looked_at_and_the_facts_are_the_same(source: Path, scans: list[int]) -> None:
    first = data_facts(asked(source))
    assert {"bad-row", "addresses", "small-test"} <= {problem.code for problem in first.report.problems}
    same(data_facts(asked(source)), first)
    assert scans == [1]


def test_everything_that_matters_makes_another_scan(source: Path, scans: list[int], tmp_path: Path) -> None:
    data_facts(asked(source))
    folder = tmp_path / "model"
    shutil.copytree(resolve_model("embedded:phi3-tiny", None), folder)
    changes: list[dict[str, Any]] = [
        {"run": {"seed": 7}},
        {"train": {"max_seq_length": 32}},
        {"train": {"batch_size": 3}},
        {"train": {"mode": "stock"}},
        {"evaluation": {"enabled": False}},
        {"data": {"source": str(source), "mask_prompt": False}},
        {"data": {"source": str(source), "fixes": ["drop-unusable"]}},
        {"model": folder},
    ]
    for number, change in enumerate(changes, 2):
        data_facts(asked(source, **change))
        assert len(scans) == number, change
    ends = (
        json.loads((folder / "generation_config.json").read_text())
        if (folder / "generation_config.json").exists()
        else {}
    )
    (folder / "generation_config.json").write_text(json.dumps({**ends, "eos_token_id": [2, 5]}))
    data_facts(asked(source, model=folder))
    assert len(scans) == len(changes) + 2
    source.write_text(source.read_text() + json.dumps(ROWS[0]) + "\n")
    assert data_facts(asked(source)).report.records == len(ROWS) + 1
    assert len(scans) == len(changes) + 3


def test_another_linter_looks_again(source: Path, scans: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    data_facts(asked(source))
    monkeypatch.setattr(scancache, "_code", lambda: "another")
    data_facts(asked(source))
    assert scans == [1, 1]


@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_a_damaged_entry_is_as_good_as_none(source: Path, scans: list[int], cache: Path, damage: str) -> None:
    first = data_facts(asked(source))
    (entry,) = cache.iterdir()
    if damage == "other":
        np.savez(entry, told=np.frombuffer(b'{"problems": 3}', np.uint8))
    else:
        entry.write_bytes(entry.read_bytes()[: len(entry.read_bytes()) // 2] if damage == "cut" else b"")
    same(data_facts(asked(source)), first)
    assert scans == [1, 1]
    same(data_facts(asked(source)), first)
    assert scans == [1, 1] and [path.name for path in cache.iterdir()] == [entry.name]


def test_entries_are_bounded(source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_facts(asked(source))
    (entry,) = cache.iterdir()
    monkeypatch.setattr(scancache, "LIMIT", 2 * entry.stat().st_size + 100)
    for seed in range(1, 5):
        data_facts(asked(source, run={"seed": seed}))
    assert len(list(cache.iterdir())) == 2


def test_where_nothing_can_be_kept_the_facts_are_given_all_the_same(source: Path, cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("a file in the way")
    assert data_facts(asked(source)).report.records == len(ROWS)


def test_rows_that_change_while_they_are_looked_at_are_not_kept(
    source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = dataset.scan

    def changing(*given: Any, **named: Any) -> Any:
        report = real(*given, **named)
        source.write_text(source.read_text() + json.dumps(ROWS[1]) + "\n")
        return report

    monkeypatch.setattr(dataset, "scan", changing)
    data_facts(asked(source))
    assert not cache.exists()
