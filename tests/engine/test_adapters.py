"""Adapters are stock mlx-lm's, both ways; what cannot be attached or loaded is one sentence; the base stays clean."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.models import make_model
from tests.support.sentences import one_sentence
from tui_tuner.config import AdapterSection
from tui_tuner.errors import TunerError
from tui_tuner.models.adapters import attach, load_adapter, total_parameters, write_adapter_config
from tui_tuner.models.describe import describe_model
from tui_tuner.models.load import fresh_tree, load_base

pytestmark = pytest.mark.mlx


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


def test_single_layers_load_in_stock_mlx_lm(model_of: Callable[..., Path], tmp_path: Path) -> None:
    """Layers that are not the last ones are named by full paths, which `mlx_lm` takes as well."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.utils import load

    base = load_base(model_of("phi3"))
    tree = fresh_tree(base)
    adapter = AdapterSection(rank=2, layer_numbers=[2, 0], targets=["qkv_proj"])
    attached = attach(tree, adapter)
    names = [name for name, _ in tree_flatten(tree.trainable_parameters())]
    assert names == [f"model.layers.{n}.self_attn.qkv_proj.lora_{part}" for n in (0, 2) for part in ("a", "b")]
    tree.update({"model": {"layers": [{"self_attn": {"qkv_proj": {"lora_b": mx.ones((2, 192))}}}, {}, {}]}})
    mx.save_safetensors(str(tmp_path / "adapters.safetensors"), dict(tree_flatten(tree.trainable_parameters())))
    write_adapter_config(tmp_path, adapter, attached, str(base.path), {})
    stock, _ = load(str(base.path), adapter_path=str(tmp_path))
    tokens = mx.array([[5, 9, 30, 31]])
    tree.eval()
    assert mx.array_equal(stock(tokens), tree(tokens)).item()
    assert mx.array_equal(load_adapter(base, tmp_path)(tokens), tree(tokens)).item()
    assert not mx.array_equal(base.model(tokens), tree(tokens)).item()


def test_alpha_is_scale_times_rank() -> None:
    assert AdapterSection(rank=8, alpha=16.0).effective_scale == 2.0
    assert AdapterSection(rank=16, alpha=32.0, rslora=True).effective_scale == 8.0
    assert AdapterSection(rank=8, scale=20.0).effective_scale == 20.0
