"""How large the arrays of batches are: few different shapes, little padding.

A compiled step is traced anew for every shape it meets (measured: 2.3 ms per layer and shape), so widths are rounded
up, and shapes that are hardly worth a trace are merged with their neighbours. Pure functions of the wanted sizes; no
mlx, no rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LIMIT = 48
"""Different shapes that the batches of one data set have at most (plus, for each other number of rows, one)."""

_LADDER = ((256, 8), (512, 16))
_STEP_ABOVE = 32
_SLOT_PARTS = 16
# In positions of the trunk: what one trace costs (a few tens of milliseconds on models of any size), and what one
# position of the head costs (between a thirtieth and a third of a trunk position's work, by vocabulary).
_TRACE_COST = 64.0
_SLOT_COST = 0.25


class Shape(NamedTuple):
    """Sizes of a batch's arrays.

    Attributes:
        rows: examples in it.
        width: positions a row is computed at (its tokens less the last, which predicts nothing), padding included.
        slots: positions of the whole batch that the loss looks at, padding included; at most `rows * width`.
    """

    rows: int
    width: int
    slots: int


def quantised_width(needed: int, most: int) -> int:
    """`needed` rounded up to a multiple of 8 (to 256), 16 (to 512) or 32, and never above `most`."""
    step = next((step for limit, step in _LADDER if needed <= limit), _STEP_ABOVE)
    return min(-(-needed // step) * step, max(most, needed))


def quantised_slots(needed: int, cells: int) -> int:
    """`needed` rounded up to a sixteenth of `cells`, the batch's positions, and never above them."""
    unit = max(cells // _SLOT_PARTS, 1)
    return min(-(-needed // unit) * unit, cells)


def plan_shapes(wanted: Sequence[Shape], most: int, limit: int = LIMIT) -> list[Shape]:
    """A shape for every batch, at least as large as it needs, with at most `limit` different ones.

    Sizes are rounded up first. Then the two shapes whose merging costs the least padding become one that holds both,
    again and again: until no more than `limit` are left and no merge costs less than the trace it saves.

    Args:
        wanted: what each batch needs.
        most: the largest width allowed.
        limit: how many different shapes there may be; shapes of different numbers of rows are never merged.
    """
    rounded = []
    for need in wanted:
        width = quantised_width(need.width, most)
        rounded.append(Shape(need.rows, width, quantised_slots(need.slots, need.rows * width)))
    merged: dict[Shape, Shape] = {}
    for rows in {shape.rows for shape in rounded}:
        merged.update(_merge(rows, Counter((s.width, s.slots) for s in rounded if s.rows == rows), limit))
    return [merged[shape] for shape in rounded]


def _cost(rows: int, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    cost: NDArray[np.float64] = rows * sizes[..., 0] + _SLOT_COST * sizes[..., 1]
    return cost


def _merge(rows: int, uses: Counter[tuple[int, int]], limit: int) -> dict[Shape, Shape]:
    """Which shape each (width, slots) of one number of rows becomes."""
    names = sorted(uses)
    sizes = np.array(names, np.float64).reshape(-1, 2)
    counts = np.array([uses[name] for name in names], np.float64)
    groups: list[list[tuple[int, int]]] = [[name] for name in names]
    alive = np.ones(len(names), bool)

    def against(index: int) -> NDArray[np.float64]:
        """Extra padding an epoch when each shape is merged with this one: (shapes,), infinite where impossible."""
        union = _cost(rows, np.maximum(sizes, sizes[index]))
        extra: NDArray[np.float64] = counts * (union - _cost(rows, sizes))
        extra += counts[index] * (union - _cost(rows, sizes[index]))
        extra[~alive] = np.inf
        extra[index] = np.inf
        return extra

    extra = np.array([against(i) for i in range(len(names))]).reshape(len(names), len(names))
    # The cheapest partner of each shape is kept, for looking through all pairs at every merge takes seconds.
    partner = extra.argmin(axis=1)
    cheapest = extra[np.arange(len(names)), partner]
    while alive.sum() > 1:
        first = int(cheapest.argmin())
        second = int(partner[first])
        if alive.sum() <= limit and extra[first, second] >= _TRACE_COST:
            break
        sizes[first] = np.maximum(sizes[first], sizes[second])
        counts[first] += counts[second]
        groups[first] += groups[second]
        alive[second] = False
        extra[second] = np.inf
        extra[:, second] = np.inf
        extra[first] = extra[:, first] = against(first)
        stale = (partner == first) | (partner == second)
        stale[[first, second]] = True
        better = extra[:, first] < cheapest
        partner[better], cheapest[better] = first, extra[better, first]
        for row in np.flatnonzero(stale & ~better):
            partner[row] = extra[row].argmin()
            cheapest[row] = extra[row, partner[row]]
    result = {}
    for index in np.flatnonzero(alive):
        width, slots = (int(size) for size in sizes[index])
        for name in groups[index]:
            result[Shape(rows, *name)] = Shape(rows, width, slots)
    return result
