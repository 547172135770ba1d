"""Our metrics as `evaluate.Metric`, offline: they hold no state on disk and ask nothing of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.metrics.answering import loss_scores
from tui_tuner.evaluation.metrics.rows import scored
from tui_tuner.evaluation.metrics.scored import Scored
from tui_tuner.evaluation.metrics.specs import ANSWER_METRICS, LOSS_METRICS, MetricSpec, metric_spec

if TYPE_CHECKING:
    import evaluate


def metric_object(name: str) -> evaluate.Metric:
    """The metric as an `evaluate.Metric`: `compute(predictions=…, references=…)` gives `{name: value over the rows}`.

    References are one text a row or a list of texts. What describes answers needs no references; `truncated` takes how
    each ended ("stop" or "length") as its predictions; `loss` and `perplexity` take summed cross-entropies as
    predictions and numbers of tokens as references. It keeps its rows in memory and makes no folder in the library's
    cache, so it works offline and on read-only homes.

    Raises:
        TunerError: there is no such metric.
    """
    return _metric_class()(metric_spec(name))


def _features(spec: MetricSpec) -> Any:
    import datasets

    text = datasets.Value("string")
    if spec.name in LOSS_METRICS:
        number = datasets.Value("float64")
        return datasets.Features({"predictions": number, "references": number})
    if spec.name in ANSWER_METRICS:
        return datasets.Features({"predictions": text})
    several = datasets.Sequence(text) if hasattr(datasets, "Sequence") else [text]
    return [
        datasets.Features({"predictions": text, "references": text}),
        datasets.Features({"predictions": text, "references": several}),
    ]


def _scored(spec: MetricSpec, predictions: list[Any], references: list[Any] | None, options: dict[str, Any]) -> Scored:
    if spec.name in LOSS_METRICS:
        return loss_scores(predictions, references or [])[spec.name]
    if spec.name == "truncated":
        from tui_tuner.evaluation.metrics.answering import answer_scores

        return answer_scores(predictions, finishes=predictions)["truncated"]
    return scored(spec.name, predictions, references or [""] * len(predictions), **options)


def _metric_class() -> Any:
    """A subclass of `evaluate.Metric`, made here because its base must not be imported with this module."""
    import evaluate

    class OverRows(evaluate.Metric):
        """One of our metrics over all rows."""

        def __init__(self, spec: MetricSpec) -> None:
            self.spec = spec
            # A seed of our own, for without one the library takes it from numpy's global generator.
            super().__init__(config_name=spec.name, keep_in_memory=True, seed=0)
            self._module_info.module_name = spec.name

        def _build_data_dir(self) -> str:
            # The library would make a folder in its cache, which nothing is ever written to with rows kept in memory.
            return ""

        def _info(self) -> Any:
            return evaluate.MetricInfo(
                description=self.spec.definition,
                citation="",
                inputs_description="predictions and references: one text per row; references may be lists of texts.",
                features=_features(self.spec),
            )

        def _compute(self, *, predictions: Any, references: Any = None, **options: Any) -> dict[str, float]:
            result = _scored(
                self.spec, list(predictions), None if references is None else list(references), dict(options)
            )
            if not len(result):
                raise TunerError("there are no rows to score", code="no-rows", fix="give at least one row")
            return {self.spec.name: result.value}

    return OverRows
