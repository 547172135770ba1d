"""From a configuration that allows code of a model or a metric to the consent of this process."""

from __future__ import annotations

from tui_tuner.config import Experiment
from tui_tuner.evaluation.metrics.specs import is_foreign
from tui_tuner.models.trust import allow


def allow_code(experiment: Experiment) -> None:
    """Allows what `model.trust_remote_code` names: one consent, or several with blanks between them.

    Raises:
        TunerError: it names no hash.
    """
    for consent in experiment.model.trust_remote_code.split():
        allow(consent)


def check_metrics(experiment: Experiment) -> None:
    """Sees that every metric of the library `evaluate` is there and allowed, before an hour is spent on what it judges.

    Raises:
        TunerError: one cannot be had, or its code is not allowed.
    """
    if not experiment.evaluation.enabled:
        return
    for name in filter(is_foreign, experiment.evaluation.metrics):
        from tui_tuner.evaluation.metrics.foreign import check_metric

        check_metric(name)
