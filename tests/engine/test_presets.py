"""The presets that come with the project: complete, honest about what is missing, and whole at their small scale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import process
from tui_tuner.config import load_preset
from tui_tuner.config.presets import list_presets
from tui_tuner.engine.preflight import preflight

ROOT = Path(__file__).parents[2]
RECIPES = ("xsum-phi3", "facts-phi3.5", "alpaca-phi3", "recipes-phi3-v3")


def errors(name: str, *overrides: str) -> dict[str, str]:
    experiment, preset = load_preset(str(ROOT / "presets" / f"{name}.toml"), overrides)
    found = preflight(experiment, preset.base)
    return {problem.code: problem.message for problem in found.problems if problem.severity == "error"}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("TUI_TUNER_MODELS", str(tmp_path / "models"))


def test_every_recipe_is_there_and_says_what_it_is_for() -> None:
    found = {preset.name: preset for preset in list_presets()}
    for name in ("quickstart", *RECIPES):
        for heading in ("What it is for", "What it needs", "What to expect"):
            assert heading in found[name].description, name


@pytest.mark.parametrize("name", [RECIPES[1], *(pytest.param(name, marks=pytest.mark.slow) for name in RECIPES[::2])])
def test_what_is_missing_is_named_model_and_data(name: str) -> None:
    """In a process of its own: the Hub's library reads what it may do but once."""
    running = process("check", name, "--json", cwd=ROOT)
    out, told = running.communicate()
    assert running.returncode == 1, told
    found = [one["message"] for one in json.loads(out)["problems"] if one["severity"] == "error"]
    experiment, _ = load_preset(str(ROOT / "presets" / f"{name}.toml"))
    assert len(found) == 2, found
    assert experiment.model.path in " ".join(found)
    assert experiment.data.source.removeprefix("hf:") in " ".join(found)


@pytest.mark.parametrize("name", RECIPES)
def test_the_small_scale_passes_the_check_offline(name: str) -> None:
    assert errors(name, "scale=tiny") == {}


@pytest.mark.parametrize("name", [RECIPES[0], *(pytest.param(name, marks=pytest.mark.slow) for name in RECIPES[1:])])
def test_the_small_scale_runs_to_its_verdict(name: str, tmp_path: Path) -> None:
    settings = ["scale=tiny", "train.warmup=0", "train.eval_every=4", "train.save_every=4", "train.patience=0"]
    settings += ["data.valid=4", "data.test=4", "evaluation.max_tokens=8", "behaviour.max_tokens=8"]
    settings += ["train.epochs=0", "train.iters=8"]
    arguments = [part for setting in settings for part in ("--set", setting)]
    running = process("run", name, "--json", "--runs-dir", tmp_path / "runs", *arguments, cwd=ROOT)
    out, told = running.communicate()
    assert running.returncode == 0, told
    document: dict[str, Any] = json.loads(out)
    assert (document["status"], document["steps"]) == ("finished", 8)
    assert document["verdict"]
    assert (Path(document["run"]) / "adapters" / "adapters.safetensors").is_file()
