"""Reading the results of a benchmark: rows are paired, damage is counted, other files cost nothing but themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.board import read_board
from tui_tuner.evaluation.metrics import scored
from tui_tuner.evaluation.pairing import judge_pairs
from tui_tuner.evaluation.score import record_scores, verdict_by_split
from tui_tuner.evaluation.stored import Answer, Pair, fill_in, labels, read_pairs, rows_file
from tui_tuner.runs.view import RunView


def row(index: int, prediction: str, score: float, **changes: Any) -> dict[str, Any]:
    made = {"index": index, "prompt": f"p{index}", "reference": "r", "prediction": prediction,
            "scores": {"rouge1": score}, "tokens": 3, "finish": "stop"}  # fmt: skip
    return {**made, **changes}


def write(folder: Path, label: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"{label}.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def test_answers_are_joined_by_row_and_damage_is_counted(tmp_path: Path) -> None:
    first = write(tmp_path, "before", [row(1, "b", 0.5), row(0, "a", 0.25)])
    second = write(tmp_path, "after", [row(1, "c", 0.75), row(7, "d", 1.0)])
    with second.open("a", encoding="utf-8") as file:
        file.write('{"index": 3, "predic\n[1, 2]\n\n{"index": "x", "prediction": ""}\n')
    pairs = read_pairs(first, second)
    assert [pair.index for pair in pairs.rows] == [0, 1, 7]
    assert (pairs.damaged, pairs.strangers) == (3, 0)
    assert pairs.rows[1].difference("rouge1") == 0.25
    assert pairs.rows[0].difference("rouge1") is None
    assert pairs.metrics == ["rouge1"]


def test_rows_with_another_reference_are_no_pair(tmp_path: Path) -> None:
    first = write(tmp_path, "a", [row(0, "x", 0.1), row(1, "x", 0.1)])
    second = write(tmp_path, "b", [row(0, "x", 0.1, reference="other"), row(1, "x", 0.1)])
    pairs = read_pairs(first, second)
    assert ([pair.index for pair in pairs.rows], pairs.strangers) == ([1], 1)


def test_what_is_no_number_is_no_score_and_losses_are_per_token(tmp_path: Path) -> None:
    odd = {"rouge1": float("nan"), "rougeL": "0.5", "bleu": None, "chrf": 0.5}
    path = write(tmp_path, "after", [row(0, "x", 0.1, scores=odd, nll=6.0, trained_tokens=4), row(1, "x", 0.1, nll=1)])
    rows = read_pairs(None, path).rows
    assert [pair.b.scores for pair in rows if pair.b] == [{"chrf": 0.5, "loss": 1.5}, {"rouge1": 0.1}]


def test_conversations_as_prompts_are_readable(tmp_path: Path) -> None:
    prompt = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    path = write(tmp_path, "before", [row(0, "a", 0.5, prompt=prompt)])
    assert read_pairs(path, None).rows[0].prompt == "system: Be brief.\nuser: Hi"


def test_a_result_that_grows_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    partial = tmp_path / "step-60.partial.jsonl"
    partial.write_text(
        '{"index": 4, "prediction": "so far", "tokens": 2, "finish": "stop"}\n{"index": 5, "pre', "utf-8"
    )
    assert labels(tmp_path) == ["step-60"]
    pairs = read_pairs(rows_file(tmp_path, "step-60"), None)
    assert [pair.index for pair in pairs.rows] == [4]
    assert (pairs.rows[0].prompt, pairs.damaged) == ("", 0)
    write(tmp_path, "step-60", [row(0, "whole", 1.0)])
    assert rows_file(tmp_path, "step-60").name == "step-60.jsonl"


def test_before_and_after_come_first_and_numbers_by_their_size(tmp_path: Path) -> None:
    for label in ("step-120", "step-60", "after", "before", "a-model"):
        write(tmp_path, label, [row(0, "x", 0.1)])
    assert labels(tmp_path) == ["before", "after", "a-model", "step-60", "step-120"]
    assert labels(tmp_path / "nowhere") == []


def test_what_a_row_tells_of_itself() -> None:
    one = Pair(0, "", "", Answer("a", {}, 4), Answer(" ", {}, 9, "length"), split="recall")
    assert (one.changed, one.capped, one.empty, one.length) == (True, True, True, 9)
    assert Pair(0, "", "", Answer("three words here", {})).length == 3


def test_an_old_run_tells_its_figures_by_its_events(tmp_path: Path) -> None:
    write(tmp_path, "before", [row(0, "x", 0.1)])
    view = RunView()
    figures = {"rouge1": {"value": 0.1, "low": 0.0, "high": 0.2}}
    view.evaluations = {"before": figures, "after": figures}
    view.verdict = {"metrics": {"rouge1": {"verdict": "better"}}, "sentence": "Better."}
    board = read_board(tmp_path, view)
    assert list(board.results) == ["before", "after"]
    assert board.results["after"].metrics == figures
    assert board.verdict["sentence"] == "Better."
    assert not board.empty and read_board(tmp_path / "nowhere").empty


def test_files_of_another_form_cost_nothing_but_themselves(tmp_path: Path) -> None:
    write(tmp_path, "after", [row(0, "x", 0.1)])
    files = {
        "after.json": '{"n": "many", "metrics": [1], "splits": {"recall": 3}, "settings": []}',
        "before.json": "[1]", "verdict.json": '{"metrics": 3}', "checkpoints.json": '{"points": [1, 2]}',
        "behaviour-after.json": '{"cases": [{"name": "a"}, 7]}', "canaries-after.json": '{"groups": "none"}',
        "canaries-before.json": "{half",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    board = read_board(tmp_path)
    result = board.results["after"]
    assert (result.n, result.metrics, result.splits, result.settings) == (0, {}, {}, {})
    assert (board.verdict, board.checkpoints, board.canaries) == ({}, {}, {})
    assert board.behaviour["after"]["cases"] == [{"name": "a"}]


def test_figures_that_are_no_means_are_judged_as_what_they_are(tmp_path: Path) -> None:
    texts = [("a b c d e f", "a b c d e f"), ("a b c x e f g", "a b c d e f g"), ("p q r", "p q r s t u v w")]
    sides = []
    for label, said, nll in (("a", [one for one, _ in texts], 4.0), ("b", [right for _, right in texts], 2.0)):
        rows = [
            row(n, text, 0.5, reference=texts[n][1], scores={"bleu": 1.0}, nll=nll * (n + 1), trained_tokens=n + 2)
            for n, text in enumerate(said)
        ]
        sides.append(write(tmp_path, label, rows))
    judged = judge_pairs(read_pairs(*sides))["metrics"]
    expected = scored("bleu", [one for one, _ in texts], [right for _, right in texts]).value
    assert judged["bleu"]["a"] == pytest.approx(expected) and judged["bleu"]["b"] == pytest.approx(100)
    # Token-weighted: 4 (1 + 2 + 3) over 2 + 3 + 4 tokens.
    assert judged["loss"]["a"] == pytest.approx(24 / 9) and judged["loss"]["b"] == pytest.approx(12 / 9)


def test_facts_that_were_never_trained_are_judged_apart(tmp_path: Path) -> None:
    sides = [
        write(tmp_path, label, [row(at, "x", score, split="unseen" if at > 7 else "recall") for at in range(10)])
        for label, score in (("a", 0.2), ("b", 0.6))
    ]
    judged = judge_pairs(read_pairs(*sides))
    assert (judged["n"], judged["metrics"]["rouge1"]["wins"]) == (8, 8)
    assert [(name, part["n"]) for name, part in judged["splits"].items()] == [("recall", 8), ("unseen", 2)]


def test_results_without_a_scored_row_in_common_are_refused(tmp_path: Path) -> None:
    first, second = write(tmp_path, "a", [row(0, "x", 0.2)]), write(tmp_path, "b", [row(1, "x", 0.2)])
    with pytest.raises(TunerError) as caught:
        judge_pairs(read_pairs(first, second))
    assert caught.value.code == "no-pairs"


def test_rows_that_are_just_being_answered_get_their_prompts_from_the_run(tmp_path: Path) -> None:
    partial = tmp_path / "before.partial.jsonl"
    partial.write_text("".join(f'{{"index": {at}, "prediction": "so far"}}\n' for at in (0, 1, 2, 5)), encoding="utf-8")
    test = tmp_path / "test.jsonl"
    chat = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]
    lines = [json.dumps({"prompt": "who?", "completion": "me"}), json.dumps({"messages": chat}), "{torn"]
    test.write_text("\n".join(lines) + "\n", encoding="utf-8")
    pairs = read_pairs(partial, None)
    fill_in(pairs, test)
    assert [(row.prompt, row.reference) for row in pairs.rows] == [
        ("who?", "me"), ("user: Hi?", "Hello."), ("", ""), ("", ""),
    ]  # fmt: skip
    fill_in(pairs, tmp_path / "nowhere.jsonl")


def test_parts_are_judged_as_compare_judges_them(tmp_path: Path) -> None:
    """All parts' tests are corrected together, whichever way two results came to be compared."""
    rng = np.random.default_rng(4)
    records = [
        [
            {
                "index": at, "prompt": f"p{at}", "reference": "a b c d", "split": ("recall", "unseen", "other")[at % 3],
                "prediction": " ".join(word for word in "abcd" if rng.random() < share), "scores": {},
            }
            for at in range(60)
        ]
        for share in (0.5, 0.62)
    ]  # fmt: skip
    sides = [record_scores(rows, ["rouge1", "rougeL", "token_f1"]) for rows in records]
    for name, rows, scores in zip("ab", records, sides, strict=True):
        for at, row in enumerate(rows):
            row["scores"] = {metric: float(one[at]) for metric, one in scores.items()}
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = judge_pairs(read_pairs(tmp_path / "a.jsonl", tmp_path / "b.jsonl"))
    wanted = verdict_by_split(records[0], *sides)
    assert set(found["splits"]) == set(wanted) == {"recall", "unseen", "other"}
    for split, comparison in wanted.items():
        for metric, paired in comparison.items():
            assert found["splits"][split]["metrics"][metric]["p"] == pytest.approx(paired.p), (split, metric)
            assert found["splits"][split]["metrics"][metric]["verdict"] == paired.verdict
