"""What can be asked about models while a run trains: forecasts come at once, conversions wait and can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tui_tuner.engine.model_requests import ConvertModel, InspectModel
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.runs import EventTail, RunFolder, read_events
from tui_tuner.ui.widgets.models_jobs import ModelWork

pytestmark = pytest.mark.mlx

PATIENCE = 120.0
"""Seconds that a test waits at most."""


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine()
    engine.start()
    yield engine
    assert engine.shutdown(PATIENCE)


@pytest.fixture
def training(engine: LocalEngine, new_run: Callable[..., RunFolder]) -> tuple[JobHandle, RunFolder]:
    """A run that trains until it is stopped, and has begun to."""
    folder = new_run(train={"iters": 1_000_000, "eval_every": 1_000_000}, evaluation={"enabled": False})
    handle = engine.submit(RunExperiment(folder.path))
    tail, seen = EventTail(folder.events), False
    while not seen:
        assert not handle.finished.wait(0.02), handle.error
        seen = any(event["type"] == "train" for event in tail.poll())
    return handle, folder


def steps(folder: RunFolder) -> int:
    return max(event["step"] for event in read_events(folder.events) if event["type"] == "train")


def test_forecasts_and_inspections_do_not_wait_for_a_run(
    engine: LocalEngine, training: tuple[JobHandle, RunFolder], model_of: Callable[..., Path]
) -> None:
    run, folder = training
    asked = [
        engine.submit(ConvertModel(str(model_of("llama")), bits=4, group_size=32)),
        engine.submit(ConvertModel(str(model_of("phi3", 4)), dequantize=True)),
        engine.submit(InspectModel(str(model_of("llama")))),
    ]
    for handle in asked:
        assert handle.finished.wait(PATIENCE) and handle.status is JobStatus.DONE, handle.error
    assert asked[0].result["bits_per_weight"] > 4 and asked[1].result["bytes"] > asked[1].result["bytes_before"]
    assert run.status is JobStatus.RUNNING
    before, tail = steps(folder), EventTail(folder.events)
    while not any(event["type"] == "train" and event["step"] > before for event in tail.poll()):
        assert not run.finished.wait(0.02), run.error  # it goes on training


def test_a_conversion_waits_for_the_run_and_can_be_taken_back(
    engine: LocalEngine, training: tuple[JobHandle, RunFolder], model_of: Callable[..., Path], tmp_path: Path
) -> None:
    run, folder = training
    work = ModelWork()
    work.submit(engine, ConvertModel(str(model_of("llama")), tmp_path / "back", 4, 32, rows=2))
    (taken_back,) = work.going
    assert work.told(engine.active()) == f"Converting into back: waits until run {folder.name} has ended"
    wanted = engine.submit(ConvertModel(str(model_of("llama")), tmp_path / "new", 4, 32, rows=2))
    assert taken_back.status is wanted.status is JobStatus.QUEUED
    work.stop()
    assert taken_back.finished.wait(PATIENCE) and taken_back.status is JobStatus.STOPPED
    assert run.status is JobStatus.RUNNING
    run.control.stop("test")
    assert wanted.finished.wait(PATIENCE) and wanted.status is JobStatus.DONE, wanted.error
    assert (tmp_path / "new" / "config.json").is_file() and not (tmp_path / "back").exists()
