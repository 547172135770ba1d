"""What a run will take, beside the form: memory, time, disk, what would make it fit, and what to think over."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine
from tests.ui.looking import notices, shown, until
from tests.ui.test_config_form import now
from tests.ui.workshop import WITH_WIDE, app_with, experiment, facts, open_mode, place
from tui_tuner.engine.forecast_requests import AskForecast, FitForecast, MeasureForecast
from tui_tuner.engine.model_requests import DescribeModel
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.errors import TunerError
from tui_tuner.models.memory import BatchSize, Memory
from tui_tuner.training.forecast.fitting import Change, Fitting
from tui_tuner.training.forecast.forecast import Disk, Forecast, Span
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.screens import forecastwork
from tui_tuner.ui.widgets.config_forecast import bar
from tui_tuner.ui.widgets.data_pane import TextPane

__all__ = ["place"]

GB = 1_000_000_000


def forecast(**changes: Any) -> Forecast:
    made: dict[str, Any] = {
        "memory": Memory(2 * GB, GB // 2, GB, 6 * GB, GB // 2), "batch": BatchSize(4, 512, 300), "answering": 3 * GB,
        "usable": 24 * GB, "seconds": {"training": 700.0}, "span": Span(720.0, 480.0, 1200.0), "disk": Disk(GB, 0),
        "steps": 120, "steps_per_epoch": 90, "truncated": 0,
    }  # fmt: skip
    return Forecast(**{**made, **changes})


LARGE = forecast(memory=Memory(2 * GB, GB // 2, GB, 24 * GB, GB // 2))
CHANGES = [
    Change(("train.batch_size=2", "train.grad_accumulation=2"), "2 rows at a time, twice", "about 10 % more time"),
    Change(("train.grad_checkpoint=true",), "activations are computed anew", "about a third more time"),
    Change((), "a smaller model", "another model"),
]


def foretelling(found: Forecast = forecast(), changes: list[Change] | None = None) -> Callable[[JobHandle], None]:  # noqa: B008
    """Answers what is asked about forecasts; measuring waits for the test."""

    def answer(handle: JobHandle) -> None:
        request = handle.request
        if isinstance(request, DescribeModel):
            handle.status, handle.result = JobStatus.DONE, facts()
        elif isinstance(request, AskForecast):
            handle.status, handle.result = JobStatus.DONE, found
        elif isinstance(request, FitForecast):
            made = Fitting(True, 24 * GB, changes or [], found, forecast())
            handle.status, handle.result = JobStatus.DONE, made

    return answer


def told(app: TunerApp) -> str:
    return " ".join(app.screen.query_one("#config-forecast", TextPane).plain.split())


async def test_memory_time_and_disk_are_told_with_how_they_are_known(drive: Drive) -> None:
    async with drive(engine=FakeEngine(foretelling())) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await until(pilot, lambda: "10.0 GB of 24.0 GB fits estimated" in told(app), told(app))
        for part in ("activations 6.0 GB", "12 min (8–20) 120 steps, 90 an epoch", "disk 1.0 GB"):
            assert part in told(app)


async def test_while_one_changes_things_nothing_is_asked_and_the_last_state_then(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine(foretelling())

    def asked() -> list[str]:
        return [one.experiment.run.name for one in engine.submitted if isinstance(one, AskForecast)]

    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await until(pilot, lambda: asked() == ["players"])
        monkeypatch.setattr(forecastwork, "_SOON", 3600.0)
        for name in ("one", "two", "three"):
            app.set_experiment(experiment(run_name=name))
            await pilot.pause()
        assert asked() == ["players"]
        monkeypatch.setattr(forecastwork, "_SOON", 0.01)
        app.set_experiment(experiment(run_name="four"))
        await until(pilot, lambda: asked() == ["players", "four"])


async def test_measuring_tells_how_far_it_is_and_is_stopped_by_the_same_key(drive: Drive) -> None:
    engine = FakeEngine(foretelling())
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await pilot.press("m")
        handle = next(h for h in engine.handles() if isinstance(h.request, MeasureForecast))
        handle.request.progress("real steps", 2, 5)
        engine.tell()
        await until(pilot, lambda: "measuring: real steps 2 of 5; m stops it" in told(app), told(app))
        engine.end(handle, replace(forecast(), measured=True))
        await until(pilot, lambda: "fits measured" in told(app))
        await pilot.press("m", "m")
        again = [h for h in engine.handles() if isinstance(h.request, MeasureForecast)][-1]
        await until(pilot, lambda: again.control.stop_requested)


async def test_what_was_measured_for_other_settings_is_not_shown(drive: Drive) -> None:
    engine = FakeEngine(foretelling())
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await pilot.press("m")
        handle = next(h for h in engine.handles() if isinstance(h.request, MeasureForecast))
        engine.end(handle, replace(forecast(), measured=True))
        await until(pilot, lambda: "fits measured" in told(app))
        app.set_experiment(experiment(adapter_rank=64))
        await until(pilot, lambda: "fits estimated" in told(app))


async def test_a_change_that_makes_it_fit_is_taken_alone_or_with_all(drive: Drive) -> None:
    async with drive(engine=FakeEngine(foretelling(LARGE, CHANGES))) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await until(pilot, lambda: "✗ 28.0 GB of 24.0 GB does not fit" in told(app), told(app))
        await pilot.press("g")
        await until(pilot, lambda: "With these changes it fits" in shown(app) and "a third more time" in shown(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: now(app).train.grad_checkpoint)
        assert now(app).train.batch_size == 4
        await pilot.press("g")
        await until(pilot, lambda: "With these changes it fits" in shown(app))
        await pilot.press("a")
        await until(pilot, lambda: now(app).train.grad_accumulation == 2)
        await pilot.press("u", "u")
        await until(pilot, lambda: now(app) == experiment())


async def test_it_says_so_when_it_fits_as_it_is(drive: Drive) -> None:
    async with drive(engine=FakeEngine(foretelling())) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await pilot.press("g")
        await until(pilot, lambda: any("It fits as it is" in text for text in notices(app)))


async def test_advice_is_told_and_followed(drive: Drive) -> None:
    async with drive(engine=FakeEngine(foretelling())) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await until(pilot, lambda: "▲ a learning rate of 0.003 is high" in told(app), told(app))
        await pilot.press("a")
        await until(pilot, lambda: "→ train.learning_rate=" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: now(app).train.learning_rate == 1e-4)
        assert "is high for" not in told(app)


async def test_why_there_is_no_forecast_is_told(drive: Drive) -> None:
    def answer(handle: JobHandle) -> None:
        if isinstance(handle.request, AskForecast):
            handle.status, handle.error = JobStatus.FAILED, TunerError("there is no such model", where="model.path")

    async with drive(engine=FakeEngine(answer)) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await until(pilot, lambda: "✗ model.path: there is no such model" in told(app), told(app))


@pytest.mark.parametrize("width", [10, 40, 77])
@pytest.mark.parametrize("found", [forecast(), LARGE, forecast(usable=0), forecast(usable=10**15)])
def test_the_bar_is_as_wide_as_its_place_and_marks_what_is_too_much(found: Forecast, width: int) -> None:
    made = bar(found, width)
    assert made.cell_length == width
    assert ("!" in made.plain) == (found is LARGE)
    assert made.plain[0] in "█▓▒░▚"


POSES: dict[str, tuple[tuple[str, ...], Forecast, str]] = {
    "forecast": (("f",), forecast(), "fits"),
    "large": (("f",), LARGE, "does not fit"),
    "fit": (("g",), LARGE, "With these changes it fits"),
    "advice": (("a",), forecast(), "would think over"),
}


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", WITH_WIDE)
@pytest.mark.parametrize("pose", POSES)
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str) -> None:
    keys, found, text = POSES[pose]

    async def prepare(pilot: Pilot[Any]) -> None:
        app: TunerApp = pilot.app  # type: ignore[assignment]
        if pose == "large":
            app.theme = "paper"
        await open_mode(pilot, "config", made=experiment())
        await until(pilot, lambda: "estimated" in told(app))
        await pilot.press(*keys)
        await until(pilot, lambda: text in shown(app), text)
        assert app.mishaps == []

    assert snap_compare(
        app_with(place, FakeEngine(foretelling(found, CHANGES))), terminal_size=size, run_before=prepare
    )
