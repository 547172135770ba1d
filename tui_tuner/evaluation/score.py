"""From predictions to numbers with their uncertainty, and from two sets of numbers to a verdict.

The only place where several metrics are judged together: their p-values are corrected for it (Holm), because out of
four metrics one moves by chance easily.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.metrics import METRICS, Values, score_rows
from tui_tuner.evaluation.significance import Interval, Paired, RowValues, decided, holm, mean_interval, paired


class Comparison(dict[str, Paired]):
    """The verdict on each metric by its name, and one `sentence` on them all."""

    def __init__(self, metrics: Mapping[str, Paired]) -> None:
        super().__init__(metrics)
        self.sentence = _overall(self)

    def as_json(self) -> dict[str, dict[str, Any]]:
        """The comparison as `--json` documents and the verdict event give it, by metric."""
        return {name: result.as_json() for name, result in self.items()}


def row_scores(predictions: Sequence[str], references: Sequence[str], metrics: Sequence[str]) -> dict[str, Values]:
    """Per metric one value for each row, shape (rows,).

    Raises:
        TunerError: as `score_rows`.
    """
    return {name: score_rows(name, predictions, references) for name in metrics}


def intervals(scores: Mapping[str, RowValues], *, resamples: int = 10_000, seed: int = 0) -> dict[str, Interval]:
    """Per metric the mean of its rows with a 95 % interval.

    Raises:
        TunerError: no rows (code "no-rows").
    """
    return {name: mean_interval(values, resamples, seed) for name, values in scores.items()}


def summarise(predictions: Sequence[str], references: Sequence[str], metrics: Sequence[str]) -> dict[str, Interval]:
    """Score predictions and say how sure each mean is.

    Raises:
        TunerError: unknown metric, lists of different length, no rows.
    """
    return intervals(row_scores(predictions, references, metrics))


def verdict(
    before: Mapping[str, RowValues],
    after: Mapping[str, RowValues],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Judge after against before on every metric that both have, in the order of `before`.

    Args:
        before: per metric one value for each row.
        after: the same for the same rows in the same order.
        resamples: samples of each bootstrap and randomisation test.
        seed: of all of them.

    Raises:
        TunerError: no metric in common, or different numbers of rows.
    """
    names = [name for name in before if name in after]
    if not names:
        raise TunerError(
            "the two results have no metric in common", code="no-metric", fix="score both with the same metrics"
        )
    single = [
        paired(
            before[name],
            after[name],
            name=name,
            higher_is_better=METRICS[name].higher_is_better if name in METRICS else True,
            resamples=resamples,
            seed=seed,
        )
        for name in names
    ]
    corrected = holm([result.p for result in single])
    return Comparison({result.name: decided(result, p) for result, p in zip(single, corrected, strict=True)})


def _overall(results: Mapping[str, Paired]) -> str:
    """One line: which metrics moved which way, then the first metric's own sentence."""
    if not results:
        return ""
    better = [name for name, result in results.items() if result.verdict == "better"]
    worse = [name for name, result in results.items() if result.verdict == "worse"]
    first = next(iter(results.values()))
    if len(results) == 1:
        return first.sentence
    if better and worse:
        head = f"Mixed: better on {_listed(better)}, worse on {_listed(worse)}."
        first = results[(better + worse)[0]]
    elif better or worse:
        moved = better or worse
        word = "Better" if better else "Worse"
        first = results[moved[0]]
        head = f"{word} on {'all' if len(moved) == len(results) else f'{len(moved)} of'} {len(results)} metrics"
        head += "." if len(moved) == len(results) else f" ({_listed(moved)}), no measurable change on the others."
    else:
        head = f"No measurable change on any of {len(results)} metrics."
    return f"{head} {first.sentence}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
