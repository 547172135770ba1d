"""Source and mapping on the Data screen: what is shown, what enter changes, how data is opened, what bad input does."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, OptionList, TextArea

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.linted import RECORDS, about, described, games, set_up
from tests.ui.looking import notices, shown, until
from tests.ui.workshop import HOSTILE, WITH_WIDE, app_with, experiment, open_mode, place, posed, with_config
from tui_tuner.config.data_section import DataSection
from tui_tuner.data.sourcefacts import source_facts
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import DescribeSource, PreviewData
from tui_tuner.errors import TunerError
from tui_tuner.ui.mapping import kept, with_wording
from tui_tuner.ui.mappingdialogs import Wording, WordingDialog, rendered
from tui_tuner.ui.sourcedialog import DataTree
from tui_tuner.ui.widgets.data_mapping import WORDING, lines_of
from tui_tuner.ui.widgets.data_source import SourcePane

__all__ = ["games", "place"]


async def test_source_and_mapping_stand_beside_the_rows(drive: Drive, engine: FakeEngine, games: Path) -> None:
    made, facts = about(games)
    engine.answer = described(facts)
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=made)
        pane = app.screen.query_one(SourcePane)
        await until(pilot, lambda: "question-answer" in shown(app))
        for part in ("jsonl, 40 records", "prompt {question}", "write templates", "filter none", "seed", "yards 0",
                     "✓ No column repeats a subject"):  # fmt: skip
            assert part in " ".join(pane.plain.split()), part
        assert app.screen.query_one("#data-rows").has_focus and pane.display


async def test_m_shows_it_on_narrow_screens_and_escape_leads_back(
    drive: Drive, engine: FakeEngine, games: Path
) -> None:
    made, facts = about(games)
    engine.answer = described(facts)
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "data", made=made)
        pane = app.screen.query_one(SourcePane)
        assert not pane.display
        await pilot.press("m")
        await until(pilot, lambda: pane.has_focus and pane.display and "Taken as" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: not pane.display and app.screen.query_one("#data-rows").has_focus)


async def choose(pilot: Any, key: str) -> None:
    """Puts the cursor on the line of a key, and presses enter."""
    pane = pilot.app.screen.query_one(SourcePane)
    pane.focus()
    pane.cursor = next(at for at, line in enumerate(pane._lines) if line.key == key)
    await pilot.press("enter")
    await pilot.pause()


async def test_enter_changes_a_key_and_refuses_what_cannot_be(drive: Drive, engine: FakeEngine, games: Path) -> None:
    made, facts = about(games)
    engine.answer = described(facts)
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=made)
        await until(pilot, lambda: app.screen.query_one(SourcePane).key)
        await choose(pilot, "data.sample")
        await pilot.press("backspace", *"many", "enter")
        await until(pilot, lambda: "✗" in shown(app) and "data.sample" in shown(app))
        app.screen.query_one(Input).value = "12"
        await pilot.press("enter")
        await until(pilot, lambda: set_up(app).sample == 12 and app.state.edited)


async def test_what_is_learnt_is_changed_in_the_pane(drive: Drive, engine: FakeEngine, games: Path) -> None:
    made, facts = about(games)
    engine.answer = described(facts)
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=made)
        pane = app.screen.query_one(SourcePane)
        await until(pilot, lambda: "learnt the answers only" in " ".join(pane.plain.split()))
        await choose(pilot, "data.mask_prompt")
        app.screen.query_one(Input).value = "false"
        await pilot.press("enter")
        await until(pilot, lambda: set_up(app).mask_prompt is False)
        await until(pilot, lambda: "learnt prompts and answers" in " ".join(pane.plain.split()))


@pytest.mark.parametrize(
    ("name", "content", "there", "absent"),
    [
        ("a.csv", "question;answer\nWho?;They\nWhat?;That\n", ("encoding", "delimiter", "header"), ("branches",)),
        ("a.txt", "one line\nanother line\n", ("encoding",), ("delimiter", "header", "branches")),
        ("a.jsonl", '{"question": "Who?", "answer": "They"}\n', ("encoding",), ("delimiter", "header")),
    ],
)
def test_how_a_file_is_read_is_told_where_it_matters(
    tmp_path: Path, name: str, content: str, there: tuple[str, ...], absent: tuple[str, ...]
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    made, facts = about(tmp_path / name)
    labels = [line.label for line in lines_of(made, facts, "", 60)]
    assert set(there) <= set(labels) and not set(absent) & set(labels)


def test_the_branches_of_trees_are_a_setting(tmp_path: Path) -> None:
    tree = {"role": "prompter", "text": "Who?", "replies": [{"role": "assistant", "text": "They.", "replies": []}]}
    (tmp_path / "trees.jsonl").write_text("".join(json.dumps({"prompt": tree}) + "\n" for _ in range(9)))
    made, facts = about(tmp_path / "trees.jsonl")
    assert facts.guess.shape == "tree"
    assert ("data.tree", "the best-ranked replies") in [
        (line.key, line.value) for line in lines_of(made, facts, "", 60)
    ]


def test_the_records_of_a_whole_source_are_told_once_they_are_counted(games: Path) -> None:
    made, facts = about(games)
    head = replace(facts, rows=9, complete=False)
    told = [
        next(line.value for line in lines_of(made, head, "", 60, count) if line.label == "read as") for count in (0, 40)
    ]
    assert told == ["jsonl, 9 and more records", "jsonl, 40 records"]


async def test_a_filter_is_tried_on_the_first_records(drive: Drive, engine: FakeEngine, games: Path) -> None:
    made, facts = about(games)
    engine.answer = described(facts)
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=made)
        await until(pilot, lambda: app.screen.query_one(SourcePane).key)
        await choose(pilot, "data.filter")
        app.screen.query_one(Input).value = "yards >"
        await until(pilot, lambda: "✗" in shown(app))
        app.screen.query_one(Input).value = "yards > 29"
        await until(pilot, lambda: "keeps 10 of the first" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: set_up(app).filter == ["yards > 29"])


async def test_templates_are_tried_on_a_record_while_they_are_typed(
    drive: Drive, engine: FakeEngine, games: Path
) -> None:
    made, facts = about(games)
    engine.answer = described(facts)
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=made)
        await until(pilot, lambda: app.screen.query_one(SourcePane).key)
        await choose(pilot, "wording:new")
        assert isinstance(app.screen, WordingDialog)
        prompt = app.screen.query_one("#wording-prompt", TextArea)
        assert prompt.text == "{question}"
        prompt.text = "Answer: {questoin}"
        await until(pilot, lambda: "there is no column" in shown(app) and "{question}?" in shown(app))
        await pilot.press("ctrl+s")
        assert isinstance(app.screen, WordingDialog), "what cannot be is not kept"
        prompt.text = "Answer: {question}"
        await until(pilot, lambda: "Answer: Who won game 0?" in shown(app))
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "Answer: Who won game 1?" in shown(app))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: set_up(app).prompt == ["Answer: {question}"])
        assert set_up(app).completion == ["{answer}"]


async def test_another_shape_is_chosen_from_the_guesses(drive: Drive, engine: FakeEngine, tmp_path: Path) -> None:
    path = tmp_path / "both.jsonl"
    records = [
        {"question": f"Who won {at}?", "answer": "They did.", "text": f"Who won {at}? They did."} for at in range(9)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    made, facts = about(path)
    shapes = [guess.shape for guess in facts.guesses]
    assert shapes[:2] == ["question-answer", "text"]
    engine.answer = described(facts)
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=made)
        await until(pilot, lambda: app.screen.query_one(SourcePane).key)
        await choose(pilot, "data.shape")
        app.screen.query_one(OptionList).highlighted = 2
        await pilot.press("enter")
        await until(pilot, lambda: set_up(app).shape == "text")


async def test_groups_are_advised_and_chosen(drive: Drive, engine: FakeEngine, tmp_path: Path) -> None:
    path = tmp_path / "squad.jsonl"
    records = [{"passage": f"A long text about {at // 3}.", "question": f"What of {at}?", "answer": "This."}
               for at in range(60)]  # fmt: skip
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    made, facts = about(path, prompt=["{passage} {question}"], completion=["{answer}"])
    engine.answer = described(facts)
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=made)
        await until(pilot, lambda: "groups would fit" in app.screen.query_one(SourcePane).plain)
        await choose(pilot, "data.split")
        app.screen.query_one(OptionList).highlighted = 1
        await pilot.press("enter")
        await until(pilot, lambda: set_up(app).split == "grouped" and set_up(app).group == ["passage"])


async def test_what_does_not_go_together_is_told(drive: Drive, engine: FakeEngine, games: Path) -> None:
    made, facts = about(games)
    engine.answer = described(facts)
    async with drive(mishaps=True) as (app, pilot):
        await open_mode(pilot, "data", made=made)
        await until(pilot, lambda: app.screen.query_one(SourcePane).key)
        await choose(pilot, "data.split")
        app.screen.query_one(OptionList).highlighted = 2
        await pilot.press("enter")
        await until(pilot, lambda: any("data.prompt" in text for text in notices(app)))
        assert set_up(app).split == "records"


async def test_a_run_s_data_cannot_be_changed(
    drive: Drive, engine: FakeEngine, build: Callable[..., RunBuilder], games: Path
) -> None:
    made, facts = about(games)
    engine.answer = described(facts)
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", run=with_config(build().begin(), made))
        await until(pilot, lambda: app.screen.query_one(SourcePane).key)
        await choose(pilot, "data.sample")
        await until(pilot, lambda: any("as it was trained on" in text for text in notices(app)))


async def test_where_no_row_can_be_made_the_mapping_is_there(drive: Drive, engine: FakeEngine, games: Path) -> None:
    made, facts = about(games)
    broken = TunerError("it is not clear what is asked and what is answered", code="unknown-shape")

    def answer(handle: JobHandle) -> None:
        if isinstance(handle.request, PreviewData):
            handle.status, handle.error = JobStatus.FAILED, broken
        elif isinstance(handle.request, DescribeSource):
            handle.status, handle.result = JobStatus.DONE, facts

    engine.answer = answer
    async with drive(mishaps=True) as (app, pilot):
        await open_mode(pilot, "data", made=made)
        await until(pilot, lambda: "✗ it is not clear" in shown(app).lower() and "write templates" in shown(app))
        pane = app.screen.query_one(SourcePane)
        await until(pilot, lambda: pane.has_focus and pane.key.startswith(WORDING))
        await pilot.press("m")
        assert pane.has_focus


async def test_templates_for_other_data_are_tried_on_its_own_records(
    drive: Drive, engine: FakeEngine, games: Path, tmp_path: Path
) -> None:
    made, facts = about(games)
    rows, broken = described(facts), TunerError("it is not clear what is asked and what is answered")
    other = replace(facts, columns={"player": "Ann"}, records=[{"player": "Ann"}])

    def answer(handle: JobHandle) -> None:
        if handle.request.experiment.data.source == made.data.source:
            rows(handle)
        elif isinstance(handle.request, PreviewData):
            handle.status, handle.error = JobStatus.FAILED, broken
        elif isinstance(handle.request, DescribeSource):
            handle.status, handle.result = JobStatus.DONE, other

    engine.answer = answer
    async with drive(mishaps=True) as (app, pilot):
        await open_mode(pilot, "data", made=made)
        await until(pilot, lambda: app.screen.browser.row is not None)
        app.screen._open_source(str(tmp_path / "other.jsonl"))
        pane = app.screen.query_one(SourcePane)
        await until(pilot, lambda: pane.has_focus and pane.key.startswith(WORDING))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, WordingDialog))
        assert app.screen._records == [{"player": "Ann"}]


def test_what_cannot_be_read_is_told_in_the_pane() -> None:
    plain = [line.label for line in lines_of(experiment(), None, f"the file is no data {HOSTILE}", 60)]
    assert any("✗ the file is no data" in text for text in plain) and not any("\x1b" in text for text in plain)


# -- wordings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "wording", "prompts", "answers"),
    [(0, Wording("x", "a"), ["x", "q"], ["a"]), (2, Wording("x", "a"), ["p", "q", "x"], ["a"]),
     (1, Wording("x", "b"), ["p", "x"], ["a", "b"]), (0, Wording("", ""), ["q"], ["a"])],
)  # fmt: skip
def test_wordings_are_changed_added_and_taken_out(
    at: int, wording: Wording, prompts: list[str], answers: list[str]
) -> None:
    data = DataSection(source="x", prompt=["p", "q"], completion=["a"])
    assert with_wording(data, at, wording) == {"data.prompt": prompts, "data.completion": answers}


def test_the_last_wording_taken_out_leaves_no_templates() -> None:
    data = DataSection(source="x", prompt=["p"], completion=["a"])
    assert with_wording(data, 0, Wording("", "")) == {"data.prompt": [], "data.completion": []}


def test_templates_need_both_sides_and_known_columns() -> None:
    assert rendered(Wording("{a.b}?", "{c or 0}"), {"a": {"b": 1}, "c": None}, ["a.b", "c"]) == ("1?", "0")
    for wording in (Wording("{x}", "a"), Wording("x", ""), Wording("{", "a")):
        with pytest.raises(TunerError):
            rendered(wording, {"a": 1}, ["a"])


def test_conditions_are_counted_on_the_records() -> None:
    assert kept(["yards > 9", "yards < 20"], RECORDS) == "keeps 10 of the first 40 records"
    assert kept([], RECORDS) == ""


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", WITH_WIDE)
@pytest.mark.parametrize("pose", ["mapping", "wording", "value", "shape", "split", "open"])
def test_picture(
    place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = place.parent
    (home / "folder").mkdir()
    for name in ("games.csv", "train.jsonl", "[b]odd.json"):
        (home / name).write_text("", encoding="utf-8")
    monkeypatch.chdir(home)
    monkeypatch.setattr(DataTree, "process_label", _unnamed(DataTree.process_label, home.name))
    data = DataSection(source="embedded:players")
    made = experiment().model_copy(update={"data": data})
    listed = [line.key for line in lines_of(made, source_facts(data), "", 60) if line.key]

    def to(key: str) -> tuple[str, ...]:
        return ("m", *["down"] * listed.index(key), "enter")

    keys, text = {
        "mapping": (("m",), "Taken as"),
        "value": (to("data.filter"), "enter sets it"),
        "shape": (to("data.shape"), "Leave it as it is"),
        "split": (to("data.split"), "Leave it as it is"),
        "wording": (to("wording:new"), "what record"),
        "open": (("l",), "games.csv"),
    }[pose]
    app = app_with(place, FakeEngine(described(source_facts(data))))
    assert snap_compare(app, terminal_size=size, run_before=posed("data", text, made=made, keys=keys))


def _unnamed(label: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Shows the test's own folder under a name that lasts."""
    return lambda tree, text: label(tree, "data" if str(text) == name else text)
