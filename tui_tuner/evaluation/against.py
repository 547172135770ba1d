"""Any number of results judged against one of them, and their answers to the same rows side by side.

Each is judged on the rows that it shares with the reference, and the p-values of all comparisons are corrected
together (Holm): out of twenty runs one is better by chance easily. A result that cannot be judged is told with its
reason, never left out in silence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.comparing import Judged, judge, settings_differ
from tui_tuner.evaluation.metrics import Scored
from tui_tuner.evaluation.outputs import Outputs
from tui_tuner.evaluation.score import Comparison, corrected


@dataclass(frozen=True)
class Against:
    """One result against the reference.

    Attributes:
        verdict: by metric, with corrected p-values; None where nothing could be judged.
        n: rows that both have and that the verdict is about.
        notes: what a person should know, each a clause.
    """

    verdict: Comparison | None
    n: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    """One answer.

    Attributes:
        text: what was said.
        scores: by metric the row's value, as far as it has one.
    """

    text: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class SharedRow:
    """One row and who said what to it.

    Attributes:
        prompt, reference: what was asked, and what is right.
        split: the part it belongs to; empty where there is but one.
        said: of each result, in their order; None where it was not asked.
    """

    prompt: str
    reference: str
    split: str
    said: tuple[Said | None, ...]

    @property
    def differs(self) -> bool:
        """Whether not all that answered said the same."""
        return len({one.text for one in self.said if one is not None}) > 1


def judge_all(
    results: Sequence[Outputs | None], reference: int, *, seed: int = 0
) -> tuple[list[Against | None], list[SharedRow]]:
    """Judges every result against the reference.

    Args:
        results: None for who has none.
        reference: which of them the others are judged against; it must have a result.
        seed: of intervals and tests.

    Returns:
        For each result what came of it, None for the reference itself and for who has none; and the reference's rows
        with all answers to them.
    """
    base = results[reference]
    assert base is not None
    judged: dict[int, Judged] = {}
    found: list[Against | None] = [None] * len(results)
    for at, other in enumerate(results):
        if at == reference or other is None:
            continue
        try:
            judged[at] = judge(base, other, seed=seed)
        except TunerError as error:
            found[at] = Against(None, notes=(_why_not(error),))
    for (at, one), metrics in zip(judged.items(), corrected([one.whole for one in judged.values()]), strict=True):
        result = results[at]
        assert result is not None
        notes = (*one.matched.notes, *settings_differ(base, result))
        found[at] = Against(Comparison(metrics), int(one.about.sum()), notes)
    return found, _rows(results, reference, judged)


def _why_not(error: TunerError) -> str:
    if error.code == "different-rows":
        return "it answered other rows than the reference, so it is not judged"
    return f"it is not judged: {error.message}"


def _rows(results: Sequence[Outputs | None], reference: int, judged: Mapping[int, Judged]) -> list[SharedRow]:
    """The reference's rows; of the others the answers that were matched to them."""
    base = results[reference]
    assert base is not None
    said: list[list[Said | None]] = [[None] * len(results) for _ in base.rows]
    for at, one in judged.items():
        for place, (number, _) in enumerate(one.matched.pairs):
            said[number][reference] = _said(one.first[place], one.sides[0], place)
            said[number][at] = _said(one.second[place], one.sides[1], place)
    rows = []
    for number, row in enumerate(base.rows):
        own = said[number]
        own[reference] = own[reference] or Said(str(row["prediction"]), {})
        right = row.get("reference", "")
        right = right if isinstance(right, str) else " | ".join(right)
        rows.append(SharedRow(str(row.get("prompt", "")), right, str(row.get("split") or ""), tuple(own)))
    return rows


def _said(row: Mapping[str, Any], scores: Mapping[str, Scored], place: int) -> Said:
    values = {name: one[place] for name, one in scores.items() if one.spec.judged}
    return Said(str(row["prediction"]), {name: value for name, value in values.items() if math.isfinite(value)})
