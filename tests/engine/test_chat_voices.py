"""Who a person means in a chat, and who there is to choose from."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tui_tuner.chat.voices import Voice
from tui_tuner.data.chatforms import RECORDED
from tui_tuner.engine.voices import voice_of, voice_of_run, voices_there
from tui_tuner.errors import TunerError
from tui_tuner.paths import resolve_model
from tui_tuner.runs import RunFolder


@pytest.fixture
def trained(new_run: Callable[..., RunFolder]) -> Callable[..., RunFolder]:
    """Makes run folders with files where weights would be."""

    def make(name: str = "tiny", steps: tuple[int, ...] = (4, 8), **sections: dict[str, object]) -> RunFolder:
        run = new_run(run={"name": name}, **sections)
        for file in ("adapters", "best_adapters", *(f"{step:07d}_adapters" for step in steps)):
            (run.adapters / f"{file}.safetensors").touch()
        (run.adapters / "adapter_config.json").write_text(json.dumps({"model": "from/config", "num_layers": 1}))
        return run

    return make


def test_a_run_its_checkpoints_and_its_model(trained: Callable[..., RunFolder], tiny_model: Path) -> None:
    run = trained()
    runs, model = run.path.parent, str(tiny_model)
    assert voice_of(run.name, runs) == Voice(model, run.adapters)
    assert voice_of("tiny", runs).label == run.name
    assert voice_of("last", runs) == Voice(model, run.adapters)  # the newest run
    assert voice_of(f"{run.name}:4", runs) == Voice(model, run.adapters / "0000004_adapters.safetensors")
    assert voice_of(f"{run.name}:last", runs).adapter == run.adapters / "0000008_adapters.safetensors"
    assert voice_of(f"{run.name}:best", runs).adapter == run.adapters / "best_adapters.safetensors"
    assert voice_of(f"{run.path}:base", runs) == Voice(model)
    (run.adapters / RECORDED).write_text("{{ messages }}")
    kept = str(run.adapters / RECORDED)
    assert {voice_of(spec, runs).template for spec in (run.name, "tiny:base", "tiny:4")} == {kept}


def test_what_is_near_the_voice_one_talks_to(trained: Callable[..., RunFolder], tiny_model: Path) -> None:
    run = trained()
    runs = run.path.parent
    here = voice_of(run.name, runs)
    assert voice_of("base", runs, here) == Voice(str(tiny_model))
    assert voice_of("4", runs, here) == Voice(str(tiny_model), run.adapters / "0000004_adapters.safetensors")
    assert voice_of("last", runs, here).adapter == run.adapters / "0000008_adapters.safetensors"
    assert voice_of("8", runs, voice_of("4", runs, here)).adapter == run.adapters / "0000008_adapters.safetensors"
    with pytest.raises(TunerError) as caught:
        voice_of("7", runs, here)
    assert caught.value.code == "no-checkpoint"
    assert "4, 8" in caught.value.fix


def test_adapters_by_their_place(trained: Callable[..., RunFolder], tiny_model: Path, tmp_path: Path) -> None:
    run = trained()
    runs = run.path.parent
    assert voice_of(str(run.adapters), runs) == Voice(str(tiny_model), run.adapters)
    file = run.adapters / "0000004_adapters.safetensors"
    assert voice_of(str(file), runs) == Voice(str(tiny_model), file)
    alone = tmp_path / "mine"
    alone.mkdir()
    (alone / "adapter_config.json").write_text(json.dumps({"model": "from/config"}))
    assert voice_of(str(alone), runs) == Voice("from/config", alone)
    assert voice_of(str(alone), runs, Voice("my/model")) == Voice("my/model", alone)
    (alone / "adapter_config.json").write_text("{}")
    with pytest.raises(TunerError) as caught:
        voice_of(str(alone), runs)
    assert caught.value.code == "no-model"


def test_models_by_name_and_place(tmp_path: Path, tiny_model: Path) -> None:
    assert voice_of("embedded:phi3-tiny", tmp_path) == Voice(resolve_model("embedded:phi3-tiny", None))
    assert voice_of(str(tiny_model), tmp_path) == Voice(str(tiny_model))
    assert voice_of("some-one/some-model", tmp_path) == Voice("some-one/some-model")
    for nobody, code in (("nobody", "run-not-found"), ("base", "run-not-found"), ("embedded:no", "unknown-embedded")):
        with pytest.raises(TunerError) as caught:
            voice_of(nobody, tmp_path)
        assert caught.value.code == code


def test_a_run_without_weights_says_so(new_run: Callable[..., RunFolder], tiny_model: Path) -> None:
    run = new_run()
    with pytest.raises(TunerError) as caught:
        voice_of_run(run)
    assert caught.value.code == "no-adapter"
    assert voice_of_run(run, "base") == Voice(str(tiny_model))


def test_all_there_is_to_choose_from(
    trained: Callable[..., RunFolder], new_run: Callable[..., RunFolder], tiny_model: Path, tmp_path: Path
) -> None:
    run = trained("mine")
    stranger = trained("stranger", model={"path": "other/model"})
    twin = trained("twin")
    broken = trained("broken")
    broken.config.write_text("no toml")
    new_run(run={"name": "bare"})
    found = voices_there(run.path.parent, run)
    assert [voice.label for voice in found] == [
        "base", run.name, f"{run.name}:best", f"{run.name}:8", f"{run.name}:4", twin.name, stranger.name
    ]  # fmt: skip
    assert {voice.model for voice in found[:-1]} == {str(tiny_model)}
    assert len(set(found)) == len(found)
    assert [voice.label for voice in voices_there(run.path.parent)][-1] in (run.name, twin.name, stranger.name)
    assert voices_there(tmp_path / "nowhere") == []


def test_choosing_needs_no_mlx() -> None:
    code = "import sys, tui_tuner.engine.voices as v, pathlib; v.voices_there(pathlib.Path('/no')); " + (
        "print([name for name in ('mlx', 'mlx_lm', 'transformers') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
