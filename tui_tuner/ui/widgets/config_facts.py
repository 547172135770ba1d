"""What is known of model and data beside the experiment itself, for the form to say what values mean.

The model's sizes are asked for; figures of the data are taken from what the engine was asked for anyway. Nothing here
may read a file or wait for an answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_tuner.config import advice
from tui_tuner.config.model import AdapterSection, Experiment
from tui_tuner.engine.model_requests import DescribeModel
from tui_tuner.engine.protocol import JobStatus
from tui_tuner.engine.requests import PreviewData, ScanData
from tui_tuner.engine.results import DataPreview, ModelFacts
from tui_tuner.errors import TunerError
from tui_tuner.models.targets import Targets, resolve
from tui_tuner.ui.widgets.data_lookup import Lookup

if TYPE_CHECKING:
    from tui_tuner.engine.protocol import Engine


@dataclass(frozen=True)
class Facts:
    """What is known; None, 0 and empty for what is not.

    Attributes:
        model: the model's sizes.
        problem: why they are not known, as a sentence.
        counts: rows by split.
        lengths: tokens of the rows: `min`, `median`, `p95`, `max`.
        steps_per_epoch: iterations that go once through the training rows, at the batch size that was looked at.
        trainable: tokens that the loss looks at in an epoch.
        texts: whether rows are whole texts.
        sure: whether counts are those of the rows, not what the configuration says of records.
    """

    model: ModelFacts | None = None
    problem: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)
    steps_per_epoch: int = 0
    trainable: int = 0
    texts: bool = False
    sure: bool = False

    @property
    def rows(self) -> int | None:
        """Training rows."""
        return self.counts.get("train") or None

    def epoch(self, experiment: Experiment) -> int | None:
        """Iterations that go once through the training rows."""
        if self.steps_per_epoch:
            return self.steps_per_epoch
        return max(-(-self.rows // experiment.train.batch_size), 1) if self.rows else None

    def iterations(self, experiment: Experiment) -> int | None:
        """How many iterations the run takes; None where that depends on rows that are not known."""
        return advice.iterations(experiment, self.for_advice(experiment))

    def for_advice(self, experiment: Experiment) -> advice.Known:
        """The same as `config.advice` takes it."""
        model = self.model
        found = trained(experiment.adapter, model) if model is not None else None
        rank = experiment.adapter.rank
        return advice.Known(
            parameters=(model.parameters or None) if model is not None else None,
            layers=(model.layers or None) if model is not None else None,
            per_rank=found.parameters // rank if found is not None and experiment.adapter.method != "full" else None,
            train=self.rows,
            valid=self.counts.get("valid") or None,
            tokens=self.trainable or None,
            longest=self.lengths.get("max") or None,
            steps_per_epoch=self.epoch(experiment),
            texts=self.texts,
        )


@dataclass(frozen=True)
class Trained:
    """What an adapter trains in a model.

    Attributes:
        layers: their numbers.
        targets: the module paths in a layer.
        parameters: trainable numbers.
        bytes: of the adapter's file, or of the weights that are trained.
    """

    layers: Sequence[int]
    targets: Targets
    parameters: int
    bytes: int


def trained(adapter: AdapterSection, model: ModelFacts) -> Trained | None:
    """What an adapter trains in a model; None where the model's sizes do not say, or the two do not go together."""
    if not model.layers or not model.modules:
        return None
    try:
        shapes = {name: _sides(shape) for name, shape in model.modules}
    except ValueError:
        return None
    wanted = [] if adapter.method == "full" else adapter.targets
    try:
        targets = resolve(list(shapes), wanted)
    except TunerError:
        return None
    layers = sorted(adapter.layer_numbers) or list(range(model.layers))[-(adapter.layers or model.layers) :]
    if adapter.layers > model.layers or (layers and layers[-1] >= model.layers):
        return None
    if adapter.method == "full":
        width = {"float32": 4}.get(model.dtype, 2)
        count = len(layers) * sum(experts * out * inner for experts, out, inner in shapes.values())
        return Trained(layers, targets, count, count * width)
    each = 0
    for name in targets.modules:
        experts, out, inner = shapes[name]
        each += experts * (adapter.rank * (out + inner) + (out if adapter.method == "dora" else 0))
    return Trained(layers, targets, len(layers) * each, len(layers) * each * 4)


def _sides(shape: str) -> tuple[int, int, int]:
    """How many matrices a shape as text is of, their outputs and their inputs: (4, 128, 64) for `4 × 128 × 64`.

    Raises:
        ValueError: it is no such text.
    """
    *experts, out, inner = (int(part) for part in shape.split(" × "))
    return math.prod(experts), out, inner


class FactsFinder:
    """Finds the facts of one experiment after the other."""

    def __init__(self) -> None:
        self._model = Lookup()

    def ask(self, engine: Engine, experiment: Experiment, base: Path | None) -> None:
        """Asks for the model's sizes, unless that was done."""
        key = experiment.model.path, base
        self._model.ask(engine, key, DescribeModel(experiment.model.path, base))

    @property
    def waiting(self) -> bool:
        return self._model.waiting

    def facts(self, engine: Engine, experiment: Experiment, base: Path | None) -> Facts:
        """What is known by now."""
        found = self._model.result
        model = found if isinstance(found, ModelFacts) else None
        data = experiment.data
        known: dict[str, Any] = {}
        if data.train:
            known = {"counts": {"train": data.train * max(len(data.prompt), 1)}}
        return Facts(model, self._model.problem, **(_of_data(engine, experiment, base) or known))


def _of_data(engine: Engine, experiment: Experiment, base: Path | None) -> dict[str, Any]:
    """Figures of the data, where the engine was asked about the same data."""
    found: dict[str, Any] = {}
    for handle in reversed(engine.handles()):
        request = handle.request
        if handle.status is not JobStatus.DONE or not isinstance(request, PreviewData | ScanData):
            continue
        if not _same(request.experiment, experiment) or request.base != base:
            continue
        if isinstance(request, ScanData) and handle.result is not None:
            return found | _of_scan(request.experiment, handle.result, experiment)
        if isinstance(handle.result, DataPreview) and handle.result.complete and not found:
            preview = handle.result
            lengths = preview.token_lengths if preview.token_lengths.get("max") else {}
            found = {"counts": preview.counts, "lengths": lengths, "trainable": preview.trainable_tokens,
                     "texts": preview.kind == "text", "sure": True}  # fmt: skip
    return found


def _same(asked: Experiment, experiment: Experiment) -> bool:
    """Whether both have the same rows, in the same tokens."""
    return (
        asked.data == experiment.data
        and asked.run.seed == experiment.run.seed
        and asked.model.path == experiment.model.path
        and asked.model.chat_template == experiment.model.chat_template
    )


def _of_scan(asked: Experiment, result: Any, experiment: Experiment) -> dict[str, Any]:
    tokens = getattr(result, "tokens", None) or {}
    report = getattr(result, "report", None)
    same = all(
        getattr(asked.train, name) == getattr(experiment.train, name)
        for name in ("batch_size", "max_seq_length", "mode")
    )
    counts = getattr(report, "counts", None)
    return {
        **({"counts": counts, "sure": True} if isinstance(counts, dict) else {}),
        "lengths": {name: tokens[name] for name in ("min", "median", "p95", "max") if name in tokens},
        "trainable": tokens.get("trainable", 0),
        "steps_per_epoch": tokens.get("steps_per_epoch", 0) if same else 0,
    }
