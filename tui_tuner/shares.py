"""Shares of things counted, and how sure they are: an interval, and a test of whether two sides are alike.

And the one point of a distribution that means of a few values are judged by. Plain arithmetic, exact
where it can be. It must never need a library.
"""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a share (Wilson 1927), sound for few rows and for shares of 0 and 1, too."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    scale = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def at_least_by_chance(count: int, n: int) -> float:
    """How often at least `count` of `n` fall on one side when both are as likely."""
    return sum(math.comb(n, k) for k in range(count, n + 1)) / (1 << n)


def student_quantile(z: float, freedom: int) -> float:
    """The point of Student's t distribution that the standard normal one has at `z`, within 1 % from 3 degrees of
    freedom on: Cornish and Fisher's expansion (Abramowitz and Stegun 1964, 26.7.5).

    Args:
        freedom: degrees of freedom, at least 1.
    """
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def sign_test(wins: int, losses: int) -> float:
    """Two-sided p of the exact sign test: how often chance alone makes two sides so uneven; 1 where nothing counts."""
    return min(1.0, 2 * at_least_by_chance(max(wins, losses), wins + losses))
