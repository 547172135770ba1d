"""A forecast by real steps: on the batch that needs most memory, and on a few others for the time.

Everything is as in the run (its rows, its loss, its step, its optimizer) but on a tree of its own that is thrown away.
It must change nothing: no run folder, no weights, nobody's random numbers. What it keeps is how fast the device was.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tui_tuner import units
from tui_tuner.config import Experiment, TrainSection
from tui_tuner.data.chatforms import template_text
from tui_tuner.data.draft import draft
from tui_tuner.data.examples import Example, prompt_tokens, tokenise
from tui_tuner.data.prepare import Row, prepared_of, row_kind
from tui_tuner.engine.consent import allow_code
from tui_tuner.engine.forecast_requests import ForecastQuestion, MeasureForecast
from tui_tuner.engine.forecasting import answer_forecast, answers_besides, shape_for
from tui_tuner.engine.modelshelves import usable_memory
from tui_tuner.engine.quantized import with_fewer_bits
from tui_tuner.engine.rows import tokenised
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.train_stage import make_order, settled
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.generate import greedy_answers
from tui_tuner.models.adapters import attach
from tui_tuner.models.device import working_memory
from tui_tuner.models.folder import locate
from tui_tuner.models.libraries import ready
from tui_tuner.models.load import Base, fresh_tree
from tui_tuner.models.memory import BatchSize, adapted, training_memory
from tui_tuner.models.shape import ModelShape
from tui_tuner.runs.control import JobControl
from tui_tuner.training.fast.activations import ActivationStore
from tui_tuner.training.fast.frozen import frozen_loss
from tui_tuner.training.fast.loss import fast_loss
from tui_tuner.training.forecast.cost import forward_work, step_work
from tui_tuner.training.forecast.fitting import Fitting
from tui_tuner.training.forecast.forecast import Forecast, forecast_run, with_steps
from tui_tuner.training.forecast.speed import learn, measured_speed
from tui_tuner.training.forecast.workload import lengths_from
from tui_tuner.training.guard import Guard
from tui_tuner.training.optimizers import build_optimizer
from tui_tuner.training.parts import Order
from tui_tuner.training.randomness import key_kept
from tui_tuner.training.step import Loss, StockLoss, checkpointed_layers, compile_step, validate

_TIMED = 3
"""Steps that are timed of each size, after the one that traces it."""
_SIZES = 4
_SPREAD = 1.1
_ANSWER_TOKENS = 12

Tell = Callable[[str, int, int], None]


def perform_forecast(
    request: ForecastQuestion | MeasureForecast, control: JobControl, shelf: Callable[[], ModelShelf]
) -> Forecast | Fitting | list[Forecast | TunerError]:
    """The result of a request.

    Args:
        shelf: gives the models of a lane that has some.

    Raises:
        StopRequested: when asked to stop.
        TunerError: as the functions that do it.
    """
    if isinstance(request, MeasureForecast):
        return measure_forecast(request, control, shelf())
    return answer_forecast(request, control.check)


def measure_forecast(request: MeasureForecast, control: JobControl, shelf: ModelShelf) -> Forecast:
    """The forecast of an experiment by real steps.

    Raises:
        StopRequested: when asked to stop.
        TunerError: model or data cannot be had, or the run cannot fit, so that even a step is not tried.
    """
    ready()  # before anything touches mlx, which keeps the BLAS it finds first
    experiment, base = request.experiment, request.base
    allow_code(experiment)
    shape, tell = shape_for(experiment, base), request.progress
    tell("reading the rows", 0, 1)
    with working_memory():
        # A base of fewer bits is made as the run would make it, and stays for it.
        experiment = with_fewer_bits(experiment, base, check=control.check)
        loaded = shelf.base(
            str(locate(experiment.model.path, base)), template=template_text(experiment.model.chat_template, base)
        )
        prepared = prepared_of(draft(experiment.data, experiment.run.seed, base))
        train, valid = tokenised(experiment, loaded, prepared)
        order = make_order(experiment, train, valid)
        lengths = lengths_from(train, valid, test_examples(experiment, loaded, prepared.test))
        plain = forecast_run(
            experiment,
            shape,
            lengths,
            usable=usable_memory(),
            speed=measured_speed(shape),
            besides=answers_besides(experiment, loaded.path),
        )
        return measure(plain, experiment, shape, loaded, order, prepared.test, control, tell)


def test_examples(experiment: Experiment, base: Base, test: Sequence[Row]) -> list[Example]:
    """The rows of a benchmark as tokens, to see how long they are."""
    if not experiment.evaluation.enabled:
        return []
    rows = test[: experiment.evaluation.rows or len(test)]
    return [tokenise(row, base.tokenizer, mask_prompt=True) for row in rows if row_kind(row) != "text"]


def measure(
    plain: Forecast,
    experiment: Experiment,
    shape: ModelShape,
    base: Base,
    order: Order,
    test: Sequence[Row],
    control: JobControl,
    tell: Tell = lambda what, done, total: None,
) -> Forecast:
    """The same with model and rows at hand.

    Args:
        plain: the closed form.
        order: of the run; its position stays as it is.
        test: rows of the benchmark.
        tell: called with what is done, and parts done and in all.

    Raises:
        StopRequested: when asked to stop.
        TunerError: the run cannot fit, so that even a step is not tried.
    """
    if plain.usable and plain.memory.peak > plain.usable:
        raise TunerError(
            f"a step would take about {units.size(plain.memory.peak)} and a job can have {units.size(plain.usable)}, "
            "so none is tried",
            code="does-not-fit",
            fix="see what makes it fit: tui-tuner forecast PRESET --fit",
        )
    gc.collect()  # what earlier jobs have left would count
    with key_kept():
        probe = _Probe(experiment, shape, base, order, control, tell)
        try:
            peak, seconds = probe.train()
            if test and experiment.evaluation.enabled:
                seconds |= probe.answer(test)
        finally:
            del probe
            gc.collect()
    return with_steps(plain, peak, seconds, _SPREAD)


@dataclass(frozen=True)
class _Timing:
    """Seconds of a step on the average, and of tracing one without an update and one with."""

    step: float
    plain_trace: float
    update_trace: float


class _Probe:
    """A tree with adapter and optimizer that takes steps nobody keeps."""

    def __init__(
        self, experiment: Experiment, shape: ModelShape, base: Base, order: Order, control: JobControl, tell: Tell
    ) -> None:
        import mlx.core as mx

        self._experiment, self._shape, self._base = experiment, shape, base
        self._order, self._control, self._tell = order, control, tell
        self._train: TrainSection = settled(experiment.train, order)
        self._chosen = adapted(shape, experiment.adapter)
        self._tree = fresh_tree(base)
        mx.random.seed(experiment.run.seed)
        attach(self._tree, experiment.adapter)
        self._loss = self._choose_loss()
        self._optimizer, self._rate = build_optimizer(self._train)
        self._optimizer.init(self._tree.trainable_parameters())
        full = experiment.adapter.method == "full"
        self._guard = None if full else Guard(self._tree, self._optimizer)
        self._gradients: Any = None

    def _choose_loss(self) -> Loss:
        if self._train.mode == "stock":
            return StockLoss()
        sample = self._order.batch(0)
        loss = fast_loss(self._tree, sample)
        if not self._train.reuse_frozen:
            return loss
        store = ActivationStore(memory=1 << 30)
        return frozen_loss(self._tree, loss, sample, store, "forecast")[0]

    def train(self) -> tuple[int, dict[str, float]]:
        """Peak memory in bytes, and seconds of training, its traces, and the validations."""
        import mlx.core as mx

        sizes = [BatchSize(*shape) for shape in self._order.batch_sizes()]
        chosen = self._sizes(sizes)
        mx.clear_cache()
        mx.reset_peak_memory()
        timings: dict[BatchSize, _Timing] = {}
        self._tree.train()
        step = compile_step(
            self._tree,
            self._optimizer,
            self._loss,
            accumulation=self._train.grad_accumulation,
            clip_norm=self._train.clip_norm,
            extra_state=self._rate.state,
        )
        with checkpointed_layers(self._tree, self._train.grad_checkpoint):
            for done, (size, number) in enumerate(chosen.items()):
                self._tell("taking steps", done, len(chosen) + 1)
                timings[size] = self._timing(step, number)
        peak = int(mx.get_peak_memory())
        seconds = self._whole(sizes, timings)
        self._tell("validating", len(chosen), len(chosen) + 1)
        seconds["validation"] = self._validation(seconds["training"], sizes)
        return peak, seconds

    def _sizes(self, sizes: list[BatchSize]) -> dict[BatchSize, int]:
        """The sizes to measure, each with a batch that has it: the one that needs most memory first, then by work."""
        numbers = {size: number for number, size in reversed(list(enumerate(sizes)))}
        adapter, train = self._experiment.adapter, self._train
        most = max(numbers, key=lambda size: training_memory(self._shape, adapter, train, size).peak)
        by_work = sorted(sizes, key=self._work)
        points = [by_work[round(part * (len(by_work) - 1))] for part in np.linspace(0, 1, _SIZES)]
        return {size: numbers[size] for size in [most, *points]}

    def _work(self, size: BatchSize) -> float:
        work = step_work(self._shape, self._chosen, self._train, size)
        return measured_speed(self._shape).seconds(work.flops, work.moved)

    def _timing(self, step: Any, number: int) -> _Timing:
        """Times the batch of that number. Enough steps are taken for gradients to be added up and used."""
        every = self._train.grad_accumulation
        taken: dict[bool, list[float]] = {True: [], False: []}
        for turn in range((1 + _TIMED) * min(every, 2)):
            self._control.check()
            update = every == 1 or turn % 2 == 1
            started = time.perf_counter()
            batch = self._order.batch(number)
            before = self._guard.remember(self._gradients) if self._guard is not None else None
            result = step(self._loss.arrays(batch), self._gradients, update)
            result.loss.item()
            self._gradients = result.gradients
            del before
            self._give_back()
            taken[update].append(time.perf_counter() - started)
        (plain, plain_trace), (updating, update_trace) = _parted(taken[False]), _parted(taken[True])
        return _Timing((plain * (every - 1) + updating) / every, plain_trace, update_trace)

    def _give_back(self) -> None:
        import mlx.core as mx

        if mx.get_cache_memory() > self._train.clear_cache_threshold * 1e9:
            mx.clear_cache()

    def _whole(self, sizes: list[BatchSize], timings: dict[BatchSize, _Timing]) -> dict[str, float]:
        """Seconds of all steps: between the measured sizes in proportion to their work."""
        known = sorted((self._work(size), timing.step) for size, timing in timings.items())
        x, y = np.array(known).T
        work = np.array([self._work(size) for size in sizes])
        steps = np.interp(work, x, y)
        above = work > x[-1]
        steps[above] = y[-1] * work[above] / x[-1]
        told, taken = float(work.mean()), float(steps.mean())
        learn(self._shape, measured_speed(self._shape), told, taken)
        every, iters = self._train.grad_accumulation, self._train.iters
        distinct = min(len(set(sizes)), iters)
        plain, update = (float(np.mean(each)) for each in zip(*_traces(timings), strict=True))
        traces = plain * (distinct if every > 1 else 0) + update * min(distinct, iters // every)
        return {"training": taken * iters, "traces": traces}

    def _validation(self, training: float, sizes: list[BatchSize]) -> float:
        """Seconds of all validations, by one batch in the middle."""
        limit = self._train.eval_batches
        count = self._order.validation_count(limit)
        if not count:
            return 0.0
        batches = list(self._order.validation(limit, extra=True))
        place = [BatchSize(b.tokens.shape[0], b.tokens.shape[1] - 1, max(int(b.tokens.size), 1)) for b in batches]
        middle = len(batches) // 2
        taken = []
        for _ in range(2):
            self._control.check()
            started = time.perf_counter()
            validate(self._tree, [batches[middle]], self._loss, lambda _: None)
            taken.append(time.perf_counter() - started)
        share = [forward_work(self._shape, self._chosen, self._train, size).flops for size in place]
        once = min(taken) * sum(share) / max(share[middle], 1e-9)
        looks = (self._train.iters - 1) // self._train.eval_every + 2
        return once * looks

    def answer(self, test: Sequence[Row]) -> dict[str, float]:
        """Seconds of the benchmarks before and after, by the beginnings of a few answers."""
        settings, tokenizer = self._experiment.evaluation, self._base.tokenizer
        rows = [row for row in test[: settings.rows or len(test)] if row_kind(row) != "text"]
        if not rows:
            return {}
        prompts = [prompt_tokens(row, tokenizer) for row in rows]
        together = min(settings.batch_size, len(prompts))
        sample = prompts[:: max(len(prompts) // together, 1)][:together]
        self._tell("answering", 1, 1)
        self._tree.eval()
        times, lengths = {}, [1]
        for cap in (1, min(_ANSWER_TOKENS, settings.max_tokens)):
            started = time.perf_counter()
            found = list(
                greedy_answers(
                    self._tree, tokenizer, sample, max_tokens=cap, batch_size=together, control=self._control
                )
            )
            times[cap], lengths = time.perf_counter() - started, [len(answer.tokens) for answer in found]
        besides = answers_besides(self._experiment, self._base.path) / len(prompts)
        prefill = times[1] * sum(map(len, prompts)) / max(sum(map(len, sample)), 1) * (1 + besides)
        steps = max([*lengths, 1])
        token = max(times[max(times)] - times[1], 0.0) / max(steps - 1, 1)
        batches = len(prompts) * (1 + besides) / together
        answered = [len(e.tokens) - e.offset for e in test_examples(self._experiment, self._base, test)]
        expected = float(np.minimum(answered, settings.max_tokens).mean())
        return {
            "baseline": prefill + batches * token * settings.max_tokens,
            "evaluate": prefill + batches * token * expected,
        }


def _parted(seconds: list[float]) -> tuple[float, float]:
    """Seconds of a step, by all but the first, and what the first took longer; none for none."""
    if not seconds:
        return 0.0, 0.0
    step = float(np.mean(seconds[1:]))
    return step, max(seconds[0] - step, 0.0)


def _traces(timings: dict[BatchSize, _Timing]) -> list[tuple[float, float]]:
    return [(timing.plain_trace, timing.update_trace) for timing in timings.values()]
