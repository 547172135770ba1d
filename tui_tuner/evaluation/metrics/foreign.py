"""Metrics of the library `evaluate`: by name where the Hub or its cache has them, or from a script on this machine.

Each row is scored by itself and the mean is taken, so that intervals and verdict follow as for every other metric. A
metric that needs all rows at once to mean anything is refused by its own error.

Such a metric is code of somebody's. It must never run without a consent to exactly this code, wherever its name came
from: a preset may be a stranger's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tui_tuner.errors import TunerError, brief
from tui_tuner.evaluation.metrics.scored import Scored, mean_of
from tui_tuner.evaluation.metrics.specs import EVALUATE, MetricSpec
from tui_tuner.models.trust import FOR_A_RUN, is_allowed


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


def check_metric(name: str) -> None:
    """Makes sure that a metric of `evaluate` is there and may be run; runs nothing of it.

    Raises:
        TunerError: code "no-such-metric" or "metric-code".
    """
    _module(name.removeprefix(EVALUATE).partition("#")[0])


def _load(where: str) -> Any:
    from evaluate.loading import import_main_class

    found = _module(where)
    try:
        metric = import_main_class(found.module_path)(keep_in_memory=True, hash=found.hash)
        metric.download_and_prepare()
        return metric
    except Exception as error:  # somebody else's code
        raise _none(where, error) from error


def _module(where: str) -> Any:
    """A metric's code, found but not run, which somebody has allowed to run."""
    from evaluate.loading import evaluation_module_factory

    local = Path(where).expanduser()
    try:
        found = evaluation_module_factory(str(local) if local.exists() else where)
    except Exception as error:  # no network, no such metric, a package that it needs
        raise _none(where, error) from error
    consent = f"{re.sub(r'[^0-9A-Za-z_./-]+', '-', local.name if local.exists() else where)}@{found.hash[:16]}"
    if not is_allowed(consent):
        raise TunerError(
            "the metric is code of its own, which is not run",
            code="metric-code",
            where=where,
            fix=f"read its script and, if you trust it, add --trust-remote-code {consent} {FOR_A_RUN}",
        )
    return found


def _none(where: str, error: Exception) -> TunerError:
    return TunerError(
        f"the metric cannot be had: {brief(error)}",
        code="no-such-metric",
        where=where,
        fix="connect to the network, install what it needs, or give the path of its script",
        usage=True,
    )


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
