"""Settings: whatever the file holds, the app starts; whatever happens while saving, a file stays."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

from tui_tuner import atomic
from tui_tuner.errors import TunerError
from tui_tuner.settings import Settings, change_settings, load_settings, save_settings, settings_path


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "config"))
    return settings_path()


def test_without_a_file_the_defaults_hold(path: Path) -> None:
    assert load_settings() == Settings()
    assert load_settings().warning == ""
    assert not path.parent.exists()


def test_saved_settings_load_back(path: Path) -> None:
    saved = Settings(theme="nord", runs_dir="~/läufe", smoothing=0, animations=False)
    assert save_settings(saved) == path
    loaded = load_settings()
    assert loaded.model_dump() == saved.model_dump()
    assert loaded.warning == ""
    assert [file.name for file in path.parent.iterdir()] == ["settings.toml"]


@pytest.mark.parametrize(
    "content",
    [b"theme = ", b"\xff\xfe", b"[" * 3000, b"#" * ((1 << 20) + 1), b"theme = 5\x00", b"x = " + b"9" * 5000],
)
def test_a_broken_file_gives_defaults_a_warning_and_stays(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    loaded = load_settings()
    assert loaded.model_dump() == Settings().model_dump()
    assert str(path) in loaded.warning
    assert path.read_bytes() == content
    save_settings(loaded)
    assert path.with_name("settings.toml.broken").read_bytes() == content
    assert load_settings().warning == ""


def test_a_folder_in_its_place_is_a_warning(path: Path) -> None:
    path.mkdir(parents=True)
    assert str(path) in load_settings().warning


def test_one_bad_value_costs_only_itself(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('theme = "nord"\nsmoothing = 5\nanimations = "no"\n')
    loaded = load_settings()
    assert (loaded.theme, loaded.smoothing, loaded.animations) == ("nord", Settings().smoothing, True)
    assert "smoothing = 5" in loaded.warning
    assert "theme" not in loaded.warning


def test_keys_of_a_newer_version_are_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('theme = "nord"\nshiny = 1\n[future]\nx = [1]\n')
    loaded = load_settings()
    assert loaded.warning == ""
    loaded.theme = "gruvbox"
    save_settings(loaded)
    text = path.read_text()
    assert "shiny = 1" in text
    assert "[future]" in text
    assert load_settings().theme == "gruvbox"


def test_a_change_leaves_what_another_has_changed_meanwhile(path: Path) -> None:
    mine = Settings()
    save_settings(Settings(theme="paper", smoothing=0.2), path)
    change_settings(mine, path, told=["one"])
    found = load_settings(path)
    assert (found.theme, found.smoothing, found.told) == ("paper", 0.2, ["one"])
    assert mine.told == ["one"] and mine.theme == "ember"


def test_a_change_of_a_file_that_cannot_be_read_keeps_it_beside(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("theme = \n")
    change_settings(Settings(theme="paper"), path, told=["one"])
    found = load_settings(path)
    assert (found.theme, found.told, found.warning) == ("paper", ["one"], "")
    assert path.with_name("settings.toml.broken").read_text() == "theme = \n"


def test_a_failed_save_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_settings(Settings(theme="nord"))

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "sync_to_disk", full)
    with pytest.raises(TunerError, match="no space left") as caught:
        save_settings(Settings(theme="gruvbox"))
    assert caught.value.code == "not-writable"
    assert load_settings().theme == "nord"
    assert [file.name for file in path.parent.iterdir()] == ["settings.toml"]


def test_a_place_that_cannot_be_made_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a file where the folder should be")
    with pytest.raises(TunerError, match="could not be saved"):
        save_settings(Settings())


def test_a_linked_file_stays_a_link(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles.toml"
    target.write_text('theme = "nord"\n')
    path.parent.mkdir()
    path.symlink_to(target)
    save_settings(Settings(theme="gruvbox"))
    assert path.is_symlink()
    assert os.path.realpath(path) == str(target)
    assert "gruvbox" in target.read_text()


def test_the_guide_names_every_setting_and_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    section = page.partition("## Settings\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| `(.+?)` \|", section, re.MULTILINE)
    assert {key: tomllib.loads(f"x = {value}")["x"] for key, value in rows} == Settings().model_dump()
