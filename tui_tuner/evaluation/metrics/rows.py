"""Scores of predictions against references by any of the metrics that need nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.metrics.answering import answer_scores
from tui_tuner.evaluation.metrics.numbers import right_number
from tui_tuner.evaluation.metrics.scored import Scored, Values, mean_of
from tui_tuner.evaluation.metrics.specs import ANSWER_METRICS, LOSS_METRICS, MetricSpec, is_foreign, specs_of
from tui_tuner.evaluation.metrics.words import exact, squad_exact, token_f1
from tui_tuner.units import many

Reference = str | Sequence[str]
"""A right answer, or several of which any will do."""

_BY_ROW = {"exact_match": exact, "squad_exact_match": squad_exact, "token_f1": token_f1}


def score_all(
    metrics: Sequence[str],
    predictions: Sequence[str],
    references: Sequence[Reference],
    options: Mapping[str, Any] | None = None,
) -> dict[str, Scored]:
    """Per metric the values of all rows, in the order asked for.

    Args:
        metrics: names as `metric_spec` takes them; those that need a model or the way an answer ended have no value
            here (`loss_scores`, `answer_scores`) and are left out.
        predictions: what the model said, one text per row.
        references: the right answers, one or several a row.
        options: given to every metric that knows them, such as `use_stemmer`.

    Raises:
        TunerError: unknown metric, lists of different length, something that is no text, a row without a reference.
    """
    specs = specs_of(metrics, options)
    rights = _checked(predictions, references)
    found: dict[str, Scored] = {}
    rouges = [spec for spec in specs if spec.library == "rouge_score"]
    if rouges:
        from tui_tuner.evaluation.metrics.overlap import rouge

        found |= {scored.spec.name: scored for scored in rouge(rouges, predictions, rights)}
    for spec in specs:
        if spec.name in ANSWER_METRICS and not found.keys() >= {spec.name}:
            found |= {name: one for name, one in answer_scores(predictions).items() if name == spec.name}
        elif spec.name not in found and spec.name not in LOSS_METRICS:
            found[spec.name] = _score(spec, predictions, rights)
    return {spec.name: found[spec.name] for spec in specs if spec.name in found}


def score_rows(metric: str, predictions: Sequence[str], references: Sequence[Reference], **options: Any) -> Values:
    """One value per row.

    Args:
        metric: a name as `metric_spec` takes it.
        predictions: what the model said, one text per row.
        references: the right answers, one or several a row.
        options: as the metric's `options`; ROUGE takes `use_stemmer` (Porter's).

    Returns:
        float64 array of shape (rows,); 0 to 1, for `bleu` and `chrf` 0 to 100.

    Raises:
        TunerError: unknown metric or option, lists of different length, or something that is no text.
    """
    return scored(metric, predictions, references, **options).rows


def scored(metric: str, predictions: Sequence[str], references: Sequence[Reference], **options: Any) -> Scored:
    """As `score_rows`, with what the value over all rows is made of.

    Raises:
        TunerError: as `score_rows`, and for a metric that predictions and references do not suffice for.
    """
    spec = specs_of([metric])[0].with_options(options)
    found = score_all([metric], predictions, references, options)
    if spec.name not in found:
        raise TunerError(
            f"{spec.name} cannot be computed from predictions and references", code="unknown-metric", usage=True
        )
    return found[spec.name]


def _score(spec: MetricSpec, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Scored:
    pairs = zip(predictions, references, strict=True)
    if spec.name in _BY_ROW:
        compare = _BY_ROW[spec.name]
        return mean_of(spec, [compare(said, rights) for said, rights in pairs])
    if spec.name == "numeric_accuracy":
        values = [right_number(said, rights, spec.options["which"]) for said, rights in pairs]
        counted = np.array([value is not None for value in values], dtype=bool)
        return mean_of(spec, [value or 0.0 for value in values], counted)
    if is_foreign(spec.name):
        from tui_tuner.evaluation.metrics.foreign import foreign

        return foreign(spec, predictions, references)
    from tui_tuner.evaluation.metrics import overlap

    return {"bleu": overlap.bleu, "chrf": overlap.chrf}[spec.name](spec, predictions, references)


def _checked(predictions: Sequence[str], references: Sequence[Reference]) -> list[Sequence[str]]:
    """The references as lists, once everything was found to be text."""
    if len(predictions) != len(references):
        raise TunerError(
            f"there are {many(len(predictions), 'prediction')} and {many(len(references), 'reference')}",
            code="length-mismatch",
            fix="give one prediction for each reference",
        )
    rights = [[one] if isinstance(one, str) or not isinstance(one, Sequence) else one for one in references]
    for row, texts in enumerate(rights, 1):
        if not texts:
            raise TunerError("there is no reference", code="not-text", where=f"row {row}")
        _text(predictions[row - 1], "prediction", row)
        for text in texts:
            _text(text, "reference", row)
    return rights


def _text(value: Any, what: str, row: int) -> None:
    if not isinstance(value, str):
        raise TunerError(f"the {what} is a {type(value).__name__}, not text", code="not-text", where=f"row {row}")
