"""The marks on a run's curve: one for each thing that was done to it, each with a sign and a sentence of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import RunBuilder
from tests.ui.looking import shown, until
from tui_tuner.runs.view import RunView
from tui_tuner.ui.charts.marks import Mark
from tui_tuner.ui.follower import RunFollower
from tui_tuner.ui.marks import KINDS, marks_of
from tui_tuner.ui.widgets.losschart import LossChart

Build = Callable[..., RunBuilder]


def view_of(builder: RunBuilder) -> RunView:
    follower = RunFollower(builder.folder)
    follower.poll()
    return follower.view


def steered(builder: RunBuilder) -> RunBuilder:
    """A run to which everything was done that can be done to one."""
    builder.prepared().train(1, 22)
    builder.add("control", what="learning_rate", by="user", value=1e-3, step=22, before=2.8e-3)
    builder.train(23, 37).add("control", what="pause", by="user", value=None, step=37)
    builder.add("control", 123.0, what="proceed", by="user", value=None, step=37)
    builder.train(38, 44).add("skipped_step", step=44, reason="the loss is not a number", rows=[1, 2])
    builder.train(45, 62).add("control", what="evaluate", by="user", value=None, step=62)
    builder.train(63, 66).add("control", what="checkpoint", by="user", value=None, step=66)
    builder.add("checkpoint", step=66, path="b", best=False).add("checkpoint", step=68, path="c", best=False)
    builder.finish("stopped").begin(resumed=True, from_step=68).stage("train", "running")
    builder.add("control", what="rollback", by="guard", value=5e-4, step=68)
    return builder.train(69, 80).add("control", what="finish_epoch", by="user", value=None, step=80)


def at(view: RunView, kind: str) -> Mark:
    (found,) = [mark for mark in marks_of(view) if mark.glyph == KINDS[kind].sign]
    return found


def test_every_sign_is_a_different_one() -> None:
    assert len({kind.sign for kind in KINDS.values()}) == len(KINDS)
    assert all(len(kind.sign) == 1 for kind in KINDS.values())


@pytest.mark.parametrize(
    ("kind", "step", "told"),
    [
        ("best", 60, "best checkpoint (validation 0.466), step 60"),
        ("learning_rate", 22, "learning rate 2.8e-3 → 1e-3, step 22"),
        ("pause", 37, "paused for 2:03, step 37"),
        ("skipped", 44, "step skipped: the loss is not a number, step 44"),
        ("evaluate", 62, "validation asked for, step 62"),
        ("checkpoint", 66, "checkpoint asked for, step 66"),
        ("checkpoint_due", 68, "checkpoint, step 68"),
        ("resumed", 68, "resumed here, step 68"),
        ("rollback", 68, "taken back to this checkpoint by the guard, learning rate 5e-4, step 68"),
        ("finish_epoch", 80, "asked to end after this epoch, step 80"),
    ],
)
def test_each_is_told_with_value_and_step(build: Build, kind: str, step: int, told: str) -> None:
    mark = at(view_of(steered(build())), kind)
    assert (mark.x, mark.told) == (step, told)


def test_a_pause_that_lasts_has_no_length_yet(build: Build) -> None:
    builder = build().prepared().train(1, 10).add("control", what="pause", by="user", step=10)
    assert at(view_of(builder), "pause").told == "paused, step 10"


def test_a_run_without_any_of_it_has_no_marks(build: Build) -> None:
    assert marks_of(view_of(build().prepared().train(1, 10))) == []


def test_rubbish_makes_no_mark_and_no_error(build: Build) -> None:
    builder = build().prepared().train(1, 10)
    builder.add("control", what="learning_rate", by=3, value="\x1b[31mx", step=4)
    builder.add("control", what=["pause"], step=5).add("control", what="dance", step=6)
    builder.add("skipped_step", step=7, reason="\x1b[31mred")
    told = [mark.told for mark in marks_of(view_of(builder))]
    assert told == ["step skipped: ␛[31mred, step 7", "learning rate now –, step 4"]


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_the_crosshair_tells_what_happened(drive: Drive, build: Build, size: tuple[int, int]) -> None:
    builder = steered(build())
    async with drive(size=size) as (app, pilot):
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: app.screen.query(LossChart) and app.screen.query_one(LossChart).series)
        told = []
        for _ in range(20):
            await pilot.press("left_square_bracket")
            line = next((line for line in shown(app).splitlines() if line.lstrip(" │").startswith("Loss  ")), "")
            told.append(line.strip(" │").removeprefix("Loss  ").split("  ")[0])
        assert told[0].startswith("⇥ asked to end after this epoch, step 80")
        # Several at one step are told together, as far as the line holds them.
        assert any(text.startswith("↶ taken back to this checkpoint by the guard") for text in told)
        assert "‖ paused for 2:03, step 37" in told
        assert told[-1] == "η learning rate 2.8e-3 → 1e-3, step 22"
        legend = shown(app)
        assert "× skipped" not in legend, "the readout takes the legend's place"
        await pilot.press("escape")
        await until(pilot, lambda: "× skipped" in shown(app), "the legend explains the signs")
        assert app.current_mode == "train", "the first escape takes the crosshair away"
