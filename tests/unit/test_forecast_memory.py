"""Sizes of models and the terms of the memory formula, against numbers reckoned by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tui_tuner.config.model import AdapterSection, TrainSection
from tui_tuner.errors import TunerError
from tui_tuner.models.memory import (
    BatchSize,
    adapted,
    generation_memory,
    kept,
    training_memory,
    usual_memory,
)
from tui_tuner.models.scheme import Params
from tui_tuner.models.shape import ModelShape, shape_from

HIDDEN, INNER, LAYERS, VOCABULARY = 64, 128, 3, 1_000
CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
    "hidden_act": "silu",
}


def tensors(kind: str = "F32", *, tied: bool = False) -> dict[str, tuple[str, list[int]]]:
    """A llama's: q 64, k and v 32 wide."""
    found: dict[str, tuple[str, list[int]]] = {"model.embed_tokens.weight": (kind, [VOCABULARY, HIDDEN])}
    if not tied:
        found["lm_head.weight"] = (kind, [VOCABULARY, HIDDEN])
    matrices = {
        "self_attn.q_proj": [64, HIDDEN],
        "self_attn.k_proj": [32, HIDDEN],
        "self_attn.v_proj": [32, HIDDEN],
        "self_attn.o_proj": [HIDDEN, 64],
        "mlp.gate_proj": [INNER, HIDDEN],
        "mlp.up_proj": [INNER, HIDDEN],
        "mlp.down_proj": [HIDDEN, INNER],
    }
    for layer in range(LAYERS):
        for name, shape in matrices.items():
            found[f"model.layers.{layer}.{name}.weight"] = (kind, shape)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            found[f"model.layers.{layer}.{norm}.weight"] = (kind, [HIDDEN])
    return found


@pytest.fixture
def shape() -> ModelShape:
    return shape_from(CONFIG, tensors())


def test_the_sizes_are_those_of_the_tensors(shape: ModelShape) -> None:
    layer = 64 * 64 + 2 * 32 * 64 + 64 * 64 + 3 * 64 * 128
    assert shape.layer_weights == shape.active_weights == layer
    assert shape.parameters == 2 * 1_000 * 64 + 3 * (layer + 2 * 64)
    assert shape.bytes == 4 * shape.parameters
    assert (shape.queries, shape.keys, shape.inner, shape.element) == (64, 32, 128, 4)
    assert shape.gated and not shape.smooth and not shape.fused and not shape.tied and shape.norms == 2
    assert {matrix.place for matrix in shape.matrices} == {"mixer in", "mixer out", "mlp in", "mlp out"}
    assert shape_from(CONFIG, tensors(tied=True)).tied


def test_quantized_tensors_are_counted_unpacked() -> None:
    packed: dict[str, tuple[str, list[int]]] = {}
    for name, (_, size) in tensors().items():
        if len(size) == 2:
            path = name.removesuffix(".weight")
            packed[name] = ("U32", [size[0], size[1] * 4 // 32])
            packed[f"{path}.scales"] = packed[f"{path}.biases"] = ("F32", [size[0], size[1] // 32])
        else:
            packed[name] = ("F32", size)
    found = shape_from({**CONFIG, "quantization": {"bits": 4, "group_size": 32}}, packed)
    plain = shape_from(CONFIG, tensors())
    assert found.quantized == Params(4, 32) and found.parameters == plain.parameters
    assert found.bytes == plain.stored(4, 32).bytes  # what is told of a conversion is what comes out
    assert [m.inputs for m in found.matrices] == [m.inputs for m in plain.matrices]


def test_experts_that_lie_apart_are_one_matrix() -> None:
    apart = {
        f"model.layers.0.block_sparse_moe.experts.{number}.{name}.weight": ("BF16", size)
        for number in range(4)
        for name, size in (("w1", [INNER, HIDDEN]), ("w2", [HIDDEN, INNER]), ("w3", [INNER, HIDDEN]))
    }
    found = shape_from({**CONFIG, "num_hidden_layers": 1, "num_experts_per_tok": 2}, apart)
    assert [m.path for m in found.matrices] == [
        f"block_sparse_moe.switch_mlp.{name}" for name in ("down_proj", "gate_proj", "up_proj")
    ]
    assert {m.experts for m in found.matrices} == {4}
    assert (found.layer_weights, found.active_weights) == (4 * 3 * 64 * 128, 2 * 3 * 64 * 128)


def test_what_an_adapter_trains(shape: ModelShape) -> None:
    rank = 8 * (128 + 96 + 96 + 128 + 192 + 192 + 192)
    everything = adapted(shape, AdapterSection())
    assert (everything.count, everything.layers, everything.reach) == (3 * rank, 3, 3)
    two = adapted(shape, AdapterSection(layers=2, targets=["o_proj"]))
    assert (two.count, two.layers, two.reach) == (2 * 8 * 128, 2, 2)
    lowest = adapted(shape, AdapterSection(layer_numbers=[0, 2]))
    assert (lowest.layers, lowest.reach) == (2, 3)  # gradients go down to the lowest
    dora = adapted(shape, AdapterSection(method="dora"))
    assert dora.count == everything.count + 3 * (64 + 32 + 32 + 64 + 128 + 128 + 64)
    full = adapted(shape, AdapterSection(method="full", layers=1))
    assert full.count == shape.layer_weights + 2 * 64
    with pytest.raises(TunerError) as caught:
        adapted(shape, AdapterSection(layers=4))
    assert caught.value.code == "too-many-layers"


def test_what_a_layer_keeps_of_a_token(shape: ModelShape) -> None:
    everything = adapted(shape, AdapterSection())
    # Norm inputs, queries, keys and values, attention weights of 4 heads over 100 positions, gate and up and their
    # products; then the distinct inputs of the trained matrices, and a rank of 8 for each of the seven.
    plain = 2 * 64 + 64 + 2 * 32 + 4 * 100 + 4 * 128
    inputs = 64 + 64 + 64 + 128
    assert kept(shape, everything, 100) == 4 * (plain + inputs + 7 * 8)
    assert kept(shape, everything, 100, dropout=0.1) == 4 * (plain + 2 * (5 * 64 + 64 + 128) + 7 * 8)
    mlp = adapted(shape, AdapterSection(targets=["mlp"]))
    assert kept(shape, mlp, 100, lowest=True) == 4 * (64 + 4 * 128 + 64 + 128 + 3 * 8)  # no gradient gets to attention
    half = shape_from(CONFIG, tensors("BF16"))
    assert kept(half, everything, 100) == 2 * plain + 4 * (inputs + 7 * 8) + 2 * (64 + 64 + 64)


def test_memory_is_the_sum_of_its_parts(shape: ModelShape) -> None:
    batch = BatchSize(4, 64, 64)
    found = training_memory(shape, AdapterSection(), TrainSection(), batch)
    chosen = adapted(shape, AdapterSection())
    assert found.weights == shape.bytes and found.trained == 4 * chosen.count
    assert found.optimizer == 2 * found.trained
    assert found.activations == 3 * 256 * kept(shape, chosen, 64)
    assert found.peak == sum(found.as_json().values())
    sgd = training_memory(shape, AdapterSection(), TrainSection(optimizer="sgd"), batch)
    assert sgd.optimizer == found.trained


def test_memory_follows_what_it_depends_on(shape: ModelShape) -> None:
    usual = BatchSize(4, 128, 256)

    def peak(adapter: AdapterSection | None = None, batch: BatchSize = usual, **train: Any) -> int:
        return training_memory(shape, adapter or AdapterSection(), TrainSection(**train), batch).peak

    base = peak()
    assert peak(grad_checkpoint=True) < base
    assert peak(mode="stock") > base
    assert peak(AdapterSection(layers=1)) < peak(AdapterSection(layers=2)) < base
    assert peak(batch=BatchSize(2, 128, 128)) < base < peak(batch=BatchSize(4, 256, 256))
    assert peak(AdapterSection(dropout=0.1)) > base
    assert peak(AdapterSection(rank=64)) > base
    assert peak(grad_accumulation=4) > base


def test_frozen_layers_below_keep_nothing(shape: ModelShape) -> None:
    one = training_memory(shape, AdapterSection(layers=1), TrainSection(), BatchSize(4, 64, 64))
    chosen = adapted(shape, AdapterSection(layers=1))
    assert one.activations == 256 * kept(shape, chosen, 64)


def test_answering_takes_weights_and_a_cache(shape: ModelShape) -> None:
    one, two = generation_memory(shape, 1, 1_000), generation_memory(shape, 2, 1_000)
    assert shape.bytes + 2 * 3 * 32 * 1_000 * 4 < one < two
    usual = usual_memory(shape)
    assert usual["train"] > usual["run"] == generation_memory(shape, 1, 2_048)
