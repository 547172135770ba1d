"""What a source is, from its head, and which way of dividing its records is advised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.config.data_section import DataSection
from tui_tuner.data.sourcefacts import KEPT, source_facts
from tui_tuner.data.splitadvice import split_advice
from tui_tuner.errors import TunerError

PASSAGES = [
    {"context": f"The story of number {at // 4}.", "question": f"What of {at}?", "label": "yes"} for at in range(80)
]


def written(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_format_columns_guess_and_first_records(tmp_path: Path) -> None:
    records = [{"question": f"Who is {at}?", "answer": f"Number {at}.", "meta": {"at": at}} for at in range(500)]
    facts = source_facts(DataSection(source=str(written(tmp_path / "a.jsonl", records))))
    assert (facts.format, facts.rows, facts.complete, facts.splits) == ("jsonl", 500, True, {})
    assert facts.columns == {"question": "Who is 0?", "answer": "Number 0.", "meta.at": 0}
    assert facts.guess.shape == facts.guesses[0].shape == "question-answer"
    assert len(facts.records) == KEPT and facts.advice.mode == "records"


def test_a_source_that_no_row_can_be_made_of_is_described(tmp_path: Path) -> None:
    facts = source_facts(DataSection(source=str(written(tmp_path / "a.jsonl", [{"a": 1, "b": 2, "c": 3}] * 5))))
    assert not facts.guess.trainable and list(facts.columns) == ["a", "b", "c"]


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TunerError, match="no such file"):
        source_facts(DataSection(source=str(tmp_path / "none.jsonl")))
    (tmp_path / "bad.jsonl").write_text('{"a": \n', encoding="utf-8")
    with pytest.raises(TunerError, match=r"bad\.jsonl"):
        source_facts(DataSection(source=str(tmp_path / "bad.jsonl")))


def test_repeated_subjects_want_groups_by_the_most_exact_column() -> None:
    advice = split_advice(PASSAGES, ["context", "question", "label"], 0, ["context", "question"], own=False)
    assert (advice.mode, advice.group) == ("grouped", ("context",))
    assert "20 different in 80 records" in advice.why


def test_a_column_beside_the_prompt_counts_when_it_is_long_or_an_id() -> None:
    columns = ["context", "label"]
    assert split_advice(PASSAGES, columns, 0, ["question"], own=False).group == ("context",)
    numbered = [{"user_id": at // 4, "age": at // 4, "question": f"{at}?"} for at in range(80)]
    assert split_advice(numbered, ["user_id", "age"], 0, ["question"], own=False).group == ("user_id",)


@pytest.mark.parametrize(
    "records",
    [PASSAGES[:8], [{"kind": f"k{at % 3}"} for at in range(90)],
     [{"kind": "a" if at % 2 else f"b{at}"} for at in range(90)],
     [{"kind": None} for _ in range(90)], [{"kind": f"u{at}"} for at in range(90)]],
)  # fmt: skip
def test_kinds_and_unique_values_are_no_subjects(records: list[dict[str, Any]]) -> None:
    assert split_advice(records, ["kind", "context"], 0, ["kind", "context"], own=False).mode == "records"


def test_wordings_want_facts_and_own_splits_are_kept() -> None:
    two = split_advice([{"kind": "k"}] * 30, ["kind"], 2, ["kind"], own=False)
    assert two.mode == "records" and "a third wording" in two.why
    assert split_advice(PASSAGES, ["context"], 3, ["context"], own=False).mode == "facts"
    assert split_advice(PASSAGES, ["context"], 3, ["context"], own=True).mode == ""


def test_a_row_is_shown_with_the_record_and_line_it_was_made_of(tmp_path: Path) -> None:
    from tui_tuner.config.model import Experiment
    from tui_tuner.data.inspect import preview_data
    from tui_tuner.models.folder import locate
    from tui_tuner.models.load import load_tokenizer

    records = [{"question": f"Who is {at}?", "answer": f"Number {at}."} for at in range(30)]
    path = written(tmp_path / "a.jsonl", records)
    model = "embedded:phi3-tiny"
    made = Experiment.model_validate({"model": {"path": model}, "data": {"source": str(path)}})
    tokenizer = load_tokenizer(locate(model, None))
    for rows in (preview_data(made, tokenizer).rows, preview_data(made, tokenizer, only=[("train", 3)]).rows):
        assert rows
        for row in rows:
            assert row.record == records[row.line - 1] and row.row["prompt"] == row.record["question"]
