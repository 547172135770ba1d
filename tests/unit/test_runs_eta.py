"""What is left of a run: the mean and its interval, which must hold as often as they promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tui_tuner.runs import RunView
from tui_tuner.runs.eta import Outlook
from tui_tuner.shares import student_quantile

Event = dict[str, Any]
Floats = NDArray[np.float64]
Series = Callable[[np.random.Generator, int], Floats]


def events_of(costs: Floats, *, every: int, epoch: int = 0, validate: int = 0, rng: np.random.Generator) -> list[Event]:
    """What a run writes whose steps take so many seconds; validations take 3 s, checkpoints 0.2 s."""
    steps, now, since = len(costs), 0.0, 0.0
    events: list[Event] = [{"t": 0.0, "type": "run_started", "name": "a", "steps": steps, "resumed": False}]
    plan = {"steps": steps, "batches_per_epoch": epoch or 10**6, "eval_every": validate}
    events.append({"t": 0.0, "type": "plan", **plan})
    for name in ("check", "data", "baseline"):
        events.append({"t": 0.0, "type": "stage", "name": name, "status": "done", "seconds": 40.0})
    events.append({"t": 0.0, "type": "stage", "name": "train", "status": "running", "seconds": 0.0})
    for step in range(1, steps + 1):
        if validate and (step - 1) % validate == 0:
            took = 3.0 * float(rng.lognormal(0, 0.1))
            now += took
            events.append({"t": now, "type": "validation", "step": step - 1, "loss": 1.0, "seconds": 0.6 * took})
        now += float(costs[step - 1])
        since += float(costs[step - 1])
        if step % every == 0:
            events.append({"t": now, "type": "train", "step": step, "loss": 1.0, "steps_per_second": every / since})
            since = 0.0
        if step % 100 == 0:
            now += 0.2
    if validate:
        now += 3.0
    events.append({"t": now, "type": "end"})
    return events


def held(series: Series, at: float, *, runs: int = 150, steps: int = 600, **kinds: int) -> tuple[float, float, float]:
    """How often the interval held after a share of the steps, its median half width and the mean error, as shares of
    the true time left."""
    inside, widths, errors = [], [], []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        costs = series(rng, steps)
        costs[0] += 4.0  # the first step compiles
        events = events_of(costs, rng=rng, **{"every": 10, **kinds})
        cut = next(i for i, e in enumerate(events) if e["type"] == "train" and e["step"] >= at * steps)
        view = RunView()
        view.extend(events[: cut + 1])
        found = view.outlook()
        assert found is not None and found.low is not None and found.high is not None
        true = events[-1]["t"] - found.at
        inside.append(found.low <= true <= found.high)
        widths.append((found.high - found.low) / 2 / true)
        errors.append(found.seconds / true - 1)
    return float(np.mean(inside)), float(np.median(widths)), float(np.mean(errors))


def alike(rng: np.random.Generator, steps: int) -> Floats:
    return 0.5 * rng.lognormal(0, 0.3, steps)


def quiet(rng: np.random.Generator, steps: int) -> Floats:
    return 0.5 * rng.lognormal(0, 0.02, steps)


def epochs_of(size: int) -> Series:
    """Batches of very different lengths, all of them once an epoch, as in fast mode."""

    def series(rng: np.random.Generator, steps: int) -> Floats:
        batches = rng.uniform(0.1, 1.5, size)
        passes = [rng.permutation(batches) for _ in range(-(-steps // size))]
        return np.concatenate(passes)[:steps] * rng.lognormal(0, 0.03, steps)

    return series


@pytest.mark.parametrize("at", [0.1, 0.25, 0.5, 0.8])
@pytest.mark.parametrize(
    ("series", "kinds"),
    [
        (alike, {}),
        (alike, {"validate": 50}),
        (quiet, {"validate": 50}),
        (epochs_of(1000), {"epoch": 1000}),
        (epochs_of(200), {"epoch": 200, "validate": 100}),
        (epochs_of(30), {"epoch": 30, "every": 5}),
        (epochs_of(33), {"epoch": 33, "every": 5}),
    ],
    ids=["alike", "validated", "quiet", "within an epoch", "some epochs", "many epochs", "uneven epochs"],
)
def test_the_interval_holds_as_often_as_it_promises(series: Series, kinds: dict[str, int], at: float) -> None:
    share, width, error = held(series, at, **kinds)
    # Of 150 runs at a true 95 %, fewer than 89.5 % fall inside once in a thousand times.
    assert share >= 0.895
    assert width < 0.3
    assert abs(error) < 0.03


def test_whole_epochs_tell_more_than_single_reports() -> None:
    """Reports of an epoch differ by a third; the epochs do not, and the forecast knows."""
    _, known, _ = held(epochs_of(30), 0.5, epoch=30)
    _, unknown, _ = held(epochs_of(30), 0.5)
    assert known < 0.05 < unknown


def test_an_even_run_has_a_narrow_interval() -> None:
    _, width, error = held(quiet, 0.5, runs=20)
    assert width < 0.04 and abs(error) < 0.01


def test_a_slow_neighbour_widens_the_interval() -> None:
    """Where a slow stretch follows a slow stretch, twenty reports tell less than twenty that are independent."""

    def stretches(rng: np.random.Generator, steps: int) -> Floats:
        return 0.5 * np.repeat(rng.lognormal(0, 0.2, steps // 40), 40)

    def shuffled(rng: np.random.Generator, steps: int) -> Floats:
        return rng.permutation(stretches(rng, steps).reshape(-1, 10)).ravel()

    assert held(stretches, 0.8, runs=60)[1] > 1.2 * held(shuffled, 0.8, runs=60)[1]


# -- one run, looked at closely ---------------------------------------------------------------------------------------
def run_of(*paces: float, steps: int = 100, every: int = 10, extra: tuple[Event, ...] = ()) -> RunView:
    """A view of a run with a report every ten steps, whose steps took so many seconds."""
    now, events = 0.0, [{"t": 0.0, "type": "run_started", "steps": steps, "resumed": False}, *extra]
    for number, pace in enumerate(paces, 1):
        now += pace * every
        events.append({"t": now, "type": "train", "step": number * every, "loss": 1.0, "steps_per_second": 1 / pace})
    view = RunView()
    view.extend(events)
    return view


def outlook_of(view: RunView) -> Outlook:
    found = view.outlook()
    assert found is not None
    return found


def test_no_interval_before_there_are_enough_measurements() -> None:
    assert run_of().outlook() is None
    assert outlook_of(run_of(5.0)) == Outlook(450.0, None, None, 50.0, 0.0)
    assert outlook_of(run_of(5.0, 1.0, 1.1, 1.0)).low is None, "the first report, which compiled, is left out"
    found = outlook_of(run_of(5.0, 1.0, 1.1, 0.9, 1.0))
    assert found.low is not None and found.high is not None
    assert found.seconds == pytest.approx(50.0)
    assert found.low < 50.0 < found.high


def test_one_hiccup_frightens_nobody_and_two_are_a_habit() -> None:
    steady = [1.0, 1.01, 0.99] * 4
    once = outlook_of(run_of(*steady, 30.0, *steady, steps=500)).seconds
    assert once == pytest.approx(250.0, rel=0.02)
    assert outlook_of(run_of(*steady, 30.0, 30.0, *steady, steps=500)).seconds > 2 * once


def test_what_lies_between_steps_counts_and_a_pause_does_not() -> None:
    def events(*, pause: bool) -> list[Event]:
        made: list[Event] = [{"t": 0.0, "type": "run_started", "steps": 100, "resumed": False}]
        for step in range(10, 60, 10):
            if pause and step == 40:
                made.append({"t": 12.0 * 3 + 1, "type": "control", "what": "pause", "step": 30})
                made.append({"t": 12.0 * 3 + 9, "type": "control", "what": "proceed", "step": 30})
            # Ten steps of a second each, and two seconds for a checkpoint.
            late = 10_000.0 if pause and step >= 40 else 0.0
            made.append({"t": 1.2 * step + late, "type": "train", "step": step, "loss": 1.0, "steps_per_second": 1.0})
        return made

    for pause in (False, True):
        view = RunView()
        view.extend(events(pause=pause))
        assert outlook_of(view).seconds == pytest.approx(50 * 1.2, rel=0.01)


def test_a_validation_costs_what_it_kept_the_steps_waiting() -> None:
    """It says 1 s, but with its probes the steps waited 5 s."""
    events: list[Event] = [{"t": 0.0, "type": "run_started", "steps": 100, "resumed": False}]
    now = 0.0
    for step in range(10, 70, 10):
        if step in (30, 50):
            events.append({"t": now + 1, "type": "validation", "step": step - 10, "loss": 1.0, "seconds": 1.0})
            now += 5.0
        now += 10.0
        events.append({"t": now, "type": "train", "step": step, "loss": 1.0, "steps_per_second": 1.0})
    view = RunView()
    view.extend(events)
    # 40 steps, and validations after 60, 80 and 100.
    assert outlook_of(view).seconds == pytest.approx(40 + 3 * 5.0)


def test_validations_due_are_known_from_the_plan() -> None:
    """One that a person asked for changes nothing about when the next one comes."""
    plan = {"t": 0.0, "type": "plan", "steps": 100, "eval_every": 25}
    asked = tuple({"t": 0.0, "type": "validation", "step": s, "loss": 1.0, "seconds": 2.0} for s in (0, 25, 27))
    assert outlook_of(run_of(1.0, 1.0, 1.0, extra=(plan, *asked))).seconds == pytest.approx(70 + 3 * 2.0)
    none = {**plan, "eval_every": 0}
    assert outlook_of(run_of(1.0, 1.0, 1.0, extra=(none, *asked))).seconds == pytest.approx(70)
    assert outlook_of(run_of(1.0, 1.0, 1.0, extra=asked[:2])).seconds == pytest.approx(70 + 3 * 2.0)


def test_what_comes_after_training() -> None:
    def stage(name: str, status: str, seconds: float = 0.0) -> Event:
        return {"t": 0.0, "type": "stage", "name": name, "status": status, "seconds": seconds}

    ours = (stage("check", "done", 1.0), stage("data", "done", 1.0))
    assert outlook_of(run_of(1.0, 1.0)).after == 0.0, "a log of mlx-lm ends with training"
    assert outlook_of(run_of(1.0, 1.0, extra=ours)).after is None
    assert outlook_of(run_of(1.0, 1.0, extra=(*ours, stage("baseline", "done", 42.0)))).after == 42.0
    assert outlook_of(run_of(1.0, 1.0, extra=(*ours, stage("baseline", "skipped")))).after == 0.0


def test_time_runs() -> None:
    found = Outlook(60.0, 50.0, 80.0, 1000.0, 5.0)
    assert found.left(1010.0) == Outlook(50.0, 40.0, 70.0, 1010.0, 5.0)
    assert found.left(1070.0) == Outlook(0.0, 0.0, 10.0, 1070.0, 5.0)
    assert found.left(990.0) == Outlook(60.0, 50.0, 80.0, 1000.0, 5.0)
    assert Outlook(60.0, None, None, 1000.0, None).left(1100.0) == Outlook(0.0, None, None, 1100.0, None)


@pytest.mark.parametrize(
    ("freedom", "value"), [(3, 3.182), (4, 2.776), (5, 2.571), (10, 2.228), (20, 2.086), (30, 2.042), (120, 1.980)]
)
def test_student_quantile(freedom: int, value: float) -> None:
    """Values from Abramowitz and Stegun 1964, table 26.10, at 0.95 two-sided."""
    assert student_quantile(1.959963984540054, freedom) == pytest.approx(value, rel=0.01)
