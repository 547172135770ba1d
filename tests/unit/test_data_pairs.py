"""Questions and answers without columns: under their questions in an object, or as lists of two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.config.data_section import DataSection
from tui_tuner.data.draft import draft
from tui_tuner.data.sourcefacts import source_facts

PAIRS = [[f"What is the number of thing {number}?", f"It is {7 * number}."] for number in range(30)]


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, indent=1) if path.suffix == ".json" else "\n".join(map(json.dumps, value)))
    return path


@pytest.mark.parametrize(
    ("name", "value", "mapping"),
    [
        ("object.json", dict(PAIRS), {"prompt": "{key}", "completion": "{value}"}),
        ("array.json", PAIRS, {"prompt": "{column 1}", "completion": "{column 2}"}),
        ("lines.jsonl", PAIRS, {"prompt": "{column 1}", "completion": "{column 2}"}),
        (
            "nested.json",
            {"rows": {"of": 1}, "data": [dict(zip(("q", "a"), pair, strict=True)) for pair in PAIRS]},
            None,
        ),
    ],
)
def test_pairs_are_questions_and_answers(tmp_path: Path, name: str, value: Any, mapping: dict[str, str] | None) -> None:
    path = write(tmp_path / name, value)
    facts = source_facts(DataSection(source=str(path)))
    assert facts.rows == 30
    assert facts.guess.shape == "question-answer"
    if mapping is not None:
        assert facts.guess.mapping == mapping
    made = draft(DataSection(source=str(path)), 0)
    rows = [row for part in made.parts.values() for row in made.some(part.pairs.tolist())]
    assert sorted((row["prompt"], row["completion"]) for row in rows) == sorted(map(tuple, PAIRS))


@pytest.mark.parametrize("value", [{"name": "x", "version": "1", "license": "mit"}, {"Hello there": "hi", "a b": "c"}])
def test_few_texts_or_names_like_those_of_columns_are_one_record(tmp_path: Path, value: dict[str, str]) -> None:
    facts = source_facts(DataSection(source=str(write(tmp_path / "one.json", value))))
    assert facts.rows == 1
    assert facts.records == [value]


def test_a_list_of_another_length_is_a_damaged_row(tmp_path: Path) -> None:
    made = draft(DataSection(source=str(write(tmp_path / "rows.jsonl", [*PAIRS, ["alone"]]))), 0)
    assert [(fault.place.line, fault.code) for fault in made.faults] == [(31, "not-an-object")]
    assert len(made.records) == 30


def test_a_first_row_that_is_long_is_a_row_of_a_table_too(tmp_path: Path) -> None:
    rows = [["long " * 2_000, "answer"], *PAIRS]
    facts = source_facts(DataSection(source=str(write(tmp_path / "rows.json", rows))))
    assert list(facts.columns) == ["column 1", "column 2"]
