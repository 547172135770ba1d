"""Statistics that a few odd values cannot move: medians over windows, and the noise of a curve from its differences.

The standard error of a median of n values with noise sigma is taken as 1.2533 sigma / sqrt(n), its value for normal
noise. All functions are deterministic, and take and return floats or float64 arrays.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from .case import Numbers

_MAD_TO_SIGMA: Final = 1.4826  # of normal noise
_MEDIAN_ERROR: Final = 1.2533  # sqrt(pi / 2)
_LEAST_FOR_NOISE: Final = 5


def noise(values: Numbers) -> float:
    """The standard deviation of a curve's noise; 0 when fewer than 5 values leave it unknown.

    Taken from the median absolute deviation of neighbours' differences, divided by sqrt(2) (after von Neumann 1941):
    a trend hardly touches it, and up to a quarter of the values may be outliers. Noise that drifts slowly counts as
    trend.
    """
    if len(values) < _LEAST_FOR_NOISE:
        return 0.0
    steps = np.diff(values)
    return float(_MAD_TO_SIGMA * np.median(np.abs(steps - np.median(steps))) / math.sqrt(2.0))


def spread(values: Numbers) -> float:
    """The standard deviation of what has no trend, from the median absolute deviation; 0 for fewer than 5 values.

    The larger of this and `noise`: both measure the same where there is no trend, and of few values either may come
    out small by chance.
    """
    if len(values) < _LEAST_FOR_NOISE:
        return 0.0
    return max(noise(values), float(_MAD_TO_SIGMA * np.median(np.abs(values - np.median(values)))))


def median_error(sigma: float, count: int) -> float:
    """The standard error of the median of `count` values with noise `sigma`."""
    return _MEDIAN_ERROR * sigma / math.sqrt(max(count, 1))


def difference_error(sigma: float, first: int, second: int) -> float:
    """The standard error of the difference of two medians, of `first` and of `second` values."""
    return math.hypot(median_error(sigma, first), median_error(sigma, second))


def window_medians(values: Numbers, width: int) -> Numbers:
    """The medians of windows of `width` values side by side, aligned to the end; a rest at the start is left out."""
    count = len(values) // width
    if count == 0:
        return values[:0]
    return np.asarray(np.median(values[len(values) - count * width :].reshape(count, width), axis=1), dtype=np.float64)


def above_before(values: Numbers, width: int) -> Numbers:
    """How far each value lies above the median of the `width` values before it; shape (len(values) - width,)."""
    if len(values) <= width:
        return values[:0]
    before = np.lib.stride_tricks.sliding_window_view(values[:-1], width)
    return np.asarray(values[width:] - np.median(before, axis=1), dtype=np.float64)
