"""Kept conversations are listed, found, searched, exported, renamed and deleted, whatever lies beside them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.chat.conversation import Answer, AnswerState, Conversation, Exchange
from tui_tuner.chat.export import as_markdown
from tui_tuner.chat.library import ChatSummary, delete, find_chat, list_chats, rename, search, votes_in
from tui_tuner.chat.reply import ChatReply
from tui_tuner.chat.sampling import Sampling
from tui_tuner.chat.transcript import Kept, Transcript, read
from tui_tuner.chat.voices import Voice
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder

BASE, TUNED = Voice("m", None, "base"), Voice("m", Path("/a"), "adapter")


def talk(folder: Path, *questions: str, minute: int = 0, answer: str = "Yes.", vote: int | None = None) -> Path:
    moment = datetime(2026, 3, 4, 5, minute)
    transcript = Transcript.create(folder, model="m", now=moment, clock=moment.timestamp)
    conversation = Conversation()
    for question in questions:
        answers = [Answer(voice, answer, AnswerState.DONE) for voice in (BASE, TUNED)]
        transcript.asked(
            conversation.add(Exchange(conversation.next_number, conversation.at, question, answers, vote=vote))
        )
    assert transcript.close() and transcript.path is not None
    return transcript.path


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def run(runs: Path) -> RunFolder:
    return RunFolder.create(runs, "players")


def test_all_conversations_are_listed_the_latest_first(runs: Path, run: RunFolder) -> None:
    assert list_chats(runs) == []
    talk(run.chats, "Who scored\nmost?", "Why?", minute=1, vote=1)
    talk(runs / "chats", "Hello " * 40, minute=2)
    first, second = list_chats(runs)
    assert (first.run, first.exchanges, first.title[:12], len(first.title)) == ("", 1, "Hello Hello ", 80)
    assert (second.run, second.title, second.exchanges, second.named) == (run.name, "Who scored most?", 2, False)
    assert (second.voices, second.model, len(second.ballots)) == (("base", "adapter"), "m", 2)
    (pair,) = votes_in([first, second])
    assert (pair.first, pair.second, pair.named.wins) == (TUNED, BASE, 2)
    assert (second.name, second.created) == ("20260304-050100", datetime(2026, 3, 4, 5, 1).timestamp())
    assert [chat.run for chat in list_chats(runs, run)] == [run.name]


def test_whatever_lies_beside_them_is_no_trouble(runs: Path, run: RunFolder) -> None:
    good = talk(run.chats, "Hi")
    (run.chats / "rows.jsonl").write_text('{"prompt": "a"}\n')
    (run.chats / "20260304-050607.jsonl").mkdir()
    (run.chats / "empty.jsonl").touch()
    (run.chats / "20260304-050608.torn").touch()
    (run.chats / "gone.jsonl").symlink_to("nowhere")
    (runs / "a file").touch()
    (runs / "bad").mkdir()
    (runs / "bad" / "chats").touch()
    found = {chat.path.name: chat.problem for chat in list_chats(runs)}
    assert found == {
        good.name: "",
        "rows.jsonl": "is no transcript",
        "20260304-050607.jsonl": "cannot be read (Is a directory)",
        "empty.jsonl": "",
        "gone.jsonl": "cannot be read (No such file or directory)",
    }
    with pytest.raises(TunerError, match="is no transcript"):
        rename(run.chats / "rows.jsonl", "x")
    assert list(search("a", [ChatSummary(run.chats / "nothing.jsonl")])) == []


def test_what_changed_is_read_again(runs: Path) -> None:
    path = talk(runs / "chats", "Hi")
    assert list_chats(runs)[0].title == "Hi"
    rename(path, "  Greetings ")
    assert (list_chats(runs)[0].title, list_chats(runs)[0].named) == ("Greetings", True)
    rename(path, "")
    assert list_chats(runs)[0].title == "Hi"


def test_a_conversation_is_found_by_what_one_calls_it(runs: Path, run: RunFolder) -> None:
    first, second = talk(run.chats, "a", minute=1), talk(runs / "chats", "b", minute=2)
    chats = list_chats(runs)
    assert find_chat("last", chats).path == second
    assert find_chat("20260304-0501", chats).path == first
    assert find_chat(first, []).run == run.name
    for name, words in (("20260304", "2 conversations begin with"), ("x", "there is no"), ("", "there is no")):
        with pytest.raises(TunerError, match=words) as caught:
            find_chat(name, chats)
        assert caught.value.usage


def test_words_are_looked_for_in_all_of_it(runs: Path, run: RunFolder) -> None:
    talk(run.chats, "Who scored most?", "And the\nlast one?", minute=1, answer="x " * 100 + "Ána Müller.")
    titled = talk(runs / "chats", "Hello", minute=2)
    rename(titled, "About goals")
    chats = list_chats(runs)
    hits = list(search("müller SCORED", chats))
    assert [(hit.chat.run, hit.exchange) for hit in hits] == [(run.name, 1)]
    assert hits[0].excerpt.endswith("x Ána Müller.") and hits[0].excerpt.startswith("…")
    assert hits[0].excerpt[hits[0].at : hits[0].at + hits[0].length] == "Müller"
    (hit,) = search("the last", chats)
    assert (hit.exchange, hit.excerpt) == (2, "And the last one?")
    (hit,) = search("goals", chats)
    assert (hit.exchange, hit.excerpt) == (0, "About goals")
    assert list(search("scored nobody", chats)) == list(search("  ", chats)) == []


def test_what_is_going_on_is_neither_renamed_nor_deleted(runs: Path) -> None:
    path = talk(runs / "chats", "Hi")
    going_on = Transcript.resume(read(path))
    actions: list[Callable[[], None]] = [lambda: rename(path, "x"), lambda: delete(path)]
    for action in actions:
        with pytest.raises(TunerError) as caught:
            action()
        assert caught.value.code == "transcript-busy"
    going_on.close()
    path.with_suffix(".torn").touch()
    delete(path)
    assert list((runs / "chats").iterdir()) == []
    with pytest.raises(TunerError) as caught:
        delete(path)
    assert caught.value.code == "not-found"


# -- Markdown ---------------------------------------------------------------------------------------------------------
def test_a_conversation_reads_as_markdown() -> None:
    conversation = Conversation()
    reply = ChatReply("Ana.", 10, 2, 30.0, "length", 0.1)
    answers = [Answer(BASE, "Ana.", AnswerState.DONE, reply), Answer(TUNED, "Bo", AnswerState.STOPPED)]
    conversation.add(
        Exchange(1, 0, "Who?", answers, "Be brief.", Sampling(temperature=0.7), reference="Bo", source="test 3", vote=1)
    )
    failed = Answer(BASE, "", AnswerState.FAILED, problem="The prompt is too long.")
    conversation.add(Exchange(2, 1, "Why?", [failed], "Be brief.", memory=False))
    conversation.go(1)
    kept = Kept(Path("x.jsonl"), conversation, "Of *players*", "m", datetime(2026, 3, 4, 5, 6).timestamp())
    assert as_markdown(kept) == (
        "# Of \\*players\\*\n\n2026-03-04 05:06 · m\n\n"
        "## 1\n\n**System**\n\n```text\nBe brief.\n```\n\n"
        "**Question** · from test 3 · temperature 0.7\n\n```text\nWho?\n```\n\n"
        "**Reference**\n\n```text\nBo\n```\n\n"
        "**base** · 2 tokens · 30.0 a second · cut at the cap on tokens\n\n```text\nAna.\n```\n\n"
        "**adapter** · stopped\n\n```text\nBo\n```\n\n✓ found better\n\n"
        "# Other branches\n\n## 2 (after 1)\n\n"
        "**Question** · without what came before\n\n```text\nWhy?\n```\n\n"
        "**base**\n\nIt failed: The prompt is too long.\n"
    )
    assert "Other" not in as_markdown(kept, branches=False)


HOSTILE = st.text(st.sampled_from("`~\n\r#<>[]()!&*_\\ a\x1b\x07\x9b\u202e\ud800"), max_size=40)


@given(question=HOSTILE, answer=HOSTILE, label=HOSTILE, title=HOSTILE)
def test_nothing_breaks_out_of_its_block(question: str, answer: str, label: str, title: str) -> None:
    conversation = Conversation()
    voice = Voice("m", None, label)
    conversation.add(Exchange(1, 0, question, [Answer(voice, answer, AnswerState.DONE)]))
    document = as_markdown(Kept(Path("x"), conversation, title, label))
    document.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", document)
    outside, fence = [], ""
    for line in document.split("\n"):
        if fence:
            # CommonMark: a block ends with a fence as long as its own, or longer, and nothing else in the line.
            if re.fullmatch(rf" {{0,3}}{fence}`*\s*", line):
                fence = ""
        elif begun := re.fullmatch(r"(`{3,})text", line):
            fence = begun[1]
        else:
            outside.append(line)
    assert not fence
    assert [line for line in outside if line.startswith("#")][-1] == "## 1"
    told = "\n".join(outside)
    assert "<" not in told and not re.search(r"(?<!\\)(?:\\\\)*[\[\]`]", told)
