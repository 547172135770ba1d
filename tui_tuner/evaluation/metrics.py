"""How well a prediction matches its reference, row by row: exact match and ROUGE.

Every metric is a plain function over two lists of texts (`score_rows`), and the same as an `evaluate.Metric`
(`metric_object`) that was never downloaded: it holds no state on disk and asks nothing of the network. Importing this
module loads neither `evaluate` nor `rouge_score`; they take more than a second.

ROUGE is google-research's `rouge_score` (after Lin, "ROUGE: a package for automatic evaluation of summaries", 2004),
which reproduces ROUGE-1.5.5. Its tokens are runs of the letters a–z and digits in the lower-cased text; text in other
scripts has none, and scores 0.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    import evaluate

Values = NDArray[np.float64]


@dataclass(frozen=True)
class MetricSpec:
    """What a metric is called and what it measures.

    Attributes:
        name: the key in presets, events and files.
        label: what a table's head says.
        definition: one or two sentences for a person who wonders what the number means.
        higher_is_better: the direction of improvement.
        options: what may be changed about it, with the value that is used otherwise.
    """

    name: str
    label: str
    definition: str
    higher_is_better: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


_ROUGE_WORDS = "Words are runs of a–z and digits, lower-cased, and not stemmed unless use_stemmer is set."

METRICS: dict[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        MetricSpec(
            "exact_match",
            "Exact match",
            "1 where the prediction is the reference letter for letter, once white space around both is taken off;"
            " else 0.",
        ),
        MetricSpec(
            "rouge1",
            "ROUGE-1",
            f"F-measure of the single words that prediction and reference share. {_ROUGE_WORDS}",
            options={"use_stemmer": False},
        ),
        MetricSpec(
            "rouge2",
            "ROUGE-2",
            f"F-measure of the pairs of neighbouring words that prediction and reference share. {_ROUGE_WORDS}",
            options={"use_stemmer": False},
        ),
        MetricSpec(
            "rougeL",
            "ROUGE-L",
            "F-measure of the longest run of words, gaps allowed, that prediction and reference have in the same order."
            f" {_ROUGE_WORDS}",
            options={"use_stemmer": False},
        ),
    )
}


def metric_spec(name: str) -> MetricSpec:
    """The description of a metric.

    Raises:
        TunerError: there is no such metric; names the nearest (code "unknown-metric").
    """
    if name in METRICS:
        return METRICS[name]
    near = difflib.get_close_matches(name, METRICS, n=1)
    raise TunerError(
        f'there is no metric "{name}"',
        code="unknown-metric",
        fix=f'did you mean "{near[0]}"?' if near else f"choose from {', '.join(METRICS)}",
        usage=True,
    )


def score_rows(metric: str, predictions: Sequence[str], references: Sequence[str], **options: Any) -> Values:
    """One value per row, 0 to 1.

    Args:
        metric: a key of `METRICS`.
        predictions: what the model said, one text per row.
        references: the right answers, as many.
        options: as the metric's `options`; ROUGE takes `use_stemmer` (Porter's).

    Returns:
        float64 array of shape (rows,).

    Raises:
        TunerError: unknown metric or option, lists of different length, or something that is no text.
    """
    spec = metric_spec(metric)
    if unknown := sorted(set(options) - set(spec.options)):
        raise TunerError(
            f'{metric} has no option "{unknown[0]}"', code="unknown-option", fix="leave it out", usage=True
        )
    _check(predictions, references)
    if metric == "exact_match":
        values = [float(said.strip() == right.strip()) for said, right in zip(predictions, references, strict=True)]
    else:
        values = _rouge(metric, predictions, references, **{**spec.options, **options})
    return np.asarray(values, dtype=np.float64)


def metric_object(name: str) -> evaluate.Metric:
    """The metric as an `evaluate.Metric`: `compute(predictions=…, references=…)` gives `{name: mean over the rows}`.

    It keeps its rows in memory and makes no folder in the library's cache, so it works offline and on read-only homes.

    Raises:
        TunerError: there is no such metric.
    """
    return _metric_class()(metric_spec(name))


def _check(predictions: Sequence[str], references: Sequence[str]) -> None:
    if len(predictions) != len(references):
        raise TunerError(
            f"there are {len(predictions):,} predictions and {len(references):,} references",
            code="length-mismatch",
            fix="give one prediction for each reference",
        )
    for what, texts in (("prediction", predictions), ("reference", references)):
        for number, text in enumerate(texts, 1):
            if not isinstance(text, str):
                raise TunerError(
                    f"the {what} is a {type(text).__name__}, not text", code="not-text", where=f"row {number}"
                )


def _rouge(name: str, predictions: Sequence[str], references: Sequence[str], *, use_stemmer: bool) -> list[float]:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([name], use_stemmer=use_stemmer)
    return [
        float(scorer.score(right, said)[name].fmeasure) for said, right in zip(predictions, references, strict=True)
    ]


def _metric_class() -> Any:
    """A subclass of `evaluate.Metric`, made here because its base must not be imported with this module."""
    import datasets
    import evaluate

    class RowMean(evaluate.Metric):
        """The mean over the rows of one of our metrics."""

        def __init__(self, spec: MetricSpec) -> None:
            self.spec = spec
            # A seed of our own, for without one the library takes it from numpy's global generator.
            super().__init__(config_name=spec.name, keep_in_memory=True, seed=0)
            self._module_info.module_name = spec.name

        def _build_data_dir(self) -> str:
            # The library would make a folder in its cache, which nothing is ever written to with rows kept in memory.
            return ""

        def _info(self) -> Any:
            text = datasets.Value("string")
            return evaluate.MetricInfo(
                description=self.spec.definition,
                citation="",
                inputs_description="predictions and references: one text per row.",
                features=datasets.Features({"predictions": text, "references": text}),
            )

        def _compute(self, *, predictions: Any, references: Any, **options: Any) -> dict[str, float]:
            values = score_rows(self.spec.name, list(predictions), list(references), **options)
            if not values.size:
                raise TunerError("there are no rows to score", code="no-rows", fix="give at least one row")
            return {self.spec.name: float(values.mean())}

    return RowMean
