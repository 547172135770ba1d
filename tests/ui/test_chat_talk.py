"""Talking: editing, asking again, undoing and branches; the input's history and long texts; the context's end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine
from tests.ui.looking import shown, until
from tests.ui.test_chat_screen import BASE, TUNED, field, reply, turns
from tests.ui.workshop import experiment, open_mode
from tui_tuner.chat.conversation import AnswerState
from tui_tuner.chat.reply import ChatReply
from tui_tuner.chat.sampling import Sampling
from tui_tuner.chat.transcript import read
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import ChatTogether, ChatTurn, CountTokens
from tui_tuner.engine.results import ContextUse
from tui_tuner.errors import TunerError
from tui_tuner.ui.inputhistory import InputHistory
from tui_tuner.ui.widgets.chat_session import ChatSession, Question, next_seed


def answering(handle: JobHandle) -> None:
    """Answers every turn at once, with its number."""
    if isinstance(handle.request, ChatTurn):
        handle.result = ChatReply(f"answer {handle.id}", 10, 3, 9.0, "stop", 0.1, context=64)
        handle.status = JobStatus.DONE


def asked(engine: FakeEngine) -> list[list[str]]:
    """What was sent with every turn."""
    return [[message["content"] for message in handle.request.messages] for handle in turns(engine)]


async def said(pilot: Pilot[Any], *texts: str) -> None:
    """Asks and has the answers come."""
    for text in texts:
        before = len(pilot.app.screen.session.conversation.exchanges)  # type: ignore[attr-defined]
        await pilot.press(*text, "enter")
        session = pilot.app.screen.session  # type: ignore[attr-defined]
        await until(pilot, lambda: len(session.conversation.exchanges) == before + 1 and not session.busy)  # noqa: B023


# -- the session, without a screen ----------------------------------------------------------------------------------


def talk(*questions: str) -> tuple[ChatSession, FakeEngine]:
    engine = FakeEngine(answering)
    session = ChatSession(engine)
    for question in questions:
        session.ask(Question(question, [BASE]))
        session.poll()
    return session, engine


def test_an_edited_question_takes_the_place_of_the_old_one() -> None:
    session, engine = talk("one", "two")
    session.ask(Question("TWO", [BASE]), after=1)
    session.poll()
    assert asked(engine)[-1] == ["one", "answer 1", "TWO"]
    assert [each.question for each in session.exchanges] == ["one", "TWO"]
    assert [each.question for each in session.siblings()] == ["two", "TWO"]
    assert session.branch().question == "two" and session.branch().question == "TWO"


def test_undo_and_redo_go_back_and_forth_and_a_question_ends_that() -> None:
    session, _ = talk("one", "two", "three")
    assert session.undo().question == "three" and session.undo().question == "two"
    assert session.redo().question == "two" and session.undone
    session.ask(Question("other", [BASE]))
    session.poll()
    assert not session.undone and [each.question for each in session.exchanges] == ["one", "two", "other"]
    with pytest.raises(TunerError, match="nothing to redo"):
        session.redo()


def test_again_stands_beside_and_keeps_its_manner() -> None:
    session, engine = talk("one")
    session.system = "Be kind."
    session.again(1, next_seed(Sampling(temperature=1, seed=4)), [BASE, TUNED])
    session.poll()
    requests = [handle.request for handle in turns(engine)[1:]]
    assert [request.sampling.seed for request in requests] == [5, 5] and asked(engine)[1] == ["one"]
    assert len(session.siblings()) == 2 and session.exchange().system == ""


def test_nothing_to_undo_or_to_branch_is_said() -> None:
    session, _ = talk()
    for act in (session.undo, session.redo, session.branch, session.exchange):
        with pytest.raises(TunerError) as caught:
            act()
        assert caught.value.code == "no-such-turn"


def test_together_is_one_job_with_an_answer_each() -> None:
    engine = FakeEngine()
    session = ChatSession(engine)
    session.together = True
    exchange = session.ask(Question("one", [BASE, TUNED]))
    (handle,) = engine.handles()
    assert isinstance(handle.request, ChatTogether)
    handle.request.turns[1].sink.write("half")
    assert [each.text for each in session.poll()] == ["", "half"]
    engine.end(handle, [reply("whole"), TunerError("does not fit", fix="take another")])
    session.poll()
    first, second = exchange.answers
    assert (first.text, first.state, second.state) == ("whole", AnswerState.DONE, AnswerState.FAILED)
    assert (second.text, second.problem) == ("half", "does not fit; take another.") and not session.busy


def test_all_that_happens_is_in_the_transcript(tmp_path: Path) -> None:
    engine = FakeEngine(answering)
    session = ChatSession(engine, lambda: tmp_path / "chats")
    assert session.path is None
    session.ask(Question("one", [BASE, TUNED], reference="right", source="test 3"))
    session.poll()
    session.exchange().vote = 1
    session.note_vote(session.exchange())
    session.ask(Question("two", [BASE]))
    session.poll()
    session.undo()
    session.name("A talk")
    session.flush()
    assert session.path is not None
    kept = read(session.path)
    first = kept.conversation.exchanges[1]
    assert (kept.title, kept.conversation.at, first.vote, first.reference) == ("A talk", 1, 1, "right")
    assert [answer.text for answer in first.answers] == ["answer 1", "answer 2"]
    session.clear()
    again = ChatSession(engine, lambda: tmp_path / "chats")
    again.reopen(read(kept.path))
    again.ask(Question("three", [BASE]))
    again.poll()
    again.close()
    assert [each.question for each in read(kept.path).conversation.path()] == ["one", "three"]


# -- the screen -----------------------------------------------------------------------------------------------------


async def test_a_question_is_edited_and_sent_anew_in_its_place(drive: Drive) -> None:
    engine = FakeEngine(answering)
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        app.screen.session.memory = True  # type: ignore[attr-defined]
        await said(pilot, "one", "two")
        await pilot.press("f3")
        await until(pilot, lambda: field(app).text == "two" and "Question 2, edited" in shown(app))
        await pilot.press("!")
        await said(pilot, "")
        assert asked(engine)[-1] == ["one", "answer 1", "two!"]
        await until(pilot, lambda: "two!" in shown(app) and "edited" not in shown(app))
        await pilot.press(*"/edit 1", "enter")
        await until(pilot, lambda: field(app).text == "one")
        await pilot.press("ctrl+u")
        await until(pilot, lambda: "edited" not in shown(app))
        await pilot.press(*"/edit 9", "enter")
        await until(pilot, lambda: "There is no exchange 9" in shown(app))


async def test_again_undo_redo_branch_and_clear_have_keys(drive: Drive) -> None:
    engine = FakeEngine(answering)
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        session = app.screen.session  # type: ignore[attr-defined]
        await said(pilot, "one")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: len(session.conversation.exchanges) == 2 and not session.busy)
        assert turns(engine)[1].request.sampling.seed == 1 and session.conversation.at == 2
        await pilot.press("escape", "n")
        await until(pilot, lambda: session.conversation.at == 1)
        await pilot.press("u")
        await until(pilot, lambda: session.exchanges == [] and field(app).text == "one")
        await pilot.press("U")
        await until(pilot, lambda: session.conversation.at == 1 and field(app).text == "")
        await pilot.press("ctrl+l")
        await until(pilot, lambda: "Nothing was said yet" in shown(app))
        assert session.conversation.exchanges == {}


async def test_history_goes_back_from_the_first_line_and_the_draft_comes_back(drive: Drive) -> None:
    engine = FakeEngine(answering)
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment(probes_prompts=[]))
        await said(pilot, "one", "two")
        await pilot.press(*"draft", "up")
        assert field(app).text == "two"
        await pilot.press("up", "up")
        assert field(app).text == "one"
        await pilot.press("down", "down")
        assert field(app).text == "draft"
        await pilot.press("shift+enter", "x", "up")
        assert field(app).text == "draft\nx" and field(app).cursor_location[0] == 0
        await pilot.press("up")
        assert field(app).text == "two"
    async with drive(engine=FakeEngine()) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment(probes_prompts=[]))
        await pilot.press("up")
        assert field(app).text == "two"  # kept from the session before


def test_the_history_file_holds_what_is_short_and_survives_damage(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = InputHistory(path)
    for text in ("one", "two", "two", "x" * 5_000, "one"):
        history.add(text)
    assert history.texts == ["two", "x" * 5_000, "one"]
    with path.open("a") as file:
        file.write('{"no": "text"}\nhalf a li')
    assert InputHistory(path).texts == ["two", "one"]
    assert path.stat().st_mode & 0o077 == 0
    assert InputHistory(tmp_path / "no" / "such" / "file").texts == []


async def test_a_megabyte_pasted_is_a_mark_and_is_sent_whole(drive: Drive, engine: FakeEngine) -> None:
    long = "word " * 200_000
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press(*"Sum up: ")
        before = time.perf_counter()
        app.post_message(events.Paste(long))
        await until(pilot, lambda: field(app).text == "Sum up: [text 1: 1,000,000 characters]")
        await pilot.press("enter")
        assert turns(engine)[0].request.messages[-1]["content"] == "Sum up: " + long
        await until(pilot, lambda: "Sum up:" in shown(app))
        assert time.perf_counter() - before < 8.0  # a field that wraps it takes minutes


async def test_a_short_paste_is_text(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        app.post_message(events.Paste("a\nb"))
        await until(pilot, lambda: field(app).text == "a\nb")


async def test_the_context_is_counted_while_one_types_and_its_end_is_told_before(drive: Drive) -> None:
    tokens = 20

    def answer(handle: JobHandle) -> None:
        answering(handle)
        if isinstance(handle.request, CountTokens):
            handle.result, handle.status = ContextUse(tokens, 64), JobStatus.DONE

    engine = FakeEngine(answer)
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        app.screen.sampling = Sampling(max_tokens=10)  # type: ignore[attr-defined]
        await said(pilot, "one")
        await pilot.press("a")
        await until(pilot, lambda: "20 of 64 tokens" in shown(app) and "▲" not in shown(app))
        tokens = 60
        await pilot.press("b")
        await until(pilot, lambda: "▲ 60 of 64 tokens: the answer would be cut after 4" in shown(app))
        tokens = 64
        await pilot.press("c")
        await until(pilot, lambda: "▲ 64 of 64 tokens: it would be refused" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "would take 64 tokens" in shown(app))
        assert field(app).text == "abc" and len(turns(engine)) == 1
