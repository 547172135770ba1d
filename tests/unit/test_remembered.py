"""What the app remembers: steps of editing, texts that were sent, sources opened last. Never worth a failure."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.config import Experiment
from tui_tuner.ui import inputhistory, recents
from tui_tuner.ui.history import MOST, History, SetUp
from tui_tuner.ui.inputhistory import LONGEST, InputHistory


def named(name: str) -> SetUp:
    values = {"run": {"name": name}, "model": {"path": "m"}, "data": {"source": "d.jsonl"}}
    return SetUp(Experiment.model_validate(values))


ONE, TWO, THREE = (named(name) for name in ("one", "two", "three"))


# -- steps of editing -------------------------------------------------------------------------------------------------
def test_undo_and_redo_go_back_and_forth() -> None:
    history = History()
    assert history.undo(ONE) is None and not history.can_undo
    history.note(ONE)
    history.note(TWO)
    assert history.undo(THREE) is TWO and history.undo(TWO) is ONE
    assert (history.can_undo, history.can_redo) == (False, True)
    assert history.redo(ONE) is TWO and history.redo(TWO) is THREE
    assert history.redo(THREE) is None


def test_a_change_after_undo_forgets_what_was_taken_back() -> None:
    history = History()
    history.note(ONE)
    history.undo(TWO)
    history.note(ONE)
    assert not history.can_redo and history.undo(THREE) is ONE


def test_typing_in_one_field_is_one_step_until_something_else_happens() -> None:
    history = History()
    for before in (ONE, TWO, THREE):
        history.note(before, merge="run.name")
    assert history.undo(THREE) is ONE and not history.can_undo
    history.redo(ONE)
    history.note(TWO, merge="run.name")
    assert history.undo(THREE) is TWO, "what is typed after a step back is a step of its own"
    history = History()
    history.note(ONE, merge="run.name")
    history.note(TWO, merge="data.source")
    history.note(THREE, merge="run.name")
    assert [history.undo(ONE), history.undo(ONE), history.undo(ONE)] == [THREE, TWO, ONE]
    history = History()
    history.note(ONE)
    history.note(TWO)
    assert history.undo(THREE) is TWO, "changes without a name are never merged"


def test_only_so_many_steps_are_kept_and_they_are_the_last() -> None:
    history = History()
    steps = [SetUp(ONE.experiment, overrides=(str(number),)) for number in range(MOST + 5)]
    for step in steps:
        history.note(step)
    found = []
    while (step := history.undo(ONE)) is not None:
        found.append(step)
    assert found == steps[:4:-1] and len(found) == MOST


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["note", "undo", "redo"]), max_size=30))
def test_any_walk_through_the_steps_loses_none_that_can_be_gone_to(moves: list[str]) -> None:
    """Held against two plain lists."""
    history, now, past, future = History(), 0, list[int](), list[int]()
    steps = [SetUp(ONE.experiment, overrides=(str(number),)) for number in range(len(moves) + 1)]
    newest = 0
    for move in moves:
        if move == "note":
            history.note(steps[now])
            past.append(now)
            future.clear()
            newest += 1
            now = newest
            continue
        source, target = (past, future) if move == "undo" else (future, past)
        got = (history.undo if move == "undo" else history.redo)(steps[now])
        if not source:
            assert got is None
            continue
        target.append(now)
        now = source.pop()
        assert got is steps[now]
    assert (history.can_undo, history.can_redo) == (bool(past), bool(future))


def test_edited_is_what_differs_from_what_it_was_made_of() -> None:
    assert ONE.edited, "nobody knows what it was made of"
    assert not SetUp(ONE.experiment, origin=named("one").experiment).edited
    assert SetUp(ONE.experiment, origin=TWO.experiment).edited


# -- texts that were sent ---------------------------------------------------------------------------------------------
@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "config" / "chat-history.jsonl"


def test_what_was_sent_is_there_in_the_next_session_newest_last(place: Path) -> None:
    first = InputHistory(place)
    for text in ("one", "two\nlines", "one", "日本\u2028語", "\ud800 half"):
        first.add(text)
    assert first.texts == InputHistory(place).texts == ["two\nlines", "one", "日本\u2028語", "\ud800 half"]


def test_nobody_else_can_read_what_was_asked(place: Path) -> None:
    InputHistory(place).add("a private question")
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_the_same_text_again_is_not_written_again(place: Path) -> None:
    history = InputHistory(place)
    for _ in range(3):
        history.add("again")
    assert place.read_text().count("\n") == 1 and history.texts == ["again"]


def test_a_long_text_is_remembered_only_while_the_app_lives(place: Path) -> None:
    history = InputHistory(place)
    history.add("k" * LONGEST)
    history.add("k" * (LONGEST + 1))
    assert len(history.texts) == 2
    assert InputHistory(place).texts == ["k" * LONGEST]


def test_only_the_newest_are_kept_and_the_file_does_not_grow_forever(place: Path) -> None:
    history = InputHistory(place)
    for number in range(inputhistory.MOST + 3):
        history.add(str(number))
    assert history.texts[0] == "3" and len(history.texts) == inputhistory.MOST
    with place.open("a") as file:
        file.writelines(json.dumps(str(number)) + "\n" for number in range(4 * inputhistory.MOST))
    texts = InputHistory(place).texts
    assert texts == [str(number) for number in range(3 * inputhistory.MOST, 4 * inputhistory.MOST)]
    assert len(place.read_text().splitlines()) == inputhistory.MOST, "it was written anew"
    assert InputHistory(place).texts == texts


@pytest.mark.parametrize(
    "damage",
    ["not json\n", "7\n", '["a list"]\n', '"   "\n', '"torn', "[" * 100_000 + "\n", json.dumps("k" * 5_000) + "\n"],
)
def test_a_damaged_line_costs_that_line_alone(place: Path, damage: str) -> None:
    place.parent.mkdir()
    place.write_text('"before"\n' + damage.rstrip("\n") + '\n"after"\n')
    assert InputHistory(place).texts == ["before", "after"]


def test_a_file_that_is_no_text_or_much_too_large_is_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.parent.mkdir()
    place.write_bytes(b"\xff\xfe\xff")
    assert InputHistory(place).texts == []
    place.write_text('"a"\n' * 40)
    monkeypatch.setattr(inputhistory, "_LARGEST_FILE", 100)
    assert InputHistory(place).texts == [] and not place.exists()


def test_where_nothing_can_be_written_the_session_still_remembers(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    history = InputHistory(tmp_path / "file" / "chat-history.jsonl")
    history.add("asked")
    assert history.texts == ["asked"]


# -- opened last ------------------------------------------------------------------------------------------------------
@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


def test_what_was_opened_last_comes_first_and_once(config: Path) -> None:
    assert recents.recent_sources() == []
    for source in ("a.jsonl", "b.jsonl", "hf:org/set", "a.jsonl"):
        recents.remember_source(source)
    recents.remember("models", "org/model")
    assert recents.recent_sources() == ["a.jsonl", "hf:org/set", "b.jsonl"]
    assert recents.recent("models") == ["org/model"]
    for number in range(20):
        recents.remember_source(str(number))
    assert recents.recent_sources() == [str(number) for number in range(19, 7, -1)]


@pytest.mark.parametrize(
    "text", ["", "[]", "7", '{"sources": "a"}', '{"models": ["a"]}', '{"sources": {"a": 1}}', "\x00"]
)
def test_a_damaged_list_is_an_empty_one_and_can_be_written_again(config: Path, text: str) -> None:
    config.mkdir()
    (config / "recent-sources.json").write_text(text)
    assert recents.recent_sources() == []
    recents.remember_source("new.csv")
    assert recents.recent_sources() == ["new.csv"]


def test_what_is_no_name_is_passed_over(config: Path) -> None:
    config.mkdir()
    (config / "recent-sources.json").write_text(json.dumps({"sources": ["a", "", None, 7, ["b"], "c"]}))
    assert recents.recent_sources() == ["a", "c"]


def test_a_settings_folder_that_cannot_be_made_costs_the_list_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUI_TUNER_CONFIG", os.fspath(tmp_path / "file" / "config"))
    recents.remember_source("a.jsonl")
    assert recents.recent_sources() == []
