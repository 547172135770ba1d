"""What a question and its answer have drawn: the model gives up the time that the screen takes, so it takes little."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine
from tests.ui.looking import shown, until
from tests.ui.test_chat_screen import turns
from tests.ui.test_chat_talk import answering, said
from tests.ui.workshop import experiment, open_mode
from tui_tuner.ui.screens import chatroom
from tui_tuner.ui.screens.chat import ChatScreen
from tui_tuner.ui.widgets.bar import Line


def chat_of(pilot: Pilot[Any]) -> ChatScreen:
    found = pilot.app.screen
    assert isinstance(found, ChatScreen)
    return found


async def test_the_next_question_lays_nothing_out_and_tells_the_head_nothing_it_says_already(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with drive(engine=FakeEngine(answering)) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await said(pilot, "one", "two")
        await pilot.pause()
        laid: list[Screen[Any]] = []
        lay, drawn = Screen._refresh_layout, list[Any]()
        monkeypatch.setattr(Screen, "_refresh_layout", lambda self, *a, **k: (laid.append(self), lay(self, *a, **k))[1])
        update = Line.update
        monkeypatch.setattr(Line, "update", lambda self, *a, **k: (drawn.append(a), update(self, *a, **k))[1])
        await said(pilot, "three")
        await pilot.pause()
        assert "answer 3" in shown(app)
        assert not laid and not drawn


async def test_what_was_blank_below_the_conversation_is_not_drawn_again(drive: Drive) -> None:
    async with drive(engine=FakeEngine()) as (_app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        log = chat_of(pilot).log_widget
        regions: list[int] = []
        refresh = log.refresh

        def refreshed(*lines: Any, **more: Any) -> Any:
            regions.append(max((line.bottom for line in lines), default=10**6))
            return refresh(*lines, **more)

        log.refresh = refreshed  # type: ignore[method-assign]
        await pilot.press("o", "n", "e", "enter")
        assert regions and max(regions) < log.size.height // 2, "only the greeting's lines and the question's"


async def test_one_look_at_a_time_is_to_come_while_an_answer_is_on_its_way(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chatroom, "QUICKEST", 1e6)
    monkeypatch.setattr(chatroom, "_SLOWEST", 1e6)
    engine = FakeEngine()
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        chat = chat_of(pilot)
        assert chat._next is None
        blinks = chat.input.cursor_blink
        await pilot.press("o", "n", "e", "enter")
        first = chat._next
        assert first is not None and not chat.input.cursor_blink
        turns(engine)[0].request.sink.write("some of it")
        assert "some of it" not in shown(app), "its time has not come"
        chat._look_again()
        assert chat._next is not None and chat._next is not first
        await until(pilot, lambda: "some of it" in shown(app))
        answering(turns(engine)[0])
        chat.poll()
        assert chat._next is None and chat.input.cursor_blink == blinks


async def test_a_line_is_drawn_when_its_letters_or_its_colours_are_others(drive: Drive) -> None:
    from textual.content import Content

    async with drive(engine=FakeEngine()) as (_app, pilot):
        line = Line()
        await pilot.app.screen.mount(line)
        drawn: list[Any] = []
        line.update = lambda content, **more: drawn.append((content.plain, more))  # type: ignore[method-assign,assignment]
        for content in (
            Content("a"),
            Content("a"),
            Content.styled("a", "bold"),
            Content.styled("a", "bold"),
            Content("b"),
        ):
            line.tell(content)
        assert drawn == [(text, {"layout": False}) for text in ("a", "a", "b")]
