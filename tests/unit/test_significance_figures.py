"""Intervals and tests of figures that are no means: BLEU, chrF, a token-weighted loss; and what is paired covers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tui_tuner.evaluation.metrics import METRICS, Scored, loss_scores, scored
from tui_tuner.evaluation.resample import bca, bca_interval, bootstrap_figures, jackknife, sign_flip_p, swap_p
from tui_tuner.evaluation.score import verdict
from tui_tuner.evaluation.significance import mean_interval, paired

WORDS = [f"w{n}" for n in range(30)]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mean_of_sums(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def with_ones(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones(values.size)], axis=1)


def texts(random: np.random.Generator, rows: int, right: float) -> tuple[list[str], list[str]]:
    """Versions of sentences of which each word is kept with probability `right`, and the sentences."""
    references = [
        " ".join(WORDS[n] for n in random.integers(0, len(WORDS), int(random.integers(5, 16)))) for _ in range(rows)
    ]
    return worsened(random, references, right), references


def worsened(random: np.random.Generator, references: list[str], right: float) -> list[str]:
    return [
        " ".join(word if random.random() < right else WORDS[int(random.integers(0, 30))] for word in text.split())
        for text in references
    ]


def test_a_mean_as_a_figure_of_sums_is_treated_as_a_mean() -> None:
    values = generator(1).exponential(size=40)
    counts = with_ones(values)
    drawn = bootstrap_figures(counts, mean_of_sums, 4_000, generator(2))
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.02)
    assert drawn.std() == pytest.approx(values.std() / math.sqrt(40), rel=0.05)
    without = jackknife(counts, mean_of_sums)
    assert without == pytest.approx([np.delete(values, row).mean() for row in range(40)])
    assert bca(float(values.mean()), drawn, without.mean() - without) == pytest.approx(bca_interval(values, drawn))


def test_swapping_rows_is_flipping_signs_where_the_figure_is_a_mean() -> None:
    first, second = generator(3).random(9), generator(4).random(9)
    exact = swap_p(with_ones(first), with_ones(second), mean_of_sums, 1, generator())
    assert exact == sign_flip_p(second - first, 1, generator())
    first, second = generator(5).random(40), generator(5).random(40) + generator(6).normal(0.03, 0.1, 40)
    drawn = swap_p(with_ones(first), with_ones(second), mean_of_sums, 20_000, generator(7))
    assert drawn == pytest.approx(sign_flip_p(second - first, 20_000, generator(8)), abs=0.012)
    assert swap_p(with_ones(first), with_ones(first), mean_of_sums, 10, generator()) == 1.0


def test_the_randomisation_test_of_bleu_by_enumeration() -> None:
    from sacrebleu import corpus_bleu

    random = generator(9)
    before, right = texts(random, 7, 0.6)
    after = [" ".join([*words.split()[:-1], good.split()[-1]]) for words, good in zip(before, right, strict=True)]
    seen = abs(corpus_bleu(after, [right]).score - corpus_bleu(before, [right]).score)
    sizes = []
    for swap in itertools.product((False, True), repeat=7):
        one = [b if s else a for a, b, s in zip(before, after, swap, strict=True)]
        other = [a if s else b for a, b, s in zip(before, after, swap, strict=True)]
        sizes.append(abs(corpus_bleu(other, [right]).score - corpus_bleu(one, [right]).score))
    result = paired(scored("bleu", before, right), scored("bleu", after, right), name="bleu")
    assert result.p == pytest.approx(np.mean(np.array(sizes) >= seen - 1e-9))
    assert result.difference == pytest.approx(
        corpus_bleu(after, [right]).score - corpus_bleu(before, [right]).score, abs=1e-9
    )


def test_bleu_is_judged_as_the_corpus_figure_it_is() -> None:
    before, right = texts(generator(10), 80, 0.55)
    after = worsened(generator(11), right, 0.75)
    result = paired(scored("bleu", before, right), scored("bleu", after, right), name="bleu")
    assert result.a == scored("bleu", before, right).value != pytest.approx(np.mean(scored("bleu", before, right)))
    assert result.verdict == "better" and result.p == pytest.approx(1 / 10_001)
    assert 0 < result.low < result.difference < result.high
    assert result.a_interval[0] < result.a < result.a_interval[1]
    assert result.wins + result.ties + result.losses == 80 and result.wins > result.losses
    assert result.effect is not None and 0.3 < result.effect < 3
    again = paired(scored("bleu", before, right), scored("bleu", after, right), name="bleu")
    assert again == result


def test_the_effect_of_a_mean_is_that_of_its_pseudo_values() -> None:
    before, after = generator(11).random(30), generator(12).random(30)
    as_mean = paired(before, after, name="x")
    sides = [Scored(METRICS["rouge1"], v, None, with_ones(v), mean_of_sums) for v in (before, after)]
    as_figure = paired(*sides, name="x")
    assert as_figure.effect == pytest.approx(as_mean.effect)
    assert as_figure.difference == pytest.approx(as_mean.difference)
    assert (as_figure.low, as_figure.high) == pytest.approx((as_mean.low, as_mean.high), abs=0.01)


def test_loss_and_perplexity_are_one_test() -> None:
    random = generator(13)
    tokens = random.integers(5, 40, 60).astype(float)
    before = loss_scores(tokens * random.gamma(9, 0.2, 60), tokens)
    after = loss_scores(np.array(before["loss"]) * tokens * 0.9, tokens)
    told = verdict({"rouge1": random.random(60), **before}, {"rouge1": random.random(60), **after})
    assert told["loss"].verdict == told["perplexity"].verdict == "better"
    assert told["perplexity"].p == told["loss"].p == pytest.approx(2 * told["loss"].p_uncorrected)
    assert told["loss"].b == pytest.approx(0.9 * told["loss"].a)
    assert told["perplexity"].wins == told["loss"].wins == 60


def test_one_row_says_nothing_of_others() -> None:
    interval = mean_interval(scored("bleu", ["a b c d e"], ["a b c d f"]))
    assert (interval.low, interval.high) == (0.0, 100.0)
    bleu = scored("bleu", ["a b c d e"], ["a b c d f"])
    assert (paired(bleu, bleu, name="bleu").low, paired(bleu, bleu, name="bleu").high) == (-100.0, 100.0)
    loss = loss_scores([3.0], [2])["loss"]
    assert (mean_interval(loss).low, mean_interval(loss).high) == (0.0, math.inf)
    result = paired(loss, loss_scores([2.0], [2])["loss"], name="loss", higher_is_better=False)
    assert result.verdict == "no measurable change" and (result.low, result.high) == (-math.inf, math.inf)


def test_the_interval_of_a_token_weighted_loss_covers() -> None:
    random, held, found, simulations = generator(14), 0, 0, 600
    for seed in range(simulations):
        tokens = 10 + random.gamma(3, 20, 80).round()
        rows = random.gamma(9, 0.2, 80)
        one = loss_scores(rows * tokens, tokens)["loss"]
        interval = mean_interval(one, 500, seed)
        held += interval.low <= 1.8 <= interval.high
        other = loss_scores((rows + random.normal(0, 0.1, 80)) * tokens, tokens)["loss"]
        change = paired(one, other, name="loss", resamples=400, seed=seed)
        found += change.verdict != "no measurable change"
    assert 0.93 <= held / simulations <= 0.97
    assert 0.02 <= found / simulations <= 0.07


@pytest.mark.parametrize(("wins", "losses"), [(0.05, 0.02), (0.3, 0.05), (0.1, 0.1), (0.9, 0.02)])
def test_the_interval_of_a_difference_of_shares_covers(wins: float, losses: float) -> None:
    random, held, simulations = generator(15), 0, 1_500
    for seed in range(simulations):
        drawn, either = random.random(60), random.random(60) < 0.4
        before = np.where(drawn < wins, 0, np.where(drawn < wins + losses, 1, either)).astype(float)
        after = np.where(drawn < wins, 1, np.where(drawn < wins + losses, 0, either)).astype(float)
        result = paired(before, after, name="x", resamples=20, seed=seed)
        held += result.low <= wins - losses <= result.high
    assert 0.93 <= held / simulations <= 0.98


@pytest.mark.slow
def test_the_interval_of_bleu_covers() -> None:
    random = generator(16)
    truth = scored("bleu", *texts(generator(17), 20_000, 0.7)).value
    held, simulations = 0, 800
    for seed in range(simulations):
        interval = mean_interval(scored("bleu", *texts(random, 60, 0.7)), 600, seed)
        held += interval.low <= truth <= interval.high
    assert 0.93 <= held / simulations <= 0.97
