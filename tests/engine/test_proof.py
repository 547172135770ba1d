"""The proof's figures are those of an independent computation, and it tells what a 4-bit merge loses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.models import make_rows
from tui_tuner.config import AdapterSection
from tui_tuner.data.examples import Example, tokenise_many
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.proof import agreement, proof
from tui_tuner.models.adapters import attach
from tui_tuner.models.fuse import STOCK, Way, fuse, size_of, ways_for
from tui_tuner.models.load import Base, fresh_tree, load_base
from tui_tuner.models.quantize import params_of, quantizable

pytestmark = pytest.mark.mlx


def adapted(base: Base, size: float, method: str = "lora") -> Any:
    """A tree with an adapter of random weights, as if training had moved it by so much."""
    import mlx.core as mx

    tree = fresh_tree(base)
    mx.random.seed(5)
    attach(tree, AdapterSection(method=method, rank=4, layers=2))
    for _, module in tree.named_modules():
        if "lora_b" in module:
            module.lora_b = size * mx.random.normal(module.lora_b.shape)
    tree.eval()
    mx.eval(tree.parameters())
    return tree


def examples(base: Base, count: int = 12) -> list[Example]:
    found = tokenise_many(make_rows(count, seed=3), base.tokenizer, mask_prompt=True)
    assert all(isinstance(example, Example) for example in found)
    return [example for example in found if isinstance(example, Example)]


def by_hand(base: Any, wanted: Any, had: Any, rows: list[Example]) -> dict[str, float]:
    """The same figures in float64 with numpy, one row at a time, from the definitions."""
    import mlx.core as mx

    sums = dict.fromkeys(("kl", "base_kl", "same", "base", "adapter", "fused", "along", "length", "n"), 0.0)
    for row in rows:
        first = max(row.offset, 1)
        z = [
            np.array(model(mx.array([row.tokens])).astype(mx.float32), np.float64)[0, first - 1 : -1]
            for model in (base, wanted, had)
        ]
        log_p = [each - np.log(np.exp(each - each.max(-1, keepdims=True)).sum(-1, keepdims=True))
                 - each.max(-1, keepdims=True) for each in z]  # fmt: skip
        targets = np.array(row.tokens[first:])
        places = np.arange(len(targets))
        p = np.exp(log_p[1])
        sums["kl"] += float((p * (log_p[1] - log_p[2])).sum())
        sums["base_kl"] += float((p * (log_p[1] - log_p[0])).sum())
        sums["same"] += float((z[1].argmax(-1) == z[2].argmax(-1)).sum())
        for name, each in zip(("base", "adapter", "fused"), log_p, strict=True):
            sums[name] -= float(each[places, targets].sum())
        centred = [each - each.mean(-1, keepdims=True) for each in z]
        sums["along"] += float(((centred[2] - centred[0]) * (centred[1] - centred[0])).sum())
        sums["length"] += float(((centred[1] - centred[0]) ** 2).sum())
        sums["n"] += len(targets)
    kept = sums["along"] / sums["length"]
    return {name: value / sums["n"] for name, value in sums.items()} | {"kept": kept, "tokens": sums["n"]}


@pytest.mark.parametrize("kind", ["phi3", "llama", "qwen2", "gemma"])
def test_figures_are_those_of_an_independent_computation(kind: str, model_of: Callable[..., Path]) -> None:
    base = load_base(model_of(kind, 4))
    tree, rows = adapted(base, 0.05), examples(base)
    merged = fuse(base.model, tree, fresh_tree(base), STOCK)
    found, wanted = proof(base.model, tree, merged, rows), by_hand(base.model, tree, merged, rows)
    assert found.agreement.tokens == wanted["tokens"]
    assert found.kept == pytest.approx(wanted["kept"], rel=1e-4)
    assert found.agreement.kl == pytest.approx(wanted["kl"], rel=1e-3, abs=1e-7)
    assert found.base_kl == pytest.approx(wanted["base_kl"], rel=1e-3, abs=1e-7)
    assert found.agreement.top1 == pytest.approx(wanted["same"])
    assert found.base_loss == pytest.approx(wanted["base"], rel=1e-5)
    assert found.agreement.reference_loss == pytest.approx(wanted["adapter"], rel=1e-5)
    assert found.agreement.loss == pytest.approx(wanted["fused"], rel=1e-5)


def test_a_small_fine_tune_is_lost_in_a_4_bit_merge_and_kept_by_another_way(model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("phi3", 4))
    tree, rows = adapted(base, 0.0005), examples(base)
    found = {
        way.name: proof(base.model, tree, fuse(base.model, tree, fresh_tree(base), way), rows)
        for way in ways_for(base.model)
    }
    assert found["stock"].kept is not None and found["stock"].kept < 0.2 and not found["stock"].holds
    held = [name for name, one in found.items() if one.holds]
    assert held
    for name in held:
        assert found[name].kept == pytest.approx(1.0, abs=0.01) and found[name].agreement.top1 >= 0.99
    assert found["float"].holds and found["dequantized"].holds


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("kind", ["phi3", "llama", "qwen2", "gemma"])
def test_a_merge_into_unquantized_weights_says_the_same(kind: str, method: str, model_of: Callable[..., Path]) -> None:
    base = load_base(model_of(kind))
    tree, rows = adapted(base, 0.05, method), examples(base)
    (way,) = ways_for(base.model)
    merged = fuse(base.model, tree, fresh_tree(base), way)
    found = proof(base.model, tree, merged, rows)
    assert found.holds and found.kept == pytest.approx(1.0, abs=1e-4) and found.agreement.kl < 1e-6
    assert size_of(merged) == size_of(base.model)


def test_a_full_fine_tune_is_merged_by_its_weights(model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("phi3"))
    tree = fresh_tree(base)
    for layer in tree.layers:
        layer.mlp.down_proj.weight = layer.mlp.down_proj.weight * 1.1
    merged = fuse(base.model, tree, fresh_tree(base), ways_for(base.model)[0])
    found = proof(base.model, tree, merged, examples(base))
    assert found.holds and found.kept == pytest.approx(1.0) and found.base_kl > 0


def test_modules_without_an_adapter_stay_bit_for_bit(model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("llama", 4))
    tree = adapted(base, 0.01)
    touched = {path for path, module in tree.named_modules() if "lora_a" in module}
    assert touched
    for way in ways_for(base.model):
        if way.everything:
            continue
        merged = dict(quantizable(fuse(base.model, tree, fresh_tree(base), way)))
        for path, module in quantizable(base.model):
            if path not in touched:
                assert params_of(merged[path]) == params_of(module)
                np.testing.assert_array_equal(np.array(merged[path].weight), np.array(module.weight))


def test_ways_for_a_base_are_those_that_make_a_difference(model_of: Callable[..., Path]) -> None:
    def names(ways: list[Way]) -> list[str]:
        return [way.name for way in ways]

    assert names(ways_for(load_base(model_of("phi3")).model)) == ["plain"]
    assert names(ways_for(load_base(model_of("phi3", 4)).model)) == ["stock", "8bit", "float", "dequantized"]
    assert names(ways_for(load_base(model_of("phi3", 8)).model)) == ["stock", "float", "dequantized"]


def test_an_adapter_that_changes_nothing_has_nothing_to_be_kept(model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("phi3"))
    found = proof(base.model, base.model, base.model, examples(base))
    assert found.kept is None and found.holds and found.as_json()["kept"] is None


def test_rows_without_a_counted_token_prove_nothing(model_of: Callable[..., Path]) -> None:
    base = load_base(model_of("phi3"))
    with pytest.raises(TunerError, match="no row has a token"):
        agreement(base.model, base.model, [Example([1, 2], 2)])
