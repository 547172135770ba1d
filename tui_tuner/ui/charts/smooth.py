"""Smoothing of curves: the bias-corrected exponential moving average that TensorBoard draws.

For a weight ``w`` in 0..1 and values ``v_1, v_2, …`` the average is ``s_i = w·s_{i-1} + (1-w)·v_i`` with ``s_0 = 0``,
and what is drawn is ``s_i / (1 - w^i)``: without that division the curve would start near zero and lie about the first
steps (Kingma and Ba 2015, section 3; TensorBoard's line chart does the same). A value that is not finite is skipped: it
neither moves the average nor counts in ``i``, and the result is NaN there, so that a gap stays a gap.

This module must never import textual, and never changes the values it is given.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_GROWTH = 100.0
"""Blocks end where ``w**-length`` reaches 1e100: the scaled sums stay far from overflow for values below 1e200."""


def ema(values: Floats, weight: float) -> Floats:
    """Bias-corrected exponential moving average of ``values``; NaN wherever the value is not finite.

    ``weight`` 0 returns the finite values as they are; it must lie in 0 ≤ weight < 1 (ValueError).
    """
    smoother = Ema(weight)
    return smoother.update(values).copy()


_STOCK = 1.25
"""By which the room for the average grows; more would be memory that a long curve never uses."""


class Ema:
    """The same average, kept up to date while its values grow: only what was added is computed."""

    def __init__(self, weight: float) -> None:
        if not 0.0 <= weight < 1.0:
            raise ValueError(f"a smoothing weight lies in 0 <= weight < 1, not {weight}")
        self.weight = weight
        self._average = 0.0
        self._count = 0
        self._seen: Floats = np.empty(0, dtype=np.float64)
        self._out: Floats = np.empty(0, dtype=np.float64)

    def update(self, values: Floats) -> Floats:
        """Average of all ``values``. When they start with what was seen before, only the rest is computed.

        The result is a read-only view that the next call may extend; copy what must outlive it. ``values`` is kept by
        reference, so a caller may append to it elsewhere but must not change it in place.
        """
        done = len(self._seen)
        if len(values) < done or not _same(values[:done], self._seen):
            done = 0
            self._average, self._count = 0.0, 0
        if len(values) > len(self._out):
            grown = np.empty(max(len(values), int(_STOCK * len(self._out))), dtype=np.float64)
            grown[:done] = self._out[:done]
            self._out = grown
        self._seen = values
        if len(values) > done:
            self._out[done : len(values)] = self._extend(values[done:])
        view = self._out[: len(values)]
        view.flags.writeable = False
        return view

    def _extend(self, values: Floats) -> Floats:
        finite = np.isfinite(values)
        whole = bool(finite.all())
        kept = values if whole else values[finite]
        if self.weight > 0.0 and len(kept):
            kept = self._corrected(kept)
        if whole:
            return kept
        out = np.full(len(values), np.nan)
        out[finite] = kept
        return out

    def _corrected(self, values: Floats) -> Floats:
        """One closed-form sum per block of values, then the division that removes the start's bias."""
        weight = self.weight
        length = max(1, min(len(values), int(_GROWTH / -math.log10(weight))))
        shrink = weight ** np.arange(1.0, length + 1.0)
        out = np.empty(len(values))
        average = self._average
        for start in range(0, len(values), length):
            block = values[start : start + length]
            powers = shrink[: len(block)]
            sums = np.cumsum(block / powers)
            sums *= 1.0 - weight
            sums += average
            sums *= powers
            out[start : start + length] = sums
            average = float(sums[-1])
        self._average = average
        counts = np.arange(self._count + 1.0, self._count + len(values) + 1.0)
        self._count += len(values)
        biased = int(np.searchsorted(counts, 40.0 / -math.log(weight)))
        out[:biased] /= -np.expm1(counts[:biased] * math.log(weight))
        return out


def _same(left: Floats, right: Floats) -> bool:
    """Whether two arrays hold the same numbers; NaN equals itself (comparing bits is faster than asking for NaN)."""
    if left.__array_interface__["data"] == right.__array_interface__["data"] and left.strides == right.strides:
        return len(left) == len(right)
    if left.flags.c_contiguous and right.flags.c_contiguous:
        return bool(np.array_equal(left.view(np.int64), right.view(np.int64)))
    return bool(np.array_equal(left, right, equal_nan=True))
