"""The TOML beside the form: typed, kept in step both ways, and what is wrong with it is there to be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.containers import VerticalScroll

from tests.ui.conftest import Drive
from tests.ui.looking import notices, shown, shown_in, until
from tests.ui.test_config_form import WRITTEN, now, to_key
from tests.ui.workshop import SIZES, experiment, open_mode
from tui_tuner.config.describe import FieldInfo, fields, value_of
from tui_tuner.config.toml import experiment_from_text
from tui_tuner.ui.widgets import config_edit as edit
from tui_tuner.ui.widgets.config_document import Document
from tui_tuner.ui.widgets.config_editor import TomlEditor
from tui_tuner.ui.widgets.data_list import RowList


async def test_the_text_of_a_preset_keeps_its_remarks(drive: Drive, tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text(WRITTEN, encoding="utf-8")
    async with drive(size=(160, 50)) as (app, pilot):
        app.load_preset(str(preset))
        await open_mode(pilot, "config")
        editor = app.screen.query_one(TomlEditor)
        await until(pilot, lambda: editor.text == WRITTEN)
        await to_key(pilot, "train.iters")
        await pilot.press("right")
        await until(pilot, lambda: editor.text == WRITTEN.replace("iters = 100", "iters = 200"))
        await to_key(pilot, "adapter.rank")
        await pilot.press("right")
        await until(pilot, lambda: "[adapter]\nrank = 16\n" in editor.text and "# With remarks." in editor.text)
        await pilot.press("u", "u")
        await until(pilot, lambda: editor.text == WRITTEN)
        assert preset.read_text(encoding="utf-8") == WRITTEN


async def test_the_selected_key_stays_in_sight_in_the_text_when_it_is_changed(drive: Drive) -> None:
    async with drive(size=(160, 40)) as (app, pilot):
        app.load_preset("quickstart")
        await open_mode(pilot, "config")
        editor = app.screen.query_one(TomlEditor)
        await to_key(pilot, "train.save_every")
        await pilot.press("right")
        await until(pilot, lambda: now(app).train.save_every != app.state.origin.train.save_every)  # type: ignore[union-attr]

        def in_sight() -> bool:
            line = editor.text.split("\n").index(f"save_every = {now(app).train.save_every}")
            top = int(editor.scroll_offset.y)
            return top <= line < top + editor.scrollable_content_region.height

        await until(pilot, in_sight)
        assert editor.scroll_offset.y > 0


async def test_what_is_typed_into_the_text_counts_as_soon_as_it_is_right(drive: Drive, tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text(WRITTEN, encoding="utf-8")
    async with drive(size=(160, 50)) as (app, pilot):
        app.load_preset(str(preset))
        await open_mode(pilot, "config")
        await to_key(pilot, "train.iters")
        await pilot.press("v")
        editor = app.screen.query_one(TomlEditor)
        await until(pilot, lambda: editor.has_focus)
        await pilot.press("home", "end", "enter", *"batch_size = ")
        await until(pilot, lambda: "✗" in shown(app) and "line 12" in shown(app))
        assert now(app).train.batch_size == 4 and editor._wrong == {11}
        await pilot.press("1", "6")
        await until(pilot, lambda: now(app).train.batch_size == 16 and editor._wrong == frozenset())
        await pilot.press("escape")
        assert app.screen.query_one(RowList).has_focus
        await pilot.press("u")
        await until(pilot, lambda: now(app).train.batch_size == 4)
        assert "batch_size" not in editor.text and "# With remarks." in editor.text


async def test_a_wrong_text_is_kept_and_holds_changes_back(drive: Drive) -> None:
    async with drive(size=(160, 50)) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        editor = app.screen.query_one(TomlEditor)
        await to_key(pilot, "train.batch_size")
        editor.insert("[train\n", (0, 0))
        await until(pilot, lambda: "✗" in shown(app))
        await pilot.press("right")
        await until(pilot, lambda: any("not right yet" in text for text in notices(app)))
        assert editor.text.startswith("[train\n") and now(app).train.batch_size == 4
        await pilot.press("u")
        await until(pilot, lambda: not editor.text.startswith("[train\n") and "✗" not in shown(app))


@pytest.mark.parametrize("size", [*SIZES, (160, 50)], ids=str)
async def test_what_is_wrong_is_told_to_its_end(drive: Drive, size: tuple[int, int]) -> None:
    async with drive(size=size) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await pilot.press("v", "down", "down", *"x")
        told = app.screen.query_one("#config-said", VerticalScroll)
        await until(pilot, lambda: "The experiment is what the text said before." in shown_in(app, told))
        assert told.max_scroll_y == 0 and told.region.bottom <= app.screen.query_one("#config-right").region.bottom


async def test_many_mistakes_leave_room_for_the_text_and_are_scrolled(drive: Drive) -> None:
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await pilot.press("v")
        editor = app.screen.query_one(TomlEditor)
        editor.load_text(
            "[train]\n" + "".join(f"no_such_key_of_that_name_{number} = {number}\n" for number in range(40))
        )
        told = app.screen.query_one("#config-said", VerticalScroll)
        await until(pilot, lambda: "✗" in shown(app) and told.max_scroll_y > 0)
        assert editor.region.height >= 5
        told.focus()
        await pilot.press("end")
        await until(pilot, lambda: "The experiment is what the text said before." in shown_in(app, told))
        editor.load_text(editor.text.replace("_name_1 ", "_name_one "))
        await until(pilot, lambda: told.scroll_y == 0)


@pytest.mark.parametrize("info", fields(), ids=lambda info: info.key)
def test_every_key_goes_from_form_to_text_and_back(info: FieldInfo) -> None:
    made = experiment()
    document = Document()
    document.begin(made)
    changed = edit.stepped(made, info, 1)
    if changed is None:
        return
    assert document.follow(changed) and experiment_from_text(document.text, "") == changed
    assert document.follow(made) and experiment_from_text(document.text, "") == made
    for value in (value_of(made, info), value_of(changed, info)):
        if info.kind in ("text", "texts", "choices", "wholes"):
            assert edit.from_toml(made, info, edit.as_toml(info, value)) is not None
