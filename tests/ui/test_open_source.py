"""Opening data on the Data screen: by path, by a drop, from the last sources, from folders; what bad input does."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input, OptionList

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine
from tests.ui.linted import games, measured, nine_rows, set_up
from tests.ui.looking import shown, until
from tests.ui.workshop import experiment, open_mode
from tui_tuner.errors import TunerError
from tui_tuner.ui.recents import MOST, recent_sources, remember_source
from tui_tuner.ui.sourcedialog import DataTree, SourceDialog, check_source, named_source
from tui_tuner.ui.typedpath import dropped, is_there, typed_path

__all__ = ["games"]


async def test_l_opens_a_typed_path_and_remembers_it(drive: Drive, engine: FakeEngine, games: Path) -> None:
    engine.answer = nine_rows(measured())
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, SourceDialog))
        app.screen.query_one(Input).value = str(games)
        await pilot.press("enter")
        await until(pilot, lambda: set_up(app).source == str(games))
        assert set_up(app).prompt == [] and app.state.edited
        assert recent_sources() == [str(games)]
        assert app.state.experiment is not None and app.state.experiment.train.iters == 120


async def test_bad_input_is_one_sentence_and_the_dialog_stays(drive: Drive, engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "page.jsonl").write_text("<!DOCTYPE html><html></html>", encoding="utf-8")
    engine.answer = nine_rows(measured())
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await pilot.press("l")
        for text, said in (("/no/such", "there is no such file or folder"), ("hf:", "is no name of a set"),
                           ("", "nothing is typed yet"), (str(tmp_path / "page.jsonl"), "web page")):  # fmt: skip
            await until(pilot, lambda: isinstance(app.screen, SourceDialog))
            app.screen.query_one(Input).value = text
            app.screen.query_one(Input).focus()
            await pilot.press("enter")
            await until(pilot, lambda said=said: "✗" in shown(app) and said in " ".join(shown(app).split()), said)
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "data" and not isinstance(app.screen, SourceDialog))
        assert set_up(app).source == "embedded:players" and recent_sources() == []


async def test_a_dropped_file_is_opened_also_without_an_experiment(
    drive: Drive, engine: FakeEngine, games: Path
) -> None:
    engine.answer = nine_rows(measured())
    async with drive() as (app, pilot):
        await open_mode(pilot, "data")
        app.post_message(events.Paste(f"'{games}'\n"))
        await until(pilot, lambda: app.state.experiment is not None)
        assert set_up(app).source == str(games)
        app.post_message(events.Paste("/no/such file"))
        await until(pilot, lambda: "there is no such file or folder" in " ".join(shown(app).split()))


async def test_a_source_is_picked_from_the_last_ones_and_from_folders(
    drive: Drive, engine: FakeEngine, games: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(games.parent)
    (games.parent / "[bold red]no \x1b[31m.csv").write_text("question,answer\na,b\n", encoding="utf-8")
    (games.parent / "[b]odd.csv").write_text("question,answer\na,b\n", encoding="utf-8")
    (games.parent / "notes.pdf").write_bytes(b"%PDF")
    remember_source(str(games))
    engine.answer = nine_rows(measured())
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await pilot.press("l")
        await until(pilot, lambda: "games.jsonl" in shown(app) and "[bold red]no ␛[31m" in shown(app))
        assert "notes.pdf" not in shown(app)
        listed = app.screen.query_one(OptionList)
        listed.focus()
        listed.highlighted = 1
        await pilot.press("enter")
        await until(pilot, lambda: set_up(app).source == str(games))
        await pilot.press("l")
        tree = app.screen.query_one(DataTree)
        await until(pilot, lambda: len(tree.root.children) >= 2)
        tree.focus()
        tree.move_cursor(next(node for node in tree.root.children if "odd" in str(node.label)))
        await pilot.press("enter")
        await until(pilot, lambda: set_up(app).source.endswith("[b]odd.csv"))
        await pilot.press("l")
        app.screen.query_one(Input).value = str(games.parent / "[bold red]no \x1b[31m.csv")
        await pilot.press("enter")
        await until(pilot, lambda: "control character in its name" in " ".join(shown(app).split()))


@pytest.mark.parametrize(
    ("pasted", "path"),
    [("'/a b/c.csv'", "/a b/c.csv"), ('"/a.csv"\n', "/a.csv"), ("file:///a%20b.csv", "/a b.csv"),
     ("/a\\ b\\(1\\).csv", "/a b(1).csv"), ("\n\n /x.csv \n/y.csv", "/x.csv"), ("", ""), ("hf:a/b", "hf:a/b")],
)  # fmt: skip
def test_what_terminals_paste_for_a_file_is_understood(pasted: str, path: str) -> None:
    assert dropped(pasted) == path


@pytest.mark.parametrize(
    ("text", "path"),
    [("model", "/base/model"), ("/else/where", "/else/where"), ("~/model", "/home/me/model"),
     ("~nobody-at-all/model", "/base/~nobody-at-all/model"), ("m" * 5000, "/base/" + "m" * 5000)],
)  # fmt: skip
def test_a_path_is_taken_as_it_was_typed(text: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert str(typed_path(text, Path("/base"))) == path
    assert not is_there(typed_path(text, Path("/base")))


def test_without_a_folder_a_path_begins_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed_path("rows.jsonl") == tmp_path / "rows.jsonl" and is_there(typed_path(""))


def test_names_on_the_hub_are_told_from_paths(tmp_path: Path) -> None:
    assert named_source("hf:org/name", None) == "hf:org/name"
    with pytest.raises(TunerError, match="hf:org/name for the set on the Hub"):
        named_source("org/name", tmp_path)
    with pytest.raises(TunerError):
        check_source(str(tmp_path), None)


def test_recent_sources_are_few_and_a_damaged_list_is_none(tmp_path: Path) -> None:
    for at in range(20):
        remember_source(f"/data/{at}")
    remember_source("/data/10")
    assert recent_sources()[:2] == ["/data/10", "/data/19"] and len(recent_sources()) == MOST
    (tmp_path / "config" / "recent-sources.json").write_text("[", encoding="utf-8")
    assert recent_sources() == []
