"""Runs that ask for fewer bits: the base is made once, the run says what it trained on, and nothing half-made stays."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.models import make_model
from tui_tuner.config import Experiment, load_experiment
from tui_tuner.engine.forecast_measure import measure_forecast
from tui_tuner.engine.forecast_requests import MeasureForecast
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.preflight import preflight
from tui_tuner.engine.quantized import ORIGIN, with_fewer_bits
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.models import trust
from tui_tuner.models.folder import read_model_config
from tui_tuner.models.libraries import ready
from tui_tuner.runs import RunFolder, StopRequested, read_events
from tui_tuner.runs.control import JobControl

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


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that names code for other programs, to which nobody has consented yet."""
    monkeypatch.setattr(trust, "_allowed", set())
    model = make_model(tmp_path / "scripted", "phi3")
    (model / "modeling_own.py").write_text("raise SystemExit('was run')\n")
    config = model / "config.json"
    own = {"auto_map": {"AutoModelForCausalLM": "modeling_own.Own"}}
    config.write_text(json.dumps({**json.loads(config.read_text()), **own}))
    return model


def consent(model: Path) -> str:
    code = trust.remote_code(model, read_model_config(model))
    assert code is not None
    return code.consent


def test_a_consent_in_the_configuration_is_heard_before_the_base_is_made(
    models: Path, scripted: Path, new_run: Callable[..., RunFolder]
) -> None:
    short = {"train": {"iters": 2}, "evaluation": {"enabled": False}}
    with pytest.raises(TunerError) as caught:
        run_experiment(new_run(model={"path": str(scripted), "bits": 4}, **short), JobControl(), ModelShelf())
    assert caught.value.code == "model-remote-code"
    allowed = {"path": str(scripted), "bits": 4, "trust_remote_code": consent(scripted)}
    run = new_run(model=allowed, run={"name": "allowed", "seed": 5}, **short)
    run_experiment(run, JobControl(), ModelShelf())
    assert read_events(run.events)[-1]["status"] == "finished"
    assert Path(load_experiment(run.config).model.path).parent == models


def test_a_consent_in_the_configuration_is_heard_by_a_measured_forecast(
    models: Path, scripted: Path, tiny_rows: Path
) -> None:
    wanted = Experiment.model_validate(
        {
            "model": {"path": str(scripted), "bits": 4, "trust_remote_code": consent(scripted)},
            "data": {"source": str(tiny_rows), "valid": 8, "test": 0},
            "train": {"iters": 2, "batch_size": 2},
            "evaluation": {"enabled": False},
        }
    )
    assert measure_forecast(MeasureForecast(wanted), JobControl(), ModelShelf()).measured


def test_a_model_that_needs_its_code_is_refused_before_anything_is_made(models: Path, scripted: Path) -> None:
    config = scripted / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_file": "modeling_own.py"}))
    (scripted / "modeling_own.py").write_text("from mlx_lm.models.phi3 import Model, ModelArgs\n")
    trust.allow(consent(scripted))
    said: list[str] = []
    with pytest.raises(TunerError) as caught:
        with_fewer_bits(wanting(str(scripted)), None, say=said.append)
    assert caught.value.code == "model-remote-code" and "not written anew" in caught.value.message
    assert not said and not models.exists()


def test_what_stays_unquantized_is_said(models: Path, tmp_path: Path) -> None:
    odd = make_model(tmp_path / "odd", "llama", hidden=64, intermediate=96)
    said: list[str] = []
    with_fewer_bits(wanting(str(odd)), None, say=said.append)
    assert any("stay unquantized" in text and "no multiple of 64" in text for text in said)


def test_nothing_to_quantize_is_refused_in_a_sentence(models: Path, tmp_path: Path) -> None:
    narrow = make_model(tmp_path / "narrow", "llama", hidden=32, intermediate=48)
    with pytest.raises(TunerError) as caught:
        with_fewer_bits(wanting(str(narrow)), None)
    assert caught.value.code == "nothing-quantizable"
    assert "model.bits is 4" in caught.value.message and "set model.bits to 0" in caught.value.fix
    assert "nothing-quantizable" in [problem.code for problem in preflight(wanting(str(narrow))).problems]
    assert not models.exists()


HOLDER = """
import shutil, sys
from pathlib import Path
from tui_tuner.models.staging import claimed
place, ready_made = Path(sys.argv[1]), Path(sys.argv[2])
with claimed(place):
    print("held", flush=True)
    sys.stdin.readline()
    if ready_made.is_dir():
        shutil.copytree(ready_made, place)
"""


@pytest.mark.parametrize("made_there", [True, False], ids=["made by the other", "given up by the other"])
def test_two_at_once_make_one_base(models: Path, tmp_path: Path, made_there: bool) -> None:
    place = Path(with_fewer_bits(wanting("embedded:phi3-tiny"), None).model.path)
    ready_made = tmp_path / "ready-made"
    place.rename(ready_made)
    given = ready_made if made_there else tmp_path / "nothing"
    command = [sys.executable, "-c", HOLDER, str(place), str(given)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None and holder.stdout is not None and holder.stdout.readline() == "held\n"
        said: list[str] = []

        def say(text: str) -> None:
            said.append(text)
            if text.startswith("waiting"):
                assert holder.stdin is not None
                holder.stdin.close()  # the other goes on, once it is waited for

        found = with_fewer_bits(wanting("embedded:phi3-tiny"), None, say=say)
    assert found.model.path == str(place) and (place / "model.safetensors").is_file()
    assert f"process {holder.pid}" in said[0]
    assert [text.split()[0] for text in said] == ["waiting", "taking" if made_there else "quantizing"]


def test_waiting_for_another_can_be_stopped(models: Path) -> None:
    place = Path(with_fewer_bits(wanting("embedded:phi3-tiny"), None).model.path)
    shutil.rmtree(place)
    command = [sys.executable, "-c", HOLDER, str(place), str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        said: list[str] = []

        def check() -> None:
            if said:
                raise StopRequested

        with pytest.raises(StopRequested):
            with_fewer_bits(wanting("embedded:phi3-tiny"), None, say=said.append, check=check)
        holder.kill()
    assert not place.exists()


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
