"""Slash commands: what a text means, what is offered while one types, and that every command has method and words."""

from __future__ import annotations

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine
from tests.ui.looking import shown, until
from tests.ui.test_chat_screen import field, turns
from tests.ui.workshop import experiment, open_mode
from tui_tuner.errors import TunerError
from tui_tuner.ui.actions import ACTIONS
from tui_tuner.ui.chatcommands import COMMANDS, Wish, begun, completed, following, parse
from tui_tuner.ui.screens.chat import ChatScreen
from tui_tuner.ui.widgets.chat_offers import ChatOffers


@pytest.mark.parametrize(
    "text", ["q", "clear", "/usr/bin is a folder", "/", "/ x", "3/4", "a /clear", "/1", "quit\n/x"]
)
def test_words_and_paths_are_text(text: str) -> None:
    assert parse(text) == text


def test_two_slashes_send_one() -> None:
    assert parse("//clear") == "/clear"
    assert parse("///x") == "//x"


def test_a_command_brings_its_words() -> None:
    meant = parse("/SET  temperature 0.7 ")
    assert isinstance(meant, Wish) and (meant.command.name, meant.rest) == ("set", "temperature 0.7")
    meant = parse("/system Be short.\nAnd kind.")
    assert isinstance(meant, Wish) and meant.rest == "Be short.\nAnd kind."
    meant = parse("/columns base")
    assert isinstance(meant, Wish) and meant.command.name == "adapter"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/clera", "there is no command /clera; did you mean /clear? two slashes send the text as it is."),
        ("/zzz", "there is no command /zzz; /help lists them; two slashes send the text as it is."),
        ("/find", "/find needs WORDS"),
        ("/undo it", "nothing can follow /undo; two slashes send the text as it is."),
    ],
)
def test_what_is_no_command_says_so(text: str, told: str) -> None:
    with pytest.raises(TunerError) as caught:
        parse(text)
    assert caught.value.sentence().startswith(told)


def test_what_a_text_may_become() -> None:
    assert [each.name for each in begun("/")] == [each.name for each in COMMANDS]
    assert [each.name for each in begun("/se")] == ["set"]
    assert [each.name for each in begun("/new")] == ["clear"]
    assert begun("/usr/b") == begun("se") == begun("/set ") == []


def test_what_may_follow() -> None:
    wish = following("/set temp")
    assert wish is not None and (wish.command.name, wish.rest) == ("set", "temp")
    assert following("/undo ") is None and following("/set") is None and following("/nothing ") is None
    assert completed("/set temp", "temperature") == "/set temperature"
    assert completed("/adapter base, be", "best") == "/adapter base, best"


def test_every_command_can_be_done_and_has_a_key_that_there_is() -> None:
    ids = {action.id for action in ACTIONS}
    names = [name for each in COMMANDS for name in (each.name, *each.other)]
    assert len(names) == len(set(names))
    for command in COMMANDS:
        assert callable(getattr(ChatScreen, f"do_{command.name}")), command.name
        assert not command.action or command.action in ids, command.name
        assert command.about.endswith("."), command.name


def test_every_key_of_the_chat_calls_a_command() -> None:
    for action in ACTIONS:
        name, parameters = action.call
        if "chat" in action.where and name == "do":
            assert callable(getattr(ChatScreen, f"do_{parameters[0]}")), action.id


async def test_commands_are_listed_as_one_types_and_tab_completes(drive: Drive, engine: FakeEngine) -> None:
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press("/")
        await until(pilot, lambda: "/adapter [WHO, …]" in shown(app))
        await pilot.press("s", "e")
        await until(pilot, lambda: "/set [NAME VALUE]" in shown(app) and "/adapter [WHO" not in shown(app))
        await pilot.press("tab")
        await until(pilot, lambda: field(app).text == "/set " and "0 is greedy" in shown(app))
        await pilot.press("t", "e", "tab")
        await until(pilot, lambda: field(app).text == "/set temperature")
        await pilot.press("space", "0", ".", "7", "enter")
        await until(pilot, lambda: "temperature 0.7" in shown(app) and field(app).text == "")
        assert turns(engine) == [] and not app.screen.query_one(ChatOffers).open


async def test_enter_does_the_only_one_and_completes_one_of_several(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press(*"/mem", "enter")
        await until(pilot, lambda: "memory: on" in shown(app) and field(app).text == "")
        await pilot.press(*"/s", "enter")
        await until(pilot, lambda: field(app).text == "/system ")
        await pilot.press("escape")
        await until(pilot, lambda: not field(app).has_focus)


async def test_keys_that_come_together_are_one_command(drive: Drive) -> None:
    """Over a slow line several keys arrive at once, before anything was drawn."""
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.focused is not field(app))
        app.screen.action_write("/")  # type: ignore[attr-defined]
        assert app.screen.focused is field(app)
        await pilot.press(*"diff")
        await until(pilot, lambda: field(app).text == "/diff")


async def test_arrows_choose_and_escape_puts_the_list_away(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press("/", "down", "down", "up", "tab")
        await until(pilot, lambda: field(app).text == "/system ")
        await pilot.press("ctrl+u", "/", "escape")
        await until(pilot, lambda: not app.screen.query_one(ChatOffers).open)
        assert field(app).has_focus and field(app).text == "/"
        await pilot.press("c")
        await until(pilot, lambda: app.screen.query_one(ChatOffers).open)


async def test_an_unknown_command_says_the_nearest_and_stays_in_the_input(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press(*"/vot", "x", "enter")
        await until(pilot, lambda: "There is no command /votx; did you mean /vote?" in shown(app))
        assert field(app).text == "/votx" and turns(engine) == []
        await pilot.press("home", "/", "enter")
        assert turns(engine)[0].request.messages[-1]["content"] == "/votx"


async def test_help_lists_the_commands(drive: Drive) -> None:
    async with drive(size=(120, 60)) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press(*"/help", "enter")
        await until(pilot, lambda: "Help · Chat" in shown(app))
        app.screen.query_one("VerticalScroll").scroll_end(animate=False)
        await until(pilot, lambda: "/again" in shown(app) or "/find" in shown(app))
