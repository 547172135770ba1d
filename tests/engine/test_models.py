"""What is said of a model is true, a bad one is one sentence, and adapters are stock mlx-lm's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.config import AdapterSection
from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import (
    attach,
    load_adapter,
    resolve_targets,
    total_parameters,
    trainable_modules,
    write_adapter_config,
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


def one_sentence(error: TunerError) -> None:
    text = error.sentence()
    assert "\n" not in text
    assert "Traceback" not in text
    assert text.endswith((".", "?"))
    assert error.fix


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
    assert facts.layers == base.layer_count == 3
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


# -- adapters -------------------------------------------------------------------------------------------------------


def logits(model: Any) -> Any:
    import mlx.core as mx

    out = model(mx.array([[5, 17, 42, 9, 77, 3]]))
    mx.eval(out)
    return out


def train_a_little(tree: Any) -> None:
    """Two steps of gradient descent on nonsense: enough to move every trainable weight."""
    import mlx.core as mx
    import mlx.nn as nn
    import mlx.optimizers as optim

    tokens = mx.array([[5, 17, 42, 9, 77, 3]])
    optimizer = optim.SGD(learning_rate=0.5)
    step = nn.value_and_grad(tree, lambda t: nn.losses.cross_entropy(tree(t[:, :-1]), t[:, 1:]).mean())
    for _ in range(2):
        _, gradient = step(tokens)
        optimizer.update(tree, gradient)
        mx.eval(tree.parameters())


def saved(base: Any, section: AdapterSection, folder: Path) -> tuple[Any, Path]:
    """A trained tree, and its adapter's folder."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    tree = fresh_tree(base)
    mx.random.seed(3)
    attached = attach(tree, section)
    train_a_little(tree)
    folder.mkdir()
    write_adapter_config(folder, section, attached, str(base.path), {"seed": 3})
    mx.save_safetensors(str(folder / "adapters.safetensors"), dict(tree_flatten(tree.trainable_parameters())))
    tree.eval()
    return tree, folder


@pytest.mark.parametrize(("method", "bits"), [("lora", None), ("lora", 4), ("dora", None), ("dora", 4), ("full", None)])
def test_a_tree_leaves_its_base_as_it_was(method: str, bits: int | None, model_of: Callable[..., Path]) -> None:
    import mlx.core as mx

    base = load_base(model_of("qwen2", bits))
    before = logits(base.model)
    tree = fresh_tree(base)
    assert mx.array_equal(logits(tree), before)
    attach(tree, AdapterSection(method=method, rank=4))
    train_a_little(tree)
    assert not mx.array_equal(logits(tree), before)
    assert mx.array_equal(logits(base.model), before)
    assert mx.array_equal(logits(fresh_tree(base)), before)


@pytest.mark.parametrize(
    "section",
    [
        AdapterSection(rank=4, scale=2.0),
        AdapterSection(method="dora", rank=2, layers=1),
        AdapterSection(method="full", layers=2),
        AdapterSection(rank=2, targets=["o_proj", "mlp.down_proj"], layers=2),
    ],
    ids=["lora", "dora", "full", "some targets"],
)
def test_stock_mlx_lm_reads_our_adapters(
    section: AdapterSection, model_of: Callable[..., Path], tmp_path: Path
) -> None:
    import mlx.core as mx
    from mlx_lm import generate, load

    base = load_base(model_of("phi3"))
    trained, folder = saved(base, section, tmp_path / "adapters")
    stock, tokenizer = load(str(base.path), adapter_path=str(folder))
    ours = load_adapter(base, folder)
    assert mx.array_equal(logits(ours), logits(trained))
    assert mx.array_equal(logits(stock), logits(trained))
    assert not mx.array_equal(logits(ours), logits(base.model))
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "what is the fox?"}], add_generation_prompt=True
    )
    assert generate(ours, base.tokenizer, prompt, max_tokens=12) == generate(stock, tokenizer, prompt, max_tokens=12)
    assert total_parameters(base.model) == describe_model(str(base.path)).parameters


def test_an_adapter_on_four_bits_is_stock_too(model_of: Callable[..., Path], tmp_path: Path) -> None:
    import mlx.core as mx
    from mlx_lm import load

    base = load_base(model_of("llama", 4))
    trained, folder = saved(base, AdapterSection(rank=4), tmp_path / "adapters")
    stock, _ = load(str(base.path), adapter_path=str(folder))
    assert mx.array_equal(logits(load_adapter(base, folder)), logits(trained))
    assert mx.array_equal(logits(stock), logits(trained))


@pytest.mark.parametrize("other", ["llama", "wider", "deeper", "shallower"])
def test_an_adapter_of_another_model_is_refused(other: str, model_of: Callable[..., Path], tmp_path: Path) -> None:
    from tests.support.models import make_model

    _, folder = saved(load_base(model_of("phi3")), AdapterSection(rank=4), tmp_path / "adapters")
    sizes = {"wider": {"hidden": 96}, "deeper": {"layers": 4}, "shallower": {"layers": 2}}
    model = model_of("llama") if other == "llama" else make_model(tmp_path / other, **sizes[other])
    with pytest.raises(TunerError) as caught:
        load_adapter(load_base(model), folder)
    assert caught.value.code == "adapter-mismatch"
    assert str(model_of("phi3")) in caught.value.fix
    one_sentence(caught.value)


def test_what_is_no_adapter_is_one_sentence(model_of: Callable[..., Path], tmp_path: Path) -> None:
    base = load_base(model_of("phi3"))
    _, good = saved(base, AdapterSection(rank=4), tmp_path / "good")

    def spoiled(name: str, file: str, content: str | None) -> Path:
        folder = shutil.copytree(good, tmp_path / name)
        (folder / file).unlink()
        if content is not None:
            (folder / file).write_text(content)
        return folder

    config, weights = "adapter_config.json", "adapters.safetensors"
    cases = {
        tmp_path / "nowhere": "adapter-not-found",
        good / config: "adapter-not-found",  # a file, not a folder
        spoiled("a", config, None): "adapter-not-found",
        spoiled("b", weights, None): "adapter-not-found",
        spoiled("c", config, "{"): "adapter-damaged",
        spoiled("d", weights, "nonsense"): "adapter-damaged",
        spoiled("e", config, '{"peft_type": "LORA", "r": 8}'): "adapter-format",
        spoiled("f", config, '{"num_layers": 3}'): "adapter-mismatch",
        spoiled("g", config, '{"num_layers": 3, "lora_parameters": {"rank": 4}}'): "adapter-mismatch",
    }
    for folder, code in cases.items():
        with pytest.raises(TunerError) as caught:
            load_adapter(base, folder)
        assert caught.value.code == code, folder
        one_sentence(caught.value)


def test_targets_are_full_paths_or_last_parts(model_of: Callable[..., Path]) -> None:
    model = load_base(model_of("phi3")).model
    every = ["mlp.down_proj", "mlp.gate_up_proj", "self_attn.o_proj", "self_attn.qkv_proj"]
    assert resolve_targets(model, []) == every
    assert resolve_targets(model, ["down_proj", "self_attn.qkv_proj", "down_proj"]) == [every[0], every[3]]
    with pytest.raises(TunerError) as caught:
        resolve_targets(model, ["qkv_proj", "q_proj"])
    assert caught.value.code == "target-not-found"
    assert "'q_proj'" in caught.value.message
    assert all(name in caught.value.message for name in every)
    one_sentence(caught.value)


def test_what_is_attached_is_what_trains(model_of: Callable[..., Path]) -> None:
    from mlx.utils import tree_flatten

    base = load_base(model_of("phi3"))
    tree = fresh_tree(base)
    attached = attach(tree, AdapterSection(rank=4, layers=2, targets=["o_proj"]))
    names = [name for name, _ in tree_flatten(tree.trainable_parameters())]
    assert names == [f"model.layers.{layer}.self_attn.o_proj.lora_{part}" for layer in (1, 2) for part in ("a", "b")]
    assert attached.trainable == 2 * 2 * 64 * 4
    assert (attached.layers, attached.modules) == (2, ["self_attn.o_proj"])


@pytest.mark.parametrize(
    ("bits", "section", "code"),
    [
        (None, AdapterSection(layers=4), "too-many-layers"),
        (4, AdapterSection(method="full"), "full-on-quantized"),
        (3, AdapterSection(method="dora"), "dora-unsupported"),
        (6, AdapterSection(method="dora"), "dora-unsupported"),
    ],
)
def test_what_cannot_be_attached_is_said_before_training(
    bits: int | None, section: AdapterSection, code: str, model_of: Callable[..., Path]
) -> None:
    base = load_base(model_of("phi3", bits))
    with pytest.raises(TunerError) as caught:
        attach(fresh_tree(base), section)
    assert caught.value.code == code
    assert caught.value.where.startswith("adapter.")
    one_sentence(caught.value)


def test_a_model_that_went_away_is_said_to_have_gone(copied: Path) -> None:
    base = load_base(copied)
    shutil.rmtree(copied)
    with pytest.raises(TunerError) as caught:
        fresh_tree(base)
    assert caught.value.code == "model-bad-weights"
