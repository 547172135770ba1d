"""The verdict on any two stored results, from the rows that both have; in the form of `verdict.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.metrics import LOSS_METRICS, loss_scores, scored
from tui_tuner.evaluation.score import verdict, verdicts
from tui_tuner.evaluation.significance import RowValues
from tui_tuner.evaluation.stored import UNSEEN, Answer, Pair, Pairs

_OF_TEXTS = ("bleu", "chrf", "numeric_accuracy")
"""Metrics whose value is more than the mean of what is stored for each row; they are counted anew."""


def judge_pairs(pairs: Pairs) -> dict[str, Any]:
    """Judges the second side against the first on every metric that rows of both were scored by.

    Returns:
        {"n", "metrics", "sentence", "splits": {part: {"n", "metrics", "sentence"}}}, parts where there are several.

    Raises:
        TunerError: no row was scored on both sides, or a value is no number.
    """
    # Facts that were never trained show guessing; they are reported apart, and not what the verdict is about.
    told = [row for row in pairs.rows if row.split != UNSEEN] or pairs.rows
    first, second = _sides(told)
    if not first:
        raise TunerError(
            "the two results have no scored row in common",
            code="no-pairs",
            fix="compare results over the same rows, scored with the same metrics",
        )
    found = verdict(first, second)
    groups = {split: [row for row in pairs.rows if row.split == split] for split in pairs.splits}
    parts = {split: sides for split, rows in groups.items() if (sides := _sides(rows))[0] and len(groups) > 1}
    splits = {
        split: {"n": len(groups[split]), "metrics": part.as_json(), "sentence": part.sentence}
        for split, part in verdicts(parts).items()
    }
    both = sum(len(row.answers) == 2 for row in told)
    return {"n": both, "metrics": found.as_json(), "sentence": found.sentence, "splits": splits}


def _sides(rows: Sequence[Pair]) -> tuple[dict[str, RowValues], dict[str, RowValues]]:
    """By metric the values of the rows that have one on both sides."""
    first: dict[str, RowValues] = {}
    second: dict[str, RowValues] = {}
    for metric in Pairs(list(rows)).metrics:
        whole = [row for row in rows if row.difference(metric) is not None]
        if whole:
            first[metric] = _values(metric, whole, [row.a for row in whole if row.a])
            second[metric] = _values(metric, whole, [row.b for row in whole if row.b])
    return first, second


def _values(metric: str, rows: Sequence[Pair], answers: Sequence[Answer]) -> RowValues:
    """The rows' values, and where the metric is no mean of them, what it is made of."""
    if metric in _OF_TEXTS:
        return scored(metric, [answer.prediction for answer in answers], [row.reference for row in rows])
    if metric in LOSS_METRICS and all(answer.counted[1] for answer in answers):
        sums, counts = zip(*(answer.counted for answer in answers), strict=True)
        return loss_scores(sums, counts)[metric]
    return [answer.scores[metric] for answer in answers]
