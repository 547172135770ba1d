"""Where experiments come from and go to: presets, runs, files of other tools; and what saving would take away."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import notices, shown, until
from tests.ui.test_config_form import now
from tests.ui.workshop import HOSTILE, SIZES, app_with, experiment, open_mode, place, with_config
from tui_tuner.config.toml import load_experiment
from tui_tuner.paths import config_dir
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.pickdialog import PickDialog
from tui_tuner.ui.savedialog import SaveDialog
from tui_tuner.ui.stockdialog import StockDialog
from tui_tuner.ui.widgets.data_list import RowList

__all__ = ["place"]

_WRITTEN = "# Mine\n# By hand.\n\n[model]\npath = 'embedded:phi3-tiny'  # small\n[data]\nsource = 'embedded:players'\n"
_STOCK = """model: embedded:phi3-tiny
data: some/folder
iters: 33
learning_rate: 1e-5
lora_layers: 4
lora_parameters:
  rank: 12
  scale: 10.0
  dropout: 0.0
"""


async def opened(pilot: Pilot[Any], key: str, dialog: type) -> None:
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.screen, dialog), dialog.__name__)
    await pilot.pause()


async def test_an_experiment_is_saved_as_a_preset_and_becomes_it(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment(adapter_rank=24))
        await opened(pilot, "p", SaveDialog)
        await pilot.press(*"mine-24", "tab", *"My own", "enter")
        file = config_dir() / "presets" / "mine-24.toml"
        await until(pilot, file.exists)
        saved = load_experiment(file)
        assert saved.adapter.rank == 24 and file.read_text("utf-8").startswith("# My own\n")
        await until(pilot, lambda: app.state.preset is not None and app.state.preset.name == "mine-24")
        assert not app.state.edited and any("mine-24.toml" in text for text in notices(app))


async def test_a_hand_written_preset_is_not_written_over_unasked(drive: Drive) -> None:
    folder = config_dir() / "presets"
    folder.mkdir(parents=True)
    file = folder / "mine.toml"
    file.write_text(_WRITTEN, encoding="utf-8")
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await opened(pilot, "p", SaveDialog)
        await pilot.press(*"mine")
        await until(pilot, lambda: "was written by hand" in " ".join(shown(app).split()))
        await pilot.press("enter")
        await until(pilot, lambda: "Save it as mine-2" in shown(app))
        assert file.read_text("utf-8") == _WRITTEN
        await pilot.press("enter")
        await until(pilot, (folder / "mine-2.toml").exists)
        assert file.read_text("utf-8") == _WRITTEN


async def test_it_is_written_over_when_that_is_said(drive: Drive) -> None:
    folder = config_dir() / "presets"
    folder.mkdir(parents=True)
    file = folder / "mine.toml"
    file.write_text(_WRITTEN, encoding="utf-8")
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await opened(pilot, "p", SaveDialog)
        await pilot.press(*"mine", "enter")
        await until(pilot, lambda: "Save it as mine-2" in shown(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: file.read_text("utf-8") != _WRITTEN)
        assert load_experiment(file).adapter.rank == 16


@pytest.mark.parametrize("name", ["../out", "a\\b:c?", " "])
async def test_a_name_that_is_none_is_refused_in_a_sentence(drive: Drive, name: str) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await opened(pilot, "p", SaveDialog)
        app.screen.query_one("#save-name", Input).value = name
        await until(pilot, lambda: "✗" in shown(app))
        await pilot.press("enter")
        assert isinstance(app.screen, SaveDialog) and not (config_dir() / "presets").exists()


async def test_presets_and_runs_are_offered_and_loaded(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    run = with_config(build().begin(), experiment(run_name="older", train_iters=77))
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await opened(pilot, "l", PickDialog)
        await until(pilot, lambda: "quickstart" in shown(app))
        await pilot.press(*"quickst", "enter")
        await until(pilot, lambda: app.state.preset is not None and app.state.preset.name == "quickstart")
        await opened(pilot, "l", PickDialog)
        picks: Any = app.screen.query_one("#picks")
        assert "quickstart" in str(picks.get_option_at_index(1).prompt)
        await pilot.press(*run.folder.name, "enter")
        await until(pilot, lambda: now(app).train.iters == 77 and app.state.preset is None)
        await pilot.press("u", "u")
        await until(pilot, lambda: now(app) == experiment())


async def test_a_file_of_another_tool_is_brought_over_with_its_report(drive: Drive, tmp_path: Path) -> None:
    file = tmp_path / "lora.yaml"
    file.write_text(_STOCK, encoding="utf-8")
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await opened(pilot, "l", PickDialog)
        app.screen.query_one(Input).value = str(file)
        await until(pilot, lambda: "the file" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "From mlx-lm" in shown(app) and "lora_layers" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: now(app).train.iters == 33 and now(app).adapter.rank == 12)


async def test_a_file_that_is_nothing_is_told_and_changes_nothing(drive: Drive, tmp_path: Path) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text("[1, 2", encoding="utf-8")
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        for path in (file, tmp_path / "none.toml"):
            await opened(pilot, "l", PickDialog)
            app.screen.query_one(Input).value = str(path)
            await pilot.pause()
            await pilot.press("enter")
            await until(pilot, lambda path=path: any(path.name in text for text in notices(app)))  # type: ignore[misc]
        assert now(app) == experiment()


async def test_two_experiments_are_compared_side_by_side(drive: Drive, build: Callable[..., RunBuilder]) -> None:
    other = experiment(adapter_rank=4, run_notes=HOSTILE.replace("\x1b", "").replace("\x07", ""))
    run = with_config(build().begin(), other)
    async with drive() as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await opened(pilot, "d", PickDialog)
        await pilot.press(*run.folder.name, "enter")
        await until(pilot, lambda: "2 keys, differ from" in shown(app))
        assert "← 4" in shown(app) and "\u202e" not in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: "for a first run" in shown(app))
        await opened(pilot, "d", PickDialog)
        await pilot.press("enter")
        await until(pilot, lambda: "differ from the defaults" in shown(app))
        assert app.screen.query_one(RowList).count > 5


async def test_the_stock_file_is_shown_and_written(
    drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with drive(size=(120, 40)) as (app, pilot):
        await open_mode(pilot, "config", made=experiment())
        await opened(pilot, "o", StockDialog)
        await until(pilot, lambda: "mlx_lm.lora --config" in shown(app) and "learning_rate: 0.003" in shown(app))
        await pilot.press("ctrl+y")
        assert "mlx_lm.lora --config" in app.clipboard
        await pilot.press("enter")
        file = tmp_path / "players.yaml"
        await until(pilot, file.exists)
        text = file.read_text("utf-8")
        file.write_text("mine", encoding="utf-8")
        await pilot.press("enter")
        await until(pilot, lambda: "enter again writes over it" in shown(app))
        assert file.read_text("utf-8") == "mine"
        await pilot.press("enter")
        await until(pilot, lambda: file.read_text("utf-8") == text)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
def test_picture(place: Path, snap_compare: Callable[..., bool], size: tuple[int, int]) -> None:
    """Of the report on another tool's file, the one dialog whose text does not hang on where it is drawn."""
    file = place / "lora.yaml"
    file.write_text(_STOCK, encoding="utf-8")

    async def prepare(pilot: Pilot[Any]) -> None:
        app: TunerApp = pilot.app  # type: ignore[assignment]
        await open_mode(pilot, "config", made=experiment())
        await opened(pilot, "l", PickDialog)
        app.screen.query_one(Input).value = str(file)
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: "From mlx-lm" in shown(app))
        assert app.mishaps == []

    assert snap_compare(app_with(place, FakeEngine()), terminal_size=size, run_before=prepare)
