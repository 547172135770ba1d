"""The forecast of an experiment: finds its model's sizes and its rows' lengths, and asks the closed form.

Answers from what is known where nobody may wait: a model's headers, and what a scan of the data found before.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tui_tuner.config import Experiment
from tui_tuner.data.chatforms import template_text
from tui_tuner.data.scancache import kept_report, scan_key
from tui_tuner.engine.dataset import DataFacts
from tui_tuner.engine.forecast_requests import AskForecast, FitForecast, ForecastQuestion, ForecastSweep
from tui_tuner.engine.modelshelves import usable_memory
from tui_tuner.engine.shelf import file_stamp
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.canaries import suite_of
from tui_tuner.models.folder import locate
from tui_tuner.models.shape import ModelShape, shape_of
from tui_tuner.training.forecast.fitting import Fitting, make_it_fit
from tui_tuner.training.forecast.forecast import Forecast, forecast_run
from tui_tuner.training.forecast.speed import known_speed, measured_speed
from tui_tuner.training.forecast.workload import RowLengths, lengths_of

_lock = threading.Lock()
_shapes: dict[Path, tuple[Any, ModelShape]] = {}


def answer_forecast(
    request: ForecastQuestion, check: Callable[[], None] = lambda: None
) -> Forecast | Fitting | list[Forecast | TunerError]:
    """The result of a question.

    Args:
        check: called between the runs of a sweep; it may raise to end the work.

    Raises:
        TunerError: there is no such model, or the adapter does not fit it.
    """
    if isinstance(request, ForecastSweep):
        return _of_sweep(request, check)
    experiment, base = request.experiment, request.base
    shape, lengths = shape_for(experiment, base), known_lengths(experiment, base)
    speed, usable = known_speed(shape), usable_memory()
    if isinstance(request, FitForecast):
        return make_it_fit(experiment, shape, lengths, limit=request.limit or usable, speed=speed)
    assert isinstance(request, AskForecast)
    besides = answers_besides(experiment, locate(experiment.model.path, base))
    return forecast_run(experiment, shape, lengths, usable=usable, speed=speed, besides=besides)


def _of_sweep(request: ForecastSweep, check: Callable[[], None]) -> list[Forecast | TunerError]:
    out: list[Forecast | TunerError] = []
    for experiment in request.experiments:
        check()
        try:
            found = answer_forecast(AskForecast(experiment, request.base))
            assert isinstance(found, Forecast)
            out.append(found)
        except TunerError as error:
            out.append(error)
    return out


def answers_besides(experiment: Experiment, model: Path) -> int:
    """How many answers behaviour cases and canaries take, each time they are asked."""
    behaviour = experiment.behaviour
    count = sum((case.samples or behaviour.samples) if behaviour.temperature else 1 for case in behaviour.cases)
    if experiment.evaluation.canaries:
        with contextlib.suppress(TunerError):
            count += sum(map(len, suite_of(model).values()))
    return count


def closed_form(
    experiment: Experiment, base: Path | None = None, data: DataFacts | None = None, *, timed: bool = True
) -> Forecast:
    """The forecast for a process that trains nothing: the device is timed when that was never done.

    Args:
        data: what is known of the rows; None looks for an earlier scan.
        timed: whether time matters.

    Raises:
        TunerError: there is no such model, or the adapter does not fit it.
    """
    shape = shape_for(experiment, base)
    lengths = lengths_of(data.report) if data is not None else known_lengths(experiment, base)
    speed = measured_speed(shape) if timed else known_speed(shape)
    besides = answers_besides(experiment, locate(experiment.model.path, base))
    return forecast_run(experiment, shape, lengths, usable=usable_memory(), speed=speed, besides=besides)


def fitted(
    experiment: Experiment, base: Path | None = None, data: DataFacts | None = None, *, limit: int = 0
) -> Fitting:
    """What makes a run fit into so many bytes; 0 is what a job can have on this machine.

    Raises:
        TunerError: there is no such model, or the adapter does not fit it.
    """
    shape = shape_for(experiment, base)
    lengths = lengths_of(data.report) if data is not None else known_lengths(experiment, base)
    return make_it_fit(experiment, shape, lengths, limit=limit or usable_memory(), speed=measured_speed(shape))


def shape_for(experiment: Experiment, base: Path | None) -> ModelShape:
    """The sizes of an experiment's model, with the bits that it shall have; files are read again when they changed.

    Raises:
        TunerError: there is no such model, or its files cannot be read.
    """
    folder = locate(experiment.model.path, base)
    stamp = file_stamp(folder)
    with _lock:
        known = _shapes.get(folder)
    shape = known[1] if known is not None and known[0] == stamp else shape_of(folder)
    with _lock:
        _shapes[folder] = stamp, shape
    bits = experiment.model.bits
    return shape.stored(bits) if bits and shape.quantized is None else shape


def known_lengths(experiment: Experiment, base: Path | None) -> RowLengths | None:
    """The lengths that a scan of the same rows has found before; None where there was none."""
    with contextlib.suppress(TunerError, OSError):
        folder = locate(experiment.model.path, base)
        template = template_text(experiment.model.chat_template, base)
        report = kept_report(scan_key(experiment, folder, base, template))
        return lengths_of(report) if report is not None else None
    return None
