"""ROUGE, BLEU and chrF: how much of the reference's wording a prediction shares, by the reference implementations.

ROUGE is google-research's `rouge_score` (after Lin, "ROUGE: a package for automatic evaluation of summaries", 2004),
which reproduces ROUGE-1.5.5; with several references the best F-measure counts. Its tokens are runs of the letters a–z
and digits in the lower-cased text; text in other scripts has none, and scores 0.

BLEU (Papineni et al. 2002) and chrF (Popović 2015) are sacrebleu's (Post 2018). Counting is left to it; only the last
step, from added-up counts to the figure, is done here as well, for thousands of resamples at once, and a test holds it
to sacrebleu's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.metrics.scored import Figure, Scored, Values, mean_of
from tui_tuner.evaluation.metrics.specs import MetricSpec

References = Sequence[Sequence[str]]


def rouge(specs: Sequence[MetricSpec], predictions: Sequence[str], references: References) -> list[Scored]:
    """The F-measures of several kinds of ROUGE with the same options, each text taken apart once."""
    from rouge_score.rouge_scorer import RougeScorer

    names = [spec.name for spec in specs]
    scorer = RougeScorer(names, use_stemmer=bool(specs[0].options["use_stemmer"]))
    values = np.zeros((len(names), len(predictions)))
    for row, (said, rights) in enumerate(zip(predictions, references, strict=True)):
        found = scorer.score(rights[0], said) if len(rights) == 1 else scorer.score_multi(list(rights), said)
        values[:, row] = [found[name].fmeasure for name in names]
    return [mean_of(spec, line) for spec, line in zip(specs, values, strict=True)]


def bleu(spec: MetricSpec, predictions: Sequence[str], references: References) -> Scored:
    """Corpus BLEU; the rows' own values are sentence BLEU with effective order, as sacrebleu advises."""
    from sacrebleu.metrics.bleu import BLEU

    options = dict(spec.options)
    if options["smooth_method"] not in ("exp", "none"):
        raise TunerError("bleu smooths by exp or none", code="unknown-option", fix="choose one of them", usage=True)
    return _sacrebleu(
        spec,
        BLEU(force=True, **options),
        BLEU(force=True, effective_order=True, **options),
        predictions,
        references,
        partial(bleu_of_sums, smooth=options["smooth_method"]),
    )


def chrf(spec: MetricSpec, predictions: Sequence[str], references: References) -> Scored:
    """Corpus chrF; the rows' own values are sentence chrF."""
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF(**spec.options)
    return _sacrebleu(
        spec, metric, metric, predictions, references, partial(chrf_of_sums, beta=float(spec.options["beta"]))
    )


def _sacrebleu(
    spec: MetricSpec, corpus: Any, sentence: Any, predictions: Sequence[str], references: References, figure: Figure
) -> Scored:
    if not predictions:
        return Scored(spec, np.zeros(0), None, np.zeros((0, 1)), figure)
    counts = corpus._extract_corpus_statistics(list(predictions), _streams(references))
    rows = [sentence._compute_score_from_stats(list(line)).score for line in counts]
    lengths = {len(rights) for rights in references}
    corpus.num_refs = lengths.pop() if len(lengths) == 1 else -1
    signature = str(corpus.get_signature())
    return Scored(
        spec,
        np.asarray(rows, dtype=np.float64),
        None,
        np.asarray(counts, dtype=np.float64),
        figure,
        {"signature": signature},
    )


def _streams(references: References) -> list[list[str | None]]:
    """References row by row as sacrebleu's streams: the first of every row, the second of every row, and so on."""
    most = max(len(rights) for rights in references)
    return [[rights[n] if n < len(rights) else None for rights in references] for n in range(most)]


def bleu_of_sums(sums: Values, smooth: str = "exp") -> Values:
    """BLEU, 0 to 100, of added-up counts (…, 10): lengths of predictions and references, 4 matches, 4 totals → (…).

    As `BLEU.compute_bleu` of sacrebleu 2, for the ways of smoothing "exp" and "none".
    """
    said, right = sums[..., 0], sums[..., 1]
    matches, totals = sums[..., 2:6], sums[..., 6:10]
    with np.errstate(divide="ignore", invalid="ignore"):
        penalty = np.where(said < right, np.exp(1 - right / said), 1.0)
        missing = matches == 0
        # Every order without a match counts half as much as the one before: 1/2, 1/4, … of a match.
        halved = 2.0 ** np.cumsum(missing, axis=-1) if smooth == "exp" else np.full(matches.shape, np.inf)
        shares = np.where(missing, 1 / halved, matches) / totals
        score = 100 * penalty * np.exp(np.log(shares).mean(axis=-1))
    whole = (matches.sum(axis=-1) > 0) & (totals > 0).all(axis=-1) & (said > 0)
    return np.where(whole, score, 0.0)


def chrf_of_sums(sums: Values, beta: float = 2.0) -> Values:
    """chrF, 0 to 100, of added-up counts (…, 3 orders): for each order those said, right and shared → (…).

    As `CHRF._compute_f_score` of sacrebleu 2 without epsilon smoothing.
    """
    said, right, shared = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
    known = (said > 0) & (right > 0)
    orders = np.maximum(known.sum(axis=-1), 1)
    precision = np.where(known, shared / np.maximum(said, 1), 0.0).sum(axis=-1) / orders
    recall = np.where(known, shared / np.maximum(right, 1), 0.0).sum(axis=-1) / orders
    below = beta**2 * precision + recall
    return np.where(below > 0, 100 * (1 + beta**2) * precision * recall / np.where(below > 0, below, 1), 0.0)
