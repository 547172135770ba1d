"""Conversations that are written as they happen, and what they hold."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.chat.conversation import Answer, AnswerState, Conversation, Exchange
from tui_tuner.chat.reply import ChatReply
from tui_tuner.chat.sampling import Sampling
from tui_tuner.chat.transcript import Transcript
from tui_tuner.chat.voices import Voice

BASE = Voice("embedded:phi3-tiny", None, "base")


def until(true: Callable[[], object]) -> None:
    """Waits for the writing thread; a minute is as good as never."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        os.sched_yield()


def reply_of(text: str) -> ChatReply:
    return ChatReply(text, 12, 3, 45.5, "stop", 0.25, 4, 4096, 1_000_000, [7, 8, 9])


def asking(number: int, parent: int, question: str, answers: list[Answer]) -> Exchange:
    return Exchange(number, parent, question, answers, asked=1_700_000_000.0 + number)


def answered(exchange: Exchange, *texts: str) -> Exchange:
    for answer, text in zip(exchange.answers, texts, strict=True):
        answer.text, answer.state, answer.reply = text, AnswerState.DONE, reply_of(text)
    return exchange


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run" / "chats").mkdir(parents=True)
    return tmp_path / "run"


@pytest.fixture
def talk(run: Path) -> Iterator[tuple[Transcript, Conversation]]:
    transcript = Transcript.create(run / "chats", model=BASE.model)
    yield transcript, Conversation()
    transcript.close()


def lead(transcript: Transcript, talk: Conversation, tuned: Voice) -> None:
    """A conversation in which everything happens."""
    sampling = Sampling(temperature=0.7, seed=3, stop=("\n\n", "END"))
    first = talk.add(
        Exchange(1, 0, "Who are you?", [Answer(BASE), Answer(tuned)], "Be brief.", sampling, asked=1_700_000_000.0)
    )
    first.reference, first.source = "A model.", "test 12"
    transcript.asked(first)
    for text in ("I am", " a model. And", " more"):
        first.answers[0].text += text
        first.answers[0].state = AnswerState.RUNNING
        transcript.said(first)
    answered(first, "I am a model. And more.", "Nobody\ud800.")
    transcript.said(first)
    first.vote, first.blind = 1, True
    transcript.voted(first)
    second = talk.add(Exchange(2, 1, "Why?", [Answer(BASE)], memory=False, plain=True))
    second.asked = 1_700_000_100.0
    transcript.asked(second)
    second.answers[0].state, second.answers[0].problem = AnswerState.FAILED, "It failed."
    transcript.ended(second)
    talk.go(1)
    transcript.moved(1)
    transcript.titled("Who it is")


def plain(talk: Conversation) -> list[Any]:
    """All that a conversation holds, to compare."""
    told = [
        {**vars(exchange), "answers": [(vars(answer), answer.voice.label) for answer in exchange.answers]}
        for exchange in talk.exchanges.values()
    ]
    return [talk.at, *told]
