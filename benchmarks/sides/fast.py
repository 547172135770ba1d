"""Epochs by the app's own loop in the fast mode: MODEL DATA BATCH MAX_LENGTH LAYERS EPOCHS plain|reuse.

The clock runs from before the tokenisation to the last report: the proof that the model can be taken apart, the trace
for every shape and the batch of the remaining rows are all in it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from sides.telling import Progress, figures

from tui_tuner.config import AdapterSection, TrainSection
from tui_tuner.data.examples import tokenise_all
from tui_tuner.models.adapters import attach
from tui_tuner.models.device import working_memory
from tui_tuner.models.load import load_base
from tui_tuner.runs.control import JobControl
from tui_tuner.training.fast.activations import ActivationStore
from tui_tuner.training.fast.frozen import FrozenLoss, frozen_loss
from tui_tuner.training.fast.loss import fast_loss
from tui_tuner.training.fast.order import FastOrder
from tui_tuner.training.loop import Trainer
from tui_tuner.training.optimizers import build_optimizer


def main() -> None:
    model_path, data, way = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[7]
    batch, max_length, layers, epochs = map(int, sys.argv[3:7])
    base = load_base(model_path)
    import mlx.core as mx

    rows = [json.loads(line) for line in (data / "train.jsonl").open(encoding="utf-8")]
    mx.random.seed(0)
    attach(base.model, AdapterSection(layers=layers))
    mx.reset_peak_memory()
    begun = time.perf_counter()
    examples = tokenise_all(rows, base.tokenizer, mask_prompt=True, max_length=max_length, where="train")
    order = FastOrder(examples, [], batch_size=batch, max_length=max_length, seed=0)
    size = order.batches_per_epoch
    start = order.state()
    first = order.next()
    order.restore(start)
    loss: Any = fast_loss(base.model, first)
    assert loss.split is not None, loss.reason
    if way == "reuse":
        loss, reason = frozen_loss(base.model, loss, first, ActivationStore(memory=8 << 30), "benchmark")
        assert isinstance(loss, FrozenLoss), reason
    train = TrainSection(
        learning_rate=1e-4,
        iters=size * epochs,
        batch_size=batch,
        eval_every=10**6,
        save_every=10**6,
        report_every=size if epochs > 1 else 10,
    )
    optimizer, rate = build_optimizer(train)
    progress, marks = Progress(train.iters), dict[int, float]()

    def emit(type: str, **fields: Any) -> None:
        if type == "train":
            marks[fields["step"]] = time.perf_counter() - begun
            progress.at(fields["step"])

    with working_memory(0.0):  # as a run has it; stock mlx-lm wires memory too
        Trainer(base.model, optimizer, rate, order, loss, train, emit=emit, control=JobControl()).run()
    figures(
        tokens=epochs * sum(min(len(example.tokens), max_length) for example in examples),
        seconds=marks[train.iters],
        epochs=[marks[size * number] for number in range(1, epochs + 1)],
        steps=train.iters,
        peak=int(mx.get_peak_memory()),
        padding=order.padding,
        shapes=len(order.shapes),
    )


if __name__ == "__main__":
    main()
