"""A browser's window and its app: what is carried, what a message may want, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("textual_serve")

from tui_tuner.browser.server import _cells
from tui_tuner.browser.window import MOST_CELLS, Window, _is_ready, _said, within

READY = b"__GANGLION__\n"


class Seen:
    """A window without a browser and without an app."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.asked: list[Any] = []
        self.fails: Exception | None = None
        self.window = Window(
            ["app"], send=self._send, send_text=self._text, close=self._text, say=self.asked.append,
            downloads=SimpleNamespace(),  # type: ignore[arg-type]
        )  # fmt: skip
        for name in ("send_bytes", "focus", "blur", "set_terminal_size"):
            setattr(self.window, name, self._noting(name))

    async def _send(self, data: bytes) -> None:
        if self.fails is not None:
            raise self.fails
        self.sent.append(data)

    async def _text(self, *_: Any) -> None:
        self.asked.append("text")

    def _noting(self, name: str) -> Any:
        async def note(*arguments: Any) -> None:
            self.asked.append((name, *arguments))

        return note


@pytest.fixture
async def seen() -> Seen:
    return Seen()


def stream(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def packet(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        (["stdin", "ä"], [("send_bytes", "ä".encode())]),
        (["stdin", "\ud800"], [("send_bytes", b"?")]),
        (["resize", {"width": 120, "height": 40}], [("set_terminal_size", 120, 40)]),
        (["resize", {"width": 10**9, "height": -3}], [("set_terminal_size", MOST_CELLS, 1)]),
        (["focus"], [("focus",)]),
        (["blur", 1], [("blur",)]),
        (["resize", {"width": "wide", "height": 40}], []),
        (["stdin", 7], []),
        (["dance"], []),
        ([], []),
        ({"stdin": "x"}, []),
        (None, []),
        ("stdin", []),
    ],
)
async def test_a_message_is_obeyed_or_passed_over(seen: Seen, message: object, asked: list[Any]) -> None:
    assert await seen.window.obey(message) is None
    assert seen.asked == asked


async def test_a_ping_is_answered_with_its_own_stamp(seen: Seen) -> None:
    assert json.loads(await seen.window.obey(["ping", 'a"b']) or "") == ["pong", 'a"b']


async def test_what_the_app_draws_goes_to_the_window_and_the_rest_is_read_away(seen: Seen) -> None:
    data = READY + packet(b"D", b"one") + packet(b"D", b"two") + packet(b"?", b"no protocol") + b"x" * 70_000
    reader = stream(data)
    await seen.window._carry(reader)
    assert seen.sent == [b"one", b"two"] and reader.at_eof()


async def test_an_app_that_is_cut_off_in_a_packet_ends_the_carrying(seen: Seen) -> None:
    await seen.window._carry(stream(READY + packet(b"D", b"one") + packet(b"D", b"two")[:-1]))
    assert seen.sent == [b"one"]


async def test_a_window_that_is_gone_gets_nothing_more_and_its_app_goes_on(seen: Seen) -> None:
    seen.fails = ConnectionResetError()
    reader = stream(READY + packet(b"D", b"one") + packet(b"D", b"two"))
    await seen.window._carry(reader)
    assert seen.window._gone and seen.sent == [] and reader.at_eof()


@pytest.mark.parametrize(
    ("data", "ready"),
    [
        (READY, True),
        (b"a warning of a library\n" * 9 + READY, True),
        (b"a warning of a library\n" * 10 + READY, False),
        (b"", False),
        (b"Traceback\n", False),
        (b"x" * 200_000 + b"\n" + READY, False),
    ],
)
async def test_an_app_begins_to_draw_or_ends_before(data: bytes, ready: bool) -> None:
    assert await _is_ready(stream(data)) is ready


async def test_an_app_that_never_drew_sends_nothing(seen: Seen) -> None:
    await seen.window._carry(stream(b"no\n" + packet(b"D", b"one")))
    assert seen.sent == []


async def test_the_last_of_what_an_app_said_is_kept_and_all_of_it_read() -> None:
    reader = stream(b"first " + b"x" * 20_000 + b" last\xff \n")
    said = await _said(reader)
    assert said.endswith("x last\ufffd") and "first" not in said and len(said) <= 4096 and reader.at_eof()


def test_an_app_that_has_ended_is_not_told_again(seen: Seen) -> None:
    seen.window.hang_up()
    seen.window.lose()

    def gone(_: int) -> None:
        raise ProcessLookupError

    seen.window._process = SimpleNamespace(returncode=None, send_signal=gone)  # type: ignore[assignment]
    seen.window.hang_up()
    seen.window._process = SimpleNamespace(returncode=0, send_signal=pytest.fail)  # type: ignore[assignment]
    seen.window.hang_up()
    assert seen.window._gone


@pytest.mark.parametrize(
    ("text", "cells"), [("120", 120), ("", 80), ("-1", 80), ("1e3", 80), ("999999", 80), ("²", 80), ("99999", 99999)]
)
def test_a_size_in_an_address_is_a_number_or_the_usual_one(text: str, cells: int) -> None:
    assert _cells(SimpleNamespace(query={"width": text}), "width", 80) == cells  # type: ignore[arg-type]
    assert 1 <= within(cells) <= MOST_CELLS
