"""How sure a mean is, and whether a difference between two runs over the same rows is one.

Intervals are 95 %. A verdict of "better" or "worse" needs both an interval that leaves 0 out and p below 0.05; anything
less is "no measurable change", which says nothing was shown, not that nothing is there. All results depend on the
values and the seed alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.metrics.scored import Figure, Scored, Values
from tui_tuner.evaluation.resample import (
    bca,
    bca_interval,
    bootstrap_figures,
    bootstrap_means,
    expanded,
    jackknife,
    paired_share_interval,
    sign_flip_p,
    swap_p,
)
from tui_tuner.shares import wilson_interval
from tui_tuner.units import many

Verdict = Literal["better", "worse", "no measurable change"]
RowValues = Scored | Sequence[float] | NDArray[Any]
"""One value a row; of a metric that is no mean, with the counts behind it."""

ALPHA = 0.05
CONFIDENCE = 0.95
_POWER = 0.8
_FEWEST_ROWS = 6
"""With fewer rows no sign pattern has p below 0.05, however large the differences."""
_MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval, in the metric's own unit."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        """The metric as every `--json` document and event gives it."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Paired:
    """Two results over the same rows, b against a.

    Attributes:
        a: value before.
        b: value after.
        difference: b - a, with `low` and `high` its 95 % interval.
        p: two-sided p of the paired randomisation test, corrected when several metrics were tested at once.
        wins: rows on which b is better than a; `ties` and `losses` likewise.
        effect: difference over the standard deviation of the rows' differences (Cohen's d_z), of a metric that is no
            mean over that of the rows' pseudo-values; None when undefined.
        verdict: "better", "worse" or "no measurable change".
        sentence: the same for a person.
        rows_to_settle: rows after which a difference of this size would be found in 8 of 10 cases; None when it is
            found already or there is none.
        name: the metric.
        n: rows.
        higher_is_better: the metric's direction.
        p_uncorrected: p of this metric alone.
        a_interval: 95 % interval of `a` by itself; `b_interval` likewise.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float
    wins: int
    ties: int
    losses: int
    effect: float | None
    verdict: Verdict
    sentence: str
    rows_to_settle: int | None
    name: str
    n: int
    higher_is_better: bool
    p_uncorrected: float
    a_interval: tuple[float, float]
    b_interval: tuple[float, float]

    def as_json(self) -> dict[str, Any]:
        """The comparison as `--json` documents and events give it."""
        keys = ("a", "b", "difference", "low", "high", "p", "wins", "ties", "losses", "effect", "verdict", "sentence")
        sides = {"a_low": self.a_interval[0], "a_high": self.a_interval[1]}
        sides |= {"b_low": self.b_interval[0], "b_high": self.b_interval[1]}
        more = ("rows_to_settle", "p_uncorrected", "n")
        return {key: getattr(self, key) for key in (*keys, *more)} | sides


def mean_interval(values: RowValues, resamples: int = 10_000, seed: int = 0) -> Interval:
    """The value of a metric, for most the mean of its rows, and its 95 % interval.

    Wilson's interval where all values are 0 or 1, else a bias-corrected bootstrap. One row alone says nothing about
    others: its interval is all that the metric can be.

    Args:
        values: one value per row, shape (rows,); a `Scored` with counts is resampled as the figure that it is.
        resamples: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        TunerError: no rows, or a value that is no finite number.
    """
    rows = _checked(values, "the values")
    bounds = values.spec.bounds if isinstance(values, Scored) else (0.0, 1.0)
    generator = np.random.default_rng(seed)
    if isinstance(values, Scored) and values.counts is not None and values.figure is not None:
        value = values.value
        low, high = _figure_interval(values.counts, values.figure, bounds, resamples, generator)
        return Interval(value, min(low, value), max(high, value))
    mean = float(rows.mean())
    if bounds == (0.0, 1.0) and _are_shares(rows):
        low, high = wilson_interval(int(rows.sum()), rows.size)
    elif rows.size == 1:
        low, high = bounds[0], math.inf if bounds[1] is None else bounds[1]
    else:
        low, high = _bootstrap_interval(rows, resamples, generator)
    return Interval(mean, min(low, mean), max(high, mean))


def paired(
    a: RowValues,
    b: RowValues,
    *,
    name: str,
    higher_is_better: bool = True,
    resamples: int = 10_000,
    seed: int = 0,
) -> Paired:
    """Compare two results row by row.

    Args:
        a: values before, shape (rows,).
        b: values after, the same rows in the same order. Where both are `Scored` with counts, what is compared is the
            figure of the added-up counts, and the rows' own values only tell wins from losses.
        name: the metric, for the sentence.
        higher_is_better: whether a rise is an improvement.
        resamples: samples of the bootstrap, and of the randomisation test.
        seed: of both.

    Raises:
        TunerError: no rows, different numbers of rows, or a value that is no finite number.
    """
    a, b = _both_counted(a, b)
    difference, change = _compared(a, b, name, resamples, seed)
    gain = difference if higher_is_better else -difference
    sides = [mean_interval(side, resamples, seed) for side in (a, b)]
    result = Paired(
        a=sides[0].value,
        b=sides[1].value,
        difference=change.size,
        low=min(change.low, change.size),
        high=max(change.high, change.size),
        p=change.p,
        wins=int(np.count_nonzero(gain > 0)),
        ties=int(np.count_nonzero(gain == 0)),
        losses=int(np.count_nonzero(gain < 0)),
        effect=change.size / change.spread if change.spread > 1e-12 else None,
        verdict="no measurable change",
        sentence="",
        rows_to_settle=None,
        name=name,
        n=int(difference.size),
        higher_is_better=higher_is_better,
        p_uncorrected=change.p,
        a_interval=(sides[0].low, sides[0].high),
        b_interval=(sides[1].low, sides[1].high),
    )
    return decided(result, change.p)


@dataclass(frozen=True)
class _Change:
    """A difference, its interval, its p, and the standard deviation of what the rows add to it."""

    size: float
    low: float
    high: float
    p: float
    spread: float


def _compared(a: RowValues, b: RowValues, name: str, resamples: int, seed: int) -> tuple[Values, _Change]:
    """The rows' differences, and what they come to."""
    before, after = _checked(a, f"{name} before"), _checked(b, f"{name} after")
    if before.size != after.size:
        raise TunerError(
            f"{name} has {many(before.size, 'row')} before and {after.size:,} after",
            code="length-mismatch",
            fix="compare results over the same rows",
        )
    difference = after - before
    # Means of three digits differ in the last bit of a float; such dust is no difference.
    difference[np.abs(difference) < 1e-12] = 0.0
    bootstrap, flips = np.random.default_rng(seed).spawn(2)
    if isinstance(a, Scored) and isinstance(b, Scored) and a.counts is not None and b.counts is not None:
        return difference, _figures_change(a, b, resamples, bootstrap, flips)
    return difference, _means_change(before, after, difference, resamples, bootstrap, flips)


def _means_change(
    before: Values,
    after: Values,
    difference: Values,
    resamples: int,
    bootstrap: np.random.Generator,
    flips: np.random.Generator,
) -> _Change:
    low, high = _difference_interval(before, after, difference, resamples, bootstrap)
    p = sign_flip_p(difference, resamples, flips)
    spread = float(difference.std(ddof=1)) if difference.size > 1 else 0.0
    return _Change(float(difference.mean()), low, high, p, spread)


def _figures_change(
    a: Scored, b: Scored, resamples: int, bootstrap: np.random.Generator, flips: np.random.Generator
) -> _Change:
    """The same for a figure of added-up counts: rows are drawn, and swapped, with the counts of both sides."""
    first, second, figure = a.counts, b.counts, a.figure
    assert first is not None and second is not None and figure is not None
    width = first.shape[1]

    def change(sums: Values) -> Values:
        return figure(sums[..., width:]) - figure(sums[..., :width])

    both = np.concatenate([first, second], axis=1)
    least, most = a.spec.bounds
    bounds = (-math.inf, None) if most is None else (least - most, most - least)
    low, high = _figure_interval(both, change, bounds, resamples, bootstrap)
    size, n = float(change(both.sum(axis=0))), len(both)
    if abs(size) < 1e-12:
        size = 0.0
    # Tukey's pseudo-values, n θ − (n − 1) θ without the row: for a mean they are the rows themselves.
    spread = float((jackknife(both, change) * (n - 1)).std(ddof=1)) if n > 1 else 0.0
    return _Change(size, low, high, swap_p(first, second, figure, resamples, flips), spread)


def _figure_interval(
    counts: Values, figure: Figure, bounds: tuple[float, float | None], resamples: int, generator: np.random.Generator
) -> tuple[float, float]:
    """The bootstrap's interval of a figure of added-up counts, corrected and widened as that of a mean."""
    if len(counts) == 1:
        return bounds[0], math.inf if bounds[1] is None else bounds[1]
    drawn = bootstrap_figures(counts, figure, resamples, generator)
    without = jackknife(counts, figure)
    point = float(figure(counts.sum(axis=0)))
    return bca(point, drawn, without.mean() - without, expanded(CONFIDENCE, len(counts)))


def decided(result: Paired, p: float) -> Paired:
    """The same comparison judged by a (corrected) p: verdict, sentence and rows to settle follow from it."""
    found = p < ALPHA and not result.low <= 0 <= result.high
    verdict: Verdict = "no measurable change"
    if found:
        verdict = "better" if (result.difference > 0) == result.higher_is_better else "worse"
    rows = None if found else _rows_to_settle(result)
    judged = replace(result, p=p, verdict=verdict, rows_to_settle=rows)
    return replace(judged, sentence=_sentence(judged))


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): p-values that may be compared with 0.05 although several tests were made."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    corrected = [0.0] * len(ps)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, ps[index] * (len(ps) - rank)))
        corrected[index] = largest
    return corrected


def _both_counted(a: RowValues, b: RowValues) -> tuple[RowValues, RowValues]:
    """Both over the rows that have a value on both sides."""
    if not isinstance(a, Scored) or not isinstance(b, Scored) or len(a) != len(b):
        return a, b
    marks = [side.counted for side in (a, b) if side.counted is not None]
    if not marks:
        return a, b
    kept = np.logical_and.reduce(marks)
    return a.part(kept), b.part(kept)


def _checked(values: RowValues, what: str) -> Values:
    rows = np.array(values.kept if isinstance(values, Scored) else values, dtype=np.float64).reshape(-1)
    if not rows.size:
        raise TunerError(f"there are no rows for {what}", code="no-rows", fix="score at least one row")
    if not np.isfinite(rows).all():
        number = int(np.flatnonzero(~np.isfinite(rows))[0]) + 1
        raise TunerError(f"{what} has a value that is no finite number", code="not-finite", where=f"row {number}")
    return rows


def _bootstrap_interval(rows: Values, resamples: int, generator: np.random.Generator) -> tuple[float, float]:
    """Bias-corrected, accelerated, and widened for the number of rows; at least two."""
    return bca_interval(rows, bootstrap_means(rows, resamples, generator), expanded(CONFIDENCE, rows.size))


def _are_shares(rows: Values) -> bool:
    return bool(np.all((rows == 0) | (rows == 1)))


def _difference_interval(
    before: Values, after: Values, difference: Values, resamples: int, generator: np.random.Generator
) -> tuple[float, float]:
    """Newcombe's interval for shares, for which the bootstrap's is too short where few rows differ; else that."""
    if _are_shares(before) and _are_shares(after):
        return paired_share_interval(before, after)
    if difference.size == 1:
        return min(-1.0, float(difference[0])), max(1.0, float(difference[0]))
    return _bootstrap_interval(difference, resamples, generator)


def _rows_to_settle(result: Paired) -> int | None:
    """Rows for 80 % power of a two-sided paired test at 5 %, if difference and spread stay as they are."""
    if result.difference == 0:
        return None
    normal = NormalDist()
    factor = normal.inv_cdf(1 - ALPHA / 2) + normal.inv_cdf(_POWER)
    needed = (factor / result.effect) ** 2 if result.effect else 0.0
    # What was not found with n rows is not settled with n rows.
    return max(_FEWEST_ROWS, result.n + 1, math.ceil(min(needed, 1e15)))


def _sentence(result: Paired) -> str:
    digits = _digits(result)
    before, after = _number(result.a, digits), _number(result.b, digits)
    change = f"{_signed(result.difference, digits)}, 95 % interval"
    change += f" {_number(result.low, digits)} to {_number(result.high, digits)}"
    if result.verdict != "no measurable change":
        verb = "rose" if result.difference > 0 else "fell"
        return (
            f"{result.name} {verb} from {before} to {after} ({change}):"
            f" better on {result.wins:,} of {result.n:,} rows, worse on {result.losses:,}."
        )
    if result.wins == result.losses == 0:
        return f"{result.name} stayed at {after}, with the same value on all {result.n:,} rows: no measurable change."
    text = f"{result.name} went from {before} to {after} ({change}): no measurable change"
    if result.rows_to_settle is None:
        return f"{text}."
    return f"{text}; {_about(result.rows_to_settle)} rows would settle a difference of this size."


def _about(rows: int) -> str:
    """A forecast with two digits, which is more than it deserves."""
    if rows > _MOST_ROWS:
        return "more than a million"
    step = 10 ** max(0, len(str(rows)) - 2)
    return f"about {math.ceil(rows / step) * step:,}"


def _digits(result: Paired) -> int:
    """Decimals that show at least two digits of the difference: 2 to 4."""
    size = abs(result.difference)
    return 2 if size >= 0.095 or size == 0 else 3 if size >= 0.0095 else 4


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _signed(value: float, digits: int) -> str:
    text = _number(value, digits)
    return text if text.startswith("-") else f"+{text}"
