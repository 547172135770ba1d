"""Answers are taken apart the same in whatever pieces they come, and lose no character."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.chat.parts import USUAL, Call, Marks, Part, PartReader, calls_in, marks_of, parts_of


def told(parts: list[Part]) -> list[tuple[str, str, bool]]:
    return [(part.kind, part.text, part.closed) for part in parts]


MARKS = [*USUAL.reasoning, *USUAL.reasoning.values(), *USUAL.calls, *(end for end in USUAL.calls.values() if end)]
PIECES = st.one_of(st.sampled_from([*MARKS, "<", "<th", "[TOOL_", "|>", "\n", " ", "{}"]), st.text(max_size=5))


@given(pieces=st.lists(PIECES, max_size=12), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_pieces_of_any_size_come_to_the_same(pieces: list[str], cuts: list[int]) -> None:
    text = "".join(pieces)
    reader, at = PartReader(), 0
    for cut in [*sorted(cuts), len(text)]:
        reader.feed(text[at : max(at, cut)])
        at = max(at, cut)
    assert told(reader.finish()) == told(parts_of(text))


@given(pieces=st.lists(PIECES, max_size=12))
def test_one_character_at_a_time_comes_to_the_same(pieces: list[str]) -> None:
    text = "".join(pieces)
    reader = PartReader()
    for sign in text:
        reader.feed(sign)
    assert told(reader.finish()) == told(parts_of(text))


@given(pieces=st.lists(PIECES, max_size=12))
def test_no_character_is_lost(pieces: list[str]) -> None:
    text = "".join(pieces)
    ends = {**USUAL.reasoning, **USUAL.calls}
    rest = text
    for part in parts_of(text):
        assert rest.startswith(part.mark + part.text)
        rest = rest[len(part.mark) + len(part.text) :]
        if part.kind != "text" and part.closed and part.mark:
            assert rest.startswith(ends[part.mark])
            rest = rest[len(ends[part.mark]) :]
        elif part.kind == "reasoning" and not part.mark:
            end = next(end for end in USUAL.reasoning.values() if rest.startswith(end))
            rest = rest[len(end) :]
    assert rest == ""


@given(
    marks=st.lists(st.text("<ab>", min_size=1, max_size=4), min_size=2, max_size=6, unique=True),
    text=st.text("<ab>\n", max_size=40),
)
def test_whatever_marks_a_model_has_pieces_come_to_the_same(marks: list[str], text: str) -> None:
    half = len(marks) // 2
    own = Marks(dict.fromkeys(marks[:half], marks[-1]), dict.fromkeys(marks[half:], ""))
    reader = PartReader(own)
    for sign in text:
        reader.feed(sign)
    assert told(reader.finish()) == told(parts_of(text, own))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello.", [("text", "Hello.", False)]),
        ("", []),
        ("<think>hm</think>\nYes.", [("reasoning", "hm", True), ("text", "\nYes.", False)]),
        ("<think>hm", [("reasoning", "hm", False)]),
        ("hm</think>Yes", [("reasoning", "hm", True), ("text", "Yes", False)]),
        ("</think>Yes", [("reasoning", "", True), ("text", "Yes", False)]),
        ("The tag <think> opens.", [("text", "The tag <think> opens.", False)]),
        ("a</think>b</think>c", [("reasoning", "a", True), ("text", "b</think>c", False)]),
        ("Well.\n  <think>a</think>", [("text", "Well.\n  ", True), ("reasoning", "a", True)]),
        ("[THINK]a[/THINK]b", [("reasoning", "a", True), ("text", "b", False)]),
        ("Sure.<tool_call>{}</tool_call>", [("text", "Sure.", True), ("call", "{}", True)]),
        ("[TOOL_CALLS]a[TOOL_CALLS]b", [("call", "a", True), ("call", "b", False)]),
        ("<think><tool_call></think>", [("reasoning", "<tool_call>", True)]),
        ("1 < 2 and <tool", [("text", "1 < 2 and <tool", False)]),
    ],
)
def test_answers_are_taken_apart(text: str, expected: list[tuple[str, str, bool]]) -> None:
    assert told(parts_of(text)) == expected


def test_a_mark_in_the_making_is_not_shown() -> None:
    reader = PartReader()
    assert told(reader.feed("Yes <tool_c")) == [("text", "Yes ", False)]
    assert told(reader.feed("ount")) == [("text", "Yes <tool_count", False)]


@pytest.mark.parametrize(
    ("text", "mark", "expected"),
    [
        ('{"name": "add", "arguments": {"a": 1}}', "", [Call("add", {"a": 1})]),
        ('{"name": "add", "parameters": "{\\"a\\": 1}"}', "", [Call("add", {"a": 1})]),
        ('[{"name": "a", "arguments": {}}, {"name": "b"}]', "", [Call("a", {}), Call("b", {})]),
        ('{"function": {"name": "add", "arguments": {"a": 1}}}', "", [Call("add", {"a": 1})]),
        ('add[ARGS]{"a": 1}', "[TOOL_CALLS]", [Call("add", {"a": 1})]),
        ('add[ARGS]{"a": ', "[TOOL_CALLS]", [Call("add", '{"a":')]),
        ("<function=add>\n<parameter=a>\n1\n</parameter>\n</function>", "", [Call("add", {"a": "1"})]),
        ("print(1)", "<|python_tag|>", []),
        ('{"name": 3}', "", []),
        ("[" * 100_000, "", []),
    ],
)
def test_calls_are_read(text: str, mark: str, expected: list[Call]) -> None:
    assert calls_in(text, mark) == expected


def test_a_part_tells_its_calls() -> None:
    (part,) = parts_of('<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>')
    assert part.calls == [Call("add", {"a": 1})]
    assert parts_of("text")[0].calls == []


def test_the_tokenizer_names_marks_of_its_own() -> None:
    tokenizer: Any = SimpleNamespace(
        think_start="<mull>", think_end="</mull>", tool_call_start="CALL:", tool_call_end=""
    )
    marks = marks_of(tokenizer)
    assert told(parts_of("<mull>a</mull>CALL:b", marks)) == [("reasoning", "a", True), ("call", "b", False)]
    assert marks_of(SimpleNamespace()) == USUAL


def test_a_megabyte_without_a_break_takes_no_longer_for_each_piece() -> None:
    """Of a reader that looked at everything again with each piece, the last tenth would take many times the first."""
    reader = PartReader()
    took = []
    for _ in range(10):
        began = time.process_time()
        for _ in range(25_000):
            reader.feed("<x1")
        took.append(time.process_time() - began)
    assert sum(map(len, (part.text for part in reader.finish()))) == 750_000
    assert min(took[5:]) < 4 * min(took[:5])
