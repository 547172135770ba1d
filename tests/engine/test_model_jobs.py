"""Converting and merging as jobs: what the commands print is what is there, and bad wishes are one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.families import make_family
from tests.support.models import make_rows
from tui_tuner.cli.app import run as command
from tui_tuner.engine.conversion import convert_model, forecast_conversion
from tui_tuner.engine.fusing import fuse_adapter
from tui_tuner.engine.model_requests import ConvertModel, FuseAdapter
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.subject import adapted_target
from tui_tuner.errors import TunerError
from tui_tuner.models.inspect import inspect_model
from tui_tuner.models.load import load_base
from tui_tuner.models.offers import offers_for
from tui_tuner.runs import RunFolder
from tui_tuner.runs.control import JobControl, StopRequested

pytestmark = [pytest.mark.mlx, pytest.mark.usefixtures("cache")]


@pytest.fixture
def rows(tmp_path: Path) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in make_rows(30, seed=4)))
    return str(path)


@pytest.mark.parametrize("kind", ["phi3", "llama", "qwen2", "gemma"])
def test_a_conversion_tells_what_came_out(kind: str, model_of: Callable[..., Path], rows: str, tmp_path: Path) -> None:
    asked = ConvertModel(str(model_of(kind)), tmp_path / "new", 4, 32, data=rows, rows=6)
    found = convert_model(asked, JobControl(), ModelShelf())
    assert found["path"] == str(tmp_path / "new") and found["bytes"] < found["bytes_before"] / 4
    assert found["perplexity"]["before"] > 1 and found["kl"] > 0 and 0 < found["top1_agreement"] <= 1
    assert found["tokens_per_second"]["after"] > 0 and "rows of" in found["measured_on"]
    assert [one["scheme"] for one in found["variants"]] == ["4 bits, group 32"]
    assert load_base(tmp_path / "new").config["quantization"]["bits"] == 4
    other = convert_model(
        ConvertModel(str(model_of(kind)), tmp_path / "eight", 8, 32, data=rows, rows=6), JobControl(), ModelShelf()
    )
    assert [one["scheme"] for one in other["variants"]] == ["4 bits, group 32", "8 bits, group 32"]
    assert other["kl"] < found["kl"], "eight bits are nearer than four"


def test_a_model_without_data_is_measured_on_passages(model_of: Callable[..., Path], tmp_path: Path) -> None:
    asked = ConvertModel(str(model_of("llama")), tmp_path / "new", 8, 32)
    found = convert_model(asked, JobControl(), ModelShelf())
    assert "12 passages" in found["measured_on"] and found["perplexity"]["after"] > 1


def test_a_stop_leaves_nothing(model_of: Callable[..., Path], rows: str, tmp_path: Path) -> None:
    control = JobControl()
    control.stop("test")
    with pytest.raises(StopRequested):
        convert_model(ConvertModel(str(model_of("phi3")), tmp_path / "new", 4, 32, data=rows), control, ModelShelf())
    assert not [path for path in tmp_path.iterdir() if "new" in path.name]


@pytest.fixture
def trained(new_run: Callable[..., RunFolder], model_of: Callable[..., Path]) -> RunFolder:
    run = new_run(
        model={"path": str(model_of("phi3", 4))},
        train={"iters": 4, "batch_size": 2, "learning_rate": 1e-4, "eval_every": 4, "save_every": 2},
        evaluation={"enabled": False},
    )
    run_experiment(run, JobControl(), ModelShelf())
    return run


def test_a_merge_is_proved_and_written(trained: RunFolder, tmp_path: Path) -> None:
    asked = FuseAdapter(str(trained.path), tmp_path / "merged", rows=6)
    found = fuse_adapter(asked, JobControl(), ModelShelf())
    by_name = {way["way"]: way for way in found["ways"]}
    assert list(by_name) == ["stock", "8bit", "float", "dequantized"]
    assert by_name["stock"]["kept"] < 0.99 and not by_name["stock"]["holds"]
    assert found["holds"] and found["kept"] >= 0.99 and found["way"] == found["recommended"]
    assert found["exact"]["same"] == found["exact"]["of"] > 0
    assert "fine-tune kept" in (tmp_path / "merged" / "README.md").read_text()
    assert load_base(tmp_path / "merged").config["model_type"] == "phi3"


def test_stock_mlx_lm_generates_from_what_was_merged(trained: RunFolder, tmp_path: Path) -> None:
    from mlx_lm import generate, load

    fuse_adapter(FuseAdapter(str(trained.path), tmp_path / "merged", rows=4), JobControl(), ModelShelf())
    model, tokenizer = load(str(tmp_path / "merged"))
    assert isinstance(generate(model, tokenizer, prompt=[1, 2, 3], max_tokens=4), str)


def test_what_does_not_keep_the_fine_tune_is_written_only_when_asked(trained: RunFolder, tmp_path: Path) -> None:
    asked = FuseAdapter(str(trained.path), tmp_path / "merged", way="stock", rows=4)
    with pytest.raises(TunerError, match="of the fine-tune") as caught:
        fuse_adapter(asked, JobControl(), ModelShelf())
    assert caught.value.code == "fuse-lossy" and not (tmp_path / "merged").exists()
    lossy = FuseAdapter(str(trained.path), tmp_path / "merged", way="stock", rows=4, lossy=True)
    found = fuse_adapter(lossy, JobControl(), ModelShelf())
    assert not found["holds"] and found["recommended"] == "apart" and (tmp_path / "merged").is_dir()


def test_a_way_that_a_base_does_not_have_is_refused(trained: RunFolder) -> None:
    with pytest.raises(TunerError, match='cannot be merged as "plain"'):
        fuse_adapter(FuseAdapter(str(trained.path), way="plain"), JobControl(), ModelShelf())


@pytest.mark.parametrize("kind", ["phi3", "llama", "qwen2", "gemma"])
def test_inspection_tells_what_a_model_is(kind: str, model_of: Callable[..., Path]) -> None:
    found = inspect_model(str(model_of(kind, 4))).as_json()
    assert found["architecture"] == kind and found["parameters"] > 10_000 and found["layers"] == 3
    assert found["quantized_modules"] and all("at 4 bits in groups of 32" in way for way in found["quantized_modules"])
    assert "What is two plus two?" in found["sample"] and found["memory"]["train"] > found["memory"]["run"] > 0
    assert {module["name"].partition(".")[0] for module in found["modules"]} == {"self_attn", "mlp"}


def test_inspection_tells_how_every_module_is_stored_and_what_other_names_mean(
    model_of: Callable[..., Path], tmp_path: Path
) -> None:
    plain = inspect_model(str(model_of("phi3")))
    assert plain.meanings == {
        "self_attn.qkv_proj": ["q_proj", "k_proj", "v_proj"],
        "mlp.gate_up_proj": ["gate_proj", "up_proj"],
    }
    assert set(plain.ways.values()) == {"float32"} and plain.quantized == {}
    asked = ConvertModel(str(model_of("llama")), tmp_path / "mixed", group_size=32, recipe="mixed_3_6", rows=0)
    convert_model(asked, JobControl(), ModelShelf())
    mixed = inspect_model(str(tmp_path / "mixed"))
    config = json.loads((tmp_path / "mixed" / "config.json").read_text())["quantization"]
    listed = {one["module"]: one for one in mixed.as_json()["stored"]}
    for path, one in listed.items():
        bits = config.get(path, config)["bits"]
        assert one["quantization"] == f"at {bits} bits in groups of 32" and one["type"] == "float32"
    assert listed["model.layers.0.mlp.down_proj"]["shape"] == [64, 128] and listed.keys() >= {"lm_head"}
    assert mixed.ways["mlp.down_proj"] == "2 × at 3 bits in groups of 32, 1 × at 6 bits in groups of 32"
    assert any("at 6 bits" in line and "lm_head" in line for line in mixed.lines())


def test_experts_are_listed_and_offered_what_fits_them(tmp_path: Path) -> None:
    folder = make_family(tmp_path / "mixtral", "mixtral")
    found = inspect_model(str(folder))
    shapes = dict(found.facts.modules)
    assert shapes["block_sparse_moe.switch_mlp.down_proj"] == "4 × 64 × 128"
    assert offers_for(found.facts).recipes and 128 in offers_for(found.facts).modes["affine"][1]
    made = forecast_conversion(ConvertModel(str(folder), bits=4, group_size=128))
    kept = {one["module"] for one in made["unquantized"]}
    assert "model.layers.0.block_sparse_moe.switch_mlp.up_proj" in kept
    assert "model.layers.0.block_sparse_moe.switch_mlp.down_proj" not in kept


def spoilt(model: Path, tmp_path: Path, change: Callable[[Path], Any]) -> str:
    folder = shutil.copytree(model, tmp_path / "spoilt")
    change(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pickled"),
        (lambda f: (f / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "Git-LFS"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer"),
        (
            lambda f: (f / "model.safetensors.index.json").write_text(
                json.dumps({"weight_map": {"a": "../model.safetensors"}})
            ),
            "outside the folder",
        ),
        (
            lambda f: (f / "config.json").write_text(
                json.dumps({**json.loads((f / "config.json").read_text()), "model_file": "evil.py"})
            ),
            "code of its own",
        ),
    ],
)
def test_spoilt_models_are_refused_by_all_commands(
    change: Callable[[Path], Any],
    message: str,
    model_of: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = spoilt(model_of("llama"), tmp_path, change)
    assert command(["inspect", folder, "--json"]) == 1
    assert any(message in problem for problem in json.loads(capsys.readouterr().out)["problems"])
    assert command(["convert", folder, "--bits", "4", "--to", str(tmp_path / "new"), "--json"]) == 1
    assert message in json.loads(capsys.readouterr().out)["error"]["message"]
    assert not (tmp_path / "new").exists()


def test_the_commands_print_one_document(model_of: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["convert", str(model_of("qwen2")), "--bits", "4", "--group-size", "32", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["bits_per_weight"] > 4 and document["variants"] == []
    assert command(["convert", str(model_of("qwen2")), "--bits", "7", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "bad-scheme"


def test_a_run_that_is_not_there_is_told_as_one(tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        adapted_target("nosuchrun", None, tmp_path, "merge")
    assert caught.value.code == "run-not-found"
    with pytest.raises(TunerError) as caught:
        adapted_target("embedded:phi3-tiny", None, tmp_path, "merge")
    assert "no adapter to merge" in caught.value.message
