"""Questions about a run that is not started: what is told at once, of one and of many, and what a run says itself."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.models import make_rows
from tui_tuner.config import Experiment, with_overrides
from tui_tuner.engine import forecasting
from tui_tuner.engine import foretell as foretelling
from tui_tuner.engine.dataset import data_facts
from tui_tuner.engine.forecast_measure import _parted, perform_forecast
from tui_tuner.engine.forecast_requests import AskForecast, FitForecast, ForecastSweep
from tui_tuner.engine.forecasting import answer_forecast, answers_besides, closed_form, fitted, known_lengths, shape_for
from tui_tuner.errors import TunerError
from tui_tuner.runs.control import JobControl, StopRequested
from tui_tuner.training.forecast.fitting import Fitting
from tui_tuner.training.forecast.forecast import Forecast, Span
from tui_tuner.training.forecast.speed import Speed

pytestmark = pytest.mark.mlx


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No device was timed, and no data scanned, unless a test does so."""
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(forecasting, "measured_speed", lambda shape: Speed(1e9, 1e9))


@pytest.fixture
def plain(tiny_model: Path, tmp_path: Path) -> Experiment:
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in make_rows(24)))
    return Experiment.model_validate(
        {
            "run": {"name": "a"},
            "model": {"path": str(tiny_model)},
            "data": {"source": str(source), "valid": 4, "test": 4},
            "train": {"iters": 10, "batch_size": 4, "max_seq_length": 128},
            "evaluation": {"canaries": False},
        }
    )


# -- at once -----------------------------------------------------------------------------------------------------------
def test_before_the_data_was_looked_at_rows_are_as_long_as_can_be(plain: Experiment) -> None:
    first = answer_forecast(AskForecast(plain))
    assert isinstance(first, Forecast)
    assert (first.known_data, first.span, first.batch.width) == (False, None, 127)
    assert known_lengths(plain, None) is None
    data_facts(plain)
    second = answer_forecast(AskForecast(plain))
    assert isinstance(second, Forecast)
    assert second.known_data
    assert second.batch.width < 127
    lengths = known_lengths(plain, None)
    assert lengths is not None
    assert [len(each) for each in (lengths.train, lengths.valid, lengths.test)] == [16, 4, 4]


def test_what_makes_it_fit_is_told_for_any_room(plain: Experiment) -> None:
    whole = answer_forecast(AskForecast(plain))
    assert isinstance(whole, Forecast)
    found = answer_forecast(FitForecast(plain, limit=10**12))
    assert isinstance(found, Fitting)
    assert (found.fits, found.changes) == (True, [])
    less = answer_forecast(FitForecast(plain, limit=whole.peak))
    assert isinstance(less, Fitting)
    assert less.changes
    assert less.after.peak < whole.peak
    assert fitted(plain, limit=whole.peak).overrides == less.overrides


def test_of_a_sweep_each_run_is_told_and_one_that_cannot_be_is_told_why(plain: Experiment) -> None:
    more = with_overrides(plain, ["train.iters=20"])
    gone = with_overrides(plain, ['model.path="/nowhere/at/all"'])
    found = answer_forecast(ForecastSweep((plain, gone, more)))
    assert isinstance(found, list)
    assert [isinstance(each, Forecast) for each in found] == [True, False, True]
    assert isinstance(found[1], TunerError)
    assert isinstance(found[2], Forecast)
    assert found[2].steps == 20


def test_a_sweep_hears_a_stop_between_its_runs(plain: Experiment) -> None:
    control = JobControl()
    looked: list[int] = []

    def check() -> None:
        looked.append(1)
        if len(looked) == 2:
            control.stop("user")
        control.check()

    with pytest.raises(StopRequested):
        answer_forecast(ForecastSweep((plain,) * 5), check)
    assert len(looked) == 2
    with pytest.raises(StopRequested):
        perform_forecast(ForecastSweep((plain,)), control, lambda: pytest.fail("asked for models"))


def test_data_that_was_scanned_and_a_device_that_was_timed_tell_more(plain: Experiment) -> None:
    found = closed_form(plain, None, data_facts(plain))
    assert found.known_data
    assert found.span is not None
    assert closed_form(plain, timed=False).span is None


def test_a_model_s_sizes_are_read_again_when_its_files_changed(
    plain: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    shape_of = forecasting.shape_of
    monkeypatch.setattr(forecasting, "_shapes", {})
    monkeypatch.setattr(forecasting, "shape_of", lambda folder: read.append(folder) or shape_of(folder))
    first = shape_for(plain, None)
    assert shape_for(plain, None) is first
    assert len(read) == 1
    monkeypatch.setattr(forecasting, "file_stamp", lambda folder: (("config.json", 1, 1),))
    shape_for(plain, None)
    assert len(read) == 2
    stored = shape_for(with_overrides(plain, ["model.bits=4"]), None)
    assert stored.quantized is not None
    assert stored.bytes < first.bytes


@pytest.mark.parametrize(
    ("section", "count"),
    [({}, 0), ({"samples": 3, "temperature": 0}, 2), ({"samples": 3, "temperature": 0.7}, 3 + 10)],
)
def test_cases_are_counted_as_often_as_they_are_asked(
    section: dict[str, Any], count: int, plain: Experiment, tiny_model: Path
) -> None:
    cases = (
        [{"name": f"c{n}", "prompt": "hello", "must": ["hi"], "samples": 10 * n} for n in range(2)] if section else []
    )
    behaviour = {**section, "cases": cases}
    asked = Experiment.model_validate({**plain.model_dump(), "behaviour": behaviour})
    assert answers_besides(asked, tiny_model) == count
    with_canaries = with_overrides(asked, ["evaluation.canaries=true"])
    assert answers_besides(with_canaries, tiny_model) > count


def test_canaries_that_are_damaged_cost_the_forecast_nothing(plain: Experiment, tmp_path: Path) -> None:
    (tmp_path / "canaries.json").write_text("[]")
    assert answers_besides(with_overrides(plain, ["evaluation.canaries=true"]), tmp_path) == 0


@pytest.mark.parametrize(
    ("seconds", "step", "first"), [([], 0.0, 0.0), ([5.0, 1.0, 3.0], 2.0, 3.0), ([1.0, 2.0, 2.0], 2.0, 0.0)]
)
def test_the_first_step_of_a_size_is_its_trace_and_no_step(seconds: list[float], step: float, first: float) -> None:
    assert _parted(seconds) == (step, first)


# -- what a run says of itself -----------------------------------------------------------------------------------------
def said_of(found: Any, plain: Experiment, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    def answer(*arguments: Any) -> Any:
        if isinstance(found, TunerError):
            raise found
        return found

    said: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(foretelling, "_forecast", answer)
    nothing: Any = SimpleNamespace()
    foretelling.foretell(
        plain,
        nothing,
        nothing,
        [],
        [],
        [],
        emit=lambda type, **fields: said.append((type, fields)),
        control=JobControl(),
    )
    return said


def test_a_run_that_cannot_be_foretold_says_why_and_goes_on(plain: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    said = said_of(TunerError("no shapes", fix="look"), plain, monkeypatch)
    assert said == [("log", {"level": "info", "text": "there is no forecast: no shapes; look."})]


@pytest.mark.parametrize(("seconds", "told"), [(foretelling.LONG - 1, False), (foretelling.LONG, True)])
def test_a_long_run_tells_how_long(
    seconds: float, told: bool, plain: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    found = closed_form(plain)
    long = replace(found, span=Span(seconds, seconds / 2, seconds * 2), usable=0)
    said = said_of(long, plain, monkeypatch)
    assert [type for type, _ in said] == (["forecast"] if told else [])
    if told:
        assert said[0][1]["seconds"] == seconds
        assert said[0][1]["peak_memory"] == long.peak


def test_a_run_that_will_not_fit_is_warned_of_and_not_refused(
    plain: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    said = said_of(replace(closed_form(plain), usable=1000), plain, monkeypatch)
    assert [(type, fields["level"]) for type, fields in said] == [("log", "warning")]
    assert "a job can have 1.0 kB" in said[0][1]["text"]
    assert "--fit" in said[0][1]["text"]
    assert said_of(None, plain, monkeypatch) == []
