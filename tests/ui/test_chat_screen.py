"""The chat: who is asked what, streaming, stopping, waiting, remembering, and what the keys do."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import shown, until
from tests.ui.workshop import (
    HOSTILE,
    SAFE,
    SIZES,
    app_with,
    experiment,
    finished,
    open_mode,
    place,
    posed,
    with_adapter,
    with_config,
)
from tui_tuner.chat.conversation import AnswerState
from tui_tuner.chat.voices import Voice
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import ChatTurn, RunExperiment
from tui_tuner.engine.results import ChatReply
from tui_tuner.errors import TunerError
from tui_tuner.paths import resolve_model
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.widgets.chat_input import ChatInput
from tui_tuner.ui.widgets.chat_session import ChatSession, Question

__all__ = ["place"]

BASE, TUNED = Voice("m", None, "base"), Voice("m", Path("a"), "adapter")
Build = Callable[..., RunBuilder]


def reply(text: str, finish: str = "stop") -> ChatReply:
    return ChatReply(text, 25, 12, 84.31, finish, 0.12)


def turns(engine: FakeEngine) -> list[JobHandle]:
    return [handle for handle in engine.handles() if isinstance(handle.request, ChatTurn)]


def field(app: TunerApp) -> ChatInput:
    return app.screen.query_one(ChatInput)


# -- the session, without a screen --------------------------------------------------------------------------------


def test_each_voice_remembers_its_own_part() -> None:
    engine = FakeEngine()
    session = ChatSession(engine)
    session.ask(Question("one", [BASE, TUNED]))
    for handle, text in zip(turns(engine), ("b1", "a1"), strict=True):
        engine.end(handle, reply(text))
    session.poll()
    session.ask(Question("two", [TUNED]))
    assert turns(engine)[2].request.messages == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "a1"},
        {"role": "user", "content": "two"},
    ]
    engine.end(turns(engine)[2], reply("a2"))
    session.poll()
    session.memory = False
    session.ask(Question("three", [TUNED]))
    assert turns(engine)[3].request.messages == [{"role": "user", "content": "three"}]


def test_a_failed_answer_keeps_its_text_and_is_not_remembered() -> None:
    engine = FakeEngine()
    session = ChatSession(engine)
    answer = session.ask(Question("one", [BASE])).answers[0]
    turns(engine)[0].request.sink.write("half")
    engine.end(turns(engine)[0], error=TunerError("out of memory", fix="ask for less"))
    session.poll()
    assert (answer.state, answer.text, answer.problem) == (AnswerState.FAILED, "half", "out of memory; ask for less.")
    assert len(session.conversation.messages(BASE, "two")) == 1


def test_nothing_is_asked_twice_at_a_time_nor_without_words() -> None:
    session = ChatSession(FakeEngine())
    with pytest.raises(TunerError, match="no question"):
        session.ask(Question("  ", [BASE]))
    session.ask(Question("one", [BASE]))
    with pytest.raises(TunerError, match="still on its way"):
        session.ask(Question("two", [BASE]))


def test_a_question_taken_back_while_it_waits_is_stopped() -> None:
    engine = FakeEngine()
    engine.submit(RunExperiment(Path("run")))
    session = ChatSession(engine)
    answer = session.ask(Question("one", [BASE])).answers[0]
    assert session.poll() == [] and answer.state is AnswerState.WAITING
    session.stop()
    assert turns(engine)[0].control.stop_requested
    engine.end(turns(engine)[0], status=JobStatus.STOPPED)
    assert session.poll() == [answer]
    assert answer.state is AnswerState.STOPPED and not session.busy


# -- the screen ---------------------------------------------------------------------------------------------------


async def test_without_experiment_or_run_it_says_what_to_do(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat")
        assert "hoose a preset" in shown(app)


async def test_an_answer_streams_and_ends_with_its_figures(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press(*"Who won?", "enter")
        handle = turns(engine)[0]
        request = handle.request
        assert request.voice.model == resolve_model("embedded:phi3-tiny", None) and request.voice.adapter is None
        assert request.messages == [{"role": "user", "content": "Who won?"}]
        assert field(app).text == ""
        await until(pilot, lambda: "reading the prompt" in shown(app))
        request.sink.write("The Her")
        await until(pilot, lambda: "The Her▍" in shown(app))
        request.sink.write("ons.")
        await until(pilot, lambda: "The Herons.▍" in shown(app))
        engine.end(handle, reply("The Herons."))
        await until(pilot, lambda: "12 tokens at 84.3/s · first after 0.12 s · prompt 25" in shown(app))
        assert "▍" not in shown(app)


async def test_no_message_is_sent_per_token(drive: Drive, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press("a", "enter")
        sink = turns(engine)[0].request.sink
        drawn: list[int] = []
        log = app.screen.query_one("#chat-log")
        original = log.draw
        monkeypatch.setattr(log, "draw", lambda *args: (drawn.append(1), original(*args)))
        for _ in range(2000):
            sink.write("x")
        await until(pilot, lambda: "x" * 50 in shown(app))
        assert len(drawn) < 50


async def test_words_are_only_words(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press(*"q 0137?tipV", "shift+enter", "p", "ctrl+j", "x", "enter")
        assert turns(engine)[0].request.messages[-1]["content"] == "q 0137?tipV\np\nx"
        assert app.current_mode == "chat"


async def test_enter_on_nothing_asks_nothing(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (_, pilot):
        await open_mode(pilot, "chat", made=experiment(probes_prompts=[]))
        await pilot.press("enter", "space", "enter", "up", "down", "enter")
        assert turns(engine) == []


async def test_escape_stops_and_keeps_then_leaves_the_field(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press("a", "enter")
        handle = turns(engine)[0]
        handle.request.sink.write("half an ans")
        await until(pilot, lambda: "half an ans" in shown(app))
        await pilot.press("escape")
        assert handle.control.stop_requested and app.current_mode == "chat"
        engine.end(handle, reply("half an answer", "stopped"), status=JobStatus.STOPPED)
        await until(pilot, lambda: "■ stopped" in shown(app) and "half an answer" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: not field(app).has_focus)
        await pilot.press("i")
        assert field(app).has_focus
        await pilot.press("escape", "3")
        await until(pilot, lambda: app.current_mode == "config")


async def test_probes_are_one_key_away(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        assert "• Report this game: Nora Winslow." in shown(app)
        await pilot.press("down")
        assert field(app).text == "Report this game: Nora Winslow."
        await pilot.press("down")
        assert field(app).text == "Say hello."
        await pilot.press("up", "x", "down")
        assert field(app).text == "Report this game: Nora Winslow.x"
        await pilot.press("enter", "ctrl+n")
        assert turns(engine)[0].request.messages[-1]["content"].endswith("x")
        assert field(app).text == "Say hello."


async def test_base_adapter_and_both(drive: Drive, engine: FakeEngine, build: Build) -> None:
    run = finished(build())
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", run=run)
        await pilot.press("a", "enter")
        assert turns(engine)[0].request.voice.adapter == run.folder.adapters
        engine.end(turns(engine)[0], reply("tuned"))
        await pilot.press("ctrl+t", "b", "enter")
        assert turns(engine)[1].request.voice.adapter is None
        engine.end(turns(engine)[1], reply("plain"))
        await until(pilot, lambda: "plain" in shown(app))
        await pilot.press("ctrl+o", "c", "enter")
        assert [handle.request.voice.adapter for handle in turns(engine)[2:]] == [None, run.folder.adapters]
        engine.end(turns(engine)[2], reply("plain again"))
        engine.end(turns(engine)[3], reply("tuned again"))
        await until(pilot, lambda: "plain again" in shown(app) and "tuned again" in shown(app))


async def test_without_an_adapter_it_says_what_to_do(drive: Drive, build: Build) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "start a run with f5" in " ".join(shown(app).split()))
        run = with_config(build().begin())
        app.select_run(run.folder)
        await until(pilot, lambda: "This run has no adapter yet" in shown(app))
        with_adapter(run)
        app.screen.call_hook("run")
        await until(pilot, lambda: f"+ {run.folder.name}" in shown(app))


async def test_a_training_run_is_waited_for(drive: Drive, engine: FakeEngine, build: Build) -> None:
    run = with_config(build().prepared().train(1, 40))
    async with drive() as (app, pilot):
        job = engine.submit(RunExperiment(run.folder.path))
        await open_mode(pilot, "chat", run=run)
        await pilot.press("a", "enter")
        await until(pilot, lambda: f"waits for the run {run.folder.name} (step 40 of 120)" in shown(app))
        engine.end(job)
        turns(engine)[0].request.sink.write("Now.")
        await until(pilot, lambda: "Now.▍" in shown(app))


async def test_a_failure_is_a_sentence_and_the_conversation_stays(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press("a", "enter")
        engine.end(turns(engine)[0], reply("first"))
        await until(pilot, lambda: "first" in shown(app))
        await pilot.press("b", "enter")
        engine.end(turns(engine)[1], error=TunerError("the model does not fit", fix="close other programs"))
        await until(pilot, lambda: "✗ the model does not fit; close other programs." in shown(app))
        assert "first" in shown(app)
        await pilot.press("c", "enter")
        assert len(turns(engine)) == 3


async def test_a_second_question_waits_its_turn(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press("a", "enter", "b", "enter")
        await until(pilot, lambda: "still on its way" in shown(app))
        assert len(turns(engine)) == 1 and field(app).text == "b"


async def test_clearing_stops_and_empties(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press("a", "enter")
        turns(engine)[0].request.sink.write("gone")
        await until(pilot, lambda: "gone" in shown(app))
        await pilot.press("ctrl+l")
        assert turns(engine)[0].control.stop_requested
        await until(pilot, lambda: "gone" not in shown(app) and "Nothing was said yet." in shown(app))
        engine.end(turns(engine)[0], reply("gone"))
        await pilot.press("b", "enter")
        assert len(turns(engine)) == 2


async def test_memory_is_off_for_rows_of_one_turn_and_a_key_switches_it(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        assert "memory: off" in shown(app)
        await pilot.press("ctrl+r", "a", "enter")
        assert "memory: on" in shown(app)
        engine.end(turns(engine)[0], reply("x"))
        await until(pilot, lambda: "84.3/s" in shown(app))
        await pilot.press("b", "enter")
        assert len(turns(engine)[1].request.messages) == 3


async def test_what_a_model_says_is_text(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment(probes_prompts=[HOSTILE]))
        assert SAFE in shown(app)
        await pilot.press("a", "enter")
        engine.end(turns(engine)[0], reply(f"say {HOSTILE}"))
        await until(pilot, lambda: f"say {SAFE}" in shown(app))
        assert "\x1b" not in shown(app) and "\u202e" not in shown(app)


async def test_the_log_follows_unless_somebody_reads_above(drive: Drive, engine: FakeEngine) -> None:
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press("a", "enter")
        sink = turns(engine)[0].request.sink
        log = app.screen.query_one("#chat-log")
        sink.write("line\n" * 60)
        await until(pilot, lambda: log.max_scroll_y > 20 and log.is_vertical_scroll_end)
        log.scroll_home(animate=False)
        await until(pilot, lambda: log.scroll_y == 0)
        sink.write("more\n" * 10 + "last")
        await until(pilot, lambda: log.max_scroll_y > 55)
        assert log.scroll_y == 0


def said(engine: FakeEngine) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def talk(pilot: Pilot[Any]) -> None:
        await pilot.press("ctrl+o", "down", "enter")
        engine.end(turns(engine)[0], reply("The Herons won 4 to 2, and Nora Winslow had three goals."))
        engine.end(turns(engine)[1], reply("FT W | Herons 4-2 Wolves"))
        await until(pilot, lambda: "FT W | Herons" in shown(pilot.app))

    return talk


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pose", ["empty", "filled", "error"])
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str) -> None:
    engine = FakeEngine()
    run = None if pose == "empty" else finished(RunBuilder(place))

    async def prepare(pilot: Pilot[Any]) -> None:
        await posed("chat", "choose a preset" if run is None else "Nothing was said yet", run=run)(pilot)
        if pose != "empty":
            await said(engine)(pilot)
        if pose == "error":
            await pilot.press("ctrl+t", "h", "i", "enter")
            engine.end(turns(engine)[2], error=TunerError("the model does not fit", fix="close other programs"))
            await until(pilot, lambda: "✗" in shown(pilot.app))

    assert snap_compare(app_with(place, engine), terminal_size=size, run_before=prepare)
