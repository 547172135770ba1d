"""Intervals and tests against reference implementations and published samples.

Unless a test names a book, its figures were computed with scipy 1.17.1 (`binomtest`, `bootstrap(method="BCa")` with
200,000 to 400,000 resamples, `permutation_test(permutation_type="samples")` over all patterns, `t.ppf`) and with
statsmodels 0.15.0 (`multipletests`, `TTestPower`).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.evaluation.metrics import METRICS, Scored
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
from tui_tuner.evaluation.significance import holm, mean_interval, paired
from tui_tuner.shares import at_least_by_chance, sign_test, wilson_interval

DARWIN = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], float)
"""Heights of crossed less self-fertilised maize, eighths of an inch (Darwin 1876; Fisher 1935, The Design of
Experiments, chapter III)."""
FAILURES = np.array([3, 5, 7, 18, 43, 85, 91, 98, 100, 130, 230, 487], float)
"""Hours between failures of air conditioning (Proschan 1963; Davison and Hinkley 1997, example 1.1)."""
CITIES = np.array(
    [[143, 104, 69, 260, 75, 63, 50, 48, 111, 50], [138, 93, 61, 179, 48, 37, 29, 23, 30, 2]], float
).T  # fmt: skip
"""Inhabitants of ten cities in 1930 and 1920, thousands (Davison and Hinkley 1997, example 1.2)."""
SLEEP = (
    np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]),
    np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]),
)
"""Hours of sleep gained by two drugs (Student 1908, Biometrika 6)."""
CANCER = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216, 0.222, 0.251, 0.269, 0.275, 0.34, 0.341,
          0.384, 0.569, 0.594, 0.696, 0.762, 0.94, 0.942, 0.975, 0.986]  # fmt: skip
"""p-values of 25 tests (García-Arenzana et al. 2014, as in McDonald's Handbook of Biological Statistics)."""


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ratio(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


# -- shares ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [
        (0, 1, 0.0, 0.793451),
        (1, 1, 0.206549, 1.0),
        (7, 10, 0.396778, 0.892209),
        (3, 200, 0.005114, 0.043166),
        (199, 200, 0.972226, 0.999117),
        (500, 1000, 0.46907, 0.53093),
        (0, 1000, 0.0, 0.003827),
    ],
)
def test_shares_have_scipys_wilson_interval(right: int, of: int, low: float, high: float) -> None:
    told = mean_interval([1.0] * right + [0.0] * (of - right))
    assert (told.value, told.low, told.high) == pytest.approx((right / of, low, high), abs=5e-7)


def test_another_confidence_widens_a_share_as_scipy_does() -> None:
    assert wilson_interval(7, 10, 0.99) == pytest.approx((0.320024679, 0.920433683), abs=1e-9)


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [
        (13, 4, 0.049041748046875), (0, 5, 0.0625), (5, 0, 0.0625), (8, 12, 0.5034446716308594),
        (60, 40, 0.05688793364098089), (1, 0, 1.0), (10, 10, 1.0), (0, 0, 1.0),
    ],
)  # fmt: skip
def test_the_sign_test_is_the_exact_binomial_test(wins: int, losses: int, p: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(p, rel=1e-12)


@given(st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=40)
def test_chances_of_both_sides_add_up(wins: int, losses: int) -> None:
    n = wins + losses
    assert at_least_by_chance(0, n) == 1.0
    assert at_least_by_chance(wins, n) + at_least_by_chance(losses + 1, n) == pytest.approx(1.0)
    assert sign_test(wins, losses) == sign_test(losses, wins) <= 1.0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
@settings(max_examples=60)
def test_an_interval_of_paired_shares_holds_the_difference_and_turns_with_the_sides(
    rows: list[tuple[bool, bool]],
) -> None:
    before, after = np.array(rows, float).T
    low, high = paired_share_interval(before, after)
    assert -1 - 1e-9 <= low <= after.mean() - before.mean() + 1e-12 and after.mean() - before.mean() <= high + 1e-12
    assert high <= 1 + 1e-9
    assert paired_share_interval(after, before) == pytest.approx((-high, -low))
    assert paired_share_interval(1 - before, 1 - after) == pytest.approx((-high, -low))


# -- bootstrap ---------------------------------------------------------------------------------------------------------


def test_the_bca_interval_of_a_skewed_sample_is_scipys() -> None:
    drawn = bootstrap_means(FAILURES, 100_000, generator(1))
    assert bca_interval(FAILURES, drawn) == pytest.approx((56.917, 226.583), rel=0.01)
    assert bca_interval(FAILURES, drawn, 0.9) == pytest.approx((62.75, 202.167), rel=0.01)
    # The percentile interval of the same resamples lies too low: that is what the correction is for.
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx((46.833, 190.917), rel=0.01)


def test_the_bca_interval_of_paired_differences_is_scipys() -> None:
    drawn = bootstrap_means(DARWIN, 100_000, generator(2))
    assert bca_interval(DARWIN, drawn) == pytest.approx((-1.733, 36.2), abs=0.2)
    assert bca_interval(DARWIN, drawn, 0.9) == pytest.approx((2.4, 34.067), abs=0.2)


def test_the_bca_interval_of_a_ratio_of_sums_is_scipys() -> None:
    drawn = bootstrap_figures(CITIES, ratio, 50_000, generator(3))
    without = jackknife(CITIES, ratio)
    point = float(ratio(CITIES.sum(axis=0)))
    assert point == pytest.approx(1.5203125)
    assert bca(point, drawn, without.mean() - without) == pytest.approx((1.2472, 2.0888), rel=0.01)


@pytest.mark.parametrize(
    ("freedom", "t"),
    [(4, 2.776445), (9, 2.262157), (19, 2.093024), (59, 2.000995), (199, 1.971957), (999, 1.962341)],
)
def test_intervals_reach_as_far_as_students(freedom: int, t: float) -> None:
    from statistics import NormalDist

    n = freedom + 1
    reach = -NormalDist().inv_cdf((1 - expanded(0.95, n)) / 2)
    assert reach == pytest.approx(t * math.sqrt(n / freedom), rel=0.01 if freedom < 9 else 2e-4)


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=30), st.integers(0, 3))
@settings(max_examples=40)
def test_an_interval_holds_its_value_and_moves_with_the_rows(rows: list[float], seed: int) -> None:
    told = mean_interval(rows, 300, seed)
    assert told.low <= told.value <= told.high
    assert min(rows) - 1e-9 <= told.low or set(rows) <= {0.0, 1.0}
    assert told.high <= max(rows) + 1e-9 or set(rows) <= {0.0, 1.0}
    more = mean_interval([row + 2 for row in rows], 300, seed)
    if not set(rows) <= {0.0, 1.0} and len(set(rows)) > 16:  # fewer are drawn as counts, of which rounding has others
        assert (more.low - 2, more.high - 2) == pytest.approx((told.low, told.high), abs=1e-6)


def test_more_rows_of_the_same_kind_say_more() -> None:
    widths = [np.ptp([(one := mean_interval(np.tile(FAILURES, times), 4_000)).low, one.high]) for times in (1, 4, 16)]
    assert widths[0] > 1.8 * widths[1] > 3.2 * widths[2]


# -- tests -------------------------------------------------------------------------------------------------------------


def test_the_randomisation_test_of_darwins_maize_is_fishers() -> None:
    # Fisher (1935) counted 1,726 of 32,768 patterns with a sum as large; scipy gives the same 0.05267333984375.
    exact = 1_726 / 32_768
    assert sign_flip_p(DARWIN, 100_000, generator(2)) == pytest.approx(exact, rel=0.03)
    first = np.stack([np.zeros(15), np.ones(15)], axis=1)
    second = np.stack([DARWIN, np.ones(15)], axis=1)
    assert swap_p(first, second, ratio, 100_000, generator(3)) == pytest.approx(exact, rel=0.03)


def test_students_sleep_data_by_all_patterns() -> None:
    told = paired(*SLEEP, name="hours")
    assert told.p == 0.00390625, "9 rows differ, and all that do the same way: 2 of 512 patterns"
    assert told.difference == pytest.approx(1.58) and (told.wins, told.ties, told.losses) == (9, 1, 0)
    assert told.effect == pytest.approx(1.2845575625610546)
    assert told.verdict == "better" and 0.7 < told.low < 1.58 < told.high < 3.0


def test_holm_is_statsmodels() -> None:
    fixed = holm(CANCER)
    assert fixed[:6] == pytest.approx([0.025, 0.192, 0.897, 0.902, 0.902, 1.0])
    assert set(fixed[5:]) == {1.0}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.randoms())
@settings(max_examples=40)
def test_holm_belongs_to_the_tests_and_not_to_their_order(ps: list[float], random: object) -> None:
    order = list(range(len(ps)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert holm([ps[at] for at in order]) == pytest.approx([holm(ps)[at] for at in order])
    assert min(holm(ps)) == pytest.approx(min(1.0, min(ps) * len(ps))), "the smallest is Bonferroni's"


@pytest.mark.parametrize(("effect", "exact"), [(0.1, 786.81), (0.2, 198.15), (0.5, 33.37)])
def test_rows_to_settle_are_those_of_a_t_test_with_80_percent_power(effect: float, exact: float) -> None:
    """Differences of ±1 and a mean such that d_z is the effect; the normal approximation asks for two rows fewer."""
    spread = np.tile([1.0, -1.0], 6)
    rows = spread * np.sqrt(11 / 12) + effect
    told = paired(np.zeros(12), rows, name="x")
    assert told.effect == pytest.approx(effect) and told.verdict == "no measurable change"
    assert told.rows_to_settle is not None and exact - 2.5 < told.rows_to_settle <= exact + 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=9))
@settings(max_examples=40)
def test_turning_both_sides_round_turns_the_verdict_round(rows: list[tuple[int, int]]) -> None:
    before, after = np.array(rows, float).T / 9
    there, back = (paired(*sides, name="x", resamples=200) for sides in ((before, after), (after, before)))
    assert there.p == back.p and there.difference == pytest.approx(-back.difference)
    assert (there.wins, there.losses) == (back.losses, back.wins)
    lower = paired(before, after, name="x", resamples=200, higher_is_better=False)
    assert (lower.wins, lower.losses, lower.p) == (there.losses, there.wins, there.p)
    turned = {"better": "worse", "worse": "better"}
    assert lower.verdict == turned.get(there.verdict, there.verdict)


def test_a_figure_of_sums_is_judged_by_all_swaps() -> None:
    """Token-weighted losses of six rows: by hand, each of the 64 ways to swap them."""
    tokens = np.array([3.0, 5.0, 8.0, 2.0, 9.0, 4.0])
    before, after = np.array([2.1, 1.4, 1.9, 3.0, 1.2, 2.2]), np.array([1.9, 1.5, 1.4, 2.0, 1.1, 2.1])
    sides = [np.stack([loss * tokens, tokens], axis=1) for loss in (before, after)]
    seen = abs(ratio(sides[1].sum(0)) - ratio(sides[0].sum(0)))
    sizes = []
    for pattern in range(64):
        swapped = np.array([pattern >> row & 1 for row in range(6)], bool)[:, None]
        one, other = np.where(swapped, sides[1], sides[0]), np.where(swapped, sides[0], sides[1])
        sizes.append(abs(ratio(other.sum(0)) - ratio(one.sum(0))))
    exact = np.mean(np.array(sizes) >= seen - 1e-12)
    assert swap_p(*sides, ratio, 1, generator()) == exact
    told = paired(
        *(Scored(METRICS["loss"], loss, None, side, ratio) for loss, side in zip((before, after), sides, strict=True)),
        name="loss", higher_is_better=False,
    )  # fmt: skip
    assert told.p == exact and (told.wins, told.losses) == (5, 1)
    assert told.difference == pytest.approx((after - before) @ tokens / tokens.sum())
