"""One epoch by stock mlx-lm, as `mlx_lm.lora` trains: MODEL DATA BATCH MAX_LENGTH ADAPTER.

The clock runs from the first row that is fetched (rows are tokenised just before their step) to the last report.
"""

from __future__ import annotations

import sys
import time
import types
from typing import Any

from sides.telling import Progress, figures

from tui_tuner.models.libraries import ready


def main() -> None:
    model_path, data, batch, max_length, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    ready()  # both sides multiply with the same BLAS
    import mlx.core as mx
    import numpy as np
    from mlx_lm import lora
    from mlx_lm.tuner import datasets, trainer
    from mlx_lm.utils import load

    model, tokenizer = load(model_path)
    given = {
        "model": model_path,
        "data": data,
        "train": True,
        "batch_size": batch,
        "steps_per_report": 10,
        "steps_per_eval": 10**6,
        "save_every": 10**6,
        "mask_prompt": True,
        "num_layers": -1,
        "learning_rate": 1e-4,
        "max_seq_length": max_length,
        "adapter_path": out,
    }
    args: Any = types.SimpleNamespace(**{**lora.CONFIG_DEFAULTS, **given})
    train, _, _ = datasets.load_dataset(args, tokenizer)
    args.iters = len(train) // batch
    progress = Progress(args.iters)
    seen = {"tokens": 0, "rows": 0, "begun": 0.0, "seconds": 0.0}

    class Counting(datasets.CacheDataset):  # type: ignore[misc]
        def __getitem__(self, index: int) -> Any:
            seen["begun"] = seen["begun"] or time.perf_counter()
            row = super().__getitem__(index)
            seen["tokens"] += min(len(row[0]), max_length)
            seen["rows"] += 1
            progress.at(int(seen["rows"]) // batch)
            return row

    class Clock(trainer.TrainingCallback):  # type: ignore[misc]
        def on_train_loss_report(self, info: dict[str, Any]) -> None:
            seen["seconds"] = time.perf_counter() - seen["begun"]

    lora.CacheDataset = Counting
    np.random.seed(0)
    mx.reset_peak_memory()
    sys.stdout = sys.stderr  # what it shows is its own
    lora.train_model(args, model, train, [], Clock())
    figures(tokens=int(seen["tokens"]), seconds=seen["seconds"], steps=args.iters, peak=int(mx.get_peak_memory()))


if __name__ == "__main__":
    main()
