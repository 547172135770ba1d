"""The forecast against real small trainings, and as engine and command line give it. Nothing is timed."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Tuner, tuner
from tests.support.models import make_model, make_rows
from tui_tuner.config import load_experiment
from tui_tuner.engine import foretell as foretelling
from tui_tuner.engine.dataset import data_facts
from tui_tuner.engine.forecast_measure import measure_forecast
from tui_tuner.engine.forecast_requests import AskForecast, FitForecast, MeasureForecast
from tui_tuner.engine.forecasting import closed_form
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import attach
from tui_tuner.models.load import skeleton
from tui_tuner.models.memory import adapted
from tui_tuner.models.shape import shape_of
from tui_tuner.runs import RunFolder, StopRequested, read_events
from tui_tuner.runs.control import JobControl
from tui_tuner.training.forecast.fitting import Fitting
from tui_tuner.training.forecast.forecast import Forecast

assert tuner
CLOSED, MEASURED = 0.30, 0.05
"""How far a forecast may be from the peak of a training: mlx frees what it has done with a moment earlier or later."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("forecast") / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in make_rows(60, low=20, high=40)))
    return path


NewRun = Callable[..., RunFolder]


def sections(model: Path, rows: Path, **train: Any) -> dict[str, dict[str, Any]]:
    usual = {"iters": 8, "batch_size": 4, "report_every": 1, "eval_every": 8, "max_seq_length": 256}
    return {
        "model": {"path": str(model)},
        "data": {"source": str(rows)},
        "train": {**usual, **train},
        "evaluation": {"enabled": False},
    }


def in_use() -> int:
    """Bytes that earlier tests have left in use, which are part of every peak in this process."""
    import mlx.core as mx

    gc.collect()
    mx.clear_cache()
    return int(mx.get_active_memory())


def trained_peak(folder: RunFolder) -> int:
    run_experiment(folder, JobControl(), ModelShelf())
    return max(int(event["peak_memory"]) for event in read_events(folder.events) if event["type"] == "train")


@pytest.mark.parametrize(
    ("kind", "adapter", "train"),
    [
        pytest.param("llama", {}, {}, marks=pytest.mark.slow),
        ("phi3", {"targets": ["attention"], "layers": 2}, {"mode": "stock"}),
        pytest.param("qwen2", {"rank": 16}, {"grad_checkpoint": True, "grad_accumulation": 2}, marks=pytest.mark.slow),
        pytest.param("llama", {"method": "full"}, {"optimizer": "adamw"}, marks=pytest.mark.slow),
    ],
)
def test_a_forecast_holds_for_a_real_training(
    kind: str, adapter: dict[str, Any], train: dict[str, Any], new_run: NewRun, rows: Path, tmp_path: Path
) -> None:
    model = make_model(tmp_path / kind, kind, hidden=96, layers=4, intermediate=256, vocabulary=2_000)
    folder = new_run(**sections(model, rows, **{"iters": 14, **train}), adapter=adapter)  # all batches, the largest too
    experiment = load_experiment(folder.config)
    plain = closed_form(experiment, None, data_facts(experiment))
    left = in_use()
    measured = measure_forecast(MeasureForecast(experiment), JobControl(), ModelShelf()).memory.peak - left
    left = in_use()
    peak = trained_peak(folder) - left
    assert plain.memory.peak == pytest.approx(peak, rel=CLOSED)
    assert measured == pytest.approx(peak, rel=MEASURED)


@pytest.mark.parametrize("kind", ["phi3", "llama", "qwen2", "gemma"])
@pytest.mark.parametrize("bits", [None, 4])
def test_sizes_are_those_of_the_loaded_model(kind: str, bits: int | None, model_of: Callable[..., Path]) -> None:
    from mlx.utils import tree_flatten
    from mlx_lm.utils import get_total_parameters

    from tui_tuner.config import AdapterSection

    folder = model_of(kind, bits)
    shape, tree = shape_of(folder), skeleton(folder)
    assert shape.bytes == sum(array.nbytes for _, array in tree_flatten(tree.parameters()))
    assert shape.parameters == get_total_parameters(tree)
    for adapter in (AdapterSection(), AdapterSection(layers=1, targets=["mlp"], rank=4)):
        fresh = skeleton(folder)
        assert adapted(shape, adapter).count == attach(fresh, adapter).trainable


def test_measuring_changes_nothing_and_can_be_stopped(new_run: NewRun, tiny_model: Path, tiny_rows: Path) -> None:
    import mlx.core as mx

    folder = new_run(**sections(tiny_model, tiny_rows))
    experiment, shelf = load_experiment(folder.config), ModelShelf()
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    base = shelf.base(str(tiny_model))
    weights = mx.array(base.model.layers[0].mlp.down_proj.weight)
    mx.random.seed(11)
    key = mx.array(mx.random.state[0])
    found = measure_forecast(MeasureForecast(experiment), JobControl(), shelf)
    assert found.measured and found.span is not None and found.span.seconds > 0
    assert mx.array_equal(key, mx.random.state[0]).item()
    assert mx.array_equal(weights, base.model.layers[0].mlp.down_proj.weight).item()
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before
    stopped = JobControl()
    stopped.stop("user")
    with pytest.raises(StopRequested):
        measure_forecast(MeasureForecast(experiment), stopped, shelf)


def test_no_step_is_tried_that_cannot_fit(
    new_run: NewRun, tiny_model: Path, tiny_rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = load_experiment(new_run(**sections(tiny_model, tiny_rows)).config)
    monkeypatch.setattr("tui_tuner.engine.forecast_measure.usable_memory", lambda: 100_000)
    with pytest.raises(TunerError) as caught:
        measure_forecast(MeasureForecast(experiment), JobControl(), ModelShelf())
    assert caught.value.code == "does-not-fit"


def test_the_engine_answers_at_once_and_by_steps(new_run: NewRun, tiny_model: Path, tiny_rows: Path) -> None:
    experiment = load_experiment(new_run(**sections(tiny_model, tiny_rows)).config)
    engine = LocalEngine()
    engine.start()
    try:
        requests = AskForecast(experiment), FitForecast(experiment, limit=2_000_000), MeasureForecast(experiment)
        handles = [engine.submit(request) for request in requests]
        assert all(handle.finished.wait(120) for handle in handles)
    finally:
        engine.shutdown()
    plain, fitted, measured = (handle.result for handle in handles)
    assert [handle.error for handle in handles] == [None, None, None]
    assert isinstance(plain, Forecast) and not plain.known_data  # nobody has looked at the data yet
    assert isinstance(fitted, Fitting) and fitted.limit == 2_000_000
    assert isinstance(measured, Forecast) and measured.measured and measured.known_data


def test_a_long_run_measures_itself_and_one_that_does_not_fit_says_so(
    new_run: NewRun, tiny_model: Path, tiny_rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foretelling, "LONG", 0.0)
    monkeypatch.setattr(foretelling, "_LITTLE", 0.0)
    folder = new_run(**sections(tiny_model, tiny_rows))
    run_experiment(folder, JobControl(), ModelShelf())
    (told,) = [event for event in read_events(folder.events) if event["type"] == "forecast"]
    assert told["measured"] is True and told["seconds_low"] < told["seconds"] < told["seconds_high"]
    monkeypatch.setattr(foretelling, "usable_memory", lambda: 100_000)
    folder = new_run(**sections(tiny_model, tiny_rows))
    assert run_experiment(folder, JobControl(), ModelShelf())["status"] == "finished"  # it is never kept from running
    logs = [event["text"] for event in read_events(folder.events) if event["type"] == "log"]
    assert any("forecast PRESET --fit" in text for text in logs)


def test_a_short_run_says_nothing_and_trains_the_same(new_run: NewRun, tiny_model: Path, tiny_rows: Path) -> None:
    folder = new_run(**sections(tiny_model, tiny_rows))
    run_experiment(folder, JobControl(), ModelShelf())
    assert not [event for event in read_events(folder.events) if event["type"] == "forecast"]


def test_the_command_tells_measures_and_fits(new_run: NewRun, tiny_model: Path, tiny_rows: Path, tuner: Tuner) -> None:
    preset = new_run(**sections(tiny_model, tiny_rows)).config
    told = tuner("forecast", preset, "--json").document
    assert {"peak_memory", "memory", "seconds", "disk", "fits", "steps"} <= set(told) and not told["measured"]
    assert tuner("forecast", preset, "--measure", "--json").document["measured"] is True
    said = tuner("forecast", preset)
    assert said.status == 0 and said.out.startswith("memory ") and "steps    8" in said.out
    fit = tuner("forecast", preset, "--fit", "--memory", str(told["peak_memory"] / 1e9), "--json")
    assert fit.status == 0 and fit.document["fits"] and fit.document["overrides"]
    applied = [word for override in fit.document["overrides"] for word in ("--set", override)]
    after = tuner("forecast", preset, *applied, "--json").document
    assert after["peak_memory"] == fit.document["after"]["peak_memory"] <= 0.9 * told["peak_memory"]
    assert tuner("forecast", preset, "--fit", "--memory", "0.000001").status == 1
    assert tuner("forecast", preset, "--fit", "--measure").status == 2
    assert tuner("forecast", preset, "--memory", "1").status == 2


def test_check_tells_of_memory_and_time(
    new_run: NewRun, tiny_model: Path, tiny_rows: Path, tuner: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = new_run(**sections(tiny_model, tiny_rows)).config
    forecast = tuner("check", preset, "--json").document["forecast"]
    assert forecast["peak_memory"] > 0 and forecast["seconds"] > 0
    assert forecast["disk"] == tuner("forecast", preset, "--json").document["disk"] > 0
    assert forecast["seconds_low"] < forecast["seconds"] < forecast["seconds_high"] and forecast["fits"] == "fits"
    monkeypatch.setattr("tui_tuner.engine.forecasting.usable_memory", lambda: 100_000)
    found = tuner("check", preset, "--json").document
    assert found["ok"]
    (told,) = (problem for problem in found["problems"] if problem["code"] == "does-not-fit")
    assert "a job can have 100 kB" in told["message"] and "--fit" in told["fix"]
