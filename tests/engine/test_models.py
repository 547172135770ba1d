"""What is said of a model is true, and a bad one is one sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.sentences import one_sentence
from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import (
    total_parameters,
    trainable_modules,
)
from tui_tuner.models.describe import describe_model
from tui_tuner.models.folder import check_folder, locate
from tui_tuner.models.load import fresh_tree, load_base

pytestmark = pytest.mark.mlx

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n"


@pytest.fixture
def copied(model_of: Callable[..., Path], tmp_path: Path) -> Path:
    return shutil.copytree(model_of("phi3"), tmp_path / "model")


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# -- bad folders ----------------------------------------------------------------------------------------------------


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def bad_json(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": ')


def config_is_a_list(folder: Path) -> None:
    (folder / "config.json").write_text("[1]")


def config_is_a_folder(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()


def pointer_config(folder: Path) -> None:
    (folder / "config.json").write_text(POINTER)


def pointer_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_text(POINTER)


def pointer_index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(POINTER)


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickled_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def missing_shard(folder: Path) -> None:
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors").rename(folder / shards["a"])
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))


def bad_index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": 3}')


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def cut_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:40])


def empty_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def other_weights(folder: Path) -> None:
    edit_json(folder / "config.json", hidden_size=32)


def too_few_layers(folder: Path) -> None:
    edit_json(folder / "config.json", num_hidden_layers=5)


def broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": "1.0", "model": {}}')


def cut_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_text(path.read_text()[:500])


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def own_code(folder: Path) -> None:
    (folder / "model.py").write_text("raise SystemExit('code of the model was run')")
    edit_json(folder / "config.json", model_file="model.py")


def unknown_kind(folder: Path) -> None:
    edit_json(folder / "config.json", model_type="perceptron")


BAD = {
    no_config: "model-no-config",
    bad_json: "model-bad-config",
    config_is_a_list: "model-bad-config",
    config_is_a_folder: "not-readable",
    pointer_config: "lfs-pointer",
    pointer_weights: "lfs-pointer",
    pointer_index: "lfs-pointer",
    no_weights: "model-no-weights",
    pickled_weights: "model-pickle",
    missing_shard: "model-missing-shards",
    bad_index: "model-bad-index",
    cut_weights: "model-bad-weights",
    cut_header: "model-bad-weights",
    empty_weights: "model-bad-weights",
    other_weights: "model-bad-weights",
    too_few_layers: "model-bad-weights",
    broken_tokenizer: "model-bad-tokenizer",
    cut_tokenizer: "model-bad-tokenizer",
    no_tokenizer: "model-no-tokenizer",
    own_code: "model-remote-code",
    unknown_kind: "model-unknown-architecture",
}
LATE = {other_weights, too_few_layers, broken_tokenizer, cut_tokenizer, unknown_kind}
"""What only loading finds out."""


@pytest.mark.parametrize("spoil", BAD, ids=lambda f: f.__name__.replace("_", " "))
def test_a_bad_folder_is_one_sentence(spoil: Callable[[Path], None], copied: Path) -> None:
    spoil(copied)
    with pytest.raises(TunerError) as caught:
        load_base(copied)
    assert caught.value.code == BAD[spoil]
    assert str(copied) in caught.value.where
    one_sentence(caught.value)
    if spoil in LATE:
        check_folder(copied)
    elif not BAD[spoil].endswith("config") and spoil not in (config_is_a_folder, pointer_config):
        assert describe_model(str(copied)).problems[0] == caught.value.sentence()


def test_what_is_no_model_folder_is_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.safetensors").touch()
    for path, code in (
        (str(tmp_path / "nowhere"), "model-not-found"),
        ("./owner/name", "model-not-found"),
        ("a/b/c", "model-not-found"),
        ("", "model-not-found"),
        ("x" * 5000, "model-not-found"),
        ("nul\0byte", "model-not-found"),
        ("embedded:nothing", "unknown-embedded"),
        ("weights.safetensors", "model-not-a-folder"),
    ):
        with pytest.raises(TunerError) as caught:
            locate(path)
        assert caught.value.code == code, path
        one_sentence(caught.value)


# -- facts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [None, 4])
@pytest.mark.parametrize("family", ["phi3", "llama", "qwen2"])
def test_facts_are_those_of_the_loaded_model(family: str, bits: int | None, model_of: Callable[..., Path]) -> None:
    folder = model_of(family, bits)
    facts, base = describe_model(str(folder)), load_base(folder)
    assert facts.problems == []
    assert facts.architecture == family
    assert facts.parameters == total_parameters(base.model)
    assert facts.layers == len(base.model.layers) == 3
    assert (facts.hidden, facts.heads, facts.vocabulary) == (64, 4, base.model.args.vocab_size)
    assert facts.kv_heads == base.model.args.num_key_value_heads
    assert facts.context == 512
    assert facts.bytes == (folder / "model.safetensors").stat().st_size
    assert facts.dtype == "float32"
    assert facts.quantization == ("4 bits, group 32" if bits else "none")
    assert facts.chat_template == base.tokenizer.chat_template
    assert facts.tokens["eos"] == base.tokenizer.eos_token
    assert sorted(name for name, _ in facts.modules) == sorted(trainable_modules(base.model))
    for name, shape in facts.modules:
        found = dict(base.model.layers[0].named_modules())[name]
        height, width = found.weight.shape
        assert shape == f"{height} × {width * 32 // found.bits if bits else width}"


def test_describing_needs_no_heavy_library(model_of: Callable[..., Path]) -> None:
    code = (
        "import sys; from tui_tuner.models.describe import describe_model; "
        f"print(describe_model({str(model_of('phi3'))!r}).parameters); "
        "print([m for m in ('mlx', 'mlx_lm', 'transformers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    parameters, loaded = done.stdout.split("\n")[:2]
    assert int(parameters) > 0
    assert loaded == "[]"


def test_a_model_that_went_away_is_said_to_have_gone(copied: Path) -> None:
    base = load_base(copied)
    shutil.rmtree(copied)
    with pytest.raises(TunerError) as caught:
        fresh_tree(base)
    assert caught.value.code == "model-bad-weights"
