"""Who may ask the server, and where it listens; what its command refuses."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.support.commands import Tuner, tuner
from tui_tuner.browser.guard import Guard, checked_token, is_loopback, new_token
from tui_tuner.browser.place import Place, taken
from tui_tuner.errors import TunerError

__all__ = ["tuner"]
TOKEN = "a-token-of-ones-own"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@pytest.fixture
def place() -> Iterator[Place]:
    found = taken("127.0.0.1", 0)
    yield found
    found.listener.close()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "[::1]"])
def test_names_of_this_machine_are_answered(host: str) -> None:
    assert Guard(TOKEN, 8000, LOOPBACK).host_fits(host)


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example",
     "127.0.0.1:8000@x",
     "localhost/", "localhost\r\nX: y", "[::1", "::1", "localhost:999999"],
)  # fmt: skip
def test_a_name_that_was_pointed_here_is_not_answered(host: str | None) -> None:
    assert not Guard(TOKEN, 8000, LOOPBACK).host_fits(host)


def test_off_loopback_any_name_will_do_but_no_nonsense() -> None:
    guard = Guard(TOKEN, 8000, None)
    assert guard.host_fits("studio.local:8000") and guard.host_fits("192.0.2.7")
    assert not guard.host_fits("a;b") and not guard.host_fits(None)


@pytest.mark.parametrize(
    "origin", [None, "", "null", "http://evil.example", "http://localhost:8001", "file://localhost:8000", "http://["]
)
def test_a_page_of_another_server_is_not_answered(origin: str | None) -> None:
    guard = Guard(TOKEN, 8000, LOOPBACK)
    assert not guard.origin_fits(origin, "localhost:8000")
    assert guard.origin_fits("http://localhost:8000", "localhost:8000")


def test_the_token_is_the_whole_token() -> None:
    guard = Guard(TOKEN, 8000, LOOPBACK)
    assert guard.token_fits(TOKEN)
    assert not any(
        map(guard.token_fits, [None, "", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "ä" * 19, "\udcff", "\ud800"])
    )
    assert not Guard(None, 8000, LOOPBACK).token_fits("")


def test_a_cookie_is_neither_the_token_nor_to_be_guessed() -> None:
    guard, other = Guard(TOKEN, 8000, LOOPBACK), Guard(TOKEN, 8000, LOOPBACK)
    assert guard.session != other.session and TOKEN not in guard.session and len(guard.session) >= 43
    assert guard.knows(guard.session)
    assert not any(map(guard.knows, [None, "", TOKEN, other.session, "ä", "\udcff"]))
    assert Guard(None, 8000, LOOPBACK).knows(None)


def test_a_ticket_is_good_for_once() -> None:
    guard = Guard(TOKEN, 8000, LOOPBACK)
    ticket = guard.ticket()
    assert ticket != TOKEN
    assert [guard.token_fits(ticket), guard.token_fits(ticket), guard.token_fits(TOKEN)] == [True, False, True]


def test_tokens_that_can_be_guessed_are_refused() -> None:
    made = {new_token() for _ in range(50)}
    assert len(made) == 50 and all(checked_token(token) == token and len(token) >= 43 for token in made)
    for bad in ("short", "x" * 15, "with a blank in it", "sixteen&ampersand"):
        with pytest.raises(TunerError) as caught:
            checked_token(bad)
        assert (caught.value.code, caught.value.usage) == ("weak-token", True)
        assert bad not in str(caught.value)


def test_what_loopback_is() -> None:
    assert is_loopback("127.0.0.1") and is_loopback("127.9.9.9") and is_loopback("::1")
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.1.2", "localhost", "", "::ffff:192.0.2.1"]))


def test_a_place_says_where_it_is(place: Place) -> None:
    assert place.port > 0 and place.loopback and place.url == f"http://127.0.0.1:{place.port}"
    assert place.names == LOOPBACK
    everywhere = Place(place.listener, "0.0.0.0", "0.0.0.0", 8000)
    assert (everywhere.loopback, everywhere.names) == (False, None)
    assert everywhere.url == f"http://{socket.gethostname()}:8000"
    assert Place(place.listener, "::1", "::1", 80).url == "http://[::1]:80"


def refusal(said_by: Tuner, *arguments: str) -> tuple[int, str, str]:
    said = said_by("serve", "--json", *arguments)
    error = said.document["error"]
    return said.status, error["code"], f"{error['where']}: {error['message']} ({error['fix']})"


def test_a_port_in_use_is_said(tuner: Tuner, place: Place) -> None:
    status, code, sentence = refusal(tuner, "--port", str(place.port))
    assert (status, code) == (1, "port-in-use")
    assert str(place.port) in sentence and "--port" in sentence


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-machine.invalid"])
def test_a_host_that_is_not_here_is_said(tuner: Tuner, host: str) -> None:
    status, code, sentence = refusal(tuner, "--host", host, "--port", "0")
    assert (status, code) == (2, "host-not-here")
    assert sentence.startswith(f"--host {host}: ")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--host", "0.0.0.0", "--no-token"], "token-needed"),
        (["--token", "short"], "weak-token"),
        (["--token", TOKEN, "--no-token"], "usage"),
        (["--start"], "usage"),
        (["--set", "train.iters=3"], "usage"),
        (["--preset", "no-such-preset"], "no-preset"),
        (["--preset", "quickstart", "--set", "train.itres=3"], "unknown-key"),
        (["--port", "65536"], "usage"),
    ],
)
def test_wrong_usage_is_said_before_anything_listens(
    tuner: Tuner, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: str
) -> None:
    monkeypatch.setattr("tui_tuner.browser.place.taken", lambda *_: pytest.fail("it listens"))
    assert refusal(tuner, *arguments)[:2] == (2, code)


def test_a_missing_library_is_said(tuner: Tuner, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "textual_serve", None)
    monkeypatch.delitem(sys.modules, "tui_tuner.browser.server", raising=False)
    status, code, sentence = refusal(tuner, "--port", "0")
    assert (status, code) == (1, "no-textual-serve")
    assert "textual_serve" in sentence and "pip install" in sentence
