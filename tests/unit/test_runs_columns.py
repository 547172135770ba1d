"""Columns hold what was reported, grow cheaply, and let a resumed run overwrite what it overtakes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.runs import Columns


def test_columns_hold_what_was_reported_and_nan_elsewhere() -> None:
    columns = Columns(("loss",))
    columns.append({"step": 1, "loss": 2.0, "text": "x", "flag": True})
    columns.append({"step": 2, "extra": 5})
    assert columns.names == ("step", "loss", "extra")
    np.testing.assert_array_equal(columns.column("step"), [1, 2])
    np.testing.assert_array_equal(columns.column("loss"), [2.0, np.nan])
    np.testing.assert_array_equal(columns.column("extra"), [np.nan, 5.0])
    np.testing.assert_array_equal(columns.column("nobody"), [np.nan, np.nan])
    assert columns.last("extra") == 5.0
    assert math.isnan(columns.last("loss"))
    assert math.isnan(Columns().last("loss"))


def test_columns_cannot_be_written_to() -> None:
    columns = Columns()
    columns.append({"step": 1})
    with pytest.raises(ValueError, match="read-only"):
        columns.column("step")[0] = 3


def test_columns_grow_without_copying_each_time() -> None:
    columns = Columns()
    buffers = set()
    for step in range(10_000):
        columns.append({"step": step, "loss": float(step)})
        buffers.add(columns.column("loss").__array_interface__["data"][0])
    np.testing.assert_array_equal(columns.column("loss"), np.arange(10_000.0))
    assert len(buffers) < 24


def test_no_more_room_is_kept_in_stock_than_a_quarter() -> None:
    columns = Columns()
    for step in range(10_000):
        columns.append({"step": step, "loss": float(step)})
    table = columns.column("loss").base
    assert isinstance(table, np.ndarray)
    assert table.nbytes <= 1.25 * 2 * 8 * len(columns)


def test_closed_columns_take_no_others() -> None:
    columns = Columns(("loss",), closed=True)
    columns.append({"step": 1, "loss": 2.0, "extra": 3.0})
    assert columns.names == ("step", "loss")
    assert math.isnan(columns.last("extra"))


@settings(max_examples=80, deadline=None)
@given(steps=st.lists(st.integers(0, 12), max_size=40))
def test_a_row_replaces_all_at_its_step_and_beyond(steps: list[int]) -> None:
    columns = Columns(("loss",))
    model: dict[int, float] = {}
    for number, step in enumerate(steps):
        columns.append({"step": step, "loss": float(number)} if number % 3 else {"step": step})
        model = {old: loss for old, loss in model.items() if old < step}
        model[step] = float(number) if number % 3 else math.nan
    np.testing.assert_array_equal(columns.column("step"), list(model))
    np.testing.assert_array_equal(columns.column("loss"), list(model.values()))


def test_inventive_logs_do_not_eat_the_memory() -> None:
    columns = Columns()
    for step in range(500):
        columns.append({"step": step, f"field {step}": 1.0})
    assert len(columns) == 500
    assert len(columns.names) <= 64
