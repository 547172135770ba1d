"""Adapters handed to PEFT and back say the same: by its formula, and where it is installed, by its own arithmetic."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_tuner.cli.app import run as command
from tui_tuner.config import AdapterSection
from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import CONFIG, WEIGHTS, attach, load_adapter, write_adapter_config
from tui_tuner.models.load import Base, fresh_tree, load_base
from tui_tuner.models.peft import PEFT_WEIGHTS, from_peft, to_peft

pytestmark = pytest.mark.mlx


def adapter(base: Base, folder: Path, method: str = "lora", **changes: Any) -> Any:
    """An adapter of random weights in a stock folder, and the tree with it."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    section = AdapterSection(method=method, rank=4, layers=2, **changes)
    tree = fresh_tree(base)
    mx.random.seed(3)
    attached = attach(tree, section)
    for _, module in tree.named_modules():
        if "lora_b" in module:
            module.lora_b = 0.1 * mx.random.normal(module.lora_b.shape)
        if "m" in module:
            module.m = module.m * 1.2
    tree.eval()
    folder.mkdir()
    mx.save_safetensors(str(folder / WEIGHTS), dict(tree_flatten(tree.trainable_parameters())))
    write_adapter_config(folder, section, attached, str(base.path), {})
    return tree


def logits(model: Any) -> Any:
    import mlx.core as mx

    return np.array(model(mx.array([[5, 6, 7, 8]])).astype(mx.float32))


@pytest.fixture
def base(model_of: Callable[..., Path]) -> Base:
    return load_base(model_of("llama"))


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("kind", ["llama", "phi3", "qwen2", "gemma"])
def test_there_and_back_it_says_the_same(kind: str, method: str, model_of: Callable[..., Path], tmp_path: Path) -> None:
    base = load_base(model_of(kind))
    tree = adapter(base, tmp_path / "mlx", method)
    (tmp_path / "peft").mkdir(), (tmp_path / "back").mkdir()
    settings = to_peft(tmp_path / "mlx", tmp_path / "peft")
    assert settings["use_dora"] is (method == "dora") and settings["peft_type"] == "LORA"
    from_peft(tmp_path / "peft", tmp_path / "back", str(base.path))
    np.testing.assert_allclose(logits(load_adapter(base, tmp_path / "back")), logits(tree), atol=1e-5)


def test_shapes_names_and_alpha_are_those_of_peft(base: Base, tmp_path: Path) -> None:
    import mlx.core as mx

    tree = adapter(base, tmp_path / "mlx", scale=3.0)
    (tmp_path / "peft").mkdir()
    settings = to_peft(tmp_path / "mlx", tmp_path / "peft")
    assert settings["r"] == 4 and settings["lora_alpha"] == 12 and settings["layers_to_transform"] == [1, 2]
    tensors = mx.load(str(tmp_path / "peft" / PEFT_WEIGHTS))
    name = "base_model.model.model.layers.2.self_attn.q_proj"
    a, b = np.array(tensors[f"{name}.lora_A.weight"]), np.array(tensors[f"{name}.lora_B.weight"])
    module = tree.layers[2].self_attn.q_proj
    inputs, outputs = module.linear.weight.shape[1], module.linear.weight.shape[0]
    assert a.shape == (4, inputs) and b.shape == (outputs, 4)
    # PEFT's get_delta_weight: B @ A, times alpha over rank.
    merged = np.array(module.linear.weight) + settings["lora_alpha"] / settings["r"] * b @ a
    np.testing.assert_allclose(np.array(module.fuse().weight), merged, atol=1e-6)


def test_ranks_alphas_and_rslora_of_their_own_are_brought_to_one(base: Base, tmp_path: Path) -> None:
    import mlx.core as mx

    (tmp_path / "peft").mkdir(), (tmp_path / "mlx").mkdir()
    width = base.model.layers[0].self_attn.q_proj.weight.shape[1]
    rng = np.random.default_rng(1)
    shapes = {"model.layers.0.self_attn.q_proj": 2, "model.layers.1.mlp.up_proj": 8}
    tensors = {}
    for name, rank in shapes.items():
        outputs = 2 * width if "mlp" in name else width
        tensors[f"base_model.model.{name}.lora_A.weight"] = mx.array(rng.normal(size=(rank, width)).astype(np.float32))
        tensors[f"base_model.model.{name}.lora_B.weight"] = mx.array(
            0.1 * rng.normal(size=(outputs, rank)).astype(np.float32)
        )
    mx.save_safetensors(str(tmp_path / "peft" / PEFT_WEIGHTS), tensors)
    config = {
        "peft_type": "LORA", "r": 8, "lora_alpha": 16, "use_rslora": True, "rank_pattern": {"q_proj": 2},
        "alpha_pattern": {"q_proj": 6}, "bias": "none", "target_modules": ["q_proj", "up_proj"],
    }  # fmt: skip
    (tmp_path / "peft" / CONFIG).write_text(json.dumps(config))
    from_peft(tmp_path / "peft", tmp_path / "mlx", str(base.path))
    tree = load_adapter(base, tmp_path / "mlx")
    for name, alpha in (("model.layers.0.self_attn.q_proj", 6), ("model.layers.1.mlp.up_proj", 16)):
        module = dict(tree.named_modules())[name]
        a, b = (np.array(tensors[f"base_model.model.{name}.lora_{part}.weight"]) for part in "AB")
        wanted = np.array(module.linear.weight) + alpha / np.sqrt(shapes[name]) * b @ a
        np.testing.assert_allclose(np.array(module.fuse().weight), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"peft_type": "IA3"}, "its kind is IA3"),
        ({"bias": "all"}, "biases"),
        ({"modules_to_save": ["lm_head"]}, "whole modules"),
        ({"fan_in_fan_out": True}, "the other way round"),
    ],
)
def test_what_mlx_lm_cannot_say_is_refused(base: Base, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    adapter(base, tmp_path / "mlx")
    for name in ("peft", "back"):
        (tmp_path / name).mkdir()
    to_peft(tmp_path / "mlx", tmp_path / "peft")
    path = tmp_path / "peft" / CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(TunerError, match=message):
        from_peft(tmp_path / "peft", tmp_path / "back", "m")


def test_pickled_weights_are_refused(base: Base, tmp_path: Path) -> None:
    adapter(base, tmp_path / "mlx")
    (tmp_path / "peft").mkdir()
    to_peft(tmp_path / "mlx", tmp_path / "peft")
    (tmp_path / "peft" / PEFT_WEIGHTS).rename(tmp_path / "peft" / "adapter_model.bin")
    with pytest.raises(TunerError, match="pickled"):
        from_peft(tmp_path / "peft", tmp_path, "m")


def test_the_commands_hand_on_and_take_in(
    base: Base, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    tree = adapter(base, tmp_path / "mlx")
    model, there = str(base.path), str(tmp_path / "peft")
    given = ["--adapter", str(tmp_path / "mlx"), "--json"]
    assert command(["export", model, "--as", "peft", "--to", there, *given]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == [CONFIG, PEFT_WEIGHTS]
    assert command(["export", model, "--as", "peft", "--to", there, *given]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "exists"
    assert command(["import", there, "--model", model, "--to", str(tmp_path / "back"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] > 0
    np.testing.assert_allclose(logits(load_adapter(base, tmp_path / "back")), logits(tree), atol=1e-5)
    assert command(["export", model, "--as", "onnx", "--to", there, *given]) == 2
    assert 'no format "onnx"' in json.loads(capsys.readouterr().out)["error"]["message"]


def test_an_adapter_for_another_model_leaves_nothing(
    base: Base, model_of: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter(base, tmp_path / "mlx")
    (tmp_path / "peft").mkdir()
    to_peft(tmp_path / "mlx", tmp_path / "peft")
    other = str(model_of("phi3"))
    assert command(["import", str(tmp_path / "peft"), "--model", other, "--to", str(tmp_path / "new"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "adapter-mismatch"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlx", "peft"]


def test_gguf_is_written_where_mlx_lm_can_and_refused_in_words_elsewhere(
    base: Base, model_of: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import mlx.core as mx

    tree = adapter(base, tmp_path / "mlx")
    given = ["--as", "gguf", "--to", str(tmp_path / "m.gguf"), "--adapter", str(tmp_path / "mlx"), "--json"]
    assert command(["export", str(base.path), *given]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] > 100_000
    tensors = mx.load(str(tmp_path / "m.gguf"))
    merged = np.array(tree.layers[2].mlp.down_proj.fuse().weight)
    np.testing.assert_allclose(np.array(tensors["blk.2.ffn_down.weight"]), merged, atol=1e-3)
    given[3] = str(tmp_path / "n.gguf")
    assert command(["export", str(model_of("phi3")), *given]) == 1
    assert "llama, mistral, mixtral only" in json.loads(capsys.readouterr().out)["error"]["message"]
    assert not list(tmp_path.glob("*n.*gguf"))


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_peft_s_own_arithmetic_gives_the_same_logits(base: Base, tmp_path: Path, method: str) -> None:
    torch = pytest.importorskip("torch", reason="PEFT's own arithmetic needs torch")
    peft = pytest.importorskip("peft", reason="PEFT is not installed")
    transformers = pytest.importorskip("transformers")
    tree = adapter(base, tmp_path / "mlx", method)
    (tmp_path / "peft").mkdir()
    to_peft(tmp_path / "mlx", tmp_path / "peft")
    folder = shutil.copytree(base.path, tmp_path / "torch")
    config = json.loads((folder / "config.json").read_text())
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig.from_dict(config)).to(torch.float32)
    from safetensors.torch import load_file

    model.load_state_dict(load_file(str(folder / "model.safetensors")), strict=True)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        np.testing.assert_allclose(model(ids).logits.numpy(), logits(base.model), atol=1e-4)
        adapted = peft.PeftModel.from_pretrained(model, str(tmp_path / "peft")).eval()
        np.testing.assert_allclose(adapted(ids).logits.numpy(), logits(tree), atol=1e-4)
