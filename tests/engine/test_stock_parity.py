"""The loop trains what `mlx_lm.tuner.trainer.train` trains: the same losses, rates and weights, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.models import make_model, make_rows
from tests.support.twins import twins
from tui_tuner.config import AdapterSection, TrainSection
from tui_tuner.data.examples import Example, tokenise
from tui_tuner.models.adapters import attach
from tui_tuner.models.load import load_base
from tui_tuner.runs.control import JobControl
from tui_tuner.training.batches import StockOrder
from tui_tuner.training.loop import Trainer
from tui_tuner.training.optimizers import build_optimizer
from tui_tuner.training.ranks import ALONE, Ranks
from tui_tuner.training.step import StockLoss

SEED = 11
ROWS = make_rows(26, seed=3)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {"plain": make_model(root / "plain"), "4 bits": make_model(root / "q4", bits=4)}


def theirs(
    folder: Path, adapter: AdapterSection, train: TrainSection, mask: bool
) -> tuple[Any, list[float], list[float]]:
    """What mlx-lm's own trainer does, with its own data sets, loss and order."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.tuner.callbacks import TrainingCallback
    from mlx_lm.tuner.datasets import CacheDataset, CompletionsDataset
    from mlx_lm.tuner.trainer import TrainingArgs
    from mlx_lm.tuner.trainer import train as train_stock
    from mlx_lm.tuner.utils import linear_to_lora_layers
    from mlx_lm.utils import load

    losses: list[float] = []
    validations: list[float] = []

    class Keep(TrainingCallback):
        def on_train_loss_report(self, info: dict[str, Any]) -> None:
            losses.append(info["train_loss"])

        def on_val_loss_report(self, info: dict[str, Any]) -> None:
            validations.append(info["val_loss"])

    np.random.seed(SEED)
    model, tokenizer = load(str(folder))
    mx.random.seed(SEED)
    model.freeze()
    linear_to_lora_layers(
        model,
        adapter.layers or len(model.layers),
        {"rank": adapter.rank, "scale": adapter.scale, "dropout": adapter.dropout},
        use_dora=adapter.method == "dora",
    )
    datasets = [
        CacheDataset(CompletionsDataset(rows, tokenizer, "prompt", "completion", mask))
        for rows in (ROWS[:18], ROWS[18:])
    ]
    train_stock(
        model,
        build_optimizer(train)[0],
        *datasets,
        args=TrainingArgs(
            batch_size=train.batch_size,
            iters=train.iters,
            val_batches=train.eval_batches,
            steps_per_report=train.report_every,
            steps_per_eval=train.eval_every,
            steps_per_save=10_000,
            max_seq_length=train.max_seq_length,
            grad_checkpoint=train.grad_checkpoint,
            grad_accumulation_steps=train.grad_accumulation,
            adapter_file=folder / "unused.safetensors",
        ),
        training_callback=Keep(),
    )
    return dict(tree_flatten(model.trainable_parameters())), losses, validations


def ours(
    folder: Path, adapter: AdapterSection, train: TrainSection, mask: bool, ranks: Ranks = ALONE
) -> tuple[Any, list[float], list[float]]:
    """What the project's loop does."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    events: list[dict[str, Any]] = []
    base = load_base(folder)
    mx.random.seed(SEED)
    attach(base.model, adapter)
    examples: list[list[Example]] = [
        [tokenise(row, base.tokenizer, mask_prompt=mask) for row in rows] for rows in (ROWS[:18], ROWS[18:])
    ]
    order = StockOrder(*examples, batch_size=train.batch_size, max_length=train.max_seq_length, seed=SEED)
    Trainer(
        base.model,
        *build_optimizer(train),
        order,
        StockLoss(),
        train,
        emit=lambda type, **fields: events.append({"type": type, **fields}),
        control=JobControl(),
        ranks=ranks,
    ).run()
    losses = [e["loss"] for e in events if e["type"] == "train"]
    validations = [e["loss"] for e in events if e["type"] == "validation"]
    return dict(tree_flatten(base.model.trainable_parameters())), losses, validations


CASES = {
    "lora, batch 4, masked": {},
    "lora, batch 4, whole rows": {"mask": False},
    "lora, batch 1": {"batch_size": 1},
    "lora, batch 1, accumulation 3": {"batch_size": 1, "grad_accumulation": 3},
    "lora, dropout": {"dropout": 0.1},
    "lora, last layer": {"layers": 1},
    "lora, checkpointed": {"grad_checkpoint": True},
    "lora, cosine with warm-up, adamw": {"schedule": "cosine", "warmup": 3, "optimizer": "adamw"},
    "dora, batch 4, masked": {"method": "dora"},
    "dora, batch 1, whole rows": {"method": "dora", "batch_size": 1, "mask": False},
    "lora, quantized": {"model": "4 bits"},
    "lora, quantized, accumulation 2": {"model": "4 bits", "grad_accumulation": 2},
    "dora, quantized": {"model": "4 bits", "method": "dora"},
    "lora, rows cut at 24 tokens": {"max_seq_length": 24, "mask": False},
}
USUAL = (
    "lora, batch 4, masked",
    "lora, batch 1, accumulation 3",
    "lora, cosine with warm-up, adamw",
    "dora, quantized",
    "lora, rows cut at 24 tokens",
)


@pytest.mark.mlx
@pytest.mark.parametrize("name", twins(CASES, USUAL))
def test_losses_and_weights_equal_those_of_mlx_lm(name: str, folders: dict[str, Path]) -> None:
    case = dict(CASES[name])
    folder = folders[str(case.pop("model", "plain"))]
    mask = bool(case.pop("mask", True))
    adapter = AdapterSection(
        method=case.pop("method", "lora"),
        rank=4,
        scale=10.0,
        dropout=case.pop("dropout", 0.0),
        layers=case.pop("layers", 0),
    )
    train = TrainSection(
        **{
            "mode": "stock",
            "iters": 12,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "report_every": 1,
            "eval_every": 5,
            "max_seq_length": 128,
            **case,
        }
    )
    their_weights, their_losses, their_validations = theirs(folder, adapter, train, mask)
    our_weights, our_losses, our_validations = ours(folder, adapter, train, mask)
    assert our_losses == their_losses
    # One more validation than theirs: the last one, with the final weights.
    assert our_validations[: len(their_validations)] == their_validations
    assert len(our_validations) == len(their_validations) + 1
    assert our_weights.keys() == their_weights.keys()
    for key, value in their_weights.items():
        assert np.array_equal(np.array(our_weights[key]), np.array(value)), key


@pytest.mark.mlx
def test_a_different_seed_gives_different_losses(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the comparison itself: it would notice another order."""
    adapter, train = AdapterSection(rank=4), TrainSection(mode="stock", iters=4, report_every=1, learning_rate=1e-3)
    _, before, _ = ours(folders["plain"], adapter, train, True)
    monkeypatch.setattr(f"{__name__}.SEED", SEED + 1)
    _, after, _ = ours(folders["plain"], adapter, train, True)
    assert before != after
