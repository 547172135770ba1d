"""What records are taken for, how surely, and what conversations of other tools become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tui_tuner.config import DataSection
from tui_tuner.data.recipe import settle
from tui_tuner.data.shapes import LIKELY, SURE, Guess, all_guesses, recognise
from tui_tuner.data.shapes.advice import unusable
from tui_tuner.data.shapes.conversation import dialogue_from, messages_from, tools_from
from tui_tuner.data.shapes.trees import flattened
from tui_tuner.errors import TunerError

HELLO = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hi."}]
SHARED = [{"from": "human", "value": "Hello?"}, {"from": "gpt", "value": "Hi."}]


def several(**columns: Any) -> list[dict[str, Any]]:
    """Nine records; texts with {n} differ."""
    return [{k: v.replace("{n}", str(n)) if isinstance(v, str) else v for k, v in columns.items()} for n in range(9)]


Case = tuple[str, list[dict[str, Any]], str, Mapping[str, str], float]


def pair(name: str, ask: str, answer: str, least: float, /, **columns: Any) -> Case:
    """A case of question and answer."""
    return name, several(**columns), "question-answer", {"prompt": f"{{{ask}}}", "completion": f"{{{answer}}}"}, least


INPUT = "{if input}\n\n{input}{end}"
PASSAGE = "{if context}{context}\n\n{end}"
TRANSCRIPT = "\n\nHuman: a\n\nAssistant: b"

CASES: list[Case] = [
    (
        "plain",
        several(prompt="p{n}", completion="c"),
        "completion",
        {"prompt": "{prompt}", "completion": "{completion}"},
        SURE,
    ),
    ("chat", several(messages=HELLO), "messages", {"messages": "messages"}, SURE),
    ("chat under another name", several(dialog=HELLO, id="{n}"), "messages", {"messages": "dialog"}, SURE),
    (
        "chat as text",
        several(messages='[{"role": "user", "content": "a"}]'),
        "messages",
        {"messages": "messages"},
        SURE,
    ),
    ("sharegpt", several(id="{n}", conversations=SHARED), "sharegpt", {"messages": "conversations"}, SURE),
    (
        "alpaca",
        several(instruction="i{n}", input="", output="o"),
        "alpaca",
        {"prompt": "{instruction}" + INPUT, "completion": "{output}"},
        SURE,
    ),
    (
        "dolly",
        several(Instruction="i{n}", Context="c", Response="r", category="qa"),
        "dolly",
        {"prompt": "{Instruction}" + INPUT.replace("input", "Context"), "completion": "{Response}"},
        SURE,
    ),
    ("text", several(text="Some text {n} that goes on."), "text", {"text": "{text}"}, SURE),
    ("text by another name", several(quote="To be or not to be {n}."), "text", {"text": "{quote}"}, LIKELY),
    pair("German", "Frage", "Antwort", SURE, Frage="Was ist {n}?", Antwort="Eine Zahl."),
    pair("Russian", "вопрос", "ответ", SURE, id="{n}", вопрос="что {n}?", ответ="да, это"),
    pair("Vietnamese", "Câu hỏi", "Trả lời", SURE, **{"Câu hỏi": "a {n}", "Trả lời": "c d"}),
    pair("camel case", "customerQuestion", "agentReply", SURE, customerQuestion="How {n}?", agentReply="So."),
    pair("by content alone", "a", "b", SURE, a="Is it {n}?", b="Yes, it is."),
    pair("by position alone", "x", "y", LIKELY, x="Tell me of {n}.", y="It is a number."),
    pair("answer first", "question", "answer", SURE, answer="It is {n}.", question="What is it?"),
    pair("summaries", "document", "summary", LIKELY, document="A very long document {n}.", summary="Short.", id="{n}"),
    (
        "SQuAD",
        several(context="A passage about {n} and more.", question="What {n}?", answers={"text": ["x y"]}, id="{n}"),
        "question-answer",
        {"prompt": PASSAGE + "{question}", "completion": "{answers.text.0}"},
        SURE,
    ),
    (
        "pairs",
        several(prompt="p{n}", chosen="good", rejected="bad"),
        "preference",
        {"prompt": "{prompt}", "completion": "{chosen}"},
        SURE,
    ),
    ("pairs of chats", several(chosen=HELLO, rejected=HELLO), "preference", {"messages": "chosen"}, SURE),
    ("transcripts", several(chosen=TRANSCRIPT, rejected=TRANSCRIPT), "preference", {"dialogue": "chosen"}, SURE),
    ("questions only", several(question="What is {n}?", id="{n}"), "prompts", {"prompt": "{question}"}, LIKELY),
    ("facts", several(name="P{n}", yards="12", team="ABC", won=True), "table", {}, LIKELY),
]


@pytest.mark.parametrize(
    ("records", "shape", "mapping", "least"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_shapes_are_recognised(
    records: list[dict[str, Any]], shape: str, mapping: dict[str, str], least: float
) -> None:
    guess = recognise(records)
    assert (guess.shape, dict(guess.mapping)) == (shape, mapping)
    assert least <= guess.confidence <= 1.0
    if least == LIKELY and guess.trainable:
        assert guess.confidence < SURE
    assert guess.why


def test_an_alpaca_file_with_a_text_beside_is_no_text_file() -> None:
    """mlx-lm's reader would train on the text, prompt and all."""
    assert recognise(several(instruction="i{n}", input="", output="o", text="Below is {n}")).shape == "alpaca"


def test_a_text_with_a_label_could_be_either_and_is_not_sure() -> None:
    first, second = all_guesses(several(text="I love it, {n}.", label="good"))[:2]
    assert {first.shape, second.shape} == {"text", "question-answer"}
    assert first.confidence < SURE


def test_a_person_s_word_comes_before_the_guess() -> None:
    records = several(text="I love it, {n}.", label="good")
    guess = recognise(records, "question-answer")
    assert (guess.confidence, guess.mapping) == (1.0, {"prompt": "{text}", "completion": "{label}"})
    with pytest.raises(TunerError, match='says "tree"'):
        settle(DataSection(source="x", shape="tree"), records, "x")


# --- conversations


def test_speakers_of_other_tools_become_roles() -> None:
    turns = [
        {"from": "system", "value": "s"},
        {"from": "human", "value": "a"},
        {"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'},
        {"from": "observation", "value": "42"},
        {"from": "gpt", "value": "b"},
    ]
    messages = messages_from(turns)
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert messages[2]["tool_calls"] == [{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]
    assert messages[2]["content"] == ""


def test_parts_are_joined_and_null_beside_a_call_is_nothing() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}], "weight": 0}
    assert messages_from([{"role": "user", "content": parts}, call]) == [
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]},
    ]


def test_tools_may_be_json_text() -> None:
    assert tools_from('[{"name": "f"}]') == [{"name": "f"}]
    assert tools_from("") == tools_from(None) == []


def test_transcripts_are_taken_apart() -> None:
    text = "\n\nHuman: What?\n\nAnd why?\n\nAssistant: So.\n\nHuman: Ah.\n\nAssistant: Yes."
    assert [(m["role"], m["content"]) for m in dialogue_from(text)] == [
        ("user", "What?\n\nAnd why?"),
        ("assistant", "So."),
        ("user", "Ah."),
        ("assistant", "Yes."),
    ]
    with pytest.raises(TunerError, match="no turns"):
        dialogue_from("Just text.")


# --- trees

FLAT = [
    {"message_id": "1", "parent_id": None, "text": "q", "role": "prompter", "rank": None},
    {"message_id": "2", "parent_id": "1", "text": "worse", "role": "assistant", "rank": 1},
    {"message_id": "3", "parent_id": "1", "text": "better", "role": "assistant", "rank": 0},
    {"message_id": "4", "parent_id": "2", "text": "and?", "role": "prompter", "rank": 0},
    {"message_id": "5", "parent_id": "4", "text": "more", "role": "assistant", "rank": 0},
    {"message_id": "6", "parent_id": "3", "text": "unanswered", "role": "prompter", "rank": 0},
]
NESTED = {
    "prompt": {
        "text": "q",
        "role": "prompter",
        "replies": [
            {"text": "worse", "role": "assistant", "rank": 1, "replies": []},
            {"text": "better", "role": "assistant", "rank": 0, "replies": []},
        ],
    }
}


def said(found: list[tuple[int, list[dict[str, Any]]]]) -> list[list[str]]:
    return [[message["content"] for message in messages] for _, messages in found]


def test_flat_trees_are_flattened_by_choice() -> None:
    assert recognise(FLAT).shape == "tree"
    assert said(flattened(FLAT, "best")) == [["q", "better"]]
    assert said(flattened(FLAT, "longest")) == [["q", "worse", "and?", "more"]]
    assert sorted(said(flattened(FLAT, "all"))) == [["q", "better"], ["q", "worse", "and?", "more"]]


def test_nested_trees_are_flattened_by_choice() -> None:
    assert recognise([NESTED]).shape == "tree"
    assert said(flattened([NESTED], "best")) == [["q", "better"]]
    assert said(flattened([NESTED], "all")) == [["q", "worse"], ["q", "better"]]


def test_numbers_beyond_all_measure_are_numbers() -> None:
    huge = 10**400
    assert said(flattened([{**one, "rank": huge if one["rank"] else one["rank"]} for one in FLAT], "best")) == [
        ["q", "better"]
    ]
    record = {"player": "Ann Lee", "yards": huge}
    advice = unusable(Guess("table", 0.3), ["player", "yards"], record).fix
    assert advice.startswith('write prompt = "What is the yards of {player}?"')


def node(parent: str | None, children: list[str], role: str = "", text: str = "") -> dict[str, Any]:
    message = {"author": {"role": role}, "content": {"content_type": "text", "parts": [text]}} if role else None
    return {"parent": parent, "children": children, "message": message}


def test_an_export_follows_the_branch_that_was_open() -> None:
    mapping = {
        "r": node(None, ["a"]),
        "a": node("r", ["b", "c"], "user", "q"),
        "b": node("a", [], "assistant", "first try"),
        "c": node("a", [], "assistant", "second try"),
    }
    export = {"title": "t", "mapping": mapping, "current_node": "c"}
    assert recognise([export]).shape == "tree"
    assert said(flattened([export], "best")) == [["q", "second try"]]
    assert sorted(said(flattened([export], "all"))) == [["q", "first try"], ["q", "second try"]]


def test_a_tree_without_end_is_refused() -> None:
    mapping = {"a": node(None, ["b"], "user", "q"), "b": node("a", ["a"], "assistant", "x")}
    with pytest.raises(TunerError, match="has no end"):
        flattened([{"mapping": mapping}], "all")
