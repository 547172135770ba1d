"""The run doctor listens to a run: it speaks once, says after which step, and has nothing to say of a healthy run."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tui_tuner.config import Experiment
from tui_tuner.engine.adviser import Adviser

pytestmark = pytest.mark.mlx  # the memory's limit is asked of mlx

EXPERIMENT = Experiment.model_validate(
    {"model": {"path": "m"}, "data": {"source": "d"}, "train": {"iters": 400, "learning_rate": 1e-4}}
)


class Run:
    """Says what a run would write, and keeps what the doctor makes of it."""

    def __init__(self, events: list[dict[str, Any]] | None = None) -> None:
        self.said: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.adviser = Adviser(lambda kind, **fields: self.said.append({"type": kind, **fields}), lambda: self.seconds)
        self.adviser.begin(events or [], EXPERIMENT)

    def hear(self, kind: str, step: int, loss: float) -> None:
        self.seconds += 10.0
        self.adviser.hear({"t": self.seconds, "type": kind, "step": step, "loss": loss, "tokens": 5000})


def curve(run: Run, validation: dict[int, float], level: float) -> None:
    """Losses that fall to `level` at step 400, a report every 10 steps."""
    run.hear("validation", 0, validation[0])
    for step in range(10, 401, 10):
        run.hear("train", step, level + 2.6 * math.exp(-step / 50))
        if step in validation:
            run.hear("validation", step, validation[step])


def test_the_real_overfitted_run_is_named_once_at_the_step_it_was_seen() -> None:
    """Validation of a real run: Phi-3.5-mini on 120 rows of player statistics; training went from 0.201 to 0.134."""
    run = Run()
    curve(run, {0: 3.571, 200: 0.443, 400: 0.475}, 0.134)
    (said,) = run.said
    assert (said["type"], said["code"], said["step"]) == ("advice", "overfitting", 400)
    assert said["change"]["train.iters"] == 200
    assert "0.443 at step 200 to 0.475 at step 400" in said["text"]
    resumed = Run([{"t": 1.0, **said}])
    curve(resumed, {0: 3.571, 200: 0.443, 400: 0.475}, 0.134)
    assert resumed.said == []


def test_a_healthy_run_hears_nothing() -> None:
    run = Run()
    curve(run, {0: 3.571, 100: 0.72, 200: 0.48, 300: 0.443, 400: 0.439}, 0.38)
    assert run.said == []


def test_the_doctor_takes_little_of_the_time_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A diagnosis of a very long curve takes a while, and training waits for it."""
    run, took, asked = Run(), 0.001, []

    def slow(*arguments: Any) -> list[Any]:
        asked.append(run.seconds)
        run.seconds += took
        return []

    monkeypatch.setattr("tui_tuner.engine.adviser.diagnose", slow)

    def train(seconds: float) -> list[float]:
        asked.clear()
        until, step = run.seconds + seconds, 0
        while run.seconds < until:
            step += 1
            run.seconds += 0.1
            run.adviser.hear({"t": run.seconds, "type": "train", "step": step, "loss": 1.0})
        return asked

    assert 45 <= len(train(100.0)) <= 51  # every two seconds
    took = 0.5
    assert len(train(1000.0)) <= 11
    run.hear("validation", 5, 1.0)
    assert asked[-1] == pytest.approx(run.seconds - took)  # at once, however long the last one took
