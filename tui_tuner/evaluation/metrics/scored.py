"""The values of a metric over the rows, and what its value over all of them is made of.

Most metrics are means: the value is the mean of the rows. Some are not: BLEU, chrF and the token-weighted loss come
from counts that are added up over the rows first. Those bring the counts, and a function from their sums to the value,
so that resampling rows gives exact values without scoring anything again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tui_tuner.evaluation.metrics.specs import MetricSpec

Values = NDArray[np.float64]
Figure = Callable[[Values], Values]
"""Sums of counts (…, k) → values (…)."""


@dataclass(frozen=True, eq=False)
class Scored(Sequence[float]):
    """A metric over rows. As a sequence it is the rows' own values.

    Attributes:
        spec: which metric, with the options it was computed with.
        rows: (n,) float64, one value a row.
        counted: (n,) bool, the rows that have a value; None where all have.
        counts: (n, k) float64, what is added up over rows; None where the value is the mean.
        figure: from sums of `counts` to the value.
        note: what a result states beside definition and options, such as sacrebleu's signature.
    """

    spec: MetricSpec
    rows: Values
    counted: NDArray[np.bool_] | None = None
    counts: Values | None = None
    figure: Figure | None = None
    note: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """Over all rows; NaN without any that counts."""
        if self.counts is not None and self.figure is not None:
            return float(self.figure(self.counts.sum(axis=0)))
        kept = self.kept
        return float(kept.mean()) if kept.size else float("nan")

    @property
    def kept(self) -> Values:
        """The values of the rows that count."""
        return self.rows if self.counted is None else self.rows[self.counted]

    def part(self, chosen: NDArray[Any]) -> Scored:
        """The same metric over some of the rows: (m,) numbers of rows, or (n,) bool."""
        return Scored(
            self.spec,
            self.rows[chosen],
            None if self.counted is None else self.counted[chosen],
            None if self.counts is None else self.counts[chosen],
            self.figure,
            self.note,
        )

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[float]: ...
    def __getitem__(self, index: int | slice) -> float | Sequence[float]:
        return self.rows[index].tolist() if isinstance(index, slice) else float(self.rows[index])

    def __len__(self) -> int:
        return self.rows.size

    def __iter__(self) -> Iterator[float]:
        return iter(self.rows.tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.rows, dtype=dtype, copy=copy)


def mean_of(spec: MetricSpec, values: Any, counted: NDArray[np.bool_] | None = None) -> Scored:
    """A metric whose value is the mean of the rows."""
    if counted is not None and counted.all():
        counted = None
    return Scored(spec, np.asarray(values, dtype=np.float64), counted)
