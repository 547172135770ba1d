"""The command that tells what a run will take, and what would make it fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tui_tuner.cli import completing
from tui_tuner.cli.options import Debug, Json, Set
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.config import Experiment
    from tui_tuner.engine.dataset import DataFacts
    from tui_tuner.training.forecast.fitting import Fitting
    from tui_tuner.training.forecast.forecast import Forecast


def forecast(
    preset: Annotated[
        str, typer.Argument(help="Name of a preset, or path of a TOML file.", autocompletion=completing.presets)
    ],
    overrides: Set = None,
    measure: Annotated[bool, typer.Option("--measure", help="Take real steps on the longest batch.")] = False,
    fit: Annotated[bool, typer.Option("--fit", help="Look for the least changes that make it fit.")] = False,
    memory: Annotated[
        float,
        typer.Option("--memory", min=0.0, help="With --fit: GB that it has to fit in; else what this machine gives."),
    ] = 0.0,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Tells what a run will take, before it is started: memory, time and disk; nothing is trained or written."""
    from tui_tuner.config import load_preset
    from tui_tuner.engine.forecasting import closed_form, fitted

    if measure and fit:
        raise TunerError("--measure and --fit exclude each other", code="usage", fix="give one of them", usage=True)
    if memory and not fit:
        raise TunerError("--memory needs --fit", code="usage", fix="give --fit, too", usage=True)
    with opened(json=json, debug=debug) as output:
        experiment, found = load_preset(preset, overrides or [])
        base = found.base
        if measure:
            return _tell(measured(experiment, base, output), output)
        data = _look(experiment, base, output)
        if fit:
            return _tell_fitting(fitted(experiment, base, data, limit=int(memory * 1e9)), preset, output)
        return _tell(closed_form(experiment, base, data), output)


def _look(experiment: Experiment, base: Path, output: Output) -> DataFacts | None:
    """The data, as far as it can be read; without it rows are taken to be as long as can be."""
    from tui_tuner.cli.dataset import progress_of
    from tui_tuner.engine.dataset import data_facts

    try:
        return data_facts(experiment, base, tell=progress_of(output))
    except TunerError as error:
        if error.code.startswith("model-"):
            raise
        output.note(f"the data cannot be read, so its rows are taken to be as long as can be: {error.sentence()}")
        return None


def measured(experiment: Experiment, base: Path, output: Output) -> Forecast:
    """The forecast by real steps, with what is being done told on stderr.

    Raises:
        TunerError: model or data cannot be had, it cannot fit, or it was stopped.
    """
    from tui_tuner.cli.headless import perform
    from tui_tuner.engine.forecast_requests import MeasureForecast

    request, told = MeasureForecast(experiment, base), list[str]()

    def look() -> None:
        if (what := request.progress.what) and what not in told:
            told.append(what)
            output.note(what)

    found = perform(request, look)
    if found is None:
        raise TunerError("stopped before anything was known", code="stopped")
    return cast("Forecast", found)


def _tell(found: Forecast, output: Output) -> int:
    if output.json:
        output.document(found.as_json())
    else:
        for line in found.lines():
            output.say(line)
    return 0


def _tell_fitting(found: Fitting, preset: str, output: Output) -> int:
    if output.json:
        output.document(found.as_json())
        return 0 if found.fits else 1
    output.say(found.sentence())
    for number, change in enumerate(found.changes, 1):
        output.say(f"{number}. {change.what}: {change.price}{f'; {change.quality}' if change.quality else ''}")
        for override in change.overrides:
            output.say(f"     --set {override}")
    if found.overrides and found.fits:
        output.say(f"`tui-tuner run {preset}` with these, or `tui-tuner forecast {preset} --measure` first")
    return 0 if found.fits else 1
