"""What one rank of a test does: trains small models in several ways, and writes down what came of it.

`python -m tests.support.rank_program FOLDER RANKS WAY…` under mlx's launcher, or with one rank by itself. A file for
each rank and way: losses, validations, gradient norms, counted tokens, and the weights at the end.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.models import make_rows
from tui_tuner.config import AdapterSection, TrainSection
from tui_tuner.models.libraries import ready
from tui_tuner.runs.control import JobControl
from tui_tuner.training.ranks import ALONE, Ranks

SEED = 3
ROWS = make_rows(26, seed=SEED)
TRAIN = 17  # in batches of 4: the last one has a single row, so one of two ranks has none
Event = dict[str, Any]
Watch = Callable[[Event, JobControl], None]


def steer(event: Event, control: JobControl) -> None:
    """Asks for things at certain steps, as a person would; only rank 0's events are seen by anyone."""
    if event["type"] == "train":
        wishes = {3: ("learning_rate", 2e-4), 5: ("evaluate", None), 17: ("finish_epoch", None)}
        if event["step"] in wishes:
            control.request(*wishes[event["step"]])
        if event["step"] == 7:
            control.pause()
    if event["type"] == "control" and event["what"] == "pause":
        control.proceed()


class Poisoned:
    """A loss that is no number on the last rank, in the step of one of its batches."""

    def __init__(self, loss: Any, ranks: Ranks, step: int) -> None:
        self._loss, self._mine, self._left = loss, ranks.rank == ranks.size - 1, step

    def arrays(self, batch: Any) -> tuple[Any, ...]:
        import mlx.core as mx

        self._left -= 1
        return (*self._loss.arrays(batch), mx.array(math.nan if self._mine and self._left == 0 else 0.0))

    def __call__(self, model: Any, *arrays: Any) -> tuple[Any, Any]:
        value, tokens = self._loss(model, *arrays[:-1])
        return value + arrays[-1], tokens


WAYS: dict[str, dict[str, Any]] = {
    "lora": {},
    "accumulated": {"train": {"grad_accumulation": 3, "clip_norm": 0.5, "grad_checkpoint": True, "optimizer": "adamw"}},
    "steered": {"train": {"schedule": "cosine"}, "watch": steer},
    "poisoned": {"poison": 5, "train": {"eval_every": 100, "iters": 8}},
    "all weights": {"adapter": {"method": "full"}, "train": {"optimizer": "sgd", "learning_rate": 1e-2}},
    "frozen layers reused": {"adapter": {"layers": 1}, "train": {"reuse_frozen": True}},
    "dropout": {"adapter": {"dropout": 0.2}},
}


def trained(model: Path, way: dict[str, Any], ranks: Ranks) -> tuple[list[Event], dict[str, Any], list[int]]:
    """Events, weights, and this rank's random key at the end."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    from tui_tuner.data.examples import tokenise
    from tui_tuner.models.adapters import attach
    from tui_tuner.models.load import load_base
    from tui_tuner.training.distributed import part_of
    from tui_tuner.training.fast.activations import ActivationStore
    from tui_tuner.training.fast.frozen import FrozenLoss, frozen_loss
    from tui_tuner.training.fast.loss import fast_loss
    from tui_tuner.training.fast.order import FastOrder
    from tui_tuner.training.loop import Trainer
    from tui_tuner.training.optimizers import build_optimizer
    from tui_tuner.training.randomness import first_key, key_kept, random_key, set_random_key

    settings = {"iters": 24, "batch_size": 4, "learning_rate": 1e-3, "report_every": 1, "eval_every": 6}
    train = TrainSection.model_validate({**settings, "max_seq_length": 128, **way.get("train", {})})
    base = load_base(model)
    mx.random.seed(SEED)
    attach(base.model, AdapterSection.model_validate({"rank": 4, "scale": 10.0, **way.get("adapter", {})}))
    if ranks.rank:
        set_random_key(first_key(SEED, ranks.rank))
    rows = [tokenise(row, base.tokenizer, mask_prompt=True) for row in ROWS]
    order = FastOrder(rows[:TRAIN], rows[TRAIN:], batch_size=4, max_length=128, seed=SEED, ranks=ranks.size)
    position, sample = order.state(), part_of(order.next(), ranks.rank, ranks.size, stock=False)
    order.restore(position)
    with key_kept():
        loss: Any = fast_loss(base.model, sample)
        if train.reuse_frozen:
            loss, _ = frozen_loss(base.model, loss, sample, ActivationStore(memory=1 << 30), "base")
            assert isinstance(loss, FrozenLoss)
    if "poison" in way:
        loss = Poisoned(loss, ranks, way["poison"] + order.validation_count())  # a validation comes before step 1
    control, events = JobControl(), list[Event]()

    def emit(type: str, **fields: Any) -> None:
        events.append({"type": type, **fields})
        if ranks.rank == 0 and "watch" in way:
            way["watch"](events[-1], control)

    guarded = train.optimizer != "sgd"
    Trainer(
        base.model,
        *build_optimizer(train),
        order,
        loss,
        train,
        emit=emit,
        control=control,
        guarded=guarded,
        ranks=ranks,
    ).run()
    return events, dict(tree_flatten(base.model.trainable_parameters())), random_key()


def work(folder: Path, ranks: Ranks, names: list[str]) -> None:
    """Trains in each of the ways and writes `RANKS-RANK-WAY.json` and `.npz`."""
    import numpy as np

    for name in names:
        if name == "stock":
            from tests.engine.test_stock_parity import ours, theirs

            adapter = AdapterSection(rank=4, scale=10.0)
            train = TrainSection(mode="stock", iters=12, batch_size=4, learning_rate=1e-3, report_every=1, eval_every=5)
            found: dict[str, Any] = {}
            for who, train_it in (("ours", lambda *args: ours(*args, ranks)), ("theirs", theirs)):
                weights, losses, validations = train_it(folder / "model", adapter, train, True)
                found[who] = {"losses": losses, "validations": validations}
                np.savez(
                    folder / f"{ranks.size}-{ranks.rank}-{who}.npz", **{k: np.array(v) for k, v in weights.items()}
                )
            (folder / f"{ranks.size}-{ranks.rank}-stock.json").write_text(json.dumps(found))
            continue
        events, weights, key = trained(folder / "model", WAYS[name], ranks)
        np.savez(folder / f"{ranks.size}-{ranks.rank}-{name}.npz", **{k: np.array(v) for k, v in weights.items()})
        (folder / f"{ranks.size}-{ranks.rank}-{name}.json").write_text(json.dumps({"events": events, "key": key}))


def main() -> None:
    ready()
    folder, size, names = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    ranks: Ranks = ALONE
    if size > 1:
        import mlx.core as mx

        from tui_tuner.training.distributed import Group

        ranks = Group(mx.distributed.init(strict=True, backend="ring"))
    work(folder, ranks, names)


if __name__ == "__main__":
    main()
