"""What a run says of itself before it starts to work: that it will not fit, and how long it takes if it takes long.

A run is never refused for a forecast: who asks for it may know better. Nothing is measured for a run of minutes.
"""

from __future__ import annotations

from collections.abc import Sequence

from tui_tuner.config import Experiment
from tui_tuner.data.examples import Example
from tui_tuner.data.prepare import Row
from tui_tuner.engine.forecast_measure import measure, test_examples
from tui_tuner.engine.forecasting import answers_besides
from tui_tuner.engine.modelshelves import usable_memory
from tui_tuner.errors import TunerError
from tui_tuner.models.load import Base
from tui_tuner.models.memory import adapted
from tui_tuner.models.shape import shape_of
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.progress import Emit
from tui_tuner.training.forecast.cost import training_work
from tui_tuner.training.forecast.forecast import HOW_TO_FIT, Forecast, forecast_run
from tui_tuner.training.forecast.speed import measured_speed
from tui_tuner.training.forecast.workload import lengths_from, workload
from tui_tuner.training.parts import Order

LONG = 600.0
"""Seconds from which on a run is measured before it begins."""
_LITTLE = 1e12
"""Multiplications and additions that take less than that on any device that one would train on."""


def foretell(
    experiment: Experiment,
    base: Base,
    order: Order,
    train: Sequence[Example],
    valid: Sequence[Example],
    test: Sequence[Row],
    *,
    emit: Emit,
    control: JobControl,
) -> None:
    """Emits a `forecast`, where the run will be long, and a warning, where it will not fit.

    Raises:
        StopRequested: when asked to stop.
    """
    try:
        found = _forecast(experiment, base, order, train, valid, test, control)
    except TunerError as error:
        emit("log", level="info", text=f"there is no forecast: {error.sentence()}")
        return
    if found is None:
        return
    if found.fits == "too large":
        emit("log", level="warning", text=f"{found.too_large()}; {HOW_TO_FIT}")
    if found.span is not None and found.span.seconds >= LONG:
        emit(
            "forecast",
            peak_memory=found.peak,
            usable_memory=found.usable,
            seconds=found.span.seconds,
            seconds_low=found.span.low,
            seconds_high=found.span.high,
            disk=found.disk.total,
            measured=found.measured,
        )


def _forecast(
    experiment: Experiment,
    base: Base,
    order: Order,
    train: Sequence[Example],
    valid: Sequence[Example],
    test: Sequence[Row],
    control: JobControl,
) -> Forecast | None:
    shape, section = shape_of(base.path), experiment.train
    lengths = lengths_from(train, valid, test_examples(experiment, base, test))
    work = training_work(shape, adapted(shape, experiment.adapter), section, workload(lengths, section))
    little = work.flops < _LITTLE
    found = forecast_run(
        experiment,
        shape,
        lengths,
        usable=usable_memory(),
        speed=None if little else measured_speed(shape),
        besides=answers_besides(experiment, base.path),
    )
    if found.span is None or found.span.seconds < LONG or found.fits == "too large":
        return found
    return measure(found, experiment, shape, base, order, test, control)
