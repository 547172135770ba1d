"""Looking closer at answers: words that differ, token by token, and beside a row's own answer."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.chatting import BASE, STEP, TUNED, asked, log_with, said
from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine
from tests.ui.looking import shown
from tests.ui.workshop import SIZES, app_with, place
from tui_tuner.chat.conversation import AnswerState, Conversation, Exchange
from tui_tuner.chat.inside import Inside
from tui_tuner.ui.widgets.chat_log import ChatLog
from tui_tuner.ui.widgets.chat_view import LogView

__all__ = ["place"]

PIECES = ["The", " Her", "ons", " won", "\n", "4", " to", " 2", "."]
CHANCES = [0.9, 0.04, 0.99, 0.3, 0.6, 0.005, 0.8, 0.5, 1.0]


def inside() -> Inside:
    others = [[(piece, chance), (" Wol[red]\x1b[31m", 0.41)] for piece, chance in zip(PIECES, CHANCES, strict=True)]
    rank = [0 if chance >= 0.5 else 2 for chance in CHANCES]
    return Inside(PIECES, [-math.log(chance) for chance in CHANCES], others, rank)


def pair() -> Conversation:
    talk = Conversation()
    first, second = "The Herons won 4 to 2 at home.", "The Wolves won 4 to 2."
    asked(talk, "Who won?", said(BASE, first), said(TUNED, second))
    return talk


def of_row() -> Exchange:
    talk = Conversation()
    answer = said(BASE, "".join(PIECES))
    return asked(talk, "Who won?", answer, reference="The Herons won 4 to 2 at home.", source="test 12")


def talk_of(exchange: Exchange) -> Conversation:
    talk = Conversation()
    talk.add(exchange)
    return talk


def styled(log: ChatLog, text: str) -> Any:
    """The style in which a text is drawn, wherever it stands."""
    for at in range(log._count):
        for segment in log.drawn(at):
            if segment.text == text:
                return segment.style
    raise AssertionError(f"{text!r} is nowhere")


async def test_words_that_differ_are_marked_by_more_than_colour(drive: Drive) -> None:
    async with drive() as (app, pilot):
        log = await log_with(pilot, pair(), LogView(diff=True))
        assert styled(log, "Herons").strike and styled(log, " at home").strike
        assert styled(log, "Wolves").underline and styled(log, "Wolves").bold
        assert "−3 +1 words" in shown(app)


async def test_answers_are_compared_once_all_have_ended(drive: Drive) -> None:
    async with drive() as (app, pilot):
        talk = pair()
        second = talk.path()[0].answers[1]
        ended, second.reply, second.state = second.reply, None, AnswerState.RUNNING
        log = await log_with(pilot, talk, LogView(diff=True))
        assert "words" not in shown(app)
        second.reply, second.state = ended, AnswerState.DONE
        log.draw([second])
        await pilot.pause()
        assert "−3 +1 words" in shown(app) and styled(log, "Herons").strike


async def test_a_long_answer_is_not_compared_and_says_so(drive: Drive) -> None:
    async with drive() as (app, pilot):
        talk = pair()
        talk.path()[0].answers[1].text = "word " * 2000
        await log_with(pilot, talk, LogView(diff=True))
        assert "more than 1,500 words are not compared" in shown(app)


async def test_a_row_stands_beside_the_answer_and_tells_its_loss(drive: Drive) -> None:
    async with drive() as (app, pilot):
        exchange = of_row()
        answer = exchange.answers[0]
        log = await log_with(pilot, talk_of(exchange), LogView(references={answer: inside()}))
        assert "◇ reference" in shown(app) and "row test 12" in shown(app)
        mean = sum(inside().losses) / len(PIECES)
        assert f"○ loss {mean:.3f} a token · perplexity {math.exp(mean):.3f}" in shown(app)
        log.show(talk_of(exchange), LogView(diff=True))
        await pilot.pause()
        assert "−2 +0 words" in shown(app) and styled(log, " at home").strike


async def test_tokens_have_a_colour_and_a_sign_by_their_probability(drive: Drive) -> None:
    async with drive() as (app, pilot):
        exchange = of_row()
        log = await log_with(pilot, talk_of(exchange), LogView(inside={exchange.answers[0]: inside()}))
        likely, sure, unsure = styled(log, "The"), styled(log, " 2"), styled(log, " won")
        rare, never = styled(log, " Her"), styled(log, "4")
        assert not likely.underline and not sure.underline and likely.color == sure.color
        assert unsure.underline and not unsure.bold and unsure.color != likely.color
        assert rare.underline and rare.bold and not rare.italic and rare.color != unsure.color
        assert never.underline and never.bold and never.italic
        assert "likely · < 50 % · < 10 % · < 1 % · loss" in shown(app)


async def test_the_cursor_tells_what_else_there_was(drive: Drive) -> None:
    async with drive() as (app, pilot):
        exchange = of_row()
        log = await log_with(pilot, talk_of(exchange), LogView(inside={exchange.answers[0]: inside()}))
        log.focus()
        await pilot.press("right", "right")
        assert log.looked == (exchange.answers[0], 1)
        assert "“␣Her” 4.0 % · 2 likelier · token 2 of 9" in shown(app)
        assert "instead: “␣Wol[red]␛[31m” 41 %" in shown(app) and "\x1b" not in shown(app)
        assert styled(log, " Her").reverse
        height = log.virtual_size.height
        await pilot.press("right")
        assert log.virtual_size.height == height
        await pilot.press("left", "left", "left", "left")
        assert log.looked == (exchange.answers[0], 0) and "the likeliest" in shown(app)
        log.leave()
        await pilot.pause()
        assert log.looked is None and "token 1 of 9" not in shown(app)


async def test_a_click_looks_at_a_token(drive: Drive) -> None:
    async with drive() as (_, pilot):
        exchange = of_row()
        log = await log_with(pilot, talk_of(exchange), LogView(inside={exchange.answers[0]: inside()}))
        lines = [log.drawn(at).text for at in range(log._count)]
        line = next(at for at, text in enumerate(lines) if "The Herons won" in text)
        cell = lines[line].index("won")
        await pilot.click(ChatLog, offset=(log.gutter.left + cell, log.gutter.top + line))
        assert log.looked == (exchange.answers[0], 3)
        await pilot.click(ChatLog, offset=(log.gutter.left + 2, log.gutter.top + line + 4))
        assert log.looked == (exchange.answers[0], 5), "the line below what is told of a token"


async def test_the_cursor_goes_from_one_answer_to_the_next(drive: Drive) -> None:
    async with drive() as (_, pilot):
        talk = Conversation()
        first, second = said(BASE, "".join(PIECES)), said(STEP, "".join(PIECES))
        asked(talk, "Who won?", first, second)
        log = await log_with(pilot, talk, LogView(inside={first: inside(), second: inside()}))
        log.step(1)
        assert log.looked == (first, 0)
        log.step(len(PIECES))
        assert log.looked == (second, 0)
        log.step(-1)
        assert log.looked == (first, len(PIECES) - 1)
        log.show(talk, LogView())
        assert log.looked is None


def _inside() -> tuple[Conversation, LogView]:
    exchange = of_row()
    answer = exchange.answers[0]
    return talk_of(exchange), LogView(inside={answer: inside()}, references={answer: inside()})


STATES: dict[str, Callable[[], tuple[Conversation, LogView]]] = {
    "diff": lambda: (pair(), LogView(diff=True)),
    "inside": _inside,
    "reference": lambda: (talk_of(of_row()), LogView()),
}


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("state", STATES)
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], state: str) -> None:
    async def prepare(pilot: Pilot[Any]) -> None:
        log = await log_with(pilot, *STATES[state]())
        log.step(1)
        log.step(1)
        await pilot.pause()

    assert snap_compare(app_with(place, FakeEngine()), terminal_size=size, run_before=prepare)
