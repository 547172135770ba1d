"""Lines of a transcript: what is written is what is read, and nothing is taken for what it is not."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.chat.conversation import Answer, AnswerState, Exchange
from tui_tuner.chat.lines import (
    asked_fields,
    end_answer,
    ended_fields,
    exchange_of_fields,
    number_in,
    text_in,
    voice_fields,
    voice_of_fields,
    vote_of,
)
from tui_tuner.chat.reply import ChatReply
from tui_tuner.chat.sampling import GREEDY, Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.errors import TunerError

HOME = Path("/runs/players")
REFUSALS = (ValueError, TypeError, KeyError, TunerError, AttributeError)
texts = st.text(max_size=12)
samplings = st.builds(
    Sampling, temperature=st.floats(0, 5), top_p=st.floats(0.01, 1), top_k=st.integers(0, 100), min_p=st.floats(0, 1),
    repetition_penalty=st.floats(0.1, 10), max_tokens=st.integers(1, 10_000), seed=st.integers(0, 2**32 - 1),
    stop=st.lists(st.text(min_size=1, max_size=4), max_size=2).map(tuple),
)  # fmt: skip
adapters = st.sampled_from(
    [None, HOME / "adapters", HOME / "state" / "0000060_adapters.safetensors", Path("/else/where")]
)
voices = st.builds(Voice, texts, adapters, texts, texts)
exchanges = st.builds(
    Exchange, number=st.integers(1, 99), parent=st.integers(0, 99), question=texts,
    answers=st.lists(st.builds(Answer, voices), min_size=1, max_size=4), system=texts, sampling=samplings,
    memory=st.booleans(), plain=st.booleans(), reference=texts, source=texts, asked=st.floats(0, 1e10),
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def line_of(exchange: Exchange) -> dict[str, Any]:
    """As it comes out of a file."""
    return dict(json.loads(json.dumps({"t": exchange.asked, **asked_fields(exchange, HOME)})))


def simple(**changes: Any) -> dict[str, Any]:
    exchange = Exchange(1, 0, "Who scored?", [Answer(Voice("m")), Answer(Voice("m", HOME / "adapters"))], asked=1.0)
    return {**line_of(exchange), **changes}


@settings(max_examples=40)
@given(exchanges)
def test_a_question_comes_back_as_it_was_asked(exchange: Exchange) -> None:
    found = exchange_of_fields(line_of(exchange), HOME)
    fields = ("number", "parent", "question", "system", "sampling", "memory", "plain", "reference", "source", "asked")
    assert [getattr(found, name) for name in fields] == [getattr(exchange, name) for name in fields]
    for answer, before in zip(found.answers, exchange.answers, strict=True):
        assert (answer.voice, answer.voice.label) == (before.voice, before.voice.label)
        assert (answer.state, answer.text, answer.reply) == (AnswerState.WAITING, "", None)


@settings(max_examples=60)
@given(st.sampled_from(sorted(simple())), anything)
def test_a_field_with_anything_in_it_is_refused_or_is_of_its_kind(name: str, value: Any) -> None:
    try:
        found = exchange_of_fields(simple(**{name: value}), HOME)
    except REFUSALS:
        return
    assert type(found.number) is type(found.parent) is int and found.number >= 1
    assert all(isinstance(text, str) for text in (found.question, found.system, found.reference, found.source))
    assert isinstance(found.memory, bool) and isinstance(found.plain, bool)
    assert math.isfinite(found.asked) and found.answers


@pytest.mark.parametrize(
    "changes",
    [
        {"exchange": 0}, {"exchange": True}, {"exchange": 1.0}, {"exchange": 2**63}, {"parent": -1}, {"question": None},
        {"voices": []}, {"voices": {}}, {"voices": [{"model": "m"}]}, {"voices": [{"model": 7, "adapter": None}]},
        {"voices": [{"model": "m", "adapter": ""}]}, {"voices": [{"model": "m", "adapter": 7}]}, {"memory": 1},
        {"plain": None}, {"sampling": []}, {"t": None}, {"t": "12"}, {"t": True}, {"t": math.nan},
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(REFUSALS):
        exchange_of_fields(simple(**changes), HOME)


def test_what_older_versions_did_not_write_has_its_usual_value() -> None:
    line = simple()
    for name in ("system", "sampling", "memory", "plain", "reference", "source"):
        del line[name]
    line["voices"] = [{"model": "m", "adapter": None}]
    found = exchange_of_fields(line, HOME)
    assert (found.system, found.memory, found.plain, found.sampling) == ("", True, False, GREEDY)
    assert (found.answers[0].voice.template, found.answers[0].voice.label) == ("auto", "")


def test_a_setting_out_of_its_bounds_is_left_at_its_default_and_the_others_are_kept() -> None:
    odd = {"temperature": 99, "top_p": "0.5", "top_k": 7, "seed": -1, "stop": ["END", 7, ""], "later": 1}
    assert exchange_of_fields(simple(sampling=odd), HOME).sampling == replace(GREEDY, top_k=7, stop=("END",))
    assert exchange_of_fields(simple(sampling={"stop": "END"}), HOME).sampling == GREEDY


def test_an_adapter_of_the_run_is_written_relative_to_it_and_moves_with_it() -> None:
    inside, outside = Voice("m", HOME / "adapters" / "a"), Voice("m", Path("/else/a"))
    assert voice_fields(inside, HOME)["adapter"] == "adapters/a"
    assert voice_of_fields(voice_fields(inside, HOME), Path("/moved")).adapter == Path("/moved/adapters/a")
    assert voice_of_fields(voice_fields(outside, HOME), Path("/moved")).adapter == Path("/else/a")
    assert voice_fields(Voice("m", Path("/runs/players-2/a")), HOME)["adapter"] == "/runs/players-2/a"


# -- ends -------------------------------------------------------------------------------------------------------------
def ended(**changes: Any) -> Answer:
    answer = Answer(Voice("m"), text="as streamed", state=AnswerState.RUNNING)
    end_answer(answer, {"state": "done", **changes})
    return answer


@pytest.mark.parametrize("whole", [False, True])
def test_an_answer_that_ended_comes_back_with_its_figures(whole: bool) -> None:
    reply = ChatReply("Ana.", 12, 3, 45.5, "length", 0.25, 4, 4096, 10**9, [7, 8, 9], plain=True)
    exchange = Exchange(4, 3, "?", [Answer(Voice("m")), Answer(Voice("m"), "Ana.", AnswerState.STOPPED, reply, "why")])
    line = json.loads(json.dumps(ended_fields(exchange, 1, replace=whole)))
    assert ("text" in line) == whole and (number_in(line, "exchange"), number_in(line, "answer")) == (4, 1)
    answer = Answer(Voice("m"), text="Ana.")
    end_answer(answer, line)
    assert (answer.state, answer.text, answer.reply, answer.problem) == (AnswerState.STOPPED, "Ana.", reply, "why")


def test_a_figure_that_was_not_finite_is_read_as_none() -> None:
    reply = ended(reply={"tokens_per_second": None, "tokens": 3}).reply
    assert reply is not None and (reply.tokens_per_second, reply.tokens, reply.text) == (0.0, 3, "as streamed")


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "running"}, {"state": "odd"}, {"state": None}, {"text": 7}, {"problem": []}, {"reply": []},
        {"reply": {"tokens": -1}}, {"reply": {"tokens": 1.5}}, {"reply": {"tokens_per_second": "9"}},
        {"reply": {"tokens_per_second": True}}, {"reply": {"time_to_first_token": math.inf}}, {"reply": {"plain": 0}},
        {"reply": {}, "token_ids": "7"}, {"reply": {}, "token_ids": [7, None]},
    ],
    ids=str,
)  # fmt: skip
def test_an_end_that_does_not_fit_changes_nothing(changes: dict[str, Any]) -> None:
    answer = Answer(Voice("m"), text="so far", state=AnswerState.RUNNING)
    with pytest.raises(REFUSALS):
        end_answer(answer, {"state": "done", **changes})
    assert (answer.text, answer.state, answer.reply, answer.problem) == ("so far", AnswerState.RUNNING, None, "")


def test_a_vote_is_for_a_column_that_is_there_for_none_or_taken_back() -> None:
    exchange = Exchange(1, 0, "?", [Answer(Voice("m")), Answer(Voice("n"))])
    assert [vote_of({"vote": vote}, exchange) for vote in (0, 1, -1, None)] == [
        (0, False), (1, False), (-1, False), (None, False),
    ]  # fmt: skip
    assert vote_of({"vote": 1, "blind": True}, exchange) == (1, True)
    for line in ({"vote": 2}, {"vote": -2}, {"vote": True}, {"vote": "1"}, {"vote": 1, "blind": 1}, {}):
        with pytest.raises(REFUSALS):
            vote_of(line, exchange)
    with pytest.raises(TypeError):
        text_in({"title": 7}, "title")
