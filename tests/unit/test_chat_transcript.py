"""A conversation is in its file as it happens, and comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.transcripts import BASE, answered, asking, lead, plain, run, talk, until
from tui_tuner.chat import scribe as scribing
from tui_tuner.chat.conversation import Answer, AnswerState, Conversation, Exchange
from tui_tuner.chat.transcript import Transcript, read
from tui_tuner.chat.voices import Voice
from tui_tuner.errors import TunerError

__all__ = ["run", "talk"]


def test_everything_comes_back(talk: tuple[Transcript, Conversation], run: Path) -> None:
    transcript, conversation = talk
    lead(transcript, conversation, Voice(BASE.model, run / "adapters", "adapter · run"))
    assert transcript.close()
    assert transcript.path is not None
    kept = read(transcript.path)
    assert plain(kept.conversation) == plain(conversation)
    assert (kept.title, kept.model, kept.skipped, kept.torn, kept.problem) == ("Who it is", BASE.model, 0, False, "")
    assert kept.created == 1_700_000_000.0
    assert kept.changed > kept.created


def test_nothing_is_made_before_the_first_question(talk: tuple[Transcript, Conversation], run: Path) -> None:
    transcript, _ = talk
    transcript.moved(0)
    assert transcript.close()
    assert (transcript.path, list((run / "chats").iterdir())) == (None, [])


def test_a_name_that_is_taken_gets_a_number(run: Path) -> None:
    from datetime import datetime

    paths = []
    for _ in range(2):
        transcript = Transcript.create(run / "chats", now=datetime(2026, 3, 4, 5, 6, 7))
        transcript.asked(Exchange(1, 0, "Hi", [Answer(BASE)]))
        assert transcript.close()
        paths.append(transcript.path)
    assert paths == [run / "chats" / name for name in ("20260304-050607.jsonl", "20260304-050607-2.jsonl")]


def test_a_run_that_is_moved_keeps_its_voices(talk: tuple[Transcript, Conversation], run: Path) -> None:
    transcript, _ = talk
    voices = [Voice("m", run / "adapters"), Voice("m", Path("/elsewhere/a.safetensors")), Voice("m")]
    transcript.asked(Exchange(1, 0, "Hi", [Answer(voice) for voice in voices]))
    assert transcript.close() and transcript.path is not None
    run.rename(run.with_name("moved"))
    kept = read(run.with_name("moved") / "chats" / transcript.path.name)
    found = [answer.voice.adapter for answer in kept.conversation.exchanges[1].answers]
    assert found == [run.with_name("moved") / "adapters", Path("/elsewhere/a.safetensors"), None]


def test_a_sentence_is_written_when_it_ends_and_the_rest_a_second_later(
    talk: tuple[Transcript, Conversation], monkeypatch: pytest.MonkeyPatch
) -> None:
    transcript, _ = talk
    monkeypatch.setattr(scribing, "HOLD", 1_000_000.0)
    exchange = Exchange(1, 0, "Hi", [Answer(BASE)])
    transcript.asked(exchange)
    exchange.answers[0].text = "One. Two"
    transcript.said(exchange)

    def there() -> str:
        exchanges = read(transcript.path).conversation.exchanges if transcript.path else {}
        return exchanges[1].answers[0].text if exchanges else ""

    until(lambda: there() == "One.")
    monkeypatch.setattr(scribing, "HOLD", 0.0)
    exchange.answers[0].text = "One. Two th"
    transcript.said(exchange)
    until(lambda: there() == "One. Two th")


def test_text_without_an_end_is_written_although_nothing_follows(
    talk: tuple[Transcript, Conversation], monkeypatch: pytest.MonkeyPatch
) -> None:
    transcript, _ = talk
    monkeypatch.setattr(scribing, "HOLD", 0.05)
    exchange = Exchange(1, 0, "Hi", [Answer(BASE)])
    transcript.asked(exchange)
    assert transcript.flush()  # so that the thread has nothing left to do, and waits
    exchange.answers[0].text = "One and"
    transcript.said(exchange)
    path = transcript.path
    assert path is not None
    until(lambda: read(path).conversation.exchanges[1].answers[0].text == "One and")


def test_a_text_that_ends_otherwise_than_it_came_is_replaced(talk: tuple[Transcript, Conversation]) -> None:
    transcript, _ = talk
    exchange = Exchange(1, 0, "Hi", [Answer(BASE)])
    transcript.asked(exchange)
    exchange.answers[0].text = "Well. EN"
    transcript.said(exchange)
    answered(exchange, "Well.")
    transcript.said(exchange)
    assert transcript.flush() and transcript.path is not None
    assert read(transcript.path).conversation.exchanges[1].answers[0].text == "Well."


def test_what_had_not_ended_is_stopped_and_can_be_gone_on_from(talk: tuple[Transcript, Conversation]) -> None:
    transcript, _ = talk
    exchange = asking(1, 0, "Hi", [Answer(BASE), Answer(replace(BASE, adapter=Path("/a")))])
    transcript.asked(exchange)
    exchange.answers[0].text = "Half a sent"
    transcript.said(exchange)
    assert transcript.close() and transcript.path is not None
    kept = read(transcript.path)
    states = [(answer.text, answer.state) for answer in kept.conversation.exchanges[1].answers]
    assert states == [("Half a sent", AnswerState.STOPPED), ("", AnswerState.STOPPED)]
    again = Transcript.resume(kept)
    again.said(kept.conversation.exchanges[1])
    again.asked(kept.conversation.add(answered(asking(2, 1, "Go on", [Answer(BASE)]), "Fine.")))
    assert again.close()
    later = read(transcript.path)
    assert plain(later.conversation) == plain(kept.conversation)


def test_a_file_that_is_being_written_is_not_taken_up(talk: tuple[Transcript, Conversation]) -> None:
    transcript, _ = talk
    transcript.asked(Exchange(1, 0, "Hi", [Answer(BASE)]))
    assert transcript.flush() and transcript.path is not None
    with pytest.raises(TunerError) as caught:
        Transcript.resume(read(transcript.path))
    assert caught.value.code == "transcript-busy"
    transcript.close()
    Transcript.resume(read(transcript.path)).close()


def test_a_conversation_led_elsewhere_is_taken_whole(talk: tuple[Transcript, Conversation], run: Path) -> None:
    transcript, conversation = talk
    lead(transcript, conversation, Voice("m", run / "adapters"))
    copy = Transcript.create(run.parent / "chats")
    copy.take(conversation, "A copy")
    assert copy.close() and copy.path is not None
    kept = read(copy.path)
    assert plain(kept.conversation) == plain(conversation)
    assert kept.title == "A copy"
