"""`score` and `compare`: stored predictions to numbers, and two of them to a verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.commands import Tuner, tuner
from tests.ui.fakes import RunBuilder
from tui_tuner.evaluation.metrics import scored
from tui_tuner.evaluation.score import record_scores, summary

__all__ = ["tuner"]

XSUM = Path(__file__).parents[1] / "support" / "metrics" / "xsum_rouge_60.jsonl"
WORDS = ["red", "green", "blue", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def rows(seed: int, right: float, n: int = 80) -> list[dict[str, Any]]:
    """Sentences and what was made of them; each word is kept with probability `right`."""
    sentences, random = np.random.default_rng(0), np.random.default_rng(seed)
    found = []
    for index in range(n):
        words = [str(word) for word in sentences.choice(WORDS, int(sentences.integers(5, 12)))]
        said = [word if random.random() < right else str(random.choice(WORDS)) for word in words]
        row = {"index": index, "prompt": f"q{index}", "reference": " ".join(words), "prediction": " ".join(said)}
        found.append(row)
    return found


def stored(path: Path, found: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path


def test_scores_of_published_summaries(tuner: Tuner) -> None:
    said = tuner("score", XSUM, "--json", "--stemmer")
    assert said.status == 0
    document, published = said.document, [json.loads(line) for line in XSUM.read_text("utf-8").splitlines()]
    assert document["n"] == 60 and document["keys"]["prediction"] == "prediction"
    for metric, key in (("rouge1", "R1"), ("rouge2", "R2"), ("rougeL", "RL")):
        told = document["metrics"][metric]
        assert told["value"] == pytest.approx(np.mean([row[key] for row in published]), abs=1e-4)
        assert told["low"] < told["value"] < told["high"] and told["options"] == {"use_stemmer": True}
        assert told["version"].startswith("rouge_score ") and told["definition"]
    bleu = document["metrics"]["bleu"]
    expected = scored("bleu", [row["prediction"] for row in published], [row["reference"] for row in published])
    assert bleu["value"] == expected.value and "nrefs:1" in bleu["signature"]
    assert "numeric_accuracy" not in document["metrics"]  # not a task of numbers
    assert tuner("score", XSUM, "--json", "--stemmer").document == document
    plain = tuner("score", XSUM, "--json").document["metrics"]["rouge1"]
    assert plain["value"] < document["metrics"]["rouge1"]["value"] and plain["options"] == {"use_stemmer": False}


def test_score_for_people_and_chosen_metrics(tuner: Tuner, tmp_path: Path) -> None:
    file = stored(tmp_path / "p.jsonl", [{"answer": "#### 1,000", "output": "It is 1000."}] * 3)
    said = tuner("score", file, "--metrics", "numeric,ROUGE-1")
    assert said.status == 0 and "Numeric accuracy    1.0000  (0.4385 to 1.0000)" in said.out
    assert "prediction: 'output', guessed from its name" in said.err
    assert list(tuner("score", file, "--json").document["metrics"])[:2] == ["exact_match", "squad_exact_match"]
    assert "numeric_accuracy" in tuner("score", file, "--json").document["metrics"]
    named = tuner("score", file, "--prediction-key", "answer", "--reference-key", "output", "--json").document
    assert named["guessed"] == []
    assert (
        tuner("score", file, "--metrics", "bleu", "--bleu-tokenize", "char", "--json").document["metrics"]["bleu"][
            "options"
        ]["tokenize"]
        == "char"
    )


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["score", "{}/none.jsonl"], 2, "not-found"),
        (["score", "none"], 2, "run-not-found"),
        (["score", "{}/p.jsonl", "--metrics", "rogue1"], 2, "unknown-metric"),
        (["score", "{}/p.jsonl", "--metrics", ","], 2, "usage"),
        (["score", "{}/p.jsonl", "--metrics", "perplexity"], 2, "no-such-key"),
        (["score", "{}/p.jsonl", "--metrics", "numeric"], 2, "no-numbers"),
        (["score", "{}/p.jsonl", "--bleu-tokenize", "x"], 2, "usage"),
        (["score", "{}/p.jsonl", "--prediction-key", "x"], 2, "no-such-key"),
        (["score", "{}/bad.jsonl"], 1, "no-such-key"),
        (["compare", "{}/p.jsonl"], 2, "usage"),
        (["compare", "{}/p.jsonl", "{}/other.jsonl"], 2, "different-rows"),
    ],
)
def test_refusals(tuner: Tuner, tmp_path: Path, arguments: list[str], status: int, code: str) -> None:
    stored(tmp_path / "p.jsonl", [{"prediction": "a b", "reference": "a c"}] * 2)
    stored(tmp_path / "other.jsonl", [{"prediction": "a b", "reference": "z"}])
    stored(tmp_path / "bad.jsonl", [{"prediction": "a b", "reference": "a c"}, {"prediction": "a"}])
    said = tuner(*(argument.format(tmp_path) for argument in arguments), "--json")
    assert said.status == status and said.document["error"]["code"] == code
    assert "\n" not in said.document["error"]["message"]


def test_compare_finds_what_is_there(tuner: Tuner, tmp_path: Path) -> None:
    worse, better = stored(tmp_path / "a.jsonl", rows(1, 0.5)), stored(tmp_path / "b.jsonl", rows(2, 0.8)[::-1])
    document = tuner("compare", worse, better, "--json").document
    assert (document["n"], document["matched"]["by"]) == (80, '"index"')
    keys = {"a", "b", "difference", "low", "high", "p", "wins", "ties", "losses", "verdict", "sentence"}
    for metric in ("rouge1", "rougeL", "bleu", "chrf"):
        told = document["metrics"][metric]
        assert keys <= set(told) and told["verdict"] == "better" and told["low"] > 0
        assert told["a_low"] < told["a"] < told["a_high"] < told["b"]
    assert document["described"]["bleu"]["version"].startswith("sacrebleu ")
    assert document["answers"]["a"]["length"]["unit"] == "words"
    back = tuner("compare", better, worse, "--json", "--metrics", "rouge1").document["metrics"]
    assert list(back) == ["rouge1"] and back["rouge1"]["verdict"] == "worse"
    said = tuner("compare", worse, better)
    assert '80 rows, matched by "index"' in said.out and "better" in said.out and "Better on" in said.out


def test_compare_does_not_find_what_is_not_there(tuner: Tuner, tmp_path: Path) -> None:
    a, b = stored(tmp_path / "a.jsonl", rows(1, 0.6)), stored(tmp_path / "b.jsonl", rows(2, 0.605))
    document = tuner("compare", a, b, "--json").document
    assert {one["verdict"] for one in document["metrics"].values()} == {"no measurable change"}
    assert document["sentence"].startswith("No measurable change on any of 7 metrics.")
    assert document["metrics"]["rouge1"]["rows_to_settle"] > 80
    for seed in range(1, 4):
        again = tuner("compare", a, b, "--json", "--seed", seed).document
        assert {one["verdict"] for one in again["metrics"].values()} == {"no measurable change"}
    same = tuner("compare", a, a, "--json").document
    assert "all 80 answers are the same on both sides" in same["notes"]
    assert all(one["difference"] == 0 and one["p"] == 1 for one in same["metrics"].values())


def test_splits_are_judged_apart(tuner: Tuner, tmp_path: Path) -> None:
    sides = []
    for name, seed, right in (("a", 1, 0.5), ("b", 2, 0.9)):
        found = rows(seed, right)
        for index, row in enumerate(found):
            row["split"] = "recall" if index < 40 else "other"
            if index >= 40:  # what was not learned stays as it was
                row["prediction"] = rows(1, 0.5)[index]["prediction"]
        sides.append(stored(tmp_path / f"{name}.jsonl", found))
    document = tuner("compare", *sides, "--json").document
    recall, other = document["splits"]["recall"], document["splits"]["other"]
    assert (recall["n"], other["n"], document["n"]) == (40, 40, 80)
    assert recall["metrics"]["rouge1"]["verdict"] == "better"
    assert other["metrics"]["rouge1"]["verdict"] == "no measurable change"
    assert "recall: 40 rows" in tuner("compare", *sides).out
    apart = tuner("score", sides[0], "--json").document["splits"]
    assert apart["recall"]["n"] == 40 and apart["recall"]["metrics"]["bleu"]["low"] >= 0


def test_results_of_runs_are_named_by_run_and_label(tuner: Tuner, tmp_path: Path) -> None:
    builder = RunBuilder(tmp_path).prepared()
    folder = builder.folder.evaluation
    for label, seed, right in (("before", 1, 0.5), ("after", 2, 0.8), ("step-20", 3, 0.7)):
        found = [
            {**row, "tokens": 9, "finish": "stop", "nll": 20.0 - 10 * right + row["index"] % 3, "trained_tokens": 10}
            for row in rows(seed, right)
        ]
        stored(folder / f"{label}.jsonl", found)
        scores = record_scores(found, ["rouge1", "bleu"])
        settings = {"max_tokens": 64 if label == "step-20" else 32, "batch_size": 4}
        (folder / f"{label}.json").write_text(json.dumps(summary(found, scores, label=label, settings=settings)))
    document = tuner("compare", "last", "--json").document
    assert list(document["metrics"]) == ["rouge1", "bleu", "loss", "perplexity"]
    assert {one["verdict"] for one in document["metrics"].values()} == {"better"}
    assert document["answers"]["b"]["truncated"]["value"] == 0.0
    assert document["guessed"] == {"a": [], "b": []} and document["notes"] == []
    name = builder.folder.name
    named = tuner("compare", f"{name}:before", f"{name}:after", "--json").document
    assert named["metrics"] == document["metrics"]
    other = tuner("compare", "last", "last:step-20", "--json").document
    assert other["notes"] == ["the answers were made with different settings: max_tokens 32 and 64"]
    assert tuner("score", "last:before", "--json").document["metrics"]["loss"]["value"] == pytest.approx(1.6, abs=0.01)
    missing = tuner("score", "last:step-40", "--json")
    assert missing.status == 2 and missing.document["error"]["code"] == "no-such-result"
    assert "it has before, after, step-20" in missing.document["error"]["message"]


def test_what_is_unseen_is_told_apart(tuner: Tuner, tmp_path: Path) -> None:
    sides = []
    for name, seed, right in (("a", 1, 0.5), ("b", 2, 0.5)):
        found = rows(seed, right)
        for row in found[:30]:
            row["split"] = "unseen"
            row["prediction"] = row["reference"] if name == "b" else "nothing"
        sides.append(stored(tmp_path / f"{name}.jsonl", found))
    document = tuner("compare", *sides, "--json", "--metrics", "rouge1,f1").document
    assert document["n"] == document["metrics"]["rouge1"]["n"] == 50
    assert document["metrics"]["rouge1"]["verdict"] == "no measurable change"
    assert document["splits"]["unseen"]["metrics"]["rouge1"]["verdict"] == "better"
    assert "30 rows of the split unseen are told apart, and not part of the whole" in document["notes"]
    apart = tuner("score", sides[0], "--json").document
    assert (apart["n"], apart["splits"]["unseen"]["n"]) == (50, 30)


def test_plain_lines_with_references_beside_them(tuner: Tuner, tmp_path: Path) -> None:
    # sacrebleu's README: three sentences with two references each; BLEU 48.53, chrF2 59.73.
    texts = {
        "said.txt": "The dog bit the man.\r\nIt wasn't surprising.\r\nThe man had just bitten him.\r\n",
        "one.txt": "The dog bit the man.\nIt was not unexpected.\nThe man bit him first.",
        "two.txt": "\ufeffThe dog had bit the man.\nNo one was surprised.\nThe man had bitten the dog.\n",
        "short.txt": "a\n\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode())
    said, one, two, short = (tmp_path / name for name in texts)
    metrics = tuner("score", said, "--references", one, "--references", two, "--json").document["metrics"]
    assert round(metrics["bleu"]["value"], 2) == 48.53 and round(metrics["chrf"]["value"], 2) == 59.73
    same = tuner("compare", said, said, "--references", one, "--json").document
    assert same["n"] == 3 and same["matched"]["by"] == "order, with equal references row by row"
    wrong = tuner("score", said, "--references", short)
    assert wrong.status == 1 and f"{short}: has 2 lines, and {said} has 3" in wrong.err
