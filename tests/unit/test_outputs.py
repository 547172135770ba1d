"""Predictions of anyone's making are read by their keys, and matched by what they say, never by luck."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.matching import Matched, joined, match
from tui_tuner.evaluation.outputs import Outputs, read_outputs


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize(
    ("row", "prediction", "reference"),
    [
        ({"prediction": "a", "reference": "b"}, "prediction", "reference"),
        ({"document": "d", "summary": "b", "generated_summary": "a"}, "generated_summary", "summary"),
        ({"question": "q", "answer": "b", "response": "a"}, "response", "answer"),
        ({"instruction": "q", "completion": "b", "output": "a"}, "output", "completion"),
        ({"label": "b", "pred": "a", "id": 1}, "pred", "label"),
        ({"Model Output": "a", "Ground-Truth": "b"}, "Model Output", "Ground-Truth"),
        ({"target": "b", "filtered_resps": ["a"], "doc_id": 0}, "filtered_resps", "target"),
        ({"target": "b", "resps": [["a"]], "doc_id": 0}, "resps", "target"),
        ({"base_prediction_text": "a", "the_reference": "b"}, "base_prediction_text", "the_reference"),
        ({"question": "q", "prediction_text": "a", "answers": {"text": ["b"]}}, "prediction_text", "answers"),
    ],
)
def test_keys_are_guessed_from_their_names(tmp_path: Path, row: dict, prediction: str, reference: str) -> None:
    found = read_outputs(lines(tmp_path / "p.jsonl", [row, row]))
    assert (found.keys["prediction"], found.keys["reference"]) == (prediction, reference)
    assert found.guessed == ["prediction", "reference"]
    assert [(one["prediction"], one["reference"]) for one in found.rows] == [("a", "b")] * 2


def test_keys_may_be_named_also_inside_of_objects(tmp_path: Path) -> None:
    file = lines(tmp_path / "p.jsonl", [{"out": {"first": "a"}, "b": "x", "prediction": "other"}])
    found = read_outputs(file, prediction_key="out.first", reference_key="b")
    assert (found.rows[0]["prediction"], found.rows[0]["reference"], found.guessed) == ("a", "x", [])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", 'prediction,reference\na,"[""x"", ""y""]"\n1,2\n'),
        ("p.json", '[{"prediction": "a", "reference": ["x", "y"]}, {"prediction": 1, "reference": 2}]'),
        ("p.tsv", 'prediction\treference\na\t["x", "y"]\n1\t2\n'),
    ],
)
def test_other_formats_and_several_references(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = read_outputs(tmp_path / name)
    assert [one["prediction"] for one in found.rows] == ["a", "1"]
    assert [one["reference"] for one in found.rows] == [["x", "y"], "2"]


def test_what_else_rows_have_is_kept(tmp_path: Path) -> None:
    row = {"index": 3, "prompt": "q", "reference": "b", "prediction": "a", "tokens": 7, "finish": "length"}
    row |= {"nll": 2.5, "trained_tokens": 4, "split": "recall", "scores": {"rouge1": 0.5}}
    (one,) = read_outputs(lines(tmp_path / "p.jsonl", [row])).rows
    assert one == {
        "prediction": "a", "reference": "b", "prompt": "q", "id": 3, "split": "recall", "tokens": 7,
        "finish": "length", "nll": 2.5, "trained_tokens": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "words", "code"),
    [
        ([{"x": 1, "y": 2}], 'cannot be told from their names: "x", "y"; name it with --prediction-key', "no-such-key"),
        ([{"prediction": "a"}], 'holds the reference cannot be told from their names: "prediction"', "no-such-key"),
        (
            [{"prediction": "a", "reference": "b"}, {"prediction": "a"}],
            'line 2 (row 2): the row has no "reference", which is to hold its reference',
            "no-such-key",
        ),
        (
            [{"prediction": "a", "reference": "b"}] * 2 + [{"prediction": None, "reference": "b"}],
            'line 3 (row 3): the prediction under "prediction" is null',
            "not-text",
        ),
        ([{"prediction": ["a", "b"], "reference": "b"}], '(row 1): the prediction under "prediction" has', "not-text"),
        ([{"prediction": "a", "reference": []}], 'the reference under "reference" has 0 texts', "not-text"),
        ([{"prediction": "a", "reference": {"n": 1}}], "is a dict that holds no text", "not-text"),
    ],
)  # fmt: skip
def test_refusals_name_file_line_and_key(tmp_path: Path, rows: list[Any], words: str, code: str) -> None:
    file = lines(tmp_path / "p.jsonl", rows)
    with pytest.raises(TunerError) as caught:
        read_outputs(file)
    sentence = caught.value.sentence()
    assert words in sentence and str(file) in sentence and caught.value.code == code


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    file = lines(tmp_path / "p.jsonl", [{"prediction": "a", "reference": "b"}])
    with pytest.raises(TunerError, match='no row has the key "answr"; there are "prediction", "reference"'):
        read_outputs(file, prediction_key="answr")


def outputs(name: str, rows: list[dict[str, Any]]) -> Outputs:
    keys = {key: key for key in ("prediction", "reference", "prompt", "id") if rows and key in rows[0]}
    return Outputs(name, [{"prediction": "x", **row} for row in rows], {"prediction": "prediction", **keys})


def matched(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> Matched:
    return match(outputs("A", a), outputs("B", b))


def test_rows_are_matched_by_their_ids() -> None:
    found = matched(
        [{"id": n, "reference": f"r{n}"} for n in (1, 2, 3)], [{"id": str(n), "reference": f"r{n} "} for n in (3, 1, 4)]
    )
    assert (found.pairs, found.by, found.left_out) == ([(0, 1), (2, 0)], '"id"', (1, 1))
    assert "1 row of the first and 1 of the second" in found.notes[0]


def test_ids_under_which_references_differ_are_not_believed() -> None:
    found = matched(
        [{"id": n, "reference": f"r{n}"} for n in range(4)], [{"id": n, "reference": f"r{3 - n}"} for n in range(4)]
    )
    assert (found.pairs, found.by) == ([(0, 3), (1, 2), (2, 1), (3, 0)], "reference")
    assert '"id" does not tell which rows belong together' in found.notes[0]


def test_rows_are_matched_by_what_was_asked() -> None:
    # Many answers are alike: only with the prompt can rows be told apart.
    a = [{"prompt": f"q{n}", "reference": "0 yards"} for n in range(5)]
    found = matched(a, a[::-1])
    assert (found.pairs, found.by) == ([(n, 4 - n) for n in range(5)], "prompt and reference")
    twice = [*a, a[0]]
    assert matched(twice, twice).pairs == [(n, n) for n in range(6)]


def test_rows_of_different_templates_are_matched_by_reference() -> None:
    a = [{"prompt": f"<a>q{n}", "reference": f"r{n}"} for n in range(5)]
    b = [{"prompt": f"<b>q{n}", "reference": f"r{n}"} for n in (2, 0, 1, 4, 3)]
    assert matched(a, b).by == "reference"
    assert matched(a, b).pairs == [(0, 1), (1, 2), (2, 0), (3, 4), (4, 3)]
    assert matched(a, sorted(b, key=lambda row: row["reference"])).by == "order, with equal references row by row"


def test_what_nothing_tells_apart_is_left_out_and_told() -> None:
    found = matched([{"reference": r} for r in ("0", "7", "0", "9")], [{"reference": r} for r in ("9", "0", "0", "7")])
    assert found.pairs == [(1, 3), (3, 0)]
    assert found.notes[0] == "2 rows share their reference with others, and nothing tells them apart"


def test_order_is_the_last_resort() -> None:
    a = [{"reference": f"r{n}"} for n in range(3)]
    assert matched(a, [{}, {}, {}]).by == "order"
    assert "nothing but their order" in matched(a, [{}, {}, {}]).notes[0]
    for b in ([{}, {}], [{"reference": "other"}] * 3):
        with pytest.raises(TunerError, match=r"A \(3 rows\) and B .* have no row in common"):
            matched(a, b)
    with pytest.raises(TunerError, match="no row in common"):
        matched([{"id": n, "reference": "r"} for n in range(3)], [{"id": n} for n in (7, 8, 9)])


def test_references_may_be_in_one_of_the_files() -> None:
    a, b = outputs("A", [{"id": 1, "reference": "r"}]), outputs("B", [{"id": 1, "split": "recall"}])
    first, second = joined(a, b, match(a, b).pairs)
    assert first[0]["reference"] == second[0]["reference"] == "r"
    assert first[0]["split"] == second[0]["split"] == "recall"
    with pytest.raises(TunerError, match="neither file has references"):
        joined(b, b, [(0, 0)])
