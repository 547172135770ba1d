"""What an answer gained and lost: word by word, character for character, and in words that say how much."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.content import Content

from tui_tuner.runs.probes import Timeline
from tui_tuner.ui.probetext import (
    compared_step,
    merged,
    name_of,
    nothing,
    prompt_line,
    sides,
    track,
    waiting,
    where,
)
from tui_tuner.ui.worddiff import MOST_WORDS, changes, much, word_diff, words

spoken = st.lists(
    st.sampled_from(["the", "fox", "Füchse", ",", "\n", " ", "  ", "don't", "日本", "x_1", "."]), max_size=12
)


# -- words ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("don't stop", ["don", "'", "t", " ", "stop"]),
        ("a,  b\n", ["a", ",", "  ", "b", "\n"]),
        ("3.14%", ["3", ".", "14", "%"]),
        ("äöü 日本語", ["äöü", " ", "日本語"]),
    ],
)
def test_a_text_is_cut_into_words_signs_and_blanks(text: str, pieces: list[str]) -> None:
    assert words(text) == pieces


@settings(max_examples=60)
@given(spoken, spoken)
def test_each_side_holds_its_text_and_nothing_is_shared_that_differs(first: list[str], second: list[str]) -> None:
    one, two = "".join(first), "".join(second)
    found = word_diff(one, two)
    assert found is not None
    left, right = found
    assert ("".join(text for text, _ in left), "".join(text for text, _ in right)) == (one, two)
    assert [text for text, same in left if same] == [text for text, same in right if same]
    if one == two:
        assert all(same for _, same in left)


def test_what_is_lost_stands_before_what_came_in_its_place() -> None:
    found = changes("the red fox ran", "the grey fox ran home")
    assert found is not None
    assert [(piece.kind, piece.text) for piece in found] == [
        ("same", "the "), ("lost", "red"), ("gained", "grey"), ("same", " fox ran"), ("gained", " home"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("a b", "a b", "= the same"),
        ("", "", "= the same"),
        ("a b c", "a", "−2 +0 words"),
        ("", "one two three", "−0 +3 words"),
        ("x " * 700, "y", "−700 +1 words"),
    ],
)
def test_how_much_changed_is_counted_in_words(first: str, second: str, said: str) -> None:
    found = changes(first, second)
    assert found is not None and much(found) == said


def test_texts_that_are_too_long_are_not_compared_however_short_the_other_is() -> None:
    longest = "a " * (MOST_WORDS // 2)
    assert changes(longest, "a") is not None
    assert changes(longest + "b", "a") is None and word_diff("a", longest + "b") is None


# -- the timeline of probes -------------------------------------------------------------------------------------------
FOUND = Timeline(
    ["What is it?", "Why?"], [0, 30, 60, 1_200], {(p, s): f"{p} {s}" for p in ("What is it?", "Why?") for s in (0, 60)},
    {60: 0.4731}, best=60,
)  # fmt: skip


def styles(content: Content) -> dict[str, str]:
    return {content.plain[span.start : span.end]: str(span.style) for span in content.spans}


def test_an_answer_is_held_against_the_untrained_the_one_before_or_none() -> None:
    assert compared_step(FOUND, "Why?", 60, "untrained") == 0
    assert compared_step(FOUND, "Why?", 0, "untrained") is None
    assert compared_step(FOUND, "New?", 60, "untrained") is None
    assert compared_step(FOUND, "Why?", 60, "before") == 0
    assert compared_step(FOUND, "Why?", 60, "nothing") is None


def test_lost_words_are_struck_and_gained_ones_underlined() -> None:
    content, said = merged("it is red", "it is blue")
    assert (content.plain, said) == ("it is redblue", "−1 +1 words")
    assert "strike" in styles(content)["red"] and "underline" in styles(content)["blue"]
    left, right, said = sides("it is red", "it is blue")
    assert (left.plain, right.plain, said) == ("it is red", "it is blue", "−1 +1 words")
    assert "strike" in styles(left)["red"] and "underline" in styles(right)["blue"]


def test_an_empty_answer_says_that_it_is_one() -> None:
    assert merged(None, "")[0].plain == merged("", "")[0].plain == "(an empty answer)"
    left, right, said = sides("", "words came")
    assert (left.plain, right.plain, said) == ("(an empty answer)", "words came", "−0 +2 words")
    assert merged("was there", "")[0].plain == "was there"


def test_very_long_answers_stand_uncompared_and_it_is_said() -> None:
    long = "word " * MOST_WORDS
    content, said = merged("short", long)
    assert (content.plain, said) == (long, "more than 1,500 words are not compared")
    assert [part.plain for part in sides(long, "short")[:2]] == [long, "short"]
    assert not content.spans


def test_what_a_model_said_is_inert() -> None:
    for content in (merged(None, "[b]\x1b[2J")[0], merged("x", "[b]\x1b[2J")[0], sides("x", "[b]\x1b[2J")[1]):
        assert content.plain.endswith("[b]␛[2J")


@pytest.mark.parametrize(
    ("step", "steps", "said"),
    [
        (0, 1_500, "  untrained   look 1 of 4"),
        (60, 1_500, "  step 60 of 1,500   look 3 of 4   validation loss 0.473   ★ best checkpoint"),
        (1_200, 0, "  step 1,200   look 4 of 4"),
        (45, 1_500, "  step 45 of 1,500   look 0 of 4"),
    ],
)
def test_the_chosen_step_is_told_in_words(step: int, steps: int, said: str) -> None:
    assert where(FOUND, step, steps).plain == said
    assert name_of(step) in said


def test_the_points_tell_answered_best_untrained_and_missing_apart() -> None:
    assert track(FOUND, "Why?", 1_200, 40).plain == "  ○──·──★──◉"
    assert track(FOUND, "Why?", 0, 40).plain == "  ◉──·──★──·"
    assert track(FOUND, "Why?", 60, 10).plain == "◂ ·──◉ ▸"
    assert track(Timeline([], [], {}, {}), "Why?", 0, 40).plain == "  "


@settings(max_examples=40)
@given(st.integers(1, 60), st.data(), st.integers(4, 80))
def test_the_line_of_steps_fits_and_shows_the_chosen_one(count: int, data: st.DataObject, width: int) -> None:
    steps = list(range(0, count * 10, 10))
    chosen = data.draw(st.sampled_from(steps))
    line = track(Timeline(["p"], steps, {}, {}), "p", chosen, width)
    assert line.plain.count("◉") == 1
    assert line.cell_length <= max(width, 5)


def test_a_prompt_is_one_line_in_its_list() -> None:
    long = Timeline(["What\nis  the \x1b[1mmeaning of 日本語?"], [0], {}, {})
    assert prompt_line(FOUND, 0, 60, 40).plain == "● What is it?"
    assert prompt_line(FOUND, 0, 30, 40).plain == "· What is it?"
    assert prompt_line(long, 0, 0, 60).plain == "· What is the ␛[1mmeaning of 日本語?"
    assert prompt_line(long, 0, 0, 12).plain == "· What is t…"


def test_what_is_missing_says_why_and_what_to_do() -> None:
    assert waiting(True).plain == "Not answered yet."
    assert "came later" in waiting(False).plain
    assert nothing(True).plain.endswith("n adds one to this run.")
    assert nothing(False).plain.endswith("probes.prompts of the next run names some.")
