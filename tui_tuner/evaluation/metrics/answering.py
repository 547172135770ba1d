"""What answers are like, whatever the reference says: how long, whether they ended, empty ones, and repetition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tui_tuner.evaluation.metrics.scored import Scored, Values, mean_of
from tui_tuner.evaluation.metrics.specs import METRICS

_RUN = 4


def repetition(text: str) -> float:
    """Share of the 4-grams of words that were there before: 1 − distinct ÷ all (Welleck et al. 2019, seq-rep-4)."""
    words = text.split()
    runs = [tuple(words[start : start + _RUN]) for start in range(len(words) - _RUN + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def answer_scores(
    predictions: Sequence[str],
    tokens: Sequence[int] | None = None,
    finishes: Sequence[str] | None = None,
) -> dict[str, Scored]:
    """Length, empty answers and repetition, and where it is known how answers ended, the share that was cut off.

    Args:
        predictions: one text a row.
        tokens: tokens of each; its words are counted where they are not known.
        finishes: "stop" or "length" for each.
    """
    lengths = [len(said.split()) for said in predictions] if tokens is None else list(tokens)
    unit = {"unit": "words" if tokens is None else "tokens"}
    found = {
        "length": mean_of(METRICS["length"], lengths),
        "empty": mean_of(METRICS["empty"], [not said.strip() for said in predictions]),
        "repetition": mean_of(METRICS["repetition"], [repetition(said) for said in predictions]),
    }
    found["length"].note.update(unit)
    if finishes is not None:
        found["truncated"] = mean_of(METRICS["truncated"], [finish == "length" for finish in finishes])
    return found


def loss_scores(nll_sums: Sequence[float], token_counts: Sequence[float]) -> dict[str, Scored]:
    """Loss and perplexity over all counted tokens together; a row's own value is the mean over its tokens.

    Args:
        nll_sums: cross-entropy of each row's counted tokens, added up, in nats.
        token_counts: how many they are; a row without any says nothing.
    """
    sums, counts = np.asarray(nll_sums, dtype=np.float64), np.asarray(token_counts, dtype=np.float64)
    known = counts > 0
    rows = np.divide(sums, counts, out=np.zeros_like(sums), where=known)
    both = np.stack([np.where(known, sums, 0.0), counts], axis=1) if sums.size else np.zeros((0, 2))
    counted = None if known.all() else known
    return {
        "loss": Scored(METRICS["loss"], rows, counted, both, _ratio),
        "perplexity": Scored(METRICS["perplexity"], np.exp(rows), counted, both, _exponential),
    }


def _ratio(sums: Values) -> Values:
    # A resample that drew rows without tokens only has no loss; 0/0 would spoil all the others.
    sizes = sums[..., 1]
    return np.asarray(np.divide(sums[..., 0], sizes, out=np.zeros(sizes.shape), where=sizes > 0), dtype=np.float64)


def _exponential(sums: Values) -> Values:
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(_ratio(sums)), dtype=np.float64)
