"""Finding presets by name and path, and what their header says."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tui_tuner import paths
from tui_tuner.cli.app import app
from tui_tuner.config import find_preset, list_presets, load_preset
from tui_tuner.config.presets import header
from tui_tuner.config.sweep import load_sweep
from tui_tuner.errors import TunerError

BASE = '[model]\npath = "m"\n[data]\nsource = "d"\n'


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The person's own folder of presets and the working directory's; the project's own are out of sight."""
    own, here = tmp_path / "config" / "presets", tmp_path / "work" / "presets"
    own.mkdir(parents=True)
    here.mkdir(parents=True)
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(paths, "package_dir", lambda: tmp_path / "elsewhere" / "tui_tuner")
    return own, here


def test_header() -> None:
    assert header("# Title\n#\n# First\n#   line.\n#\n# Second.\n\n# no header\n[run]") == (
        "Title",
        "First\n  line.\n\nSecond.",
    )
    assert header("#\n#Title") == ("Title", "")
    assert header("[run]\n# not it") == ("", "")
    assert header("") == ("", "")


def test_names_are_found_own_folder_first(folders: tuple[Path, Path]) -> None:
    own, here = folders
    (own / "facts.toml").write_text("# Mine\n" + BASE)
    (here / "facts.toml").write_text("# Theirs\n" + BASE)
    (here / "recipes.toml").write_text("# Recipes\n# What to cook.\n" + BASE)
    (here / ".hidden.toml").write_text(BASE)
    (here / "notes.txt").write_text("no preset")
    (here / "folder.toml").mkdir()
    assert [(preset.name, preset.title) for preset in list_presets()] == [("facts", "Mine"), ("recipes", "Recipes")]
    found = find_preset("recipes")
    assert (found.path, found.base, found.description) == (here / "recipes.toml", here, "What to cook.")


def test_a_broken_preset_is_listed_and_says_why_when_loaded(folders: tuple[Path, Path]) -> None:
    (folders[0] / "broken.toml").write_bytes(b"\xff\xfe")
    assert [preset.title for preset in list_presets()] == ["broken"]
    with pytest.raises(TunerError, match="not UTF-8"):
        load_preset("broken")


def test_paths(folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "work" / "mine.toml"
    file.write_text(BASE)
    for text in ("mine.toml", "./mine.toml", str(file), "../work/mine.toml"):
        assert find_preset(text).path.resolve() == file
        assert find_preset(text).path.is_absolute()
    made, preset = load_preset("mine.toml", ["train.iters=7"])
    assert (made.train.iters, preset.name, preset.title) == (7, "mine", "mine")


def test_names_never_leave_the_folders(folders: tuple[Path, Path]) -> None:
    own, _ = folders
    (own.parent / "secret.toml").write_text(BASE)
    (own / "a.toml").write_text(BASE)
    for name in ("..", ".", "", "..\\secret", "secret", "a\0", "a.toml.toml", "*", "a*"):
        with pytest.raises(TunerError) as caught:
            find_preset(name)
        assert caught.value.usage


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("qickstart", 'did you mean "quickstart"?'),
        ("zzz", "the presets are quickstart"),
        ("mine", "write mine.toml"),
        ("presets/quickstart", "presets/quickstart.toml?"),
        ("nowhere/quickstart.toml", 'the preset "quickstart"?'),
        ("runs/one", "runs/one/config.toml?"),
        ("nowhere/zzz.toml", "check the path"),
        ("./rows.jsonl", "name a .toml file"),
    ],
)
def test_refusals_say_what_to_write(folders: tuple[Path, Path], tmp_path: Path, text: str, fix: str) -> None:
    (folders[1] / "quickstart.toml").write_text(BASE)
    work = tmp_path / "work"
    (work / "mine.toml").write_text(BASE)
    (work / "rows.jsonl").write_text("{}")
    (work / "runs" / "one").mkdir(parents=True)
    (work / "runs" / "one" / "config.toml").write_text(BASE)
    with pytest.raises(TunerError) as caught:
        find_preset(text)
    assert fix in caught.value.fix
    assert caught.value.usage


def test_without_any_preset_a_path_is_asked_for(folders: tuple[Path, Path]) -> None:
    with pytest.raises(TunerError, match=r"give the path of a \.toml file"):
        find_preset("quickstart")


CONSENT = "evil@0123456789abcdef"
KEY = "model.trust_remote_code"


def consenting(folder: Path, name: str = "consenting") -> Path:
    """A preset that allows code, at one of its scales too, and tries to in a sweep."""
    path = folder / f"{name}.toml"
    path.write_text(
        f'[model]\npath = "m"\ntrust_remote_code = "{CONSENT}"\n[data]\nsource = "d"\n'
        f'[scale.big.model]\ntrust_remote_code = "{CONSENT} and@{"1" * 16}"\n'
        f'[sweep.values]\n"{KEY}" = ["{CONSENT}"]\ntrain.learning_rate = [1e-4, 2e-4]\n'
    )
    return path


def test_a_consent_in_a_strangers_preset_is_none(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """Neither by path nor by name out of the working directory, which may be somebody's repository."""
    own, here = folders
    consenting(here)
    loose = consenting(tmp_path)
    for name in ("consenting", str(loose), "presets/consenting.toml"):
        assert load_preset(name)[0].model.trust_remote_code == ""
        assert load_preset(name, ["scale=big"])[0].model.trust_remote_code == ""
        _, trials, _ = load_sweep(name)
        assert [trial.experiment.model.trust_remote_code for trial in trials] == ["", ""]
    assert load_preset(str(loose), [f"{KEY}={CONSENT}"])[0].model.trust_remote_code == CONSENT, "a person's own word"
    consenting(own, "mine")
    assert load_preset("mine")[0].model.trust_remote_code == CONSENT
    assert load_preset(str(own / "mine.toml"))[0].model.trust_remote_code == CONSENT
    (tmp_path / "link").symlink_to(own)
    assert load_preset(str(tmp_path / "link" / "mine.toml"))[0].model.trust_remote_code == CONSENT
    (here / "linked.toml").symlink_to(own / "mine.toml")
    assert load_preset("linked")[0].model.trust_remote_code == "", "where it is named says whose it is"


def test_saving_a_strangers_preset_does_not_make_its_consent_ones_own(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    loose = consenting(tmp_path)
    assert CliRunner().invoke(app, ["save-preset", "kept", "--from", str(loose)]).exit_code == 0
    assert load_preset("kept")[0].model.trust_remote_code == ""
    given = ["save-preset", "given", "--from", str(loose), "--set", f"{KEY}={CONSENT}"]
    assert CliRunner().invoke(app, given).exit_code == 0
    assert load_preset("given")[0].model.trust_remote_code == CONSENT


def test_every_preset_of_the_project_loads() -> None:
    root = paths.checkout_dir()
    assert root is not None
    files = sorted((root / "presets").glob("*.toml"))
    assert files
    for file in files:
        made, preset = load_preset(str(file))
        assert made.model.path
        assert preset.title != preset.name, f"{file.name} has no title"
        assert preset.description
