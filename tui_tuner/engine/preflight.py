"""Everything that can be known to fail before a run is started: configuration, model, adapter, and every row.

A run asks the same before its first step; `tui-tuner check` asks without running. It loads no weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tui_tuner.config import Experiment
from tui_tuner.config.advice import Known, advise
from tui_tuner.data.draft import draft
from tui_tuner.data.findings import Problem
from tui_tuner.engine.consent import allow_code
from tui_tuner.engine.dataset import DataFacts, data_facts
from tui_tuner.engine.forecasting import closed_form
from tui_tuner.engine.quantized import planned
from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import Attached, attach
from tui_tuner.models.folder import locate
from tui_tuner.models.load import skeleton
from tui_tuner.training.forecast.forecast import HOW_TO_FIT, Forecast


@dataclass
class Preflight:
    """What was found.

    Attributes:
        problems: of model, adapter and data, errors first.
        data: the data set, None when it could not be read.
        training: what follows from rows and settings alone: `steps`, `epochs`, `tokens` that the loss looks at in all
            of them, `padding` (share of what is computed), `truncated` rows; empty when the data could not be read.
        forecast: memory, time and disk in closed form; None when the model could not be read.
    """

    problems: list[Problem] = field(default_factory=list)
    data: DataFacts | None = None
    training: dict[str, Any] = field(default_factory=dict)
    forecast: Forecast | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing stands in the way."""
        return not any(problem.severity == "error" for problem in self.problems)

    def as_json(self) -> dict[str, Any]:
        """The document that `tui-tuner check --json` prints."""
        return {
            "ok": self.ok,
            "problems": [problem.as_json() for problem in self.problems],
            "forecast": {**_expected(self.forecast), **self.training},
        }


def preflight(
    experiment: Experiment, base: Path | None = None, *, tell: Callable[[int, int], None] = lambda done, total: None
) -> Preflight:
    """Looks whether an experiment can run. Nothing in here raises for what a person can mend."""
    found, fitted = Preflight(), None
    try:
        fitted = attached(experiment, base)
    except TunerError as error:
        found.problems.append(as_problem(error))
    try:
        found.data = data_facts(experiment, base, tell=tell)
        found.problems += found.data.report.problems
        found.training = forecast(experiment, found.data.tokens)
    except TunerError as error:
        if not any(error.code == problem.code for problem in found.problems):
            found.problems.append(as_problem(error))
        else:  # the model's own fault is told once; without its tokenizer the source can still be missing
            found.problems += _source(experiment, base)
    told = {problem.code for problem in found.problems}
    for hint in advise(experiment, known(experiment, fitted, found.data)):
        if not (hint.code == "masking-texts" and "mask-text" in told):
            found.problems.append(Problem(hint.code, hint.severity, 1, hint.text, hint.fix))
    if fitted is not None:
        found.forecast = _forecast(experiment, base, found)
    return found


def _forecast(experiment: Experiment, base: Path | None, found: Preflight) -> Forecast | None:
    """The closed form; what it has to object is put to the problems, and so is why there is none."""
    try:
        told = closed_form(experiment, base, found.data)
    except TunerError as error:
        if not any(error.code == problem.code for problem in found.problems):
            found.problems.append(as_problem(error))
        return None
    if told.fits == "too large":
        found.problems.append(Problem("does-not-fit", "warning", 1, told.too_large(), HOW_TO_FIT))
    return told


def known(experiment: Experiment, attached: Attached | None, data: DataFacts | None) -> Known:
    """What advice can go by, of a model with its adapter and of the rows, where they could be had."""
    rank = experiment.adapter.rank if experiment.adapter.method != "full" else 0
    of_model: dict[str, Any] = {}
    if attached is not None:
        of_model = {"parameters": attached.total, "per_rank": attached.trainable // rank if rank else None}
    if data is None or not data.tokens:
        return Known(**of_model)
    counts = data.report.counts
    return Known(
        **of_model,
        train=counts.get("train"),
        valid=counts.get("valid"),
        tokens=data.tokens["trainable"],
        longest=data.tokens["max"],
        steps_per_epoch=data.tokens.get("steps_per_epoch"),
        texts=data.report.guess.shape == "text" and not experiment.data.prompt,
    )


def _source(experiment: Experiment, base: Path | None) -> list[Problem]:
    """What keeps the records from being read, for which no model is needed."""
    try:
        draft(experiment.data, experiment.run.seed, base)
    except TunerError as error:
        return [as_problem(error)]
    return []


def _expected(found: Forecast | None) -> dict[str, Any]:
    """What the document of `check` tells of memory, time and disk."""
    names = ("peak_memory", "usable_memory", "fits", "seconds", "seconds_low", "seconds_high", "measured", "disk")
    told = found.as_json() if found is not None else {}
    return {name: told.get(name) for name in names}


def forecast(experiment: Experiment, tokens: dict[str, Any]) -> dict[str, Any]:
    """What training will go through, from the figures of its data.

    Args:
        experiment: its training section.
        tokens: as in `DataFacts`.
    """
    train = experiment.train
    an_epoch = tokens.get("steps_per_epoch")
    if not an_epoch:
        return {}
    steps = train.iterations(an_epoch)
    epochs = steps / an_epoch
    return {
        "steps": steps,
        "epochs": epochs,
        "tokens": round(epochs * tokens["trainable"]),
        "padding": tokens["padding"][train.mode],
        "truncated": tokens["truncated"],
    }


def as_problem(error: TunerError) -> Problem:
    """A failure as a problem of severity error."""
    message = f"{error.where}: {error.message}" if error.where else error.message
    return Problem(error.code, "error", 1, message, error.fix)


def attached(experiment: Experiment, base: Path | None) -> Attached:
    """What the adapter would train.

    Raises:
        TunerError: the model's folder is faulty, its architecture unknown, it cannot be quantized as asked, or the
            adapter does not fit.
    """
    allow_code(experiment)
    source = locate(experiment.model.path, base)
    tree = skeleton(source)
    if experiment.model.bits:
        planned(source, tree, experiment)
    return attach(tree, experiment.adapter)
