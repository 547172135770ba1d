"""How well predictions match their references, and what answers are like.

Every metric is a plain function over rows of texts (`score_rows`, `score_all`), and the same as an `evaluate.Metric`
(`metric_object`) that was never downloaded. Importing this package loads neither `evaluate`, `rouge_score` nor
`sacrebleu`; they take more than a second. A metric must never ask the network, unless it is one that only the Hub has.
"""

from tui_tuner.evaluation.metrics.answering import answer_scores, loss_scores
from tui_tuner.evaluation.metrics.objects import metric_object
from tui_tuner.evaluation.metrics.rows import Reference, score_all, score_rows, scored
from tui_tuner.evaluation.metrics.scored import Figure, Scored, Values
from tui_tuner.evaluation.metrics.specs import (
    ANSWER_METRICS,
    LOSS_METRICS,
    METRICS,
    TEXT_METRICS,
    MetricSpec,
    metric_spec,
    specs_of,
)

__all__ = [
    "ANSWER_METRICS",
    "LOSS_METRICS",
    "METRICS",
    "TEXT_METRICS",
    "Figure",
    "MetricSpec",
    "Reference",
    "Scored",
    "Values",
    "answer_scores",
    "loss_scores",
    "metric_object",
    "metric_spec",
    "score_all",
    "score_rows",
    "scored",
    "specs_of",
]
