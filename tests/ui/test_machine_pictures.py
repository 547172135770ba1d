"""What the machine looks like on the Train screen, in a small and in a common window, with readings and before any."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.test_machine_panel import FULL, Watch, trained
from tests.ui.test_snapshots_shell import Snap, app_on, frozen, place, showing
from tui_tuner.engine.requests import RunExperiment

__all__ = ["frozen", "place"]

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
def test_machine_busy(snap_compare: Snap, place: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    builder = trained(RunBuilder(place), FULL)
    engine.submit(RunExperiment(builder.folder.path))
    app = app_on(place, engine, builder.now + 1)
    app.machine = Watch(FULL)
    assert snap_compare(app, terminal_size=size, run_before=showing(builder, "train", "nats per token", "u"))


@pytest.mark.parametrize("size", [pytest.param((80, 24), marks=pytest.mark.slow), (120, 40)], ids=str)
def test_machine_empty(snap_compare: Snap, place: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    builder = RunBuilder(place).prepared()
    engine.submit(RunExperiment(builder.folder.path))
    app = app_on(place, engine, builder.now + 1)
    app.machine = Watch(None)
    assert snap_compare(app, terminal_size=size, run_before=showing(builder, "train", "the curve begins", "u"))


@pytest.mark.slow
def test_machine_largest_in_light(snap_compare: Snap, place: Path, engine: FakeEngine) -> None:
    builder = trained(RunBuilder(place), FULL)
    engine.submit(RunExperiment(builder.folder.path))
    app = app_on(place, engine, builder.now + 1)
    app.machine = Watch(FULL)
    assert snap_compare(app, terminal_size=(160, 50), run_before=showing(builder, "train", "nats per token", "t u"))
