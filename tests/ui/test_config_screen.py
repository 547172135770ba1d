"""The config screen: every key, what differs from the default, help, search, and the file beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import shown, until
from tests.ui.workshop import HOSTILE, SAFE, SIZES, app_with, experiment, open_mode, place, posed, with_config
from tui_tuner.config.describe import fields
from tui_tuner.ui.widgets import config_rows
from tui_tuner.ui.widgets.config_editor import TomlEditor
from tui_tuner.ui.widgets.config_facts import Facts
from tui_tuner.ui.widgets.config_means import means
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane

__all__ = ["place"]


async def test_without_experiment_or_run_it_says_what_to_do(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config")
        assert "Press l to load a preset" in shown(app)


def test_every_key_is_listed_under_its_section() -> None:
    rows = config_rows.settings(experiment())
    assert [row.info.key for row in rows if row.info is not None] == [info.key for info in fields()]
    heading = ""
    for row in rows:
        heading = row.section if row.info is None else heading
        assert row.section == heading


def test_what_differs_from_the_default_is_marked() -> None:
    marked = {row.info.key for row in config_rows.settings(experiment()) if row.info is not None and row.changed}
    assert marked == {
        "run.name", "model.path", "data.source", "data.prompt", "data.completion", "data.train", "adapter.rank",
        "adapter.targets", "train.iters", "train.learning_rate", "probes.prompts",
    }  # fmt: skip
    only = config_rows.settings(experiment(), show="changed")
    assert {row.info.key for row in only if row.info is not None} == marked


def test_search_wants_all_words_anywhere() -> None:
    found = [
        row.info.key for row in config_rows.settings(experiment(), search="LEARNING 0.003") if row.info is not None
    ]
    assert found == ["train.learning_rate"]
    assert config_rows.settings(experiment(), search="xylophone zebra") == []


@pytest.mark.parametrize(
    ("key", "changes", "says"),
    [
        ("train.iters", {}, "120 iterations of 4 rows see 480 rows, 4.0 times the 120 training rows."),
        ("train.grad_accumulation", {"train_grad_accumulation": 4}, "updated 30 times, from 16 rows each"),
        ("adapter.scale", {}, "alpha 320 at rank 16"),
        ("adapter.layers", {"adapter_layers": 3}, "The last 3 layers"),
        ("adapter.rank", {"adapter_method": "full"}, 'Not used: the method is "full".'),
        ("train.save_every", {"train_save_every": 100}, "1 checkpoint along the way"),
        ("train.eval_every", {"train_eval_every": 40}, "2 times in between"),
        ("data.prompt", {}, "Each record makes 2 examples."),
        ("run.seed", {}, ""),
    ],
)
def test_what_a_value_works_out_to(key: str, changes: dict[str, object], says: str) -> None:
    text = means(key, experiment(**changes), Facts(counts={"train": 120}))
    assert says in text if says else text == ""


async def test_the_selected_key_is_explained_with_how_to_change_it(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await pilot.press("slash", *"iters", "enter")
        about = app.screen.query_one("#config-about", TextPane)
        await until(pilot, lambda: "train.iters" in about.plain)
        for part in ("120", "1.3 times the 360 training rows", "Default: 100", "not the default", "--set train.iters="):
            assert part in " ".join(about.plain.split()), part
        assert app.screen.query_one(RowList).has_focus


async def test_search_narrows_and_escape_shows_all_again(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        rows = app.screen.query_one(RowList)
        everything = rows.count
        app.screen.action_search()
        assert app.screen.focused is app.screen.query_one("#config-search")  # before any other key is looked at
        await pilot.press(*"adapter.rank")
        await until(pilot, lambda: 0 < rows.count < 8)
        assert "adapter.rank" in app.screen.query_one("#config-about", TextPane).plain
        await pilot.press(*"zzz")
        await until(pilot, lambda: "No key has these words" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: rows.count == everything)
        assert app.current_mode == "config"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("words", ["save_every", "iter", "a"])
async def test_the_row_that_was_found_is_in_sight_also_after_the_search(
    drive: Drive, words: str, size: tuple[int, int]
) -> None:
    async with drive(size=size) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        rows = app.screen.query_one(RowList)

        def in_sight() -> bool:
            top, height = int(rows.scroll_offset.y), rows.scrollable_content_region.height
            return top <= rows.cursor < top + height

        await pilot.press("b")
        everything = rows.count
        await pilot.press("slash", *words)
        await until(pilot, in_sight)
        await pilot.press("escape")
        await until(pilot, lambda: rows.count == everything and in_sight())
        assert rows.cursor > 5


async def test_the_cursor_never_rests_on_a_heading(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        rows = app.screen.query_one(RowList)
        await pilot.press("b")
        headings = config_rows.headings(config_rows.settings(experiment()))
        seen = [rows.cursor]
        for _ in range(rows.count):
            rows.action_move(1)  # what the key does
            seen.append(rows.cursor)
        await pilot.press("home")
        seen.append(rows.cursor)
        assert headings.isdisjoint(seen) and rows.cursor == 1
        assert max(seen) == rows.count - 1


async def test_c_shows_only_what_differs(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await pilot.press("c")
        await until(pilot, lambda: "11 keys, differ from the default" in shown(app))
        await pilot.press("c", "c")
        await until(pilot, lambda: f"{len(fields())} keys, all keys" in shown(app))


async def test_narrow_screens_show_the_file_on_v(drive: Drive) -> None:
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        assert "[run]" not in shown(app)
        await pilot.press("v")
        await until(pilot, lambda: "[run]" in shown(app))
        assert app.screen.query_one(TomlEditor).has_focus
        await pilot.press("escape")
        await until(pilot, lambda: "[run]" not in shown(app))


async def test_values_are_text(drive: Drive) -> None:
    async with drive(size=(160, 50)) as (app, pilot):
        await open_mode(pilot, "config", made=experiment(probes_prompts=[HOSTILE], run_notes="[b]x[/b]"))
        await pilot.press("slash", *"probes.prompts")
        await until(pilot, lambda: "[bold red]no[/] markup" in shown(app))
        assert "\x1b" not in shown(app) and "\u202e" not in shown(app)
        assert SAFE.split(" ")[0] in shown(app)


async def test_a_runs_own_configuration_is_shown(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    run = with_config(build().begin(), experiment(run_name="older", adapter_rank=4))
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", run=run)
        assert run.folder.name in shown(app)
        assert "the configuration of this run" in shown(app)


async def test_a_damaged_configuration_is_told_in_a_sentence(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    run = build().begin()
    run.folder.config.write_text("[model\n", encoding="utf-8")
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", run=run)
        assert "config.toml" in shown(app) and "Traceback" not in shown(app)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pose", ["empty", "filled", "search"])
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int], pose: str) -> None:
    made = None if pose == "empty" else experiment()
    keys = {"empty": (), "filled": ("down",) * 6, "search": ("slash", *"adapter.rank")}[pose]
    text = {"empty": "Press l to load", "filled": "data.", "search": "adapter.rank"}[pose]
    app = app_with(place, FakeEngine())
    assert snap_compare(app, terminal_size=size, run_before=posed("config", text, made=made, keys=keys))
