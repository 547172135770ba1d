"""Kept conversations are listed, shown, searched, exported and counted by command."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.commands import Tuner, tuner
from tests.ui.fakes import RunBuilder
from tui_tuner.chat.conversation import Answer, AnswerState, Conversation, Exchange
from tui_tuner.chat.sampling import GREEDY
from tui_tuner.chat.transcript import Transcript
from tui_tuner.chat.voices import Voice
from tui_tuner.cli import chatting, headless
from tui_tuner.cli.output import opened

__all__ = ["tuner"]


def kept(folder: Path, *questions: str, vote: int | None = None, blind: bool = False) -> str:
    moment = datetime(2026, 3, 4, 5, 6, len(questions))
    transcript = Transcript.create(folder, model="m", now=moment, clock=moment.timestamp)
    talk = Conversation()
    for question in questions:
        answers = [
            Answer(voice, "Ana \x1b[31mscored.", AnswerState.DONE)
            for voice in (Voice("m", None, "base"), Voice("m", folder.parent / "adapters", "adapter"))
        ]
        transcript.asked(talk.add(Exchange(talk.next_number, talk.at, question, answers, vote=vote, blind=blind)))
    assert transcript.close() and transcript.path is not None
    return transcript.path.stem


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A run with a conversation, which the runs' own folder has another one beside."""
    folder = RunBuilder(tmp_path, "players").prepared().folder
    kept(folder.chats, "Who scored?", "Why?", vote=1, blind=True)
    kept(tmp_path / "chats", "Hello")
    return folder.name


def test_nothing_kept_is_said(tuner: Tuner) -> None:
    assert "no conversations yet" in tuner("chats").out
    assert tuner("chats", "--json").document == []
    assert tuner("chats", "--votes").out.startswith("no votes yet")


def test_conversations_are_listed(tuner: Tuner, run: str) -> None:
    lines = tuner("chats").out.splitlines()
    assert lines[0].split() == ["20260304-050602", run, "Who", "scored?", "(2", "questions,", "2", "votes)"]
    assert lines[1].split() == ["20260304-050601", "Hello", "(1", "question)"]
    found = tuner("chats", "--json").document
    assert [(each["run"], each["exchanges"], each["votes"]) for each in found] == [(run, 2, 2), ("", 1, 0)]
    assert [each["title"] for each in tuner("chats", "--run", "last", "--json").document] == ["Who scored?"]
    assert found[0]["voices"] == ["base", "adapter"]


def test_one_is_shown(tuner: Tuner, run: str) -> None:
    said = tuner("chats", "last").out
    assert said.startswith("# Who scored?\n") and "\n## 2\n" in said and "found better" in said
    document = tuner("chats", "20260304-050601", "--json").document
    assert (document["title"], document["at"], document["conversation"][0]["question"]) == ("Hello", 1, "Hello")
    assert document["conversation"][0]["answers"][1]["voice"] == "adapter"
    said_wrong = tuner("chats", "2026")
    assert said_wrong.status == 2 and "2 conversations begin" in said_wrong.err


def test_words_are_found(tuner: Tuner, run: str) -> None:
    assert tuner("chats", "--search", "WHO ana").out.startswith(f"20260304-050602  {run}  question 1: Who scored?")
    assert [each["exchange"] for each in tuner("chats", "--search", "ana", "--json").document] == [1, 2, 1]
    assert "none of 2" in tuner("chats", "--search", "nobody").out


def test_one_is_written_as_markdown(tuner: Tuner, run: str, tmp_path: Path) -> None:
    path = tmp_path / "chat.md"
    assert "wrote" in tuner("chats", "last", "--export", str(path)).out
    text = path.read_text("utf-8")
    assert text.startswith("# Who scored?\n") and "\x1b" not in text and "␛[31mscored." in text
    path.write_text("mine")
    said = tuner("chats", "last", "--export", str(path))
    assert said.status == 2 and "--force" in said.err and path.read_text() == "mine"
    assert tuner("chats", "last", "--export", str(path), "--force", "--json").document["file"] == str(path)
    assert path.read_text("utf-8") == text
    assert tuner("chats", "--export", str(path)).status == 2


def test_votes_are_summed_up(tuner: Tuner, run: str) -> None:
    assert tuner("chats", "--run", run, "--votes").out == (
        "adapter won 2 of 2 blind votes against base (100 %, 95 % interval 34 % to 100 %; 0 draws; p 0.50):"
        " no measurable difference; fewer than 6 that decide can never show one.\n"
    )
    (pair,) = tuner("chats", "--votes", "--json").document
    assert (pair["first"]["name"], pair["blind"]["wins"], pair["named"]["n"], pair["all"]["n"]) == ("adapter", 2, 0, 2)
    assert tuner("chats", "--votes", "--search", "x").status == 2


@pytest.mark.parametrize(("finish", "status"), [("stop", 0), ("length", 0), ("stopped", 1)])
def test_an_answer_that_was_stopped_is_no_success(
    finish: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened() as output:
        asker = chatting._Asker(output, [], GREEDY, plain=False, logprobs=False, reference=None)
        monkeypatch.setattr(headless, "one_engine", nullcontext)
        monkeypatch.setattr(asker, "_answer", lambda engine, voice: {"finish": finish, "tokens": 3})
        voices = [Voice("m", None, label) for label in ("one", "two")]
        assert asker.ask(voices[0]) == asker.compare(voices) == status
    said = capsys.readouterr()
    assert said.err == "stopped after 3 tokens; the same command asks anew\n" * (2 * status)
    assert ("two" in said.out) == (status == 0)  # who stops one asks no other
