"""From a configuration that allows a model's own code to the consent of this process."""

from __future__ import annotations

from tui_tuner.config import Experiment
from tui_tuner.models.trust import allow


def allow_code(experiment: Experiment) -> None:
    """Allows what `model.trust_remote_code` names.

    Raises:
        TunerError: it names no hash.
    """
    if experiment.model.trust_remote_code:
        allow(experiment.model.trust_remote_code)
