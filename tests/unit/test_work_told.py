"""How far a job is, in words: parts and bytes, and how long the rest takes once that is known."""

from __future__ import annotations

import pytest

from tui_tuner.engine.requests import Progress
from tui_tuner.engine.work import Pace, Work


def test_parts_tell_the_time_left_from_how_fast_they_came() -> None:
    work = Work()
    assert work.told() == ""
    work("modules", 0, 40, now=100.0)
    assert work.told() == "0 of 40"
    work("modules", 10, 40, now=120.0)  # two seconds each, thirty to come
    assert work.told() == "10 of 40, 60 s left"
    work("modules", 40, 40, now=180.0)
    assert work.told() == "40 of 40", "nothing is left to wait for"


def test_work_that_begins_in_the_middle_is_not_taken_to_be_fast() -> None:
    """A measurement that goes on has most of its rows at once."""
    progress = Progress()
    progress(90, 100, now=5.0)
    assert progress.pace.told() == ""
    progress(95, 100, now=15.0)
    assert progress.pace.left == pytest.approx(10.0)


def test_another_kind_of_work_begins_anew() -> None:
    work = Work()
    work("rows", 0, 10, now=0.0)
    work("rows", 9, 10, now=1000.0)
    work("modules", 1, 10, now=1000.5)
    assert work.told() == "1 of 10"
    work("modules", 2, 10, now=1002.5)
    assert work.told() == "2 of 10, 16 s left"


@pytest.mark.parametrize(("done", "total"), [(2, 10), (6, 20)])
def test_fewer_parts_or_another_number_of_them_begin_anew(done: int, total: int) -> None:
    pace = Pace()
    pace.moved(0, 10, now=0.0)
    pace.moved(5, 10, now=5.0)
    assert pace.left == pytest.approx(5.0)
    pace.moved(done, total, now=6.0)
    assert pace.left is None


def test_a_first_moment_says_nothing_yet() -> None:
    pace = Pace()
    pace.moved(0, 1000, now=0.0)
    pace.moved(1, 1000, now=0.01)
    assert pace.left is None and pace.told() == ""


def test_bytes_tell_rate_and_time_left() -> None:
    work = Work()
    work.moved("downloaded", 0, 1000, now=0.0)
    work.moved("downloaded", 200, 1000, now=2.0)
    assert work.told().endswith("/s, 8 s left")
