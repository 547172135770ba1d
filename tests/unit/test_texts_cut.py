"""Texts that are cut, copied and told: never wider than their room, never unwritable, and with their words agreeing."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text
from textual.content import Content

from tui_tuner.ui import copying
from tui_tuner.ui.charts.grid import Grid, Span, fit_line, plain, shorten
from tui_tuner.ui.text import clip, clip_middle, inert, visible, writable
from tui_tuner.ui.wayfinding import WayfindingApp

words = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x1FAFF), max_size=24)


# -- cutting ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("日本語の名前", 12, "日本語の名前"),
        ("日本語の名前", 11, "日本語の名…"),
        ("日本語の名前", 2, " …"),
        ("name", 0, ""),
        ("name", -3, ""),
        ("two\nlines", 20, "two␊lines"),
        (1234567, 4, "123…"),
    ],
)
def test_a_cut_text_ends_between_characters(text: object, width: int, cut: str) -> None:
    assert clip(text, width) == cut


def test_a_name_cut_in_its_middle_keeps_wide_characters_whole() -> None:
    cut = clip_middle("läufer-日本-20251009-日本語", 13)
    assert (cut[:4], cut[-2:], Content(cut).cell_length <= 13) == ("läuf", "本語", True)
    assert clip_middle("a-very-long-name", 4) == "a-v…"  # too narrow for two ends


@settings(max_examples=50)
@given(words, st.integers(5, 40))
def test_a_cut_in_the_middle_keeps_both_ends(text: str, width: int) -> None:
    shown, cut = visible(text), clip_middle(text, width)
    if Content(shown).cell_length <= width:
        assert cut == shown
    else:
        tail = (width - 1) // 2
        end = next(cut[-n:] if n else "" for n in range(tail, -1, -1) if shown.endswith(cut[len(cut) - n :]))
        assert cut[: len(cut) - len(end)].endswith("…") and shown.startswith(cut[0] if cut[0] != " " else "")


def test_content_has_one_style_or_none() -> None:
    assert not inert("plain [b]text[/]").spans
    styled = inert("a\tb", "bold", lines=True)
    assert (styled.plain, [str(span.style) for span in styled.spans]) == ("a    b", ["bold"])


# -- charts' own cells ------------------------------------------------------------------------------------------------
@settings(max_examples=50)
@given(words, st.integers(0, 30))
def test_a_line_above_a_plot_is_exactly_as_wide_as_the_plot(text: str, width: int) -> None:
    from rich.cells import cell_len

    line = fit_line([Span(plain(text), 1), Span("behind", 2)], width)
    assert sum(cell_len(span.text) for span in line) == width
    assert cell_len(shorten(plain(text), width)) <= width


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("loss", "loss"),
        ("a\x1b[31m", "a␛[31m"),
        ("\x7f", "␡"),
        ("r\u202etl", "r�tl"),
        ("\ud800", "�"),
        ("zwj\u200d", "zwj�"),
        ("Verlust äöü 損失", "Verlust äöü 損失"),
    ],
)
def test_a_curves_name_cannot_act_on_the_terminal(text: str, seen: str) -> None:
    assert plain(text) == seen


def test_a_grid_keeps_what_falls_outside_out_and_one_cell_a_character() -> None:
    grid = Grid(5, 2)
    grid.put(0, -1, "abcdefg", 3)
    grid.put(1, 3, "語é", 4)
    grid.put(2, 0, "below", 5)
    grid.put(-1, 0, "above", 5)
    lines = ["".join(span.text for span in line) for line in grid.lines()]
    assert lines == ["bcdef", "   ?é"]
    assert (grid.free(1, 0, 3), grid.free(1, 0, 4), grid.free(1, 0, 6), grid.free(5, 0, 1)) == (
        True,
        False,
        False,
        False,
    )
    assert list(Grid(0, 2).lines()) == [[], []]


# -- copying ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "Copied the line (1 character): x"),
        ("two words", "Copied the line (9 characters): two words"),
        ("one\n\n  two  words\n", "Copied the line (3 lines): one"),
        ("\n\n first", "Copied the line (3 lines): first"),
        ("a\n", "Copied the line (2 characters): a"),
        ("k" * 1_500, f"Copied the line (1,500 characters): {'k' * 39}…"),
        ("\x1b]52;c;eA==\x07", "Copied the line (12 characters): ␛]52;c;eA==␇"),
    ],
)
def test_what_was_copied_is_told_with_its_size(text: str, said: str) -> None:
    assert copying.told("the line", text) == said


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain 日本 👍", "plain 日本 👍"),
        ("\ud83d\udc4d", "👍"),
        ("half \ud83d of it", "half � of it"),
        ("\udce9", "�"),
    ],
)
def test_what_no_clipboard_takes_is_replaced_and_the_rest_kept(text: str, written: str) -> None:
    assert writable(text) == written
    assert writable(written) == written


@settings(max_examples=50)
@given(st.text())
def test_every_text_can_be_written_and_a_sound_one_is_left_alone(text: str) -> None:
    made = writable(text)
    made.encode("utf-8")
    if not any(0xD800 <= ord(character) < 0xE000 for character in text):
        assert made == text


async def test_half_a_character_in_the_data_does_not_stop_copying(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the terminal's sequence nor macOS's program takes what UTF-8 has no bytes for."""
    handed: list[str] = []
    monkeypatch.setattr(copying, "hand_to_system", handed.append)
    app = WayfindingApp()
    async with app.run_test() as pilot:
        app.copy_to_clipboard("an answer \udc80 from afar")
        await app.workers.wait_for_complete()
        await pilot.pause()
    assert app.clipboard == handed[0] == "an answer � from afar"


def test_a_clipboard_program_that_fails_or_is_missing_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal was asked before."""
    monkeypatch.setattr(copying.platform, "system", lambda: "Darwin")
    for name in ("SSH_CONNECTION", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    asked: list[Any] = []
    for error in (FileNotFoundError("pbcopy"), subprocess.TimeoutExpired("pbcopy", 5)):

        def failing(command: list[str], error: Exception = error, **options: Any) -> None:
            asked.append(options["timeout"])
            raise error

        monkeypatch.setattr(copying.subprocess, "run", failing)
        copying.hand_to_system("text")
    assert asked == [5, 5]


def test_cells_of_any_kind_are_copied_as_their_text() -> None:
    assert [copying._plain(cell) for cell in (Content("a"), Text("b", style="bold"), 7, "c", None)] == [
        "a", "b", "7", "c", "None",
    ]  # fmt: skip
