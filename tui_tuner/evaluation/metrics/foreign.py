"""Metrics of the library `evaluate`: by name where the Hub or its cache has them, or from a script on this machine.

Each row is scored by itself and the mean is taken, so that intervals and verdict follow as for every other metric. A
metric that needs all rows at once to mean anything is refused by its own error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tui_tuner.errors import TunerError, brief
from tui_tuner.evaluation.metrics.scored import Scored, mean_of
from tui_tuner.evaluation.metrics.specs import EVALUATE, MetricSpec


def foreign(spec: MetricSpec, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Scored:
    """Scores rows by a metric that `evaluate` loads.

    Raises:
        TunerError: it cannot be had, cannot score a row, or gives no figure.
    """
    where, _, wanted = spec.name.removeprefix(EVALUATE).partition("#")
    metric = _load(where)
    values = []
    for row, (said, rights) in enumerate(zip(predictions, references, strict=True), 1):
        try:
            # One reference goes in as a text, several as the list that metrics with many references take.
            right = rights[0] if len(rights) == 1 else list(rights)
            result = metric.compute(predictions=[said], references=[right])
        except Exception as error:  # it is somebody else's code: whatever it raises is about this row
            raise TunerError(
                f"the metric {where} cannot score it: {brief(error)}", code="metric-failed", where=f"row {row}"
            ) from error
        values.append(_figure(result, wanted, where, row))
    return mean_of(spec, values)


def _load(where: str) -> Any:
    import evaluate

    local = Path(where).expanduser()
    try:
        return evaluate.load(str(local) if local.exists() else where, keep_in_memory=True)
    except Exception as error:  # no network, no such metric, a package that it needs
        raise TunerError(
            f"the metric cannot be had: {brief(error)}",
            code="no-such-metric",
            where=where,
            fix="connect to the network, install what it needs, or give the path of its script",
            usage=True,
        ) from error


def _figure(result: Any, wanted: str, where: str, row: int) -> float:
    figures = result if isinstance(result, dict) else {where: result}
    plain = {key: float(value) for key, value in figures.items() if isinstance(value, int | float)}
    if wanted and wanted not in plain:
        raise TunerError(
            f'the metric gives no figure "{wanted}"',
            code="no-such-metric",
            where=where,
            fix=f"choose from {', '.join(plain) or 'nothing: it gives no figures'}",
            usage=True,
        )
    value = plain[wanted] if wanted else next(iter(plain.values()), math.nan)
    if not math.isfinite(value):
        raise TunerError("the metric gives no finite number", code="metric-failed", where=f"{where}, row {row}")
    return value
