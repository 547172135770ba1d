"""What a model says is shown and never obeyed, and no text keeps a key waiting."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from tests.ui.chatting import BASE, TUNED, asked, log_with, said
from tests.ui.conftest import Drive
from tests.ui.looking import shown, until
from tests.ui.workshop import HOSTILE, SAFE
from tui_tuner.chat.conversation import AnswerState, Conversation
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets.chat_answer import PORTION
from tui_tuner.ui.widgets.chat_markdown import LONGEST, Markdown
from tui_tuner.ui.widgets.chat_rows import Ink, Letters, Row, folds, width_of
from tui_tuner.ui.widgets.chat_view import LogView

ESCAPES = (
    "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b[2J\x1b[?1049l\x9b31m\x90q\x9c",
    "\u202etxt.exe\u2066 \u200b\u200e",
    "&#27;[31m &#x202e; &amp;",
    "[@click=app.quit]quit[/] [link=https://evil.example]x[/link]",
)


class PlainInk(Ink):
    """No colours, so that no app is needed."""

    def __init__(self) -> None:
        self._styles = {}

    def style(self, tone: object, how: int = 0) -> Style:
        return Style()


def text_of(rows: list[Row]) -> str:
    return "\n".join("".join(segment.text for segment in row) for row in rows)


@pytest.mark.parametrize("hostile", ESCAPES)
async def test_what_a_model_says_is_only_text(drive: Drive, hostile: str) -> None:
    async with drive() as (app, pilot):
        talk = Conversation()
        wrapped = f"{hostile}\n\n- {hostile}\n| a | b |\n|---|---|\n| {hostile} | x |\n```{hostile}\n{hostile}"
        call = f'<think>{hostile}</think>\n<tool_call>{{"name": "{hostile}"}}</tool_call>'
        asked(talk, hostile, said(BASE, wrapped), said(TUNED, call), source=hostile, reference=hostile)
        log = await log_with(pilot, talk, LogView(unfold=True))
        assert visible(hostile).split("\n")[0][:20] in shown(app)
        for at in range(log._count):
            line = log.drawn(at)
            assert visible(line.text) == line.text
            for segment in line:
                assert segment.control is None and (segment.style is None or not segment.style.link)


async def test_markup_and_escapes_stand_as_they_were_said(drive: Drive) -> None:
    async with drive() as (app, pilot):
        talk = Conversation()
        asked(talk, HOSTILE, said(BASE, HOSTILE), said(TUNED, "", AnswerState.FAILED, problem=HOSTILE))
        await log_with(pilot, talk)
        assert shown(app).count(SAFE) == 3


def growth() -> Iterator[tuple[str, str]]:
    yield "letters without a break", "a" * 1_000_000
    yield "one line of words", "word and " * 110_000
    yield "wide letters", "語" * 300_000
    yield "combining marks", "e" + "\u0301" * 300_000
    yield "signs that never end", "**a [b `c _d ~~" * 60_000
    yield "lines", "a line\n" * 140_000
    yield "code without an end", "```\n" + "x = 1; " * 140_000
    yield "a table without an end", "| a | b |\n|---|---|\n" + "| **c** | d |\n" * 70_000
    yield "reasoning without an end", "<think>" + "hm, " * 240_000


@pytest.mark.parametrize(("what", "text"), growth(), ids=[what for what, _ in growth()])
async def test_a_megabyte_keeps_no_key_waiting(drive: Drive, what: str, text: str) -> None:
    """Each update sets one portion, and what the median one takes of this thread's own time is how long a key waits."""
    async with drive() as (_, pilot):
        talk = Conversation()
        answer = said(BASE, "", AnswerState.RUNNING)
        asked(talk, "Go on", answer)
        log = await log_with(pilot, talk, LogView(unfold=True))
        answer.text, took = text, list[float]()
        for _ in range(6):
            before = time.thread_time()
            log.draw([answer])
            took.append(time.thread_time() - before)
        assert log._blocks[0].behind and len(log._blocks[0].columns[0]._seen) == 6 * PORTION
        assert statistics.median(took) < 0.15, what
        answer.text = text[: 7 * PORTION]
        await until(pilot, lambda: not log._blocks[0].behind)
        assert log.scroll_y == log.max_scroll_y > 100


def test_an_update_costs_the_same_however_much_stands_already() -> None:
    """Counted in rows that are set anew, not in seconds."""
    for piece in ("some words **and** more, ", "a line of `code`\n", "語" * 20):
        markdown = Markdown(80, PlainInk())
        for _ in range(3_000):
            markdown.write(piece)
            markdown.take()
            assert len(markdown.tail) <= LONGEST // 40 + 2
            assert len(markdown._open) <= LONGEST


def test_pieces_of_any_size_give_the_same_rows() -> None:
    chance = random.Random(7)
    sample = (
        "# T\nwords *and* `code` 語語 e\u0301\n- item\n```py\nx\n```\n| a | b |\n|--|--|\n| 1 | 2 |\nend **b** " * 4
    )
    whole = Markdown(23, PlainInk())
    whole.write(sample)
    expected = text_of([*whole.take(), *whole.tail])
    for _ in range(30):
        pieces, at, rows = Markdown(23, PlainInk()), 0, list[Row]()
        while at < len(sample):
            step = chance.randint(1, 40)
            pieces.write(sample[at : at + step])
            rows += pieces.take()
            at += step
        assert text_of([*rows, *pieces.tail]) == expected


def test_no_row_is_wider_than_asked_and_no_letter_is_lost() -> None:
    chance = random.Random(3)
    letters = "ab  cd語e\u0301👩‍👩‍👧 xyz-"
    for _ in range(300):
        text = "".join(chance.choice(letters) for _ in range(chance.randint(0, 200)))
        width = chance.randint(2, 30)
        rows = [text[a:b] for a, b in folds(text, width)]
        assert all(cell_len(row) <= width for row in rows)
        assert "".join(rows).replace(" ", "") == text.replace(" ", "")
        set_by = Letters(width, PlainInk())
        for letter in text:
            set_by.write(letter)
        grown = text_of([*set_by.take(), *set_by.tail])
        assert grown.replace("\n", "").replace(" ", "") == text.replace(" ", "")
        assert all(width_of((Segment(row),)) <= width for row in grown.split("\n"))
