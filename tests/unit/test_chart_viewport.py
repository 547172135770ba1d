"""Zoom, pan and following the tail."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.ui.charts.viewport import DEEPEST, Viewport


def view(low: float = 0.0, high: float = 100.0) -> Viewport:
    made = Viewport()
    made.set_extent(low, high)
    return made


def test_it_starts_with_everything_and_grows_with_the_data() -> None:
    one = view()
    assert one.window == (0, 100) and not one.zoomed and one.follow
    one.set_extent(0, 250)
    assert one.window == (0, 250)


def test_zooming_keeps_the_tail_and_follows_it() -> None:
    one = view()
    one.zoom(4)
    assert one.window == (75, 100)
    one.set_extent(0, 200)
    assert one.window == (175, 200) and one.follow


def test_zooming_at_an_anchor_holds_it_in_place() -> None:
    one = view()
    one.zoom(2, anchor=20)
    assert one.window == (10, 60) and not one.follow
    one.set_extent(0, 200)
    assert one.window == (10, 60), "a held window does not move"


def test_panning_away_holds_and_panning_back_follows() -> None:
    one = view()
    one.zoom(4)
    one.pan(-1)
    assert one.window == (50, 75) and not one.follow
    one.pan(-100)
    assert one.window == (0, 25)
    one.pan(100)
    assert one.window == (75, 100) and one.follow


def test_zooming_out_far_enough_shows_everything_again() -> None:
    one = view()
    one.zoom(4)
    one.zoom(0.1)
    assert one.window == (0, 100) and not one.zoomed


def test_the_tail_can_be_asked_for() -> None:
    one = view()
    one.show_tail(10)
    assert one.window == (90, 100)
    one.show_tail(None)
    assert one.window == (0, 100)


def test_a_tail_longer_than_the_data_shows_what_there_is_of_it() -> None:
    one = view(0, 5)
    one.show_tail(20)
    one.set_extent(0, 100)
    assert one.window == (80, 100)


def test_follow_can_be_switched() -> None:
    one = view()
    one.toggle_follow()
    one.set_extent(0, 200)
    assert one.window == (0, 100)
    one.toggle_follow()
    assert one.window == (100, 200)


def test_reveal_moves_no_further_than_needed() -> None:
    one = view()
    one.zoom(10)
    one.reveal(40)
    assert one.window == (40, 50)
    one.reveal(60)
    assert one.window == (50, 60)


def test_data_without_extent_cannot_be_zoomed() -> None:
    one = view(3, 3)
    one.zoom(2)
    one.pan(1)
    assert one.window == (3, 3)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="zoom"):
        view().zoom(0)
    with pytest.raises(ValueError, match="extent"):
        Viewport().set_extent(2, 1)


step = st.one_of(
    st.tuples(st.just("zoom"), st.floats(0.1, 10), st.one_of(st.none(), st.floats(0, 100))),
    st.tuples(st.just("pan"), st.floats(-5, 5), st.none()),
    st.tuples(st.just("follow"), st.just(0.0), st.none()),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(step, max_size=30))
def test_the_window_stays_on_the_data(steps: list[tuple[str, float, float | None]]) -> None:
    one = view()
    for name, amount, anchor in steps:
        if name == "zoom":
            one.zoom(amount, anchor)
        elif name == "pan":
            one.pan(amount)
        else:
            one.toggle_follow()
        low, high = one.window
        assert -1e-6 <= low < high <= 100 + 1e-6
        assert high - low >= 100 * DEEPEST * 0.999
