"""A good exchange becomes a row that can be trained on, a probe, or a behaviour test that its own answer passes."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.chat.conversation import Answer, AnswerState, Conversation, Exchange
from tui_tuner.chat.harvest import (
    append_row,
    case_of,
    kind_of_run,
    rows_file,
    suggested_rules,
    training_row,
    with_case,
    with_probe,
)
from tui_tuner.chat.voices import Voice
from tui_tuner.config.behaviour_section import BehaviourCase
from tui_tuner.config.model import Experiment
from tui_tuner.data.source import read_jsonl
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.rules import broken

BASE, TUNED = Voice("m"), Voice("m", Path("a"))
EXPERIMENT = Experiment.model_validate({"model": {"path": "m"}, "data": {"source": "d"}})


def said(*texts: str) -> list[Answer]:
    return [Answer(voice, text, AnswerState.DONE) for voice, text in zip((BASE, TUNED), texts, strict=False)]


@pytest.fixture
def talk() -> Conversation:
    conversation = Conversation()
    conversation.add(Exchange(1, 0, "Who scored?", said("Bo.", "Ana."), "Be brief."))
    conversation.add(Exchange(2, 1, "How often?", said("Twice.", "3 times."), "Be brief."))
    conversation.add(Exchange(3, 2, "And when?", said("Never.", ""), memory=False))
    return conversation


# -- rows -------------------------------------------------------------------------------------------------------------
def test_a_row_is_what_the_voice_was_told_and_said(talk: Conversation) -> None:
    assert training_row(talk, talk.exchanges[2], 1) == {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Who scored?"},
            {"role": "assistant", "content": "Ana."},
            {"role": "user", "content": "How often?"},
            {"role": "assistant", "content": "3 times."},
        ]
    }
    last = talk.exchanges[3]
    assert training_row(talk, last, 0, "completion") == {"prompt": "And when?", "completion": "Never."}
    assert training_row(talk, last, 1, "completion", "At last.") == {"prompt": "And when?", "completion": "At last."}
    assert training_row(talk, last, 0, "text") == {"text": "And when?Never."}


@pytest.mark.parametrize(
    ("number", "column", "kind", "words"),
    [
        (2, 0, "completion", "room for one question"),
        (1, 0, "text", "room for one question"),
        (3, 1, "chat", "empty"),
        (3, 1, "completion", "empty"),
    ],
)
def test_what_is_no_row_is_refused(talk: Conversation, number: int, column: int, kind: Any, words: str) -> None:
    with pytest.raises(TunerError, match=words) as caught:
        training_row(talk, talk.exchanges[number], column, kind)
    assert caught.value.code == "bad-row"


def test_rows_have_the_shape_of_the_runs(tmp_path: Path) -> None:
    assert kind_of_run(tmp_path) == "chat"
    for line, kind in (('{"prompt":"a","completion":"b"}', "completion"), ('{"text":"a"}', "text"), ("[]", "chat")):
        (tmp_path / "train.jsonl").write_text(line + "\n")
        assert kind_of_run(tmp_path) == kind
    assert rows_file(tmp_path, "text") == tmp_path / "chats" / "rows" / "text.jsonl"


def test_a_row_is_added_once_and_nothing_else_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    row = {"prompt": "Wer?\n", "completion": "Ána \u2028"}
    assert append_row(path, row) and not append_row(path, row)
    assert append_row(path, {**row, "completion": "Bo"})
    assert read_jsonl(path).rows == [row, {**row, "completion": "Bo"}]
    written = '\ufeff{ "prompt": "a",  "completion": "b", "mine": 1 }\n\n{"completion": "d", "prompt": "c"}'
    path.write_text(written)
    assert not append_row(path, {"prompt": "a", "completion": "b"})
    assert not append_row(path, {"prompt": "c", "completion": "d"})
    assert append_row(path, {"prompt": "e", "completion": "f"})
    assert path.read_text() == written + '\n{"prompt":"e","completion":"f"}\n'


@given(rows=st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), max_size=6))
def test_what_is_added_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    for prompt, completion in rows:
        append_row(path, {"prompt": prompt, "completion": completion})
    lines = path.read_bytes().split(b"\n")[:-1] if rows else []
    found = [json.loads(line) for line in lines]
    assert [(row["prompt"], row["completion"]) for row in found] == list(dict.fromkeys(rows))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.json", "[]", "not called .jsonl"),
        ("rows.jsonl", "hello\n", "rows.jsonl:1: is no JSON"),
        ("rows.jsonl", '{"prompt":"a","completion":"b"}\n{"text":"a"}\n', "rows.jsonl:2: is no completion row"),
        ("rows.jsonl", "\xff", "is no JSON"),
    ],
)
def test_a_file_of_another_kind_is_left_alone(tmp_path: Path, name: str, content: str, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(TunerError) as caught:
        append_row(path, {"prompt": "c", "completion": "d"})
    assert words in caught.value.sentence() and caught.value.code == "bad-rows-file"
    assert path.read_bytes() == content.encode("latin-1")


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    append_row(path, {"prompt": "a", "completion": "b"})
    before = path.read_bytes()
    real = os.write
    calls = []

    def write(descriptor: int, data: Any) -> int:
        calls.append(data)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, bytes(data)[:5])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(TunerError) as caught:
        append_row(path, {"prompt": "c", "completion": "d"})
    assert caught.value.code == "no-space" and len(calls) == 2
    assert path.read_bytes() == before


# -- probes and tests -------------------------------------------------------------------------------------------------
def test_a_question_becomes_a_probe_once(talk: Conversation) -> None:
    changed = with_probe(EXPERIMENT, talk.exchanges[1])
    assert changed.probes.prompts == ["Who scored?"] and EXPERIMENT.probes.prompts == []
    assert with_probe(changed, talk.exchanges[1]) is changed
    half = Exchange(1, 0, "\ud800", said("a"))
    for refused in (lambda: with_probe(EXPERIMENT, half), lambda: case_of(EXPERIMENT, half, 0)):
        with pytest.raises(TunerError):
            refused()


def test_an_exchange_becomes_a_behaviour_test(talk: Conversation) -> None:
    case = case_of(EXPERIMENT, talk.exchanges[2], 1)
    assert case == BehaviourCase(name="How often", prompt="How often?", system="Be brief.", must=["3 times"])
    changed = with_case(EXPERIMENT, case)
    assert changed.behaviour.cases == [case] and with_case(changed, case) is changed
    second = case_of(changed, talk.exchanges[2], 0, "Four times at least, said Maria of Lund, in 2021 alone.")
    assert (second.name, second.must) == ("How often 2", ["2021", "Maria", "Lund"])
    assert len(with_case(changed, second).behaviour.cases) == 2
    for nothing in ("", " ?! \n"):
        with pytest.raises(TunerError) as caught:
            case_of(EXPERIMENT, talk.exchanges[2], 1, nothing)
        assert caught.value.code == "no-rule"


def test_an_answer_in_json_is_held_to_its_keys() -> None:
    rules = suggested_rules("Give me JSON.", '{"name": "Ana", "goals": 3}')
    assert rules == {"valid_json": True, "keys": ["name", "goals"]}
    assert suggested_rules("Give me JSON.", '{"name": NaN}') == {"must": ["NaN"]}


def test_reasoning_is_no_rule() -> None:
    assert suggested_rules("Who?", "<think>Perhaps Bo?</think>\nAna.") == {"must": ["Ana"]}


PIECES = "Ana scored 12 1,203 3.5 Über ß the re: number: x* _ { ."
WORDS = st.sampled_from([*PIECES.split(), "\n"])
ANSWERS = st.one_of(st.lists(WORDS, max_size=15).map(" ".join), st.lists(WORDS, max_size=9).map("".join), st.text())


@given(question=st.text(max_size=30), answer=ANSWERS)
def test_an_answer_keeps_to_the_rules_that_it_suggests(question: str, answer: str) -> None:
    exchange = Exchange(1, 0, question, said(answer))
    if not question.strip() or not suggested_rules(question, answer):
        return
    assert broken(case_of(EXPERIMENT, exchange, 0), answer) == []
