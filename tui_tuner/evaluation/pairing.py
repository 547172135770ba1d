"""The verdict on any two stored results, from the rows that both have; in the form of `verdict.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.score import Comparison, verdict
from tui_tuner.evaluation.stored import Pair, Pairs


def judge_pairs(pairs: Pairs) -> dict[str, Any]:
    """Judges the second side against the first on every metric that rows of both were scored by.

    Returns:
        {"n", "metrics", "sentence", "splits": {part: {"n", "metrics", "sentence"}}}, parts where there are several.

    Raises:
        TunerError: no row was scored on both sides, or a value is no number.
    """
    found = _judged(pairs.rows)
    if found is None:
        raise TunerError(
            "the two results have no scored row in common",
            code="no-pairs",
            fix="compare results over the same rows, scored with the same metrics",
        )
    splits = {}
    for split in pairs.splits if len(pairs.splits) > 1 else []:
        rows = [row for row in pairs.rows if row.split == split]
        if (part := _judged(rows)) is not None:
            splits[split] = {"n": len(rows), "metrics": part.as_json(), "sentence": part.sentence}
    both = sum(len(row.answers) == 2 for row in pairs.rows)
    return {"n": both, "metrics": found.as_json(), "sentence": found.sentence, "splits": splits}


def _judged(rows: Sequence[Pair]) -> Comparison | None:
    part = Pairs(list(rows))
    first: dict[str, list[float]] = {}
    second: dict[str, list[float]] = {}
    for metric in part.metrics:
        values = part.both(metric)
        if values[0]:
            first[metric], second[metric] = values
    return verdict(first, second) if first else None
