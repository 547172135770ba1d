"""Runs that ask for fewer bits: the base is made once, the run says what it trained on, and nothing half-made stays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.models import make_model
from tui_tuner.config import Experiment, load_experiment
from tui_tuner.engine.preflight import preflight
from tui_tuner.engine.quantized import ORIGIN, with_fewer_bits
from tui_tuner.errors import TunerError
from tui_tuner.models.libraries import ready
from tui_tuner.runs import StopRequested

ready()


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUI_TUNER_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def wanting(path: str, bits: int = 4, **adapter: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "model": {"path": path, "bits": bits},
            "data": {"source": "embedded:players"},
            "adapter": adapter,
        }
    )


def test_without_bits_nothing_is_made(models: Path) -> None:
    experiment = wanting("embedded:phi3-tiny", 0)
    assert with_fewer_bits(experiment, None) is experiment
    assert not models.exists()


def test_the_base_is_made_once_and_loads_in_stock_mlx_lm(models: Path) -> None:
    said: list[str] = []
    made = with_fewer_bits(wanting("embedded:phi3-tiny"), None, say=said.append)
    folder = Path(made.model.path)
    assert (folder.parent, made.model.bits) == (models, 0)
    assert "4 bits" in said[0]
    config = json.loads((folder / "config.json").read_text())
    assert config["quantization"]["bits"] == 4
    from mlx_lm import generate, load

    model, tokenizer = load(str(folder))[:2]
    assert generate(model, tokenizer, prompt="Hello", max_tokens=4)
    before = (folder / "model.safetensors").stat().st_mtime_ns
    again = with_fewer_bits(wanting("embedded:phi3-tiny"), None, say=said.append)
    assert again.model.path == made.model.path
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


def test_another_model_of_the_same_name_gets_a_folder_of_its_own(models: Path, tmp_path: Path) -> None:
    first = make_model(tmp_path / "a" / "small", "llama")
    second = make_model(tmp_path / "b" / "small", "qwen2")
    one, two = (with_fewer_bits(wanting(str(each)), None).model.path for each in (first, second))
    assert Path(one).name == "small-4bit"
    assert Path(two).name.startswith("small-4bit-")
    assert with_fewer_bits(wanting(str(second)), None).model.path == two


def test_a_folder_that_lies_there_is_never_taken_for_it(models: Path) -> None:
    (models / "model-4bit").mkdir(parents=True)
    (models / "model-4bit" / "mine.txt").write_text("mine")
    made = with_fewer_bits(wanting("embedded:phi3-tiny"), None)
    assert Path(made.model.path).name.startswith("model-4bit-")
    assert [each.name for each in (models / "model-4bit").iterdir()] == ["mine.txt"]


def test_a_stop_leaves_nothing(models: Path) -> None:
    looked: list[int] = []

    def check() -> None:
        looked.append(1)
        if len(looked) == 5:
            raise StopRequested

    with pytest.raises(StopRequested):
        with_fewer_bits(wanting("embedded:phi3-tiny"), None, check=check)
    assert not models.exists() or not list(models.iterdir())


def test_what_cannot_be_is_one_sentence(models: Path) -> None:
    with pytest.raises(TunerError) as caught:
        with_fewer_bits(wanting("embedded:phi3-tiny", method="full"), None)
    assert caught.value.code == "full-on-quantized"
    quantized = with_fewer_bits(wanting("embedded:phi3-tiny"), None).model.path
    with pytest.raises(TunerError) as caught:
        with_fewer_bits(wanting(quantized), None)
    assert caught.value.code == "quantized-already"
    assert [problem.code for problem in preflight(wanting(quantized)).problems if problem.severity == "error"][:1] == [
        "quantized-already"
    ]
    with pytest.raises(ValueError, match="mlx cannot do"):
        wanting("embedded:phi3-tiny", 7)


def test_a_run_says_what_it_was_trained_on(models: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tui_tuner", "run", "quickstart", "--json", "--runs-dir", str(tmp_path / "runs")]
    settings = ["model.bits=4", "train.iters=3", "train.warmup=0", "data.test=2", "evaluation.canaries=false"]
    for setting in [*settings, "train.eval_every=3", "data.valid=2", "probes.prompts=[]"]:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    run = Path(json.loads(done.stdout)["run"])
    experiment = load_experiment(run / "config.toml")
    assert experiment.model.bits == 0
    folder = Path(experiment.model.path)
    assert folder.parent == models
    assert json.loads((folder / ORIGIN).read_text())["scheme"].startswith("4 bits")
    adapter = json.loads((run / "adapters" / "adapter_config.json").read_text())
    assert adapter["model"] == str(folder)
    assert json.loads((run / "meta.json").read_text())["model_path"] == str(folder)
