"""The proof's figures are those of stock mlx-lm's own merge, worked out from its logits with numpy alone.

Reference: `mlx_lm.load(adapter_path)` for base with adapter, `mlx_lm.load` of what `mlx_lm.fuse` wrote for the merge.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.commands import ROOT
from tests.support.models import make_rows
from tests.support.twins import twins
from tui_tuner.config import AdapterSection
from tui_tuner.data.examples import Example, tokenise_many
from tui_tuner.engine.fusing import fuse_adapter
from tui_tuner.engine.model_requests import FuseAdapter
from tui_tuner.engine.proofrows import rows_of_source
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.evaluation.proof import proof
from tui_tuner.models.adapters import WEIGHTS, attach, write_adapter_config
from tui_tuner.models.load import Base, fresh_tree, load_base
from tui_tuner.runs.control import JobControl

pytestmark = pytest.mark.mlx


def adapter(base: Base, folder: Path, method: str, size: float) -> None:
    """An adapter folder as training leaves it, moved by so much."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    section = AdapterSection(method=method, rank=4, layers=2)
    tree = fresh_tree(base)
    mx.random.seed(11)
    attached = attach(tree, section)
    for _, module in tree.named_modules():
        if "lora_b" in module:
            module.lora_b = size * mx.random.normal(module.lora_b.shape)
    if method == "full":
        for layer in tree.layers[-2:]:
            down = layer.mlp.down_proj
            down.weight = down.weight + size * mx.random.normal(down.weight.shape)
    folder.mkdir()
    mx.save_safetensors(str(folder / WEIGHTS), dict(tree_flatten(tree.trainable_parameters())))
    write_adapter_config(folder, section, attached, str(base.path), {})


def logits_of(model: str | Path, rows: list[Example], adapter: Path | None = None) -> list[Any]:
    """Of the counted positions, by stock mlx-lm, in float64."""
    import mlx.core as mx
    from mlx_lm import load

    tree, *_ = load(str(model), adapter_path=str(adapter) if adapter is not None else None)
    found = []
    for row in rows:
        first = max(row.offset, 1)
        out = np.array(tree(mx.array([row.tokens])).astype(mx.float32), np.float64)
        found.append(out[0, first - 1 : -1])
    return found


def figures(base: list[Any], wanted: list[Any], had: list[Any], rows: list[Example]) -> dict[str, float]:
    """From the definitions, over all counted positions at once."""
    b, a, f = (np.concatenate(each) for each in (base, wanted, had))

    def log_p(z: Any) -> Any:
        top = z.max(-1, keepdims=True)
        return z - top - np.log(np.exp(z - top).sum(-1, keepdims=True))

    targets = np.concatenate([row.tokens[max(row.offset, 1) :] for row in rows])
    moved, way = ((each - each.mean(-1, keepdims=True)) - (b - b.mean(-1, keepdims=True)) for each in (f, a))
    return {
        "kept": float((moved * way).sum() / (way * way).sum()),
        "kl": float((np.exp(log_p(a)) * (log_p(a) - log_p(f))).sum(-1).mean()),
        "top1_agreement": float((a.argmax(-1) == f.argmax(-1)).mean()),
        "fused": float(-log_p(f)[np.arange(len(targets)), targets].mean()),
        "adapter": float(-log_p(a)[np.arange(len(targets)), targets].mean()),
    }


@pytest.mark.parametrize(
    ("method", "bits"), twins([("lora", 4), ("dora", 4), ("lora", None), ("full", None)], [("lora", 4), ("full", None)])
)
def test_the_proof_says_what_stock_mlx_lm_s_merge_is_like(
    method: str, bits: int | None, model_of: Callable[..., Path], tiny_rows: Path, tmp_path: Path
) -> None:
    folder = model_of("llama", bits)
    base = load_base(folder)
    adapter(base, tmp_path / "adapter", method, 0.0005)
    command = [sys.executable, "-m", "mlx_lm", "fuse", "--model", str(folder), "--adapter-path"]
    ended = subprocess.run(
        [*command, str(tmp_path / "adapter"), "--save-path", str(tmp_path / "stock")],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    asked = FuseAdapter(str(folder), adapter=tmp_path / "adapter", data=str(tiny_rows), rows=6)
    ways = {way["way"]: way for way in fuse_adapter(asked, JobControl(), ModelShelf())["ways"]}
    found = ways["stock" if bits else "plain"]
    rows = rows_of_source(str(tiny_rows), str(folder), base.tokenizer, 6).examples
    sides = logits_of(folder, rows), logits_of(folder, rows, tmp_path / "adapter"), logits_of(tmp_path / "stock", rows)
    wanted = figures(*sides, rows)
    assert found["tokens"] == sum(len(side) for side in sides[0])
    assert found["kept"] == pytest.approx(wanted["kept"], abs=2e-3)
    assert found["kl"] == pytest.approx(wanted["kl"], rel=2e-2, abs=1e-7)
    assert found["top1_agreement"] == pytest.approx(wanted["top1_agreement"])
    assert found["loss"]["fused"] == pytest.approx(wanted["fused"], rel=1e-5)
    assert found["loss"]["adapter"] == pytest.approx(wanted["adapter"], rel=1e-5)
    if bits:  # low for the default way, 99 % and more for what is recommended
        best = next(way for way in ways.values() if way["holds"])
        assert found["kept"] < 0.5 and not found["holds"] and best["kept"] >= 0.99
    else:
        assert found["holds"] and found["kept"] == pytest.approx(1.0, abs=2e-3)


def test_one_short_row_is_enough_and_a_broken_model_never_holds(model_of: Callable[..., Path]) -> None:
    import mlx.core as mx

    base = load_base(model_of("llama"))
    (row,) = tokenise_many(make_rows(1), base.tokenizer, mask_prompt=True)
    assert isinstance(row, Example)
    short = [Example(row.tokens[: row.offset + 1], row.offset)]
    tree = fresh_tree(base)
    tree.layers[0].mlp.down_proj.weight = 1.5 * tree.layers[0].mlp.down_proj.weight
    found = proof(base.model, tree, tree, short)
    assert found.agreement.tokens == 1 and found.kept == pytest.approx(1.0) and found.holds
    broken = fresh_tree(base)
    broken.layers[0].mlp.down_proj.weight = mx.full(broken.layers[0].mlp.down_proj.weight.shape, float("nan"))
    assert not proof(base.model, tree, broken, short).holds
    assert not proof(base.model, base.model, broken, short).holds  # also where there is nothing to be kept
