"""Intervals, tests and verdicts: against published figures, by hand, and by simulation."""

from __future__ import annotations

import itertools
import math
import time
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.resample import (
    bca_interval,
    bootstrap_means,
    expanded,
    paired_share_interval,
    sign_flip_p,
)
from tui_tuner.evaluation.significance import holm, mean_interval, paired
from tui_tuner.shares import wilson_interval


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998), table I.
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_the_published_table(successes: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)
    values = [1.0] * successes + [0.0] * (n - successes)
    interval = mean_interval(values)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)
    assert interval.value == successes / n


def test_paired_shares_agree_with_the_published_example() -> None:
    # Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data",
    # Statistics in Medicine 17 (1998): 36 both, 12 and 2 one only, method 10.
    first = np.array([1.0] * 48 + [0.0] * 2)
    second = np.array([1.0] * 36 + [0.0] * 12 + [1.0] * 2)
    assert paired_share_interval(second, first) == pytest.approx((0.0569, 0.3404), abs=5e-5)
    low, high = paired_share_interval(first, second)
    assert (low, high) == pytest.approx((-0.3404, -0.0569), abs=5e-5)


def test_drawing_counts_and_drawing_rows_have_the_same_distribution() -> None:
    few = generator().choice([0.0, 0.2, 1.0], size=60)
    many = few + np.arange(60) * 1e-9  # as good as the same, but no two alike
    by_count, by_row = bootstrap_means(few, 20_000, generator(1)), bootstrap_means(many, 20_000, generator(2))
    error = few.std() / np.sqrt(60)
    assert by_count.mean() == pytest.approx(few.mean(), abs=error / 25)
    assert by_row.mean() == pytest.approx(few.mean(), abs=error / 25)
    assert by_count.std() == pytest.approx(error, rel=0.03)
    assert by_row.std() == pytest.approx(error, rel=0.03)
    assert np.quantile(by_count, [0.025, 0.975]) == pytest.approx(np.quantile(by_row, [0.025, 0.975]), abs=error / 8)


def test_bca_by_its_definition() -> None:
    values = generator(3).exponential(size=25)
    means = bootstrap_means(values, 5_000, generator(4))
    # The jackknife done row by row, Efron and Tibshirani (1993), equations 14.9 to 14.15.
    left_out = np.array([np.delete(values, row).mean() for row in range(25)])
    deviation = left_out.mean() - left_out
    acceleration = (deviation**3).sum() / (6 * (deviation**2).sum() ** 1.5)
    normal = NormalDist()
    bias = normal.inv_cdf(float((means < values.mean()).mean()))
    levels = []
    for z in (normal.inv_cdf(0.025), normal.inv_cdf(0.975)):
        levels.append(normal.cdf(bias + (bias + z) / (1 - acceleration * (bias + z))))
    assert bca_interval(values, means) == pytest.approx(tuple(np.quantile(means, levels)), rel=1e-9)
    # A skewed sample's interval leans to its long tail.
    low, high = bca_interval(values, means)
    assert high - values.mean() > values.mean() - low


def test_intervals_are_widened_as_for_students_t() -> None:
    # Student's 97.5 % quantiles from any table: 2.2622 (9), 2.0010 (59), 1.9720 (199 degrees of freedom).
    for n, t in ((10, 2.2622), (60, 2.0010), (200, 1.9720)):
        z = -NormalDist().inv_cdf((1 - expanded(0.95, n)) / 2)
        assert z == pytest.approx(t * (n / (n - 1)) ** 0.5, abs=5e-4)
    assert 0.95 < expanded(0.95, 2) < 1


def test_intervals_without_spread() -> None:
    assert mean_interval([0.5] * 20).as_json() == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert mean_interval([0.3]).as_json() == {"value": 0.3, "low": 0.0, "high": 1.0}
    assert mean_interval([1.0]).low == pytest.approx(0.2065, abs=5e-5)
    same = paired([0.0] * 40, [1.0] * 40, name="exact_match")
    assert (same.low, same.high) == (pytest.approx(0.876, abs=1e-3), pytest.approx(1.0))
    alone = paired([0.2], [0.5], name="rouge1")
    assert (alone.low, alone.high, alone.verdict) == (-1.0, 1.0, "no measurable change")


def test_exact_sign_flips_by_enumeration() -> None:
    differences = np.array([0.3, -0.1, 0.2, 0.25, 0.0, 0.05])
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=6)
    ]
    expected = np.mean(np.array(sums) >= abs(differences.sum()) - 1e-12)
    assert sign_flip_p(differences, 10, generator()) == expected
    assert sign_flip_p(np.ones(5), 10, generator()) == 2 / 32
    assert sign_flip_p(np.array([1.0, -1.0]), 10, generator()) == 1.0
    assert sign_flip_p(np.zeros(50), 10, generator()) == 1.0


@pytest.mark.parametrize("alike", [True, False])
def test_drawn_sign_flips_agree_with_the_exact_test(alike: bool) -> None:
    # 13 wins and 4 losses: the exact sign test's two-sided p is 2 (C(17,0) + … + C(17,4)) / 2^17.
    differences = np.array([1.0] * 13 + [-1.0] * 4)
    if not alike:
        differences = differences * (1 + np.arange(17) * 1e-11)
    exact = 2 * (1 + 17 + 136 + 680 + 2380) / 2**17
    assert sign_flip_p(differences, 200_000, generator()) == pytest.approx(exact, rel=0.03)


def test_p_is_never_zero() -> None:
    assert sign_flip_p(np.ones(100), 10_000, generator()) == 1 / 10_001


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@settings(deadline=None)
@given(ps=st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_makes_p_smaller_nor_changes_the_order(ps: list[float]) -> None:
    corrected = holm(ps)
    assert all(new >= old for new, old in zip(corrected, ps, strict=True))
    assert all(new <= 1 for new in corrected)
    order = sorted(range(len(ps)), key=ps.__getitem__)
    assert all(corrected[a] <= corrected[b] for a, b in itertools.pairwise(order))


def test_a_clear_gain() -> None:
    before, after = [1.0] * 2 + [0.0] * 98, [1.0] * 94 + [0.0] * 6
    result = paired(before, after, name="exact_match")
    assert (result.wins, result.ties, result.losses, result.n) == (92, 8, 0, 100)
    assert (result.a, result.b, result.difference) == (0.02, 0.94, pytest.approx(0.92))
    assert result.low == pytest.approx(0.84, abs=0.01) and result.high == pytest.approx(0.96, abs=0.01)
    assert result.p == 1 / 10_001
    assert result.verdict == "better" and result.rows_to_settle is None
    differences = np.array(after) - np.array(before)
    assert result.effect == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert result.sentence == (
        f"exact_match rose from 0.02 to 0.94 (+0.92, 95 % interval {result.low:.2f} to {result.high:.2f}):"
        " better on 92 of 100 rows, worse on 0."
    )
    back = paired(after, before, name="exact_match")
    assert (back.verdict, back.wins, back.losses) == ("worse", 0, 92)
    assert "fell from 0.94 to 0.02 (-0.92" in back.sentence


def test_lower_may_be_better() -> None:
    before = np.linspace(3, 4, 40)
    result = paired(before, before - 0.5 + np.tile([0.01, -0.01], 20), name="loss", higher_is_better=False)
    assert (result.verdict, result.wins, result.losses) == ("better", 40, 0)
    assert result.sentence.startswith("loss fell from 3.50 to 3.00 (-0.50,")


def test_a_small_difference_says_how_many_rows_would_settle_it() -> None:
    random = generator(5)
    before = random.beta(1, 4, 100)
    noise = random.normal(0, 0.1, 100)
    after = before + 0.0009 + (noise - noise.mean())
    result = paired(before, after, name="rouge1")
    assert result.verdict == "no measurable change"
    # (1.960 + 0.8416)² σ² / δ²
    needed = 7.849 * (after - before).var(ddof=1) / 0.0009**2
    assert result.rows_to_settle == pytest.approx(needed, rel=1e-3)
    assert "no measurable change; about" in result.sentence
    assert result.sentence.endswith("rows would settle a difference of this size.")
    assert "(+0.0009, 95 % interval -0.0" in result.sentence


def test_nothing_changed() -> None:
    result = paired([0.1, 0.2, 0.3], [0.1, 0.2, 0.1 + 0.2], name="rouge1")
    assert (result.difference, result.p, result.effect, result.ties) == (0.0, 1.0, None, 3)
    assert result.rows_to_settle is None
    assert result.sentence == "rouge1 stayed at 0.20, with the same value on all 3 rows: no measurable change."
    even = paired([0, 1] * 10, [1, 0] * 10, name="exact_match")
    assert (even.verdict, even.rows_to_settle, even.p) == ("no measurable change", None, 1.0)
    assert even.sentence.endswith("no measurable change.")


def test_few_rows_settle_nothing() -> None:
    five = paired([0.0] * 5, [1.0] * 5, name="exact_match")
    assert (five.verdict, five.p, five.rows_to_settle) == ("no measurable change", 2 / 32, 6)
    assert paired([0.0] * 6, [1.0] * 6, name="exact_match").verdict == "better"


def test_refusals() -> None:
    with pytest.raises(TunerError, match="rouge1 has 2 rows before and 1 after"):
        paired([0, 1], [1], name="rouge1")
    with pytest.raises(TunerError, match="row 2: rouge1 after has a value that is no finite number"):
        paired([0, 1], [1, float("nan")], name="rouge1")
    with pytest.raises(TunerError, match="no rows"):
        mean_interval([])


def test_seeds_decide_and_global_generators_are_left_alone() -> None:
    random = generator(6)
    before, after = random.random(50), random.random(50)
    np.random.seed(1)
    first = paired(before, after, name="x", seed=1)
    assert np.random.random() == np.random.RandomState(1).random_sample()
    assert first == paired(before, after, name="x", seed=1)
    assert first != paired(before, after, name="x", seed=2)
    assert mean_interval(before, seed=1) == mean_interval(before, seed=1) != mean_interval(before, seed=2)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30),
    higher=st.booleans(),
)
def test_results_hold_together(rows: list[tuple[float, float]], higher: bool) -> None:
    before, after = [one for one, _ in rows], [other for _, other in rows]
    result = paired(before, after, name="x", higher_is_better=higher, resamples=200)
    assert result.wins + result.ties + result.losses == result.n == len(rows)
    assert result.low <= result.difference <= result.high
    assert 0 < result.p <= 1
    if result.verdict != "no measurable change":
        assert result.p < 0.05 and not result.low <= 0 <= result.high
        assert (result.verdict == "better") == ((result.difference > 0) == higher)
    interval = mean_interval(before, 200)
    assert interval.low <= interval.value <= interval.high


def test_ten_thousand_resamples_of_a_thousand_rows_take_less_than_a_second() -> None:
    random = generator(7)
    before, after = random.random(1_000), random.random(1_000)
    # Processor time, so that a busy machine does not fail the test.
    start = time.process_time()
    mean_interval(before)
    paired(before, after, name="x")
    assert time.process_time() - start < 1.0


SHAPES = {
    "skewed": (lambda random, n: random.beta(1, 4, n), 0.2),
    "with many zeros": (lambda random, n: random.beta(2, 2, n) * (random.random(n) < 0.6), 0.3),
    "few levels": (lambda random, n: random.integers(0, 5, n) / 4, 0.5),
}


def coverage(shape: str, n: int, simulations: int, resamples: int) -> float:
    draw, truth = SHAPES[shape]
    random = generator(11)
    held = 0
    for seed in range(simulations):
        interval = mean_interval(draw(random, n), resamples, seed)
        held += interval.low <= truth <= interval.high
    return held / simulations


@pytest.mark.parametrize("shape", SHAPES)
def test_95_percent_intervals_hold_the_mean_in_95_percent(shape: str) -> None:
    assert 0.93 <= coverage(shape, 60, 1_000, 1_000) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [40, 60, 200])
def test_coverage_in_full(shape: str, n: int) -> None:
    assert 0.93 <= coverage(shape, n, 4_000, 4_000) <= 0.97


def test_shares_are_covered_by_enumeration() -> None:
    covered = []
    for share in np.arange(0.02, 0.99, 0.02):
        chances = (math.comb(60, k) * share**k * (1 - share) ** (60 - k) for k in range(61))
        intervals = (mean_interval([1.0] * k + [0.0] * (60 - k)) for k in range(61))
        covered.append(sum(c for c, i in zip(chances, intervals, strict=True) if i.low <= share <= i.high))
    # A count has no interval that covers 95 % of every share exactly: Wilson's does on average.
    assert np.mean(covered) == pytest.approx(0.95, abs=0.005)
    assert min(covered) > 0.93


def test_paired_intervals_cover_and_the_test_keeps_its_level() -> None:
    random = generator(12)
    simulations, held, found = 500, 0, 0
    for seed in range(simulations):
        before = random.beta(1, 3, 60)
        after = before + random.exponential(0.1, 60) - 0.08
        result = paired(before, after, name="x", resamples=800, seed=seed)
        held += result.low <= 0.02 <= result.high
        nothing = paired(before, before + random.normal(0, 0.1, 60), name="x", resamples=800, seed=seed)
        found += nothing.verdict != "no measurable change"
    assert 0.93 <= held / simulations <= 0.97
    assert 0.02 <= found / simulations <= 0.065
