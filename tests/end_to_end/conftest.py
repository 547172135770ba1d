"""A workshop with a tiny model, and a person who stands somewhere else and types commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from tests.support.commands import Said
from tests.support.models import make_model, make_rows
from tui_tuner.cli.app import run


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model, rows, and a preset `tiny.toml` that names both by relative paths."""
    place = tmp_path_factory.mktemp("workshop")
    make_model(place / "model")
    (place / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in make_rows(40)))
    preset = {
        "run": {"name": "tiny", "seed": 3},
        "model": {"path": "model"},
        "data": {"source": "rows.jsonl", "valid": 8, "test": 4},
        "adapter": {"rank": 4},
        "train": {
            "iters": 6,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "report_every": 1,
            "eval_every": 3,
            "save_every": 2,
            "max_seq_length": 128,
        },
        "evaluation": {"max_tokens": 5},
    }
    (place / "tiny.toml").write_text(tomli_w.dumps(preset))
    return place


@pytest.fixture
def here(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder a person stands in: away from the workshop, with settings of its own and no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "settings"))
    monkeypatch.setenv("TUI_TUNER_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


@pytest.fixture
def tuner(here: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs a command in this process, as `main` does; what it writes is read from the descriptors."""

    def call(*arguments: str | Path) -> Said:
        capfd.readouterr()
        status = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Said(status, out, err)

    return call


@pytest.fixture
def mishaps(here: Path, workshop: Path) -> Path:
    """Files that somebody may well have."""
    good = json.dumps(make_rows(1)[0])
    (here / "bad.toml").write_text('[model]\npath = "x\n')
    (here / "empty.jsonl").touch()
    (here / "bad.jsonl").write_text(f"{good}\n{{bad\n{good}\n")
    (here / "hole.jsonl").write_text(f'{good}\n{{"prompt": "x", "completion": ""}}\n{good}\n')
    (here / "few.jsonl").write_text(f"{good}\n" * 3)
    for name in ("weightless", "pointer", "mute"):
        shutil.copytree(workshop / "model", here / name)
    (here / "weightless" / "model.safetensors").unlink()
    (here / "pointer" / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    (here / "mute" / "tokenizer.json").write_text('{"version": "1.0"}')
    return here
