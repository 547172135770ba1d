"""The closed-form forecast of a run: memory by part, time by stage and disk, from sizes and lengths alone.

Rough, and it says so: memory is within 15 % in the median and no guess below 70 % of the truth on the configurations of
benchmarks/forecast.py; time is off by a factor of up to two until steps were measured on the device. It loads nothing
and never raises for a model that is merely too large.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tui_tuner import units
from tui_tuner.config import Experiment
from tui_tuner.models.facts import Fit, fit
from tui_tuner.models.memory import Adapted, BatchSize, Memory, adapted, generation_memory, training_memory
from tui_tuner.models.shape import ModelShape
from tui_tuner.training.forecast.cost import (
    TRACE_SECONDS,
    Answers,
    answer_work,
    answers,
    training_work,
    validation_work,
)
from tui_tuner.training.forecast.speed import Speed
from tui_tuner.training.forecast.workload import RowLengths, Workload, largest, longest_rows, workload

HOW_TO_FIT = "`tui-tuner forecast PRESET --fit` shows what makes it fit"
_TEXT_BYTES = 4.2
"""Bytes of text that a token stands for, with the JSON around it."""
_STATES = {"sgd": 1, "adafactor": 1, "muon": 1}


@dataclass(frozen=True)
class Span:
    """Seconds, and the interval that they are expected to lie in."""

    seconds: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        return asdict(self)

    def text(self) -> str:
        """The span in a few words, such as `4 min (2 to 8)`."""
        if self.low == self.high:
            return units.duration(self.seconds)
        return f"{units.duration(self.seconds)} ({units.duration(self.low)} to {units.duration(self.high)})"


@dataclass(frozen=True)
class Disk:
    """Bytes that a run writes.

    Attributes:
        checkpoints: weights and optimizer state of all checkpoints that are kept.
        data: the prepared rows.
        reused: what frozen layers computed, where that is kept.
        base: a base of fewer bits that is made for the run, if it is not there yet.
    """

    checkpoints: int
    data: int
    reused: int = 0
    base: int = 0

    @property
    def total(self) -> int:
        return self.checkpoints + self.data + self.reused + self.base


@dataclass(frozen=True)
class Forecast:
    """What a run will take.

    Attributes:
        memory: of training, by part.
        batch: the batch that needs most of it.
        answering: bytes that the benchmark takes; 0 without one.
        usable: bytes that a job can have on this machine; 0 where that is not known.
        seconds: by stage: "training", "validation", "traces", "baseline", "evaluate"; empty where nothing was measured.
        span: of all stages together; None where nothing was measured.
        disk: bytes that are written.
        steps: iterations in all, and `steps_per_epoch`.
        truncated: training rows that are cut.
        measured: whether real steps were taken for it.
        known_data: whether the lengths are those of the data, or the longest that the configuration allows.
        notes: what a person should know.
    """

    memory: Memory
    batch: BatchSize
    answering: int
    usable: int
    seconds: dict[str, float]
    span: Span | None
    disk: Disk
    steps: int
    steps_per_epoch: int
    truncated: int
    measured: bool = False
    known_data: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def peak(self) -> int:
        """Bytes at the worst moment of the whole run."""
        return max(self.memory.peak, self.answering)

    @property
    def fits(self) -> Fit | None:
        """Whether it finds room on this machine."""
        return fit(self.peak, self.usable)

    def too_large(self) -> str:
        """What to expect of a run that does not find room, in a sentence."""
        return (
            f"it will take about {units.size(self.peak)} of memory and a job can have {units.size(self.usable)} on "
            "this machine, so that it may fail or swap"
        )

    def as_json(self) -> dict[str, Any]:
        """The document of `tui-tuner forecast --json`."""
        return {
            "peak_memory": self.peak,
            "memory": {**self.memory.as_json(), "answering": self.answering, "training": self.memory.peak},
            "largest_batch": {**asdict(self.batch)},
            "usable_memory": self.usable,
            "fits": self.fits,
            "seconds": self.span.seconds if self.span else None,
            "seconds_low": self.span.low if self.span else None,
            "seconds_high": self.span.high if self.span else None,
            "stages": self.seconds,
            "disk": self.disk.total,
            "disk_parts": asdict(self.disk),
            "steps": self.steps,
            "steps_per_epoch": self.steps_per_epoch,
            "truncated": self.truncated,
            "measured": self.measured,
            "known_data": self.known_data,
            "notes": self.notes,
        }

    def lines(self) -> list[str]:
        """The same for a person."""
        parts = self.memory
        how = "measured" if self.measured else "estimated"
        told = [f"memory   {units.size(self.peak)} at the most, {how}{self._room()}"]
        told += [
            f"           weights {units.size(parts.weights)}, trained {units.size(parts.trained)}, "
            f"optimizer {units.size(parts.optimizer)}",
            f"           activations {units.size(parts.activations)}, for a moment {units.size(parts.working)} "
            f"(batch of {self.batch.rows} × {self.batch.width})",
        ]
        if self.answering:
            told.append(f"           answering the test rows {units.size(self.answering)}")
        told.append(f"time     {self.span.text() if self.span else 'not measured on this device yet'}")
        if self.seconds:
            stages = [f"{name} {units.duration(value)}" for name, value in self.seconds.items() if value >= 0.5]
            told += [f"           {', '.join(stages)}"] if stages else []
        told.append(f"disk     {units.size(self.disk.total)}")
        told.append(f"steps    {self.steps:,}, {self.steps_per_epoch:,} an epoch")
        return told + [f"  note: {note}" for note in self.notes]

    def _room(self) -> str:
        words = {"fits": "which fits", "tight": "which is tight", "too large": "which does not fit"}
        return f", {words[self.fits]} in {units.size(self.usable)}" if self.fits else ""


def forecast_run(
    experiment: Experiment,
    shape: ModelShape,
    lengths: RowLengths | None = None,
    *,
    usable: int = 0,
    speed: Speed | None = None,
    besides: int = 0,
) -> Forecast:
    """The forecast of an experiment, at once.

    Args:
        experiment: adapter, training and evaluation sections matter.
        shape: of its model, by `models.shape.shape_of`.
        lengths: of its data, by `lengths_of`; None stands for rows as long as `max_seq_length` allows.
        usable: bytes that a job can have on this machine, 0 where that is not known.
        speed: of this device, by `known_speed` or `measured_speed`; without it there is no time.
        besides: answers to behaviour cases and canaries, before and after training each.

    Raises:
        TunerError: the adapter does not fit the model (too many layers, targets that match nothing).
    """
    train = experiment.train
    rows = lengths if lengths is not None and len(lengths.train) else longest_rows(train)
    work = workload(rows, train)
    chosen = adapted(shape, experiment.adapter)
    memory, batch = peak_memory(shape, experiment, work)
    asked = answers(experiment.evaluation, rows.test, rows.test_prompts, besides)
    answering = generation_memory(shape, asked.together, asked.longest + asked.most) if asked else 0
    answering += chosen.bytes if asked and chosen.method != "full" else 0
    seconds, span = _time(experiment, shape, chosen, work, asked, speed)
    notes = [] if rows.known else ["the data was not looked at: every row is taken to be as long as can be"]
    if work.truncated:
        notes.append(f"{work.truncated:,} rows are longer than {train.max_seq_length:,} tokens and are cut")
    return Forecast(
        memory, batch, answering, usable, seconds, span, disk_of(experiment, shape, chosen, rows, work),
        work.steps, work.steps_per_epoch, work.truncated, known_data=rows.known, notes=notes,
    )  # fmt: skip


def peak_memory(shape: ModelShape, experiment: Experiment, work: Workload) -> tuple[Memory, BatchSize]:
    """Memory of the batch that needs most, and its size."""
    weigh = max(shape.vocabulary // max(shape.layers * shape.hidden, 1), 1)
    found = [
        (training_memory(shape, experiment.adapter, experiment.train, size), size) for size in largest(work, weigh)
    ]
    return max(found, key=lambda pair: pair[0].peak)


def disk_of(experiment: Experiment, shape: ModelShape, chosen: Adapted, rows: RowLengths, work: Workload) -> Disk:
    """What a run writes at most."""
    train = experiment.train
    # Each checkpoint holds the weights twice (for stock tools and for resuming), and the optimizer's state.
    kept = (train.keep_checkpoints + 1) * chosen.bytes * (2 + _STATES.get(train.optimizer, 2))
    tokens = int(rows.train.sum() + rows.valid.sum() + rows.test.sum()) if rows.known else 0
    reused = 0
    if train.reuse_frozen and train.mode == "fast" and chosen.reach < shape.layers:
        places = sum(size.tokens * n for size, n in work.sizes.items())
        places += sum(size.tokens * n for size, n in work.valid.items())
        reused = places * shape.hidden * shape.element
    return Disk(kept, int(tokens * _TEXT_BYTES), reused, shape.bytes if experiment.model.bits else 0)


def with_steps(found: Forecast, peak: int, seconds: dict[str, float], spread: float) -> Forecast:
    """The forecast with what real steps have shown.

    Args:
        peak: bytes at the worst moment of the largest batch's step.
        seconds: by stage.
        spread: an interval reaches from the seconds divided by it to the seconds times it.
    """
    parts = found.memory
    known = parts.weights + parts.trained + parts.optimizer
    activations = max(min(parts.activations, peak - known), 0)
    memory = replace(parts, activations=activations, working=peak - known - activations)
    total = sum(seconds.values())
    span = Span(total, total / spread, total * spread)
    return replace(found, memory=memory, seconds=seconds, span=span, measured=True)


def _time(
    experiment: Experiment,
    shape: ModelShape,
    chosen: Adapted,
    work: Workload,
    asked: Answers | None,
    speed: Speed | None,
) -> tuple[dict[str, float], Span | None]:
    if speed is None:
        return {}, None
    train = experiment.train
    steps = training_work(shape, chosen, train, work)
    looks = validation_work(shape, chosen, train, work)
    seconds = {
        "training": speed.seconds(steps.flops, steps.moved),
        "validation": speed.seconds(looks.flops, looks.moved),
        "traces": work.traces * shape.layers * TRACE_SECONDS,
    }
    low = high = 0.0
    if asked is not None:
        short, long = (answer_work(shape, asked, tokens) for tokens in (asked.expected, float(asked.most)))
        low, high = speed.seconds(short.flops, short.moved), speed.seconds(long.flops, long.moved)
        # Before training a model answers at length; afterwards about as long as the references.
        seconds |= {"baseline": (low + high) / 2, "evaluate": low}
    total = sum(seconds.values())
    trained = seconds["training"] + seconds["validation"] + seconds["traces"]
    span = Span(total, (trained + 2 * low) / speed.spread, (trained + 2 * high) * speed.spread)
    return seconds, span
