"""A run is drawn often while somebody is at the keys, else seldom; what changed its standing is drawn at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import RunBuilder, train_fields
from tui_tuner.runs.lock import RunLock
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.messages import RunChanged
from tui_tuner.ui.pace import ATTENTION, QUICK, SLOW, Pace
from tui_tuner.ui.widgets.keybar import KeyBar
from tui_tuner.ui.widgets.modebar import ModeBar


class Hands:
    """A clock and a processor's clock that stand still until they are moved."""

    def __init__(self, **limits: float) -> None:
        self.now, self.spent = 100.0, 7.0
        self.pace = Pace(lambda: self.now, lambda: self.spent, **limits)

    def drawings(self, seconds: float, cost: float) -> list[float]:
        """The times, from now on, at which a beat finds a drawing due; each takes `cost` seconds of the processor."""
        start, found = self.now, []
        for beat in range(round(seconds / QUICK)):
            self.now = start + (beat + 1) * QUICK
            if self.pace.due():
                found.append(round(self.now - start, 3))
                self.spent += cost
        return found


def test_an_answer_is_drawn_as_often_as_its_share_allows() -> None:
    hands = Hands(quick=0.1, slow=0.34, share=0.015, attention=0)
    hands.spent += 5.0  # of what was done before the answer began
    hands.pace.hurry()
    found = list[float]()
    for cost, beats in ((0.001, 4), (0.003, 6), (0.5, 9)):
        for _ in range(beats):
            hands.now += 0.1
            if hands.pace.due():
                found.append(round(hands.now - 100.0, 1))
                hands.spent += cost
    assert found == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.4, 1.7], "every beat, every other, every third"
    hands.pace.hurry()
    assert hands.pace.due()


def test_somebody_at_the_keys_sees_every_beat() -> None:
    hands = Hands()
    assert len(hands.drawings(ATTENTION - QUICK, cost=0.1)) == round(ATTENTION / QUICK) - 1
    assert hands.pace.interval == QUICK


@pytest.mark.parametrize(
    ("cost", "apart"),
    [(0.001, QUICK), (0.004, QUICK), (0.008, 0.4), (0.012, 0.6), (0.03, 1.6), (0.08, SLOW), (2.0, SLOW)],
)
def test_without_anybody_it_is_as_often_as_it_costs_little(cost: float, apart: float) -> None:
    hands = Hands()
    hands.now += ATTENTION
    times = hands.drawings(20.0, cost)[3:]
    assert [round(b - a, 3) for a, b in itertools.pairwise(times)] == [apart] * (len(times) - 1)


def test_a_point_is_never_older_than_three_seconds() -> None:
    assert SLOW + QUICK <= 3.0


def test_a_key_ends_the_waiting() -> None:
    hands = Hands()
    hands.now += ATTENTION
    hands.drawings(10.0, cost=1.0)
    assert hands.pace.interval == SLOW
    hands.pace.touch()
    assert hands.drawings(1.0, cost=1.0) == [0.2, 0.4, 0.6, 0.8, 1.0]


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """No beat but those of the test, and a pace that a test moves."""
    monkeypatch.setattr("tui_tuner.ui.app.BEAT", 1e6)
    hands = Hands()
    hands.now += ATTENTION
    monkeypatch.setattr("tui_tuner.ui.watching.Pace", lambda: hands.pace)
    return hands


def posted(app: TunerApp, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    told: list[Any] = []
    post = app.post_message

    def counting(message: Any) -> bool:
        if isinstance(message, RunChanged):
            told.append(message)
        return post(message)

    monkeypatch.setattr(app, "post_message", counting)
    return told


async def test_points_wait_for_their_turn_and_a_stage_does_not(
    drive: Drive, build: Callable[..., RunBuilder], unhurried: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = build().prepared().train(1, 10)
    with RunLock(run.folder):
        async with drive(run=run.folder.path) as (app, pilot):
            await pilot.pause()
            told = posted(app, monkeypatch)

            def point(step: int) -> int:
                run.add("train", 0.1, step=step, **train_fields(step, run.steps))
                app.beat()
                return len(told)

            unhurried.spent += 1.0  # the drawing that comes now was dear
            assert point(11) == 1
            unhurried.spent += 1.0
            unhurried.now += SLOW
            assert point(12) == 2
            assert [point(13), point(14)] == [2, 2]
            unhurried.now += QUICK
            assert point(15) == 2
            run.stage("train", "done", seconds=1.0).stage("evaluate", "running")
            app.beat()
            assert len(told) == 3  # at once, and the points with it
            await pilot.pause()
            assert app.screen.view is not None and app.screen.view.step == 15
            run.add("progress", 0.1, stage="evaluate", done=1, total=9, text="")
            app.beat()
            assert len(told) == 3
            await pilot.press("f1")
            app.beat()
            unhurried.now += QUICK
            app.beat()
            assert len(told) >= 4  # somebody is there


async def test_bars_are_drawn_again_only_when_they_say_something_else(
    drive: Drive, build: Callable[..., RunBuilder], unhurried: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = build().prepared().train(1, 10)
    drawn: list[str] = []
    for bar in (ModeBar, KeyBar):
        render = bar.render
        monkeypatch.setattr(
            bar, "render", lambda self, render=render: drawn.append(type(self).__name__) or render(self)
        )
    with RunLock(run.folder):
        async with drive(run=run.folder.path) as (app, pilot):
            await pilot.pause()
            app.go("train")
            await pilot.pause()
            drawn.clear()
            for step in (11, 12, 13):
                run.add("train", 0.1, step=step, **train_fields(step, run.steps))
                unhurried.now += 1.0
                app.beat()
                await pilot.pause()
            assert drawn == []
            run.add("control", what="pause", by="user", value=None, step=13)
            app.beat()
            await pilot.pause()
            assert "ModeBar" in drawn
            app.go("home")
            await pilot.pause()
            drawn.clear()
            run.add("control", what="proceed", by="user", value=None, step=13)
            app.beat()
            await pilot.pause()
            assert "ModeBar" in drawn
