"""What a run says of its machine: what computes, what would make it faster, and how much memory there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import psutil
import pytest

from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.models import device, libraries
from tui_tuner.models.blas import BlasInfo
from tui_tuner.runs import RunFolder, RunView, read_events
from tui_tuner.runs.control import JobControl
from tui_tuner.training.fast.order import FastOrder


@pytest.fixture
def no_groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    place = tmp_path / "memory.max"
    monkeypatch.setattr(device, "_GROUP_LIMITS", (str(tmp_path / "none"), str(place)))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=64 << 30))
    return place


@pytest.mark.parametrize(
    ("facts", "limit"),
    [
        ({"max_recommended_working_set_size": 11 << 30, "memory_size": 16 << 30}, 11 << 30),
        ({"total_memory": 80 << 30}, 80 << 30),
        ({"architecture": "x86_64", "device_name": "a processor"}, 64 << 30),
        ({"memory_size": "much"}, 64 << 30),
    ],
    ids=["Metal", "CUDA", "processor", "rubbish"],
)
def test_the_memory_limit(monkeypatch: pytest.MonkeyPatch, no_groups: Path, facts: dict[str, Any], limit: int) -> None:
    monkeypatch.setattr(mx, "device_info", lambda: facts)
    assert device.device_memory().usable == limit


@pytest.mark.parametrize(("text", "limit"), [("max\n", 64 << 30), (f"{8 << 30}\n", 8 << 30), (f"{1 << 62}", 64 << 30)])
def test_a_container_may_take_what_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch, no_groups: Path, text: str, limit: int
) -> None:
    monkeypatch.setattr(mx, "device_info", dict)
    no_groups.write_text(text)
    assert device.device_memory().usable == limit


def test_a_slow_blas_is_told_of_only_where_the_processor_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries.ready()
    slow = BlasInfo("reference", "", False, "install OpenBLAS")
    monkeypatch.setattr(libraries, "load_fast_blas", lambda: slow)
    monkeypatch.setattr(mx, "device_info", lambda: {"device_name": "Apple M3 Max"})
    monkeypatch.setattr(mx, "default_device", lambda: SimpleNamespace(type=mx.cpu))
    assert libraries.backend() == "the processor with mlx's own BLAS"
    assert libraries.backend_advice() == "install OpenBLAS"
    monkeypatch.setattr(mx, "default_device", lambda: SimpleNamespace(type=mx.gpu))
    assert libraries.backend() == "Apple M3 Max"
    assert libraries.backend_advice() == ""


@pytest.mark.mlx
@pytest.mark.parametrize(("validation_rows", "every"), [(8, 5), (0, 0)])
def test_a_run_tells_of_its_machine_and_its_plan(
    new_run: Callable[..., RunFolder], validation_rows: int, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_run(train={"iters": 2}, data={"valid": 8}, evaluation={"enabled": False})
    if not validation_rows:
        monkeypatch.setattr(FastOrder, "validation_count", lambda self, limit=-1: 0)
    run_experiment(folder, JobControl(), ModelShelf())
    view = RunView()
    view.extend(read_events(folder.events))
    assert view.device == libraries.backend()
    assert view.device_advice == libraries.backend_advice()
    assert view.memory_limit == device.device_memory().usable > 0
    assert view.plan is not None and view.plan["eval_every"] == every
