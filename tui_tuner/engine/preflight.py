"""Everything that can be known to fail before a run is started: configuration, model, adapter, and every row.

A run asks the same before its first step; `tui-tuner check` asks without running. It loads no weights.
"""

from __future__ import annotations

import math
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
from tui_tuner.training.forecast.forecast import Forecast, gigabytes


@dataclass
class Preflight:
    """What was found.

    Attributes:
        problems: of model, adapter and data, errors first.
        data: the data set, None when it could not be read.
        training: what follows from rows and settings alone: `steps`, `epochs`, `tokens` that the loss looks at in all
            of them, `padding` (share of what is computed), `truncated` rows; empty when the data could not be read.
        disk: bytes that the run will write at most, for its checkpoints; None when the model could not be read.
        forecast: memory and time in closed form; None when the model could not be read.
    """

    problems: list[Problem] = field(default_factory=list)
    data: DataFacts | None = None
    training: dict[str, Any] = field(default_factory=dict)
    disk: int | None = None
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
            "forecast": {**_expected(self.forecast), **self.training, "disk": self.disk},
        }


def preflight(
    experiment: Experiment, base: Path | None = None, *, tell: Callable[[int, int], None] = lambda done, total: None
) -> Preflight:
    """Looks whether an experiment can run. Nothing in here raises for what a person can mend."""
    found, attached = Preflight(), None
    try:
        found.disk, attached = _model(experiment, base)
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
    for hint in advise(experiment, known(experiment, attached, found.data)):
        if not (hint.code == "masking-texts" and "mask-text" in told):
            found.problems.append(Problem(hint.code, hint.severity, 1, hint.text, hint.fix))
    if found.disk is not None:
        found.forecast = closed_form(experiment, base, found.data)
        if found.forecast.fits == "too large":
            fix = "tui-tuner forecast PRESET --fit shows what makes it fit"
            found.problems.append(Problem("does-not-fit", "warning", 1, _too_large(found.forecast), fix))
    return found


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


def _too_large(found: Forecast) -> str:
    needed, usable = gigabytes(found.peak), gigabytes(found.usable)
    return f"the run takes about {needed} of memory, and a job can have {usable} on this machine"


def _expected(found: Forecast | None) -> dict[str, Any]:
    """What the document of `check` tells of memory and time."""
    names = ("peak_memory", "usable_memory", "fits", "seconds", "seconds_low", "seconds_high", "measured")
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
    steps = max(math.ceil(train.epochs * an_epoch), train.grad_accumulation, 1) if train.epochs else train.iters
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


def _model(experiment: Experiment, base: Path | None) -> tuple[int, Attached]:
    """Bytes of what will be kept, checkpoints and a quantized base, and what the adapter would train.

    Raises:
        TunerError: the model's folder is faulty, its architecture unknown, or the adapter does not fit.
    """
    allow_code(experiment)
    tree = skeleton(locate(experiment.model.path, base))
    quantized = planned(tree, experiment).bytes_after if experiment.model.bits else 0
    attached = attach(tree, experiment.adapter)
    from mlx.utils import tree_flatten

    trained = sum(int(array.nbytes) for _, array in tree_flatten(tree.trainable_parameters()))
    train = experiment.train
    states = {"sgd": 1, "adafactor": 1, "muon": 1}.get(train.optimizer, 2)
    # Each checkpoint holds the weights twice (for stock tools and for resuming), and the optimizer's state.
    return quantized + (train.keep_checkpoints + 1) * trained * (2 + states), attached
