"""Text from outside is shown, never obeyed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.content import Content

from tui_tuner.ui import format as fmt
from tui_tuner.ui.text import clip, clip_middle, inert, visible


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\x00b\x7fc", "a␀b␡c"),
        ("\x9b2J", "‹009b›2J"),
        ("abc\u202edcba", "abc‹rlo›dcba"),
        ("in\u200bvisible\ufeff", "in‹zwsp›visible‹bom›"),
        ("\ud800", "‹d800›"),
        ("\U000e0041", "‹e0041›"),
        ("one\ntwo\tthree\r", "one␊two␉three␍"),
        ("plain äöü 日本 👍", "plain äöü 日本 👍"),
    ],
)
def test_nothing_hidden_and_nothing_acts(raw: str, seen: str) -> None:
    assert visible(raw) == seen


def test_lines_are_kept_where_asked() -> None:
    assert visible("a\r\nb\n\tc\x1b", lines=True) == "a\nb\n    c␛"


def test_markup_is_text() -> None:
    hostile = "[bold red]not bold[/] [@click=app.quit]x[/] [link=file:///]y"
    content = inert(hostile)
    assert content.plain == hostile
    assert not content.spans


@given(st.text())
def test_no_control_character_ever_survives(raw: str) -> None:
    shown = visible(raw)
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0x202A <= ord(c) <= 0x202E for c in shown)
    shown.encode("utf-8")  # would raise for a lone surrogate, and so would the terminal's writer


@given(st.text(), st.integers(0, 30))
def test_clipping_never_exceeds_its_room(raw: str, width: int) -> None:
    assert Content(clip(raw, width)).cell_length <= width
    assert Content(clip_middle(raw, width)).cell_length <= width


def test_a_name_is_cut_in_its_middle() -> None:
    assert clip_middle("players-of-the-season-20251009-085320", 21) == "players-of…009-085320"
    assert clip_middle("short", 21) == "short"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (math.nan, "–"), (0.44, "0.4 s"), (9.96, "10 s"), (59.4, "59 s"), (61, "1:01"), (3725, "1:02:05")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert fmt.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.47312, "0.473"),
        (1.07963, "1.080"),
        (12.345, "12.35"),
        (4478.3, "4,478"),
        (0.00001, "1.0e-5"),
        (math.inf, "–"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert fmt.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1e-5, "1e-5"), (2.5e-4, "2.5e-4"), (0.0, "0"), (3e-3, "3e-3"), (1.0, "1e0")]
)
def test_learning_rates(value: float, text: str) -> None:
    assert fmt.rate(value) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (4.48e8, "448 MB"), (1.94e9, "1.9 GB"), (3e12, "3.0 TB")]
)
def test_sizes(count: float, text: str) -> None:
    assert fmt.size(count) == text


def test_percent_says_100_only_when_done() -> None:
    assert fmt.percent(999, 1000) == "99 %"
    assert fmt.percent(1000, 1000) == "100 %"
    assert fmt.percent(1, 0) == "0 %"


def test_ago() -> None:
    assert fmt.ago(1000.0, 1030.0) == "just now"
    assert fmt.ago(1000.0, 1000.0 + 3 * 3600) == "3 h ago"
    assert fmt.ago(1000.0, 1000.0 + 86400) == "1 day ago"
    assert fmt.ago(1000.0 + 1800, 1000.0) == "just now"  # the clock was set back a little
    assert fmt.ago(1e9 + 86400 * 400, 1e9).startswith("2002-10")  # and a lot: a date, not an hour that is no true one
    assert fmt.ago(1e300, 1e9) == fmt.DASH
