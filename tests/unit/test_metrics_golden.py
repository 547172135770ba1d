"""Metrics against figures that their authors published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tui_tuner.evaluation.metrics import score_rows, scored
from tui_tuner.evaluation.metrics.overlap import bleu_of_sums, chrf_of_sums

HERE = Path(__file__).parents[1] / "support" / "metrics"

# sacrebleu's README and test_bleu.py: three sentences with two references each.
SAID = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
RIGHT = [
    ["The dog bit the man.", "The dog had bit the man."],
    ["It was not unexpected.", "No one was surprised."],
    ["The man bit him first.", "The man had bitten the dog."],
]


def xsum() -> list[dict]:
    return [json.loads(line) for line in (HERE / "xsum_rouge_60.jsonl").read_text("utf-8").split("\n") if line]


@pytest.mark.parametrize(("metric", "key"), [("rouge1", "R1"), ("rouge2", "R2"), ("rougeL", "RL")])
def test_rouge_of_published_summaries(metric: str, key: str) -> None:
    rows = xsum()
    values = score_rows(metric, [r["prediction"] for r in rows], [r["reference"] for r in rows], use_stemmer=True)
    assert len(rows) == 60
    assert values == pytest.approx([r[key] for r in rows], abs=1e-4)


def test_rouge_lsum_of_several_lines() -> None:
    # rouge_scorer_test.py of google-research: ROUGE-1.5.5 gives F = 0.47205.
    said, right = ((HERE / f"{name}_multi.0.txt").read_text("utf-8") for name in ("prediction", "target"))
    assert score_rows("rougeLsum", [said], [right], use_stemmer=True) == pytest.approx([0.47205], abs=1e-5)


def test_of_several_references_rouge_takes_the_best() -> None:
    values = score_rows("rouge1", ["a b"], [["x y", "a b c d", "a"]])
    assert values == pytest.approx([2 / 3])  # a b of a b c d; "a" gives the same


# test_bleu.py of sacrebleu (Apache-2.0): test_corpus_bleu_cases.
@pytest.mark.parametrize(
    ("said", "options", "value"),
    [
        (SAID, {}, 48.530827),
        (["", "", ""], {}, 0.0),
        (SAID, {"tokenize": "none"}, 49.1919566),
        (SAID, {"tokenize": "13a"}, 48.530827),
        (SAID, {"tokenize": "intl"}, 43.91623493),
        (SAID, {"smooth_method": "none"}, 48.530827),
    ],
)
def test_corpus_bleu(said: list[str], options: dict, value: float) -> None:
    assert scored("bleu", said, RIGHT, **options).value == pytest.approx(value, abs=1e-6)


# test_chrf.py of sacrebleu (Apache-2.0): test_cases_effective_order, which take beta 3.
@pytest.mark.parametrize(
    ("said", "right", "value"),
    [
        (["a"], ["a"], 100.0),
        ([""], ["reference"], 0.0),
        (["a b c"], ["a b c"], 100.0),
        (["a b c"], ["abc"], 100.0),
        ([""], ["c"], 0.0),
        (["a", "b"], ["a", "c"], 50.0),
        (["aa"], ["ab"], 25.0),
    ],
)
def test_corpus_chrf(said: list[str], right: list[str], value: float) -> None:
    assert scored("chrf", said, right, beta=3).value == pytest.approx(value, abs=1e-4)


def test_the_readmes_figures() -> None:
    # README of sacrebleu 2: BLEU 48.53, chrF2 59.73 for these sentences.
    assert round(scored("bleu", SAID, RIGHT).value, 2) == 48.53
    assert round(scored("chrf", SAID, RIGHT).value, 2) == 59.73
    signature = scored("bleu", SAID, RIGHT).note["signature"]
    assert signature.startswith("nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:2")
    assert scored("chrf", SAID, RIGHT).note["signature"].startswith("nrefs:2|case:mixed|eff:yes|nc:6|nw:0|space:no|")


def test_a_rows_own_bleu_and_chrf_are_sacrebleus_sentence_scores() -> None:
    from sacrebleu import sentence_bleu, sentence_chrf

    assert list(scored("bleu", SAID, RIGHT)) == pytest.approx(
        [sentence_bleu(said, right).score for said, right in zip(SAID, RIGHT, strict=True)]
    )
    assert list(scored("chrf", SAID, RIGHT)) == pytest.approx(
        [sentence_chrf(said, right).score for said, right in zip(SAID, RIGHT, strict=True)]
    )


def test_rows_may_have_different_numbers_of_references() -> None:
    from sacrebleu import corpus_bleu

    uneven = [RIGHT[0], RIGHT[1][:1], RIGHT[2]]
    expected = corpus_bleu(SAID, [[r[0] for r in uneven], [r[1] if len(r) > 1 else None for r in uneven]])
    result = scored("bleu", SAID, uneven)
    assert result.value == pytest.approx(expected.score)
    assert result.note["signature"].startswith("nrefs:var|")


@pytest.mark.parametrize("smooth", ["exp", "none"])
def test_figures_of_sums_are_sacrebleus(smooth: str) -> None:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    random = np.random.default_rng(3)
    sums = []
    for _ in range(400):
        # Also without n-grams of a high order, without a match of one, and without anything.
        length = int(random.integers(0, 12))
        totals = [max(length - n, 0) for n in range(4)]
        sums.append([length, int(random.integers(1, 12)), *(int(random.integers(0, t + 1)) for t in totals), *totals])
    found = bleu_of_sums(np.array(sums, dtype=float), smooth)
    expected = [BLEU(smooth_method=smooth)._compute_score_from_stats(list(one)).score for one in sums]
    assert found == pytest.approx(expected, abs=1e-9)
    assert len(set(np.round(expected, 3))) > 50

    counts = random.integers(0, 9, size=(400, 18)) * (random.random((400, 18)) < 0.8)
    counts[:, 2::3] = np.minimum(counts[:, 2::3], np.minimum(counts[:, 0::3], counts[:, 1::3]))
    for beta in (2.0, 3.0):
        reference = CHRF(beta=beta)
        expected = [reference._compute_score_from_stats([int(c) for c in one]).score for one in counts]
        assert chrf_of_sums(counts.astype(float), beta) == pytest.approx(expected, abs=1e-9)


# Worked by hand after SQuAD's official script (evaluate-v2.0.py: normalize_answer, compute_exact, compute_f1).
@pytest.mark.parametrize(
    ("said", "right", "exact", "f1"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1.0, 1.0),
        ("in Paris, France", "Paris", 0.0, 0.5),
        ("a cat and the cat", "cat cat dog", 0.0, 2 / 3),
        ("U.S.A.", "usa", 1.0, 1.0),
        ("the-end", "theend", 1.0, 1.0),
        ("", "", 1.0, 1.0),
        ("the", "", 1.0, 1.0),
        ("x", "", 0.0, 0.0),
        ("42 yards", "43 yards", 0.0, 0.5),
    ],
)
def test_squad(said: str, right: str, exact: float, f1: float) -> None:
    assert score_rows("squad_exact_match", [said], [right]).tolist() == [exact]
    assert score_rows("token_f1", [said], [right]) == pytest.approx([f1])


def test_squad_takes_the_best_of_several_references() -> None:
    assert score_rows("squad_exact_match", ["the Broncos"], [["Denver Broncos", "Broncos"]]).tolist() == [1.0]
    assert score_rows("token_f1", ["Denver"], [["Carolina", "Denver Broncos"]]) == pytest.approx([2 / 3])
