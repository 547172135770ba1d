"""A run's machine as its events tell it: which readings there are, and where they lie on steps and on time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tui_tuner.machine.figures import Reading
from tui_tuner.runs.reading import recorded
from tui_tuner.runs.view import RunView
from tui_tuner.ui.machine import head, most, over_steps, over_time, standing, step_to_time, tiles_of_machine


def started(t: float, **fields: Any) -> dict[str, Any]:
    return {"t": t, "type": "run_started", "name": "a", "steps": 100, "resumed": False, "from_step": 0, **fields}


def training(t: float) -> dict[str, Any]:
    return {"t": t, "type": "stage", "name": "train", "status": "running", "seconds": 0.0, "text": ""}


def train(t: float, step: int) -> dict[str, Any]:
    return {"t": t, "type": "train", "step": step, "loss": 1.0}


def machine(t: float, **values: Any) -> dict[str, Any]:
    return {"t": t, "type": "machine", **(values or {"cpu": 0.5})}


def view_of(*events: dict[str, Any], curves: bool = True) -> RunView:
    view = RunView(curves=curves)
    view.extend(events)
    return view


PLAIN = (
    started(1000), machine(1001), training(1010), machine(1012, cpu=0.9), train(1020, 10), machine(1025),
    train(1030, 20), machine(1031),
)  # fmt: skip


def test_readings_are_kept_with_what_was_told_and_nothing_else() -> None:
    view = view_of(started(0), machine(1, cpu=0.5), machine(2, cpu=None, gpu=0.25, nonfinite=["cpu"]))
    assert view.unknown == 0
    np.testing.assert_array_equal(view.machine.column("cpu"), [0.5, math.nan])
    np.testing.assert_array_equal(view.machine.column("gpu"), [math.nan, 0.25])
    assert recorded(view) == Reading(2.0, {"gpu": 0.25})
    assert most(view) == {"cpu": 0.5, "gpu": 0.25}


def test_a_list_of_runs_keeps_none() -> None:
    assert len(view_of(*PLAIN, curves=False).machine) == 0


def test_a_clock_that_is_set_back_takes_nothing_away() -> None:
    view = view_of(started(1000), machine(1010, cpu=0.1), machine(500, cpu=0.2), machine(501, cpu=0.3))
    assert view.machine.column("cpu").tolist() == [0.1, 0.2, 0.3]
    assert over_time(view).tolist() == pytest.approx([10, 10, 11])


def test_over_time_every_reading_has_its_place() -> None:
    assert over_time(view_of(*PLAIN)).tolist() == [1, 12, 25, 31]


def test_over_steps_those_of_training_lie_between_the_reports() -> None:
    np.testing.assert_allclose(over_steps(view_of(*PLAIN)), [math.nan, 2.0, 15.0, math.nan])


def test_without_reports_there_are_no_steps() -> None:
    assert np.isnan(over_steps(view_of(*PLAIN[:4]))).all()
    assert len(over_steps(view_of(started(1000), train(1001, 1)))) == 0


def test_what_a_resumption_overtook_has_no_step() -> None:
    view = view_of(
        started(1000), train(1010, 5), machine(1012, cpu=0.9), train(1020, 10),
        machine(1022, cpu=0.1), train(1030, 20), machine(1032, cpu=0.2),  # overtaken from step 10 on
        started(2000, resumed=True, from_step=10), machine(2005, cpu=0.3), training(2010), machine(2015, cpu=0.4),
        train(2020, 20),
    )  # fmt: skip
    places = dict(zip(view.machine.column("cpu").tolist(), over_steps(view).tolist(), strict=True))
    assert places[0.9] == 6.0
    assert math.isnan(places[0.1]) and math.isnan(places[0.2]) and math.isnan(places[0.3])
    assert places[0.4] == 15.0


def test_a_run_resumed_after_training_keeps_its_steps() -> None:
    done = {**training(1032), "status": "done"}
    view = view_of(*PLAIN, done, started(5000, resumed=True, from_step=20), machine(5001, cpu=0.7))
    np.testing.assert_allclose(over_steps(view), [math.nan, 2.0, 15.0, math.nan, math.nan])


def test_a_step_has_the_time_of_its_report() -> None:
    view = view_of(*PLAIN)
    assert step_to_time(view, 10) == 20.0
    assert step_to_time(view, 14.9) == 20.0
    assert step_to_time(view, 3) is None


def test_now_is_what_is_known_now_with_mlxs_own_figures_beside() -> None:
    view = view_of(started(0), machine(100, cpu=0.5, mlx_active=7e6, swap=3e9))
    assert standing(view, Reading(130.0, {"cpu": 0.9})) == ("now", {"cpu": 0.9, "mlx_active": 7e6})
    assert standing(view, Reading(900.0, {"cpu": 0.9})) == ("now", {"cpu": 0.9})
    assert standing(view, None) == ("at most", {"cpu": 0.5, "mlx_active": 7e6, "swap": 3e9})


FULL = {
    "cpu": 0.93, "process_cpu": 0.88, "memory": 12.3e9, "memory_total": 36e9, "process_memory": 4.1e9, "swap": 1.2e9,
    "gpu": 0.97, "gpu_memory": 9e9, "gpu_memory_total": 80e9, "mlx_active": 5.2e9, "mlx_cache": 1.1e9,
    "thermal_pressure": 2, "gpu_temperature": 71.0, "cpu_temperature": 64.0, "gpu_power": 300.0, "cpu_power": 55.0,
    "power": 42.0, "speed_limit": 0.8, "fan": 1800, "battery": 0.6,
}  # fmt: skip


def test_the_line_tells_everything_that_is_known() -> None:
    told = head(view_of(started(0), machine(1, **FULL)), Reading(2.0, FULL), 400).plain
    for words in (
        "now  processor 93 % (this run 88 %)", "GPU 97 % (9.0 of 80.0 GB)", "memory 12.3 of 36.0 GB (this run 4.1 GB)",
        "swap 1.2 GB", "mlx 5.2 GB (keeps 1.1 GB)", "thermal pressure ▲ heavy", "GPU 71 °C", "processor 64 °C",
        "GPU 300 W", "processor 55 W", "machine 42 W", "speed limit 80 %", "fan 1800 rpm", "battery 60 %",
    ):  # fmt: skip
        assert words in told


@pytest.mark.parametrize("name", sorted(FULL))
def test_each_figure_may_be_missing(name: str) -> None:
    values = {key: value for key, value in FULL.items() if key != name}
    view = view_of(started(0), machine(1, **values))
    words = head(view, Reading(2.0, values), 400).plain
    assert "–" not in words and "nan" not in words
    assert all(tile.value for tile in tiles_of_machine(view, None))


def test_the_line_ends_where_the_window_does() -> None:
    for width in (20, 60, 90):
        assert head(view_of(started(0), machine(1, **FULL)), None, width).cell_length <= width


def test_no_pressure_is_no_warning() -> None:
    told = head(view_of(started(0)), Reading(2.0, {"thermal_pressure": 0.0}), 80).plain
    assert told == "now  thermal pressure nominal"
    assert tiles_of_machine(view_of(started(0)), Reading(2.0, {"thermal_pressure": 0.0}))[0].value == "no reading yet"


def test_nothing_known_is_said_and_shows_no_zeros() -> None:
    view = view_of(started(0))
    assert head(view, None, 80).plain == "no reading of the machine yet"
    assert [tile.value for tile in tiles_of_machine(view, None)] == ["no reading yet"]
    view.extend([{"t": 1.0, "type": "run_finished", "status": "finished", "reason": ""}])
    assert head(view, None, 80).plain == "nothing was recorded of this run's machine"


def test_tiles_are_nine_at_most_each_with_its_curve_or_its_share() -> None:
    tiles = tiles_of_machine(view_of(started(0), machine(1, **FULL)), Reading(2.0, FULL))
    assert [tile.label for tile in tiles] == [
        "processor", "run's share", "GPU", "memory", "run's memory", "swap", "GPU mem.", "mlx", "heat",
    ]  # fmt: skip
    assert tiles[3].value == "12.3 of 36.0 GB" and tiles[3].share == pytest.approx(12.3 / 36)
    assert tiles[8].value == "▲ heavy"
    assert all(tile.share is not None or tile.history is not None for tile in tiles)
