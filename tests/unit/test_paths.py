"""Where things lie, and names that are safe for folders."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner import paths
from tui_tuner.errors import TunerError
from tui_tuner.paths import (
    cache_dir,
    chats_dir,
    config_dir,
    models_dir,
    package_dir,
    presets_dirs,
    resolve_data,
    resolve_model,
    runs_dir,
    safe_name,
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, no environment of ours, and a working directory outside the source tree."""
    for name in (
        "TUI_TUNER_CONFIG",
        "TUI_TUNER_RUNS",
        "TUI_TUNER_MODELS",
        "TUI_TUNER_CACHE",
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    return home


def test_config_dir(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert config_dir() == home / ".config" / "tui-tuner"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert config_dir() == home / ".config" / "tui-tuner"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    assert config_dir() == home / "xdg" / "tui-tuner"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert config_dir() == home / "Library" / "Application Support" / "tui-tuner"
    monkeypatch.setenv("TUI_TUNER_CONFIG", "~/mine")
    assert config_dir() == home / "mine"


def test_cache_dir(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_dir() == home / ".cache" / "tui-tuner"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_dir() == home / ".cache" / "tui-tuner"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    assert cache_dir() == home / "xdg" / "tui-tuner"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_dir() == home / "Library" / "Caches" / "tui-tuner"
    monkeypatch.setenv("TUI_TUNER_CACHE", "~/mine")
    assert cache_dir() == home / "mine"


@pytest.mark.parametrize(("kind", "variable"), [(runs_dir, "TUI_TUNER_RUNS"), (models_dir, "TUI_TUNER_MODELS")])
def test_work_dirs_in_order(kind, variable: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    what = "runs" if kind is runs_dir else "models"
    assert kind() == home / "tui-tuner" / what
    root = paths.checkout_dir()
    assert root is not None
    monkeypatch.chdir(root / "tests")
    assert kind() == root / what
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(home / "c"))
    (home / "c").mkdir()
    (home / "c" / "settings.toml").write_text(f'{what}_dir = "set"\n')
    assert kind() == home / "set"
    monkeypatch.setenv(variable, str(home / "env"))
    assert kind() == home / "env"
    assert kind(Path("over")) == Path.cwd() / "over"


def test_work_dirs_make_nothing(home: Path) -> None:
    runs_dir()
    models_dir()
    presets_dirs()
    assert list(home.iterdir()) == []


def test_presets_dirs_in_order_and_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    root = paths.checkout_dir()
    assert root is not None
    own, package = home / ".config" / "tui-tuner" / "presets", package_dir() / "presets"
    assert presets_dirs() == [own, home / "presets", root / "presets", package]
    monkeypatch.chdir(root)
    assert presets_dirs() == [own, root / "presets", package]


@pytest.mark.parametrize("resolve", [resolve_model, resolve_data])
def test_paths_resolve_beside_the_preset_first(resolve, home: Path) -> None:
    base = home / "presets"
    (base / "thing").mkdir(parents=True)
    (home / "thing").mkdir()
    (home / "other").mkdir()
    assert resolve("thing", base) == str(base / "thing")
    assert resolve("../other", base) == str(home / "other")
    assert resolve("other", base) == str(home / "other")
    assert resolve("thing", None) == str(home / "thing")
    assert resolve("~/other", base) == str(home / "other")
    assert resolve(str(home / "other"), base) == str(home / "other")
    for hub in ("org/model", "missing", "", "~nobody-of-that-name/x", "a\0b", "x" * 5000):
        assert resolve(hub, base) == hub


def test_embedded(home: Path) -> None:
    assert resolve_model("embedded:phi3-tiny", None) == str(package_dir() / "quickstart" / "model")
    assert resolve_data("embedded:players", home) == str(package_dir() / "quickstart" / "players.json")
    with pytest.raises(TunerError, match="use embedded:phi3-tiny"):
        resolve_model("embedded:phi3", None)
    with pytest.raises(TunerError, match="use embedded:"):
        resolve_data("embedded:../../x", None)


@given(st.text())
def test_safe_names_are_safe(text: str) -> None:
    name = safe_name(text)
    assert re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,58}[A-Za-z0-9_])?", name)
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("first try", "first-try"),
        ("a/b", "a-b"),
        ("../../etc/passwd", "etc-passwd"),
        ("Café au lait", "Cafe-au-lait"),
        (".hidden", "hidden"),
        ("--force", "force"),
        ("v1.2_x", "v1.2_x"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("日本", "unnamed"),
        ("x" * 59 + " y", "x" * 59),
    ],
)
def test_safe_names(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_chats_without_a_run_lie_beside_the_runs(home: Path, tmp_path: Path) -> None:
    assert chats_dir() == runs_dir() / "chats"
    assert chats_dir(tmp_path / "elsewhere") == tmp_path / "elsewhere" / "chats"
