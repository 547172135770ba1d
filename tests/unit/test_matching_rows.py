"""Which rows of two files belong together: by ids, questions or references, never by luck; and what cannot be read."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.comparing import compare_document, find_result, judge, score_document
from tui_tuner.evaluation.matching import joined, match
from tui_tuner.evaluation.outputs import Outputs, read_lines, read_outputs
from tui_tuner.runs.folder import RunFolder

WORDS = ["red", "green", "blue", "fox", "owl", "bear", "runs", "sees", "likes"]


def outputs(rows: list[dict[str, Any]], name: str = "a.jsonl") -> Outputs:
    roles = ("prediction", "reference", "prompt", "id")
    keys = {role: role for role in roles if any(role in row for row in rows)}
    return Outputs(name, [dict(row) for row in rows], keys)


def row(number: int, said: str = "x", **changes: Any) -> dict[str, Any]:
    made = {"id": f"q{number}", "prompt": f"what is {number}?", "reference": f"it is {number}", "prediction": said}
    return {key: value for key, value in {**made, **changes}.items() if value is not None}


def pairs(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return match(outputs(a), outputs(b, "b.jsonl")).pairs


# -- which belong together ---------------------------------------------------------------------------------------------

ROWS = st.lists(st.integers(0, 40), min_size=1, max_size=14, unique=True)


@given(ROWS, ROWS, st.sampled_from(["id", "prompt", "reference"]), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_rows_find_their_partners_by_whatever_tells_them_apart(
    first: list[int], second: list[int], by: str, chance: random.Random
) -> None:
    """In any order, and with other rows on either side; what is not common is left out and counted."""
    chance.shuffle(second)
    others = {"id": None, "prompt": None, "reference": None}
    del others[by]
    a, b = ([row(number, **others) for number in side] for side in (first, second))
    if by != "reference":  # something must be right; the same for all tells nothing apart
        a, b = ([{**one, "reference": "yes"} for one in side] for side in (a, b))
    common = set(first) & set(second)
    if not common or (by == "prompt" and 2 * len(common) < min(len(first), len(second))):
        return
    found = match(outputs(a), outputs(b))
    if found.by == "order, with equal references row by row":
        return  # every reference is the same: without enough common prompts nothing else is there
    assert [(first[one], second[other]) for one, other in found.pairs] == [(n, n) for n in first if n in common]
    assert found.left_out == (len(first) - len(common), len(second) - len(common))
    assert any("left out" in note for note in found.notes) == (len(first) + len(second) > 2 * len(common))


def test_ids_go_before_prompts_and_prompts_before_references() -> None:
    a = [row(1), row(2)]
    assert match(outputs(a), outputs(a[::-1])).by == '"id"'
    named = Outputs("b", [*a], {"prediction": "prediction", "id": "uid", "prompt": "prompt", "reference": "reference"})
    assert match(outputs(a), named).by == '"id and uid"'
    assert match(outputs([row(1, id=None), row(2, id=None)]), outputs(a)).by == "prompt and reference"
    bare = [row(n, id=None, prompt=None) for n in (1, 2)]
    assert match(outputs(bare), outputs(bare[::-1])).by == "reference"


def test_ids_that_occur_twice_tell_nothing() -> None:
    a = [row(1, id="same"), row(2, id="same")]
    found = match(outputs(a), outputs([row(2, id="same"), row(1, id="same")]))
    assert found.by == "prompt and reference" and found.pairs == [(0, 1), (1, 0)]


def test_the_same_question_asked_twice_is_two_rows_in_their_order() -> None:
    twice = [row(1, "first", id=None), row(2, id=None), row(1, "second", id=None)]
    assert pairs(twice, [twice[1], twice[0], twice[2]]) == [(0, 1), (1, 0), (2, 2)]


def test_white_space_around_keeps_nothing_apart() -> None:
    a, b = [row(1, id=None), row(2, id=None)], [row(2, id=None), row(1, id=None)]
    spaced = [{**one, "prompt": f"  {one['prompt']}\n", "reference": f"{one['reference']} "} for one in b]
    assert pairs(a, spaced) == [(0, 1), (1, 0)]


def test_several_references_are_the_same_in_any_order() -> None:
    a = [row(1, reference=["one", "uno"], id=None, prompt=None), row(2, id=None, prompt=None)]
    b = [row(2, id=None, prompt=None), row(1, reference=["uno ", "one"], id=None, prompt=None)]
    assert pairs(a, b) == [(0, 1), (1, 0)]


def test_references_that_others_share_are_left_out_and_told() -> None:
    a = [row(n, reference="yes" if n < 3 else f"r{n}", id=None, prompt=None) for n in range(5)]
    b = [row(n, reference="yes" if n < 2 else f"r{n}", id=None, prompt=None) for n in range(1, 6)]
    found = match(outputs(a), outputs(b))
    assert [(a[one]["reference"], b[other]["reference"]) for one, other in found.pairs] == [("r3", "r3"), ("r4", "r4")]
    assert "3 rows share their reference with others, and nothing tells them apart" in found.notes
    assert found.as_json()["left_out"] == {"a": 3, "b": 3}


def test_order_is_trusted_only_where_nothing_speaks_against_it() -> None:
    bare = [row(n, id=None, prompt=None, reference=None) for n in range(3)]
    right = [row(n, id=None, prompt=None) for n in range(3)]
    found = match(outputs(bare), outputs(right))
    assert found.pairs == [(0, 0), (1, 1), (2, 2)] and "nothing but their order" in found.notes[0]
    for other in (right[:2], [row(n, prompt=None, reference=None, id=f"z{n}") for n in range(3)]):
        first = [row(n, prompt=None, reference=None) for n in range(3)] if "id" in other[0] else bare
        with pytest.raises(TunerError, match="have no row in common") as caught:
            match(outputs(first), outputs(other))
        assert caught.value.code == "different-rows" and caught.value.usage


def test_rows_of_another_test_set_are_never_compared() -> None:
    with pytest.raises(TunerError, match=r"a\.jsonl \(2 rows\) and b\.jsonl \(1 row\)"):
        pairs([row(1), row(2)], [row(9)])


def test_what_is_right_may_be_in_either_file_and_must_be_in_one() -> None:
    a, b = [row(1, reference=None)], [row(1, split="unseen")]
    for sides in ((a, b), (b, a)):
        first, second = joined(*(outputs(side) for side in sides), pairs=[(0, 0)])
        assert first[0]["reference"] == second[0]["reference"] == "it is 1"
        assert first[0]["split"] == second[0]["split"] == "unseen"
    with pytest.raises(TunerError, match="neither file has references"):
        joined(outputs(a), outputs(a), pairs=[(0, 0)])


# -- files of anyone's making ------------------------------------------------------------------------------------------


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=6))
@settings(max_examples=40)
def test_any_text_comes_back_as_it_was_written(texts: list[tuple[str, str]]) -> None:
    import tempfile

    clean = [(a.encode("utf-8", "replace").decode(), b.encode("utf-8", "replace").decode()) for a, b in texts]
    with tempfile.TemporaryDirectory() as place:
        path = written(Path(place) / "o.jsonl", [{"prediction": a, "reference": b} for a, b in clean])
        found = read_outputs(path)
    assert [(one["prediction"], one["reference"]) for one in found.rows] == clean


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("one", "one"),
        (3, "3"),
        (0.5, "0.5"),
        (True, "true"),
        (["one"], "one"),
        (["one", 2], ["one", "2"]),
        ({"text": ["one", "two"], "answer_start": [1, 2]}, ["one", "two"]),
        ([{"text": "one"}], "one"),
    ],
)
def test_references_of_any_form_are_texts(value: Any, texts: Any, tmp_path: Path) -> None:
    found = read_outputs(written(tmp_path / "o.jsonl", [{"prediction": "x", "reference": value}]))
    assert found.rows[0]["reference"] == texts


@pytest.mark.parametrize(
    ("said", "right", "message"),
    [
        (None, "x", 'the prediction under "prediction" is null'),
        ({"a": 1}, "x", "a dict that holds no text"),
        (["a", "b"], "x", 'the prediction under "prediction" has 2 texts'),
        ([], "x", 'the prediction under "prediction" has 0 texts'),
        ("x", [], 'the reference under "reference" has 0 texts'),
        ("x", ["a", None], "a list that holds no text"),
    ],
)
def test_a_row_without_a_text_is_named_by_file_line_and_key(
    said: Any, right: Any, message: str, tmp_path: Path
) -> None:
    rows = [{"prediction": "fine", "reference": "fine"}, {"prediction": said, "reference": right}]
    with pytest.raises(TunerError) as caught:
        read_outputs(written(tmp_path / "o.jsonl", rows))
    assert message in caught.value.message and caught.value.code == "not-text"
    assert "o.jsonl" in caught.value.where and "2" in caught.value.where


def test_a_key_named_after_what_it_is_for_is_found_among_many(tmp_path: Path) -> None:
    rows = [{"Model_Output_v2": "said", "the_gold_one": "right", "note": "n", "Question": "q", "UID": 7}]
    found = read_outputs(written(tmp_path / "o.jsonl", rows))
    assert found.keys == {
        "prediction": "Model_Output_v2",
        "reference": "the_gold_one",
        "prompt": "Question",
        "id": "UID",
    }
    assert found.guessed == ["prediction", "reference"]
    with pytest.raises(TunerError, match="which key holds the prediction cannot be told") as caught:
        read_outputs(written(tmp_path / "p.jsonl", [{"gen_output": "a", "raw_output": "b", "gold": "c"}]))
    assert caught.value.fix == "name it with --prediction-key"


def test_many_keys_are_not_all_listed(tmp_path: Path) -> None:
    path = written(tmp_path / "o.jsonl", [{f"k{n}": "x" for n in range(20)}])
    with pytest.raises(TunerError, match='"k11" and others;'):
        read_outputs(path, prediction_key="none")


def test_plain_lines_stay_side_by_side(tmp_path: Path) -> None:
    said, one, two = (tmp_path / name for name in ("said", "one", "two"))
    said.write_bytes("\ufeffä\r\n\r\nlast\u2028line\n".encode())
    one.write_bytes(b"a\n\nc\n")
    two.write_bytes(b"x\ny\nz")
    found = read_lines(said, [one, two])
    assert [each["prediction"] for each in found.rows] == ["ä", "", "last\u2028line"]
    assert [each["reference"] for each in found.rows] == [["a", "x"], ["", "y"], ["c", "z"]]
    assert read_lines(said, [one]).rows[1]["reference"] == "" and found.places[2].endswith("said, line 3")


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"one\ntwo\n", "length-mismatch", "has 2 lines, and "),
        (b"", "no-rows", "has no lines"),
        (b"ok\n\xff\n", "bad-encoding", "is not UTF-8 at byte 3"),
    ],
)
def test_lines_that_cannot_be_read_are_told(content: bytes, code: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "said").write_text("a\nb\nc\n")
    (tmp_path / "right").write_bytes(content)
    with pytest.raises(TunerError, match=message) as caught:
        read_lines(tmp_path / "said", [tmp_path / "right"])
    assert caught.value.code == code and caught.value.where == str(tmp_path / "right")
    with pytest.raises(TunerError):
        read_lines(tmp_path / "nothing", [tmp_path / "right"])


# -- what is judged ----------------------------------------------------------------------------------------------------


def test_numbers_are_judged_as_numbers_where_nearly_all_that_is_right_has_one() -> None:
    rows = [row(n, f"I think {n}.", reference=f"{n}" if n else "none") for n in range(12)]
    assert score_document(outputs(rows))["metrics"]["numeric_accuracy"]["value"] == 1.0
    assert "numeric_accuracy" not in score_document(outputs([row(1, reference="a"), row(2)]))["metrics"]


@pytest.mark.parametrize(
    ("metric", "message"),
    [("loss", '"nll" and "trained_tokens"'), ("truncated", '"finish"'), ("numeric_accuracy", "no reference holds")],
)
def test_a_metric_that_was_asked_for_and_cannot_be_had_says_why(metric: str, message: str) -> None:
    with pytest.raises(TunerError, match=message) as caught:
        score_document(outputs([row(1, reference="yes")]), [metric])
    assert caught.value.fix.startswith("leave it out") and caught.value.usage


def test_results_that_are_the_same_are_said_to_be() -> None:
    a = outputs([row(n, "same") for n in range(8)])
    document = compare_document(a, a)
    assert "all 8 answers are the same on both sides" in document["notes"]
    assert all(one["verdict"] == "no measurable change" for one in document["metrics"].values())


def test_scripts_that_rouge_cannot_see_are_told_of() -> None:
    rows = [row(n, "猫", reference="猫がいる" if n else "a cat") for n in range(3)]
    notes = score_document(outputs(rows))["notes"]
    assert any("2 of 3 references have none; chrF sees all" in note for note in notes)


def test_what_was_unseen_is_told_apart_and_not_part_of_the_whole() -> None:
    rows = [row(n, f"it is {n}", split="seen") for n in range(4)] + [row(n, split="unseen") for n in range(4, 6)]
    document = score_document(outputs(rows))
    assert document["n"] == 4 and document["metrics"]["exact_match"]["value"] == 1.0
    assert document["splits"]["unseen"]["metrics"]["exact_match"]["value"] == 0.0
    assert any("2 rows of the split unseen are told apart" in note for note in document["notes"])


def test_a_judgement_belongs_to_the_pairs_and_not_to_their_order() -> None:
    a = [row(n, " ".join(WORDS[n % 5 :])) for n in range(9)]
    b = [row(n, " ".join(WORDS[n % 3 :])) for n in range(9)]
    there, mixed = (judge(outputs(a), outputs(side)) for side in (b, b[4:] + b[:4]))
    assert there.whole.as_json() == mixed.whole.as_json()
    assert [one["prediction"] for one in mixed.second] == [one["prediction"] for one in b]


# -- what a name means -------------------------------------------------------------------------------------------------


def result(runs: Path, name: str, *labels: str) -> RunFolder:
    made = RunFolder.create(runs, name)
    made.evaluation.mkdir(exist_ok=True)
    made.events.touch()
    for label in labels:
        written(made.evaluation / f"{label}.jsonl", [row(1)])
    return made


def test_a_result_is_found_by_path_by_run_and_by_label(tmp_path: Path) -> None:
    run, alone = result(tmp_path, "one", "before", "after", "step-20"), result(tmp_path, "two", "base")
    path = run.evaluation / "before.jsonl"
    assert find_result(str(path), tmp_path) == path
    assert find_result(run.name, tmp_path) == run.evaluation / "after.jsonl"
    assert find_result(run.name, tmp_path, "before") == path
    assert find_result(f"{run.name}:step-20", tmp_path) == run.evaluation / "step-20.jsonl"
    assert find_result(alone.name, tmp_path) == alone.evaluation / "base.jsonl", "it is the only one"


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("{run}:nope", "no-such-result", 'no result "nope"; it has before, after'),
        ("{empty}", "no-such-result", 'no result "after", or any other'),
        ("answers.jsonl", "not-found", "there is no such file"),
        ("some/where", "not-found", "there is no such file"),
    ],
)
def test_a_result_that_is_not_there_is_told_with_those_that_are(
    name: str, code: str, message: str, tmp_path: Path
) -> None:
    names = {"run": result(tmp_path, "one", "before", "after").name, "empty": result(tmp_path, "none").name}
    with pytest.raises(TunerError) as caught:
        find_result(name.format(**names), tmp_path)
    assert caught.value.code == code and message in caught.value.message and caught.value.usage
