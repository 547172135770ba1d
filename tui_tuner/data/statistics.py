"""Figures of a whole data set, from the lengths of its rows. Pure functions of a scan's report."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_tuner.data.scan import Report

_BARS = 24
PERCENTILES = (50, 75, 90, 95, 99, 100)


def histogram(lengths: NDArray[np.int32], bars: int = _BARS) -> tuple[list[int], list[int]]:
    """Edges (bars + 1) and counts (bars) of token lengths, in equal steps from 0 on; empty for no rows."""
    if not len(lengths):
        return [], []
    top = max(int(lengths.max()), 1)
    step = -(-top // bars)
    edges = np.arange(0, step * bars + 1, step)
    counts, _ = np.histogram(lengths, edges)
    return edges.tolist(), counts.tolist()


def token_figures(report: Report, max_length: int) -> dict[str, Any]:
    """Lengths in tokens over all rows that could be rendered, as `tui-tuner data --json` prints them.

    Args:
        max_length: tokens a row is cut at.

    Returns:
        rows, total, min, mean, median, p90, p95, p99 and max of the uncut lengths; `percentiles` of them by name ("50",
        "75", "90", "95", "99", "100"); `labels` of the training answers, see `Report.answers`; `prompt_share` (of the
        tokens kept, how many are prompt, 0..1), `trainable` (tokens the loss looks at in training), `truncated` (rows
        cut), `lost` (tokens cut off), and the histogram. Empty when nothing was tokenised.
    """
    seen = report.lengths > 0
    lengths = report.lengths[seen]
    if not len(lengths):
        return {}
    kept = np.minimum(lengths, max_length)
    offsets = np.minimum(report.offsets[seen], kept)
    train = report.of("train")[seen]
    edges, counts = histogram(lengths)
    points = dict(zip(map(str, PERCENTILES), np.percentile(lengths, PERCENTILES).tolist(), strict=True))
    return {
        "rows": len(lengths),
        "total": int(lengths.sum()),
        "min": int(lengths.min()),
        "mean": float(lengths.mean()),
        "median": points["50"],
        "p90": points["90"],
        "p95": points["95"],
        "p99": points["99"],
        "max": int(lengths.max()),
        "percentiles": points,
        "prompt_share": float(offsets.sum() / kept.sum()),
        "trainable": int((kept - np.maximum(offsets, 1))[train].clip(min=0).sum()),
        "truncated": int((lengths > max_length).sum()),
        "lost": int((lengths - kept).sum()),
        "max_seq_length": max_length,
        "histogram": {"edges": edges, "counts": counts},
        "labels": report.answers,
    }
