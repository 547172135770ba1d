"""What the tab key offers, asked as the shells ask; how little is loaded for it; and that no name can do anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.support.commands import ROOT
from tests.ui.fakes import RunBuilder
from tui_tuner.cli import completing
from tui_tuner.cli.app import app
from tui_tuner.runs.labels import change_labels
from tui_tuner.runs.trash import delete_run

PROGRAM: Any = typer.main.get_command(app)
HEAVY = ("mlx", "mlx_lm", "transformers", "datasets", "textual", "numpy", "pyarrow", "huggingface_hub")
PROBE = f"""
import atexit, sys
atexit.register(lambda: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr))
from tui_tuner.cli.app import run
run([])
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of runs that the variable names, and no cache and settings of anybody's."""
    for name in ("TUI_TUNER_RUNS", "TUI_TUNER_MODELS", "TUI_TUNER_CONFIG", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    (tmp_path / "TUI_TUNER_RUNS").mkdir()
    return tmp_path / "TUI_TUNER_RUNS"


def offered(*words: str) -> list[str]:
    """What is offered for the last word."""
    from typer._completion_classes import BashComplete

    completer = BashComplete(PROGRAM, {}, "tui-tuner", "_TUI_TUNER_COMPLETE")
    return [item.value for item in completer.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_answered_without_a_heavy_library(place: Path, shell: str) -> None:
    builder = RunBuilder(place).prepared()
    line = "tui-tuner resume pl"
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": "2"},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "_TUI_TUNER_COMPLETE": f"complete_{shell}", **asked}
    said = subprocess.run([sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, cwd=place)
    assert said.stderr == "[]\n"
    name = builder.folder.name
    assert said.stdout.strip() == (f"_arguments '*: :((\"{name}\"))'" if shell == "zsh" else name)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script(shell: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "_TUI_TUNER_COMPLETE": f"source_{shell}"}
    said = subprocess.run([sys.executable, "-m", "tui_tuner"], env=environment, capture_output=True, text=True)
    assert f"complete_{shell}" in said.stdout and "tui-tuner" in said.stdout, said.stderr


def test_commands_and_options_are_offered() -> None:
    assert {"run", "runs"} == set(offered("ru"))
    assert offered("steer", "last", "le") == ["learning-rate"]
    assert "rank" not in offered("ra") and "--set" in offered("run", "--s")


def test_runs_are_offered_the_newest_first(place: Path) -> None:
    older, newer = RunBuilder(place, "a").prepared(), RunBuilder(place, "b").prepared()
    os.utime(older.folder.events, (1, 1))
    assert offered("stop", "") == ["last", newer.folder.name, older.folder.name]
    assert offered("label", "a") == [older.folder.name]
    (place / "x; touch y").mkdir()
    (place / "x; touch y" / "events.jsonl").touch()
    (place / "x$(touch y)").mkdir()
    (place / "x$(touch y)" / "events.jsonl").touch()
    (place / "x-not-a-run").mkdir()
    assert offered("stop", "x") == []
    assert offered("stop", "--runs-dir", str(place / "none"), "") == ["last"]


def test_what_a_run_has_is_offered_after_its_name(place: Path) -> None:
    run = RunBuilder(place).prepared().folder
    for name in ("after", "before"):
        (run.evaluation / f"{name}.jsonl").touch()
    for name in ("0000050_adapters.safetensors", "0000100_adapters.safetensors", "best_adapters.safetensors"):
        (run.adapters / name).touch()
    assert offered("compare", f"{run.name}:") == [f"{run.name}:after", f"{run.name}:before"]
    assert offered("score", "last:b") == ["last:before"]
    assert offered("report", run.name, "--first", "") == ["after", "before"]
    assert offered("fuse", "last:") == ["last:best", "last:base", "last:50", "last:100"]
    assert offered("checkpoints", "last", "--use", "1") == ["100"]
    change_labels(run, add=["paper"])
    assert offered("label", run.name, "--untag", "") == ["paper"]


def test_a_deleted_run_can_be_restored(place: Path) -> None:
    run = RunBuilder(place).prepared().finish().folder
    delete_run(run)
    assert offered("restore", "") == [run.name]
    assert offered("stop", "") == ["last"]


def test_presets_and_keys_are_offered(place: Path) -> None:
    assert {"quickstart", "alpaca-phi3"} <= set(offered("run", ""))
    assert offered("--preset", "quick") == ["quickstart"]
    assert offered("queue", "add", "quick") == ["quickstart"]
    assert offered("run", "quickstart", "--set", "train.it") == ["train.iters="]
    assert "adapter.method=dora" in offered("run", "quickstart", "--set", "adapter.method=")
    titles = dict(entry for entry in completing.presets("q") if isinstance(entry, tuple))
    assert titles["quickstart"].startswith("Quickstart: teach a tiny embedded model")
    keys = completing.overrides("adapter.")
    assert len(keys) > 5 and all(isinstance(entry, tuple) and 5 < len(entry[1]) <= 60 for entry in keys)


def test_models_are_offered(place: Path, tmp_path: Path) -> None:
    own = tmp_path / "TUI_TUNER_MODELS" / "small"
    own.mkdir(parents=True)
    (own / "config.json").write_text(json.dumps({}))
    (own.parent / "no-model").mkdir()
    (tmp_path / "HF_HOME" / "hub" / "models--owner--name").mkdir(parents=True)
    assert offered("inspect", "") == ["embedded:phi3-tiny", "owner/name", str(own)]
    assert offered("chat", "ow") == ["owner/name"]


def test_conversations_are_offered(place: Path) -> None:
    run = RunBuilder(place).prepared().folder
    (run.chats / "herons.jsonl").touch()
    assert offered("chats", "") == ["last", "herons"]


def test_nothing_is_offered_from_what_cannot_be_read(place: Path) -> None:
    (place / "file").touch()
    assert offered("stop", "--runs-dir", str(place / "file"), "") == ["last"]
    assert offered("compare", "no-such-run:") == [] and offered("label", "no-such-run", "--untag", "") == []
