"""The tiles of a run from its events alone: what is not told is a dash, limits and bests stand beside."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tui_tuner.runs.view import RunView
from tui_tuner.ui.marks import KINDS, marks_of
from tui_tuner.ui.numbers import NEAR_LIMIT, Padding, tiles_of, tiles_of_log
from tui_tuner.ui.widgets.tiles import BARS, Tile, sparkline


def view(*events: dict[str, Any], **started: Any) -> RunView:
    made = RunView()
    begun = {"t": 0.0, "type": "run_started", "steps": 100, "resumed": False, "from_step": 0, **started}
    made.extend([begun, *({"t": float(at), **event} for at, event in enumerate(events, 1))])
    return made


def train(step: int, **fields: Any) -> dict[str, Any]:
    return {"type": "train", "step": step, "loss": 1.0, **fields}


def tiles(made: RunView) -> dict[str, Tile]:
    return {tile.label: tile for tile in tiles_of(made)}


def test_a_run_that_told_nothing_shows_dashes_and_no_zeros() -> None:
    assert {tile.value for tile in tiles_of(RunView())} == {"–"}
    assert [tile.label for tile in tiles_of_log(RunView())] == ["train loss", "val. loss", "tokens/s"]


def test_a_log_shows_only_what_it_ever_told() -> None:
    made = view(train(10, tokens_per_second=4_300.0), train(20, tokens_per_second=math.nan))
    assert [tile.label for tile in tiles_of_log(made)] == ["train loss", "tokens/s"]


@pytest.mark.parametrize(
    ("losses", "value", "note"),
    [([], "–", ""), ([0.5], "0.500", "best"), ([0.5, 0.6], "0.600", "best 0.500"), ([0.6, 0.5, 0.5], "0.500", "best")],
)
def test_the_best_validation_loss_stands_beside_the_last(losses: list[float], value: str, note: str) -> None:
    events = [{"type": "validation", "step": 10 * n, "loss": loss} for n, loss in enumerate(losses, 1)]
    found = tiles(view(*events))["val. loss"]
    assert (found.value, found.note) == (value, note)


@pytest.mark.parametrize(
    ("peak", "limit", "value", "note", "share"),
    [
        (None, 16e9, "–", "", None),
        (4e9, 0, "4.0 GB", "", None),
        (4e9, 16e9, "4.0 of 16.0 GB", "", 0.25),
        (NEAR_LIMIT * 16e9, 16e9, "14.4 of 16.0 GB", "▲", NEAR_LIMIT),
        (400e6, 16e9, "400 MB of 16.0 GB", "", 0.025),
    ],
)
def test_memory_warns_near_its_limit_by_a_sign(
    peak: float | None, limit: float, value: str, note: str, share: float | None
) -> None:
    found = tiles(view(train(10, peak_memory=peak), memory_limit=limit))["memory"]
    assert (found.value, found.note, found.share) == (value, note, share)


@pytest.mark.parametrize(
    ("batches", "steps", "step", "value"),
    [(45, 120, 70, "1.56 of 2.67"), (10, 500, 70, "7.0 of 50.0"), (1, 5_000, 70, "70 of 5000"), (0, 120, 70, "–"),
     (None, 120, 70, "–"), (45, 0, 70, "1.56")],
)  # fmt: skip
def test_epochs_have_as_many_decimals_as_tell_something(batches: Any, steps: int, step: int, value: str) -> None:
    plan = {"type": "plan", "steps": steps, "batches_per_epoch": batches}
    assert tiles(view(plan, train(step), steps=steps))["epoch"].value == value


def test_padding_that_is_all_or_unknown_makes_no_figure() -> None:
    def saved(**plan: Any) -> float:
        return Padding.of(view({"type": "plan", "steps": 100, **plan})).saved

    assert math.isnan(saved()) and math.isnan(saved(padding_fraction=0.1))
    assert math.isnan(saved(padding_fraction=1.0, stock_padding_fraction=0.2))
    assert math.isnan(saved(padding_fraction="0.1", stock_padding_fraction=0.2))
    assert saved(padding_fraction=0.0, stock_padding_fraction=0.5) == pytest.approx(2.0)


# -- curves in a cell or two ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("values", "width", "drawn"),
    [
        ([], 4, "    "), ([1.0], 0, ""), ([1.0], -1, ""), ([math.nan, math.inf], 3, "   "),
        ([0.0, 7.0], 4, "▁▁██"), ([0.0, math.nan, 7.0], 3, "▁ █"), ([7.0, 0.0, 7.0, 0.0, 0.0, 0.0], 3, "██▁"),
    ],
)  # fmt: skip
def test_a_small_curve_is_blank_where_nothing_was_measured(values: list[float], width: int, drawn: str) -> None:
    assert sparkline(values, width) == drawn


def test_a_flat_small_curve_is_a_line() -> None:
    line = sparkline([3.0] * 20, 8)
    assert len(line) == 8 and len(set(line)) == 1 and line[0] in BARS


# -- marks ------------------------------------------------------------------------------------------------------------
def test_of_two_checkpoints_called_best_the_later_is_the_best() -> None:
    events = [
        {"type": "checkpoint", "step": s, "path": "p", "best": best}
        for s, best in ((60, True), (90, True), (95, False))
    ]
    found = {mark.x: mark for mark in marks_of(view(train(95), *events))}
    assert [found[x].glyph for x in (60.0, 90.0, 95.0)] == ["◇", "◆", "◇"]
    assert found[90.0].detail == "best checkpoint, step 90"


def test_a_pause_lasts_until_the_next_going_on() -> None:
    def control(what: str, step: int) -> dict[str, Any]:
        return {"type": "control", "what": what, "step": step, "by": "user", "value": None}

    made = view(train(37), control("pause", 37), control("proceed", 37), train(39), control("pause", 39))
    said = [mark.detail for mark in marks_of(made) if mark.glyph == KINDS["pause"].sign]
    assert said == ["paused for 1.0 s, step 37", "paused, step 39"]


def test_what_a_log_says_of_a_skipped_step_is_inert() -> None:
    made = view(
        train(1), {"type": "skipped_step", "step": 2, "reason": "[red]\x1b[2J"}, {"type": "skipped_step", "step": 3}
    )
    assert [mark.detail for mark in marks_of(made)] == [
        "step skipped: [red]␛[2J, step 2", "step skipped: it says not why, step 3",
    ]  # fmt: skip
