"""The conversation as it is drawn: Markdown, columns, states, branches, votes, and that growing costs no layout."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.color import Color
from textual.geometry import Region
from textual.pilot import Pilot

from tests.ui.chatting import BASE, CALL, OTHER, REPORT, STEP, THOUGHT, TUNED, asked, log_with, said
from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine
from tests.ui.looking import at_rest, shown, until
from tests.ui.workshop import SIZES, app_with, place
from tui_tuner.chat.conversation import AnswerState, Conversation
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.themes import CONTRAST, DARK, LIGHT
from tui_tuner.ui.widgets.chat_exchange import abreast
from tui_tuner.ui.widgets.chat_view import LogView

__all__ = ["place"]


def one(text: str, state: AnswerState = AnswerState.DONE, **more: Any) -> Conversation:
    talk = Conversation()
    asked(talk, "Who won?", said(BASE, text, state, **more))
    return talk


def columns(count: int, **more: Any) -> Conversation:
    talk = Conversation()
    texts = ("The Herons won 4 to 2.", "FT W | Herons 4-2 Wolves", "The Herons won.", "Nobody knows.")
    voices = (BASE, TUNED, STEP, OTHER)
    asked(
        talk, "Who won?", *[said(voice, text) for voice, text in list(zip(voices, texts, strict=True))[:count]], **more
    )
    return talk


def states() -> Conversation:
    talk = Conversation()
    asked(
        talk,
        "Who won?",
        said(BASE, "The Herons won 4", AnswerState.STOPPED),
        said(TUNED, "FT W |", AnswerState.FAILED, problem="the model does not fit; close other programs."),
        said(STEP, "FT W | Herons 4-2", finish="length"),
        said(OTHER, "FT W | Her", AnswerState.RUNNING),
    )
    return talk


def branched() -> Conversation:
    talk = columns(2, vote=1, blind=True)
    asked(talk, "And who played?", said(BASE, "Nora Winslow."))
    talk.go(1)
    asked(talk, "And who else played?", said(BASE, "Ben Hale."), source="test 12", system="Be short.")
    return talk


async def test_markdown_is_set_without_its_signs(drive: Drive) -> None:
    async with drive() as (app, pilot):
        log = await log_with(pilot, one(REPORT))
        log.scroll_home(animate=False)
        await pilot.pause()
        text = shown(app)
        assert "won 4 to 2, and Nora Winslow had three goals; see the report (https://example.org/x)." in text
        assert "• a first item" in text and "  1. nested one" in text and "☑ done" in text
        assert "Herons │ 4" in text and "|---" not in text
        assert "▎ what somebody said" in text and "▏    return 4" in text and "```" not in text
        log.show(log._talk, LogView(raw=True))  # type: ignore[arg-type]
        log.scroll_home(animate=False)
        await pilot.pause()
        assert "**4 to 2**" in shown(app) and "|------|:-----:|" in shown(app)


@pytest.mark.parametrize(
    ("answers", "width", "wide", "found"),
    [(2, 80, True, 1), (2, 120, True, 2), (3, 116, True, 3), (4, 116, True, 2), (4, 156, True, 4), (4, 156, False, 1)],
)
def test_columns_stand_beside_one_another_where_there_is_room(answers: int, width: int, wide: bool, found: int) -> None:
    assert abreast(answers, width, wide) == found


async def test_what_grows_asks_for_no_layout(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    async with drive() as (app, pilot):
        talk = one("", AnswerState.RUNNING)
        log = await log_with(pilot, talk)
        answer = talk.path()[0].answers[0]
        laid: list[int] = []
        refresh = app.screen._refresh_layout
        monkeypatch.setattr(
            app.screen, "_refresh_layout", lambda *args, **more: (laid.append(1), refresh(*args, **more))
        )
        for number in range(60):
            answer.text += f"word {number}\n"
            log.draw([answer])
        await pilot.pause()
        assert "word 59" in shown(app) and log.virtual_size.height > 60
        assert log.scroll_y == log.max_scroll_y and not laid


@pytest.mark.parametrize(
    ("context", "told"),
    [(0, "cut off at the token limit"), (38, "at the token limit"), (37, "model's context of 37 tokens")],
)
async def test_an_answer_that_was_cut_off_says_by_what(context: int, told: str, drive: Drive) -> None:
    async with drive(size=(100, 30)) as (app, pilot):
        talk = one("FT W", finish="length")
        answer = talk.path()[0].answers[0]
        assert answer.reply is not None and answer.reply.prompt_tokens + answer.reply.tokens == 37
        answer.reply = replace(answer.reply, context=context)
        await log_with(pilot, talk)
        assert told in shown(app)


async def test_an_answer_without_news_is_not_drawn_again(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    async with drive() as (_, pilot):
        talk = one("The Her", AnswerState.RUNNING)
        log = await log_with(pilot, talk)
        answer, changes = talk.path()[0].answers[0], list[int]()
        monkeypatch.setattr(log, "changed_from", lambda first, _count, **_: changes.append(first))
        log.draw([answer], "waits")
        log.draw([answer], "waits")
        assert len(changes) == 1, "what it waits for was new"
        answer.text += "ons"
        log.draw([answer], "waits")
        assert len(changes) == 2


async def test_of_a_growing_paragraph_only_the_lines_that_came_out_otherwise_are_drawn(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with drive(size=(80, 30)) as (_, pilot):
        talk = one("word " * 60, AnswerState.RUNNING)
        log = await log_with(pilot, talk)
        answer, drawn = talk.path()[0].answers[0], list[Region]()
        block = log._blocks[0]
        before = [block.line(at) for at in range(block.height)]
        monkeypatch.setattr(log, "refresh", lambda *regions, **_: drawn.extend(regions))
        answer.text += "and more"
        log.draw([answer])
        after = [block.line(at) for at in range(block.height)]
        changed = [at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]]
        assert len(changed) == 1 and len(after) == len(before), "one line of several"
        assert drawn == [Region(0, changed[0], log.scrollable_content_region.width, log._count - changed[0])]


async def test_a_conversation_that_reached_the_bottom_moves_by_several_lines_at_a_time(drive: Drive) -> None:
    async with drive(size=(80, 24)) as (_, pilot):
        talk = one("line\n" * 40, AnswerState.RUNNING)
        log = await log_with(pilot, talk)
        answer, places = talk.path()[0].answers[0], list[int]()
        for _ in range(20):
            answer.text += "line\n"
            log.draw([answer])
            await pilot.pause()
            places.append(int(log.scroll_y))
            assert log.at_end and places[-1] + log.scrollable_content_region.height >= log._count, "the end is in sight"
        steps = [after - before for before, after in itertools.pairwise(places)]
        assert len([step for step in steps if step]) <= 10 and max(steps) > 1, "it moves seldom"
        assert sum(steps) >= 16, "and far enough"
        answer.state = AnswerState.DONE
        log.draw([answer])
        log.show(talk)
        await pilot.pause()
        assert int(log.scroll_y) == log._count - log.scrollable_content_region.height, "nothing is left blank"


def said_on(app: TunerApp) -> str:
    """The screen without its list of keys."""
    return shown(app).rpartition("\n")[0]


async def test_text_that_comes_in_pieces_looks_as_if_it_had_come_at_once(drive: Drive) -> None:
    text = f"{THOUGHT}\r\n\r\n{REPORT}\r\n{CALL}\nand on"
    async with drive(size=(120, 60)) as (app, pilot):
        await log_with(pilot, one(text, AnswerState.RUNNING))
        whole = said_on(app)
        talk = one("", AnswerState.RUNNING)
        log = await log_with(pilot, talk)
        answer = talk.path()[0].answers[0]
        for letter in text:
            answer.text += letter
            log.draw([answer])
        await pilot.pause()
        assert said_on(app) == whole and "and on▍" in whole


async def test_the_end_stays_in_sight_when_the_terminal_shrinks(drive: Drive) -> None:
    async with drive() as (_, pilot):
        log = await log_with(pilot, one("line\n" * 80 + "last"))
        for size in ((120, 30), (80, 24), (140, 50)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda: log.max_scroll_y > 0 and log.scroll_y == log.max_scroll_y)
        log.scroll_home(animate=False)
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        assert log.scroll_y == 0


async def test_reasoning_is_folded_and_calls_are_told(drive: Drive) -> None:
    async with drive() as (app, pilot):
        log = await log_with(pilot, one(THOUGHT + "\n" + CALL))
        assert "▸ reasoning  9 words" in shown(app) and "I need to recall" not in shown(app)
        assert "⚒ calls search" in shown(app) and '"team": "Herons"' in shown(app) and "tool_call" not in shown(app)
        log.show(log._talk, LogView(unfold=True))  # type: ignore[arg-type]
        await pilot.pause()
        assert "▾ reasoning" in shown(app) and "┆ I need to recall." in shown(app)


async def test_blind_columns_tell_nothing_before_the_vote(drive: Drive) -> None:
    async with drive() as (app, pilot):
        talk = columns(2)
        log = await log_with(pilot, talk, LogView(blind=True))
        text = shown(app)[shown(app).index("❯ Who won?") :]
        assert "▌ A " in text and "▌ B " in text and "players-2026" not in text and "tokens at" not in text
        exchange = talk.path()[0]
        exchange.vote, exchange.blind = 1, True
        log.show(talk)
        await pilot.pause()
        assert "★ B · ● players-20260101-1200" in shown(app) and "tokens at" in shown(app)
        assert "★ B, players-20260101-1200 was found better  (voted blind)" in shown(app)


async def test_branches_and_what_was_said_beside_the_question(drive: Drive) -> None:
    async with drive() as (app, pilot):
        talk = branched()
        log = await log_with(pilot, talk)
        assert "3 ❯ And who else played?" in shown(app) and "branch 2 of 2 · row test 12 · system message" in shown(app)
        talk.go(2)
        log.show(talk)
        await pilot.pause()
        assert "2 ❯ And who played?" in shown(app) and "branch 1 of 2" in shown(app)


async def test_a_long_question_is_folded(drive: Drive) -> None:
    async with drive() as (app, pilot):
        talk = Conversation()
        asked(talk, "line\n" * 400, said(BASE, "Yes."))
        log = await log_with(pilot, talk)
        assert "… 2,000 letters in all" in shown(app) and "Yes." in shown(app)
        log.show(talk, LogView(unfold=True))
        assert log.virtual_size.height > 400


async def test_a_theme_changes_the_colours_of_what_stands(drive: Drive) -> None:
    async with drive() as (app, pilot):
        log = await log_with(pilot, one("The Herons."))
        for theme in (LIGHT, CONTRAST, DARK):
            app.theme = theme
            await at_rest(pilot)
            colours = {segment.style.color.name for at in range(4) for segment in log._blocks[0].line(at)}
            assert Color.parse(app.theme_variables["text-secondary"]).hex.lower() in colours, theme
            assert "The Herons." in shown(app)


async def test_what_was_selected_by_mouse_is_what_stands_there(drive: Drive) -> None:
    async with drive() as (app, pilot):
        log = await log_with(pilot, one("The Herons won.\nAgainst the Wolves."))
        x, y = log.region.x + 2, log.region.y + 1
        await pilot.mouse_down(offset=(x + 2, y + 3))
        await pilot.hover(offset=(x + 9, y + 4))
        await pilot.mouse_up(offset=(x + 9, y + 4))
        assert (app.screen.get_selected_text() or "").startswith("The Herons won.\n▌ Against")


STATES: dict[str, Callable[[], Conversation]] = {
    "markdown": lambda: one(REPORT),
    "reasoning": lambda: one(THOUGHT + "\n" + CALL),
    "unfolded": lambda: one(THOUGHT + "\n" + CALL),
    "two": lambda: columns(2),
    "three": lambda: columns(3),
    "four": lambda: columns(4, vote=2),
    "blind": lambda: columns(2),
    "states": states,
    "branched": branched,
}


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", STATES)
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], state: str) -> None:
    async def prepare(pilot: Pilot[Any]) -> None:
        await log_with(pilot, STATES[state](), LogView(blind=state == "blind", unfold=state == "unfolded"))

    assert snap_compare(app_with(place, FakeEngine()), terminal_size=size, run_before=prepare)
