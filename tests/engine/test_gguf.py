"""GGUF files say what the model is: the fine-tune whole, tokens as they are cut, names that llama.cpp knows."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.families import make_family
from tests.support.models import make_model
from tui_tuner.config import AdapterSection
from tui_tuner.engine.exporting import export_adapter
from tui_tuner.engine.model_requests import ExportAdapter
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import WEIGHTS, attach, write_adapter_config
from tui_tuner.models.fuse import WHOLE, fuse
from tui_tuner.models.gguf import ARCHITECTURES, check_gguf
from tui_tuner.models.load import Base, fresh_tree, load_base
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx


def adapter(base: Base, folder: Path) -> Any:
    import mlx.core as mx
    from mlx.utils import tree_flatten

    section = AdapterSection(rank=4, layers=2)
    tree = fresh_tree(base)
    mx.random.seed(3)
    attached = attach(tree, section)
    for _, module in tree.named_modules():
        if "lora_b" in module:
            module.lora_b = 0.001 * mx.random.normal(module.lora_b.shape)
    tree.eval()
    folder.mkdir()
    mx.save_safetensors(str(folder / WEIGHTS), dict(tree_flatten(tree.trainable_parameters())))
    write_adapter_config(folder, section, attached, str(base.path), {})
    return tree


def exported(folder: Path, place: Path) -> tuple[Base, Any, dict[str, Any], dict[str, Any]]:
    """Base, tree with an adapter, and the tensors and metadata of the file."""
    import mlx.core as mx

    base = load_base(folder)
    tree = adapter(base, place / "adapter")
    asked = ExportAdapter(str(folder), place / "m.gguf", "gguf", place / "adapter")
    assert export_adapter(asked, JobControl(), ModelShelf())["bytes"] > 0
    tensors, metadata = mx.load(str(place / "m.gguf"), return_metadata=True)
    assert sorted(path.name for path in place.iterdir()) == ["adapter", "m.gguf"]
    return base, tree, tensors, metadata


@pytest.mark.parametrize("bits", [None, 4])
def test_a_small_fine_tune_is_in_the_file_whole(bits: int | None, tmp_path: Path) -> None:
    base, tree, tensors, _ = exported(make_model(tmp_path / "llama", "llama", bits=bits), tmp_path / "out_made")
    merged = fuse(base.model, tree, fresh_tree(base), WHOLE)
    for number, layer in enumerate(merged.layers):
        wanted = np.array(layer.mlp.down_proj.weight.astype(_half()))
        np.testing.assert_array_equal(np.array(tensors[f"blk.{number}.ffn_down.weight"]), wanted)
    assert str(tensors["output_norm.weight"].dtype) == "mlx.core.float32"


def _half() -> Any:
    import mlx.core as mx

    return mx.float16


@pytest.fixture(autouse=True)
def place(tmp_path: Path) -> None:
    (tmp_path / "out_made").mkdir()


def test_words_are_cut_as_the_tokenizer_cuts_them(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "llama", "llama", vocabulary=420)
    _, _, tensors, metadata = exported(folder, tmp_path / "out_made")
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    merges = [one if isinstance(one, str) else " ".join(one) for one in model["merges"]]
    assert metadata["tokenizer.ggml.model"] == "gpt2" and metadata["tokenizer.ggml.pre"] == "gpt-2"
    assert metadata["tokenizer.ggml.merges"] == merges and merges
    # One token for each row of the embedding, which has more rows than the tokenizer has tokens.
    assert len(metadata["tokenizer.ggml.tokens"]) == tensors["token_embd.weight"].shape[0] == 420
    assert metadata["tokenizer.ggml.token_type"].shape == (420,)
    assert metadata["tokenizer.ggml.tokens"][-1].startswith("[PAD")


@pytest.mark.parametrize("name", ["llama", "mistral", "mixtral"])
def test_every_tensor_has_a_name_that_llama_cpp_knows(name: str, tmp_path: Path) -> None:
    _, _, tensors, metadata = exported(make_family(tmp_path / name, name), tmp_path / "out_made")
    # From llama.cpp's list of tensors for the architecture "llama" (gguf-py, gguf/constants.py).
    layer = {"attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_down", "ffn_up"}
    experts = {"ffn_gate_inp", "ffn_gate_exps", "ffn_down_exps", "ffn_up_exps"}
    known = {f"blk.{n}.{one}.weight" for n in range(3) for one in layer | experts}
    assert set(tensors) <= known | {"token_embd.weight", "output_norm.weight", "output.weight"}
    assert metadata["general.architecture"] == "llama"
    if name == "mixtral":
        assert tensors["blk.0.ffn_gate_exps.weight"].shape == (4, 128, 64)
        assert int(metadata["llama.expert_count"]) == 4 and int(metadata["llama.expert_used_count"]) == 2


def test_the_file_is_read_by_llama_cpp_s_own_package(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    exported(make_model(tmp_path / "llama", "llama"), tmp_path / "out_made")
    reader = gguf.GGUFReader(str(tmp_path / "out_made" / "m.gguf"))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 3)
    assert {tensor.name for tensor in reader.tensors} <= {f"{name}.weight" for _, name in names.mapping.values()}
    assert reader.get_field("tokenizer.ggml.merges") is not None


REFUSED: list[tuple[str, Callable[[dict[str, Any], dict[str, Any]], Any], str]] = [
    ("qwen2", lambda config, tokenizer: None, "and this is qwen2"),
    ("llama", lambda config, _: config.update(rope_scaling={"rope_type": "llama3", "factor": 8}), "scaled as llama3"),
    ("llama", lambda _, tokenizer: tokenizer["model"].update(type="Unigram"), "Unigram tokenizer"),
    (
        "llama",
        lambda _, tokenizer: tokenizer.update(
            pre_tokenizer={"type": "Split", "pattern": {"Regex": "x"}, "behavior": "Isolated", "invert": False}
        ),
        "cutting text into words",
    ),
]


@pytest.mark.parametrize(("kind", "change", "message"), REFUSED)
def test_what_has_no_form_is_refused_before_anything_is_loaded_or_written(
    kind: str, change: Callable[..., Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model(tmp_path / "model", kind)
    adapter(load_base(folder), tmp_path / "adapter")
    config, tokenizer = (json.loads((folder / name).read_text()) for name in ("config.json", "tokenizer.json"))
    change(config, tokenizer)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    monkeypatch.setattr(sys.modules["tui_tuner.engine.exporting"], "subject_of", lambda *_: pytest.fail("was loaded"))
    before = sorted(path.name for path in tmp_path.iterdir())
    asked = ExportAdapter(str(folder), tmp_path / "new" / "m.gguf", "gguf", tmp_path / "adapter")
    with pytest.raises(TunerError, match=message) as caught:
        export_adapter(asked, JobControl(), ModelShelf())
    assert caught.value.code == "gguf-unsupported" and caught.value.fix
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_scores_of_tokens_give_the_order_of_merges(tmp_path: Path) -> None:
    from tui_tuner.models.gguf import _said_of, _vocabulary

    model = {"type": "BPE", "byte_fallback": True, "merges": ["a b", "ab c"], "vocab": {"a": 0, "b": 1, "ab": 2}}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
    found = _said_of(_vocabulary(tmp_path), ["a", "b", "ab", "abc"])
    assert found["tokenizer.ggml.model"] == "llama"
    assert found["tokenizer.ggml.scores"].tolist() == [-2.0, -2.0, 0.0, -1.0]
    assert "llama" in ARCHITECTURES
    check_gguf({"model_type": "llama", "rope_scaling": None}, tmp_path)
