"""From predictions to numbers with their uncertainty, and from two sets of numbers to a verdict.

The only place where several metrics are judged together: their p-values are corrected for it (Holm), because out of
four metrics one moves by chance easily. It never judges what only describes answers, such as their length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.metrics import METRICS, Reference, Scored, answer_scores, loss_scores, score_all
from tui_tuner.evaluation.significance import Interval, Paired, RowValues, decided, holm, mean_interval, paired
from tui_tuner.evaluation.stored import UNSEEN
from tui_tuner.units import listed

Record = Mapping[str, Any]
"""A row as `<label>.jsonl` has it."""


class Comparison(dict[str, Paired]):
    """The verdict on each metric by its name, and one `sentence` on them all."""

    def __init__(self, metrics: Mapping[str, Paired]) -> None:
        super().__init__(metrics)
        self.sentence = _overall(self)

    def as_json(self) -> dict[str, dict[str, Any]]:
        """The comparison as `--json` documents and the verdict event give it, by metric."""
        return {name: result.as_json() for name, result in self.items()}


def row_scores(
    predictions: Sequence[str],
    references: Sequence[Reference],
    metrics: Sequence[str],
    options: Mapping[str, Any] | None = None,
) -> dict[str, Scored]:
    """Per metric one value for each row, and what is needed to resample it.

    Raises:
        TunerError: as `score_all`.
    """
    return score_all(metrics, predictions, references, options)


def record_scores(
    records: Sequence[Record], metrics: Sequence[str], options: Mapping[str, Any] | None = None
) -> dict[str, Scored]:
    """Everything that can be said of rows as `<label>.jsonl` has them: the metrics asked for, then the loss where rows
    have "nll" and "trained_tokens", then what answers are like ("tokens" and "finish", where all rows have them).

    Raises:
        TunerError: as `score_all`.
    """
    predictions = [record["prediction"] for record in records]
    found = row_scores(predictions, [record["reference"] for record in records], metrics, options)
    losses, counted = _column(records, "nll", int | float), _column(records, "trained_tokens", int | float)
    if losses is not None and counted is not None:
        found |= loss_scores(losses, counted)
    found |= answer_scores(predictions, _column(records, "tokens", int), _column(records, "finish", str))
    return found


def _column(records: Sequence[Record], key: str, kind: Any) -> list[Any] | None:
    """What all rows have under a key, or None where one has nothing of the kind."""
    values = [record.get(key) for record in records]
    return values if values and all(isinstance(one, kind) and not isinstance(one, bool) for one in values) else None


def intervals(scores: Mapping[str, RowValues], *, resamples: int = 10_000, seed: int = 0) -> dict[str, Interval]:
    """Per metric its value with a 95 % interval; a metric that no row has a value of is left out.

    Raises:
        TunerError: no rows (code "no-rows").
    """
    return {name: mean_interval(values, resamples, seed) for name, values in scores.items() if _is_known(values)}


def _is_known(values: RowValues) -> bool:
    return not isinstance(values, Scored) or not len(values) or bool(values.kept.size)


def splits_of(records: Sequence[Record]) -> dict[str, list[int]]:
    """Numbers of the rows of each split, in the order of appearance; rows without one are of the split "test"."""
    found: dict[str, list[int]] = {}
    for number, record in enumerate(records):
        found.setdefault(str(record.get("split") or "test"), []).append(number)
    return found


def asked_for(splits: Sequence[str]) -> NDArray[np.bool_]:
    """Which rows the figures of the whole are about, (n,): all but the unseen, unless there are only those."""
    about = np.array([split != UNSEEN for split in splits], dtype=bool)
    return about if about.any() else np.ones(len(splits), dtype=bool)


def summary(
    records: Sequence[Record],
    scores: Mapping[str, Scored],
    *,
    label: str,
    model: str = "",
    adapter: str | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """What `<label>.json` holds: per metric its value with interval, definition, options and version, splits apart.

    The figures of the whole leave out what is unseen, and "n" are the rows that they are about.

    Args:
        records: the rows, for their splits.
        scores: of the same rows, as `record_scores` gives them.
        label, model, adapter, settings: what was benchmarked, and how.

    Raises:
        TunerError: no rows.
    """
    splits = {}
    groups = splits_of(records)
    for split, numbers in groups.items() if len(groups) > 1 else ():
        chosen = {name: one.part(np.array(numbers)) for name, one in scores.items()}
        splits[split] = {"n": len(numbers), "metrics": _as_json(intervals(chosen, seed=seed))}
    about = asked_for([str(record.get("split") or "") for record in records])
    return {
        "label": label,
        "model": model,
        "adapter": adapter,
        "n": int(about.sum()),
        "metrics": described({name: one.part(about) for name, one in scores.items()}, seed=seed),
        "splits": splits,
        "settings": dict(settings or {}),
    }


def described(scores: Mapping[str, Scored], *, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Per metric value, interval, definition, options and version; "n" where not every row has a value.

    Raises:
        TunerError: no rows.
    """
    found = {}
    for name, interval in intervals(scores, seed=seed).items():
        one = scores[name]
        found[name] = {**interval.as_json(), **one.spec.describe(), **one.note}
        if one.counted is not None:
            found[name]["n"] = int(one.kept.size)
    return found


def _as_json(found: Mapping[str, Interval]) -> dict[str, dict[str, float]]:
    return {name: interval.as_json() for name, interval in found.items()}


def verdict(
    before: Mapping[str, RowValues],
    after: Mapping[str, RowValues],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Judge after against before on every metric that both have and that is judged, in the order of `before`.

    Args:
        before: per metric one value for each row.
        after: the same for the same rows in the same order.
        resamples: samples of each bootstrap and randomisation test.
        seed: of all of them.

    Raises:
        TunerError: no metric in common, or different numbers of rows.
    """
    return Comparison(corrected([_tested(before, after, resamples, seed)])[0])


def verdict_by_split(
    records: Sequence[Record],
    before: Mapping[str, Scored],
    after: Mapping[str, Scored],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, Comparison]:
    """The verdict on each split apart; empty where all rows are of one. All splits' tests are corrected together.

    Raises:
        TunerError: as `verdict`.
    """
    groups = splits_of(records)
    if len(groups) < 2:
        return {}
    parts = {}
    for split, numbers in groups.items():
        chosen = np.array(numbers)
        parts[split] = tuple({name: one.part(chosen) for name, one in side.items()} for side in (before, after))
    return verdicts(parts, resamples=resamples, seed=seed)


def verdicts(
    parts: Mapping[str, Sequence[Mapping[str, RowValues]]], *, resamples: int = 10_000, seed: int = 0
) -> dict[str, Comparison]:
    """The verdict on each of several parts, by name; all their tests are corrected together.

    Args:
        parts: before and after of each, as for `verdict`.

    Raises:
        TunerError: as `verdict`.
    """
    tested = [_tested(before, after, resamples, seed) for before, after in parts.values()]
    return {name: Comparison(one) for name, one in zip(parts, corrected(tested), strict=True)}


def verdict_document(a: str, b: str, n: int, whole: Comparison, splits: Mapping[str, Comparison]) -> dict[str, Any]:
    """What `verdict.json` holds."""
    return {
        "a": a,
        "b": b,
        "n": n,
        "metrics": whole.as_json(),
        "sentence": whole.sentence,
        "splits": {
            split: {"n": max(one.n for one in told.values()), "metrics": told.as_json(), "sentence": told.sentence}
            for split, told in splits.items()
        },
    }


def _tested(
    before: Mapping[str, RowValues], after: Mapping[str, RowValues], resamples: int, seed: int
) -> dict[str, Paired]:
    """Each metric by itself, uncorrected."""
    common = [name for name in before if name in after]
    names = [name for name in common if _is_judged(before[name], name)]
    if not names:
        raise TunerError(
            "the two results have no metric in common that can be judged",
            code="no-metric",
            fix="score both with the same metrics",
        )
    return {
        name: paired(
            before[name],
            after[name],
            name=name,
            higher_is_better=_direction(before[name], name),
            resamples=resamples,
            seed=seed,
        )
        for name in names
        if _is_known(before[name]) and _is_known(after[name])
    }


def _direction(values: RowValues, name: str) -> bool:
    spec = values.spec if isinstance(values, Scored) else METRICS.get(name)
    return spec is None or spec.higher_is_better


def _is_judged(values: RowValues, name: str) -> bool:
    spec = values.spec if isinstance(values, Scored) else METRICS.get(name)
    return spec is None or spec.judged


def corrected(groups: Sequence[Mapping[str, Paired]]) -> list[dict[str, Paired]]:
    """The same judged by p-values that are corrected over all of them (Holm).

    A metric that no row differs in is not tested, and does not count (Tarone 1990); one that repeats the test of
    another in a different unit, as perplexity does the loss's, counts with it as one and takes its p.
    """
    tests: dict[tuple[int, str], float] = {}
    for number, group in enumerate(groups):
        for name, result in group.items():
            if result.wins or result.losses:
                tests.setdefault((number, _test_of(name, group)), result.p_uncorrected)
    fixed = dict(zip(tests, holm(list(tests.values())), strict=True))
    return [
        {name: decided(result, fixed.get((number, _test_of(name, group)), 1.0)) for name, result in group.items()}
        for number, group in enumerate(groups)
    ]


def _test_of(name: str, group: Mapping[str, Paired]) -> str:
    shared = METRICS[name].tested_as if name in METRICS else ""
    return shared if shared in group else name


def _overall(results: Mapping[str, Paired]) -> str:
    """One line: which metrics moved which way, then the first metric's own sentence."""
    if not results:
        return ""
    better = [name for name, result in results.items() if result.verdict == "better"]
    worse = [name for name, result in results.items() if result.verdict == "worse"]
    # The one that has something to tell.
    first = next((one for one in results.values() if one.wins or one.losses), next(iter(results.values())))
    if len(results) == 1:
        return first.sentence
    if better and worse:
        head = f"Mixed: better on {listed(better)}, worse on {listed(worse)}."
        first = results[(better + worse)[0]]
    elif better or worse:
        moved = better or worse
        word = "Better" if better else "Worse"
        first = results[moved[0]]
        head = f"{word} on {'all' if len(moved) == len(results) else f'{len(moved)} of'} {len(results)} metrics"
        head += "." if len(moved) == len(results) else f" ({listed(moved)}), no measurable change on the others."
    else:
        head = f"No measurable change on any of {len(results)} metrics."
    return f"{head} {first.sentence}"
