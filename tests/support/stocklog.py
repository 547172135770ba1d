"""Logs of stock mlx-lm, read to their end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tui_tuner.runs import RunView
from tui_tuner.runs.stocklog import StockLogReader

SAMPLES = Path(__file__).parents[1] / "support" / "stocklogs"
OLD = """\
Loading pretrained model
Fetching 11 files: 100%|██████████| 11/11 [00:00<00:00, 101848.44it/s]
Loading datasets
Training
Trainable parameters: 0.041% (1.311M/3212.750M)
Starting training..., iters: 200
Calculating loss...: 100%|██████████| 25/25 [00:05<00:00,  4.75it/s]
Iter 1: Val loss 2.936, Val took 5.265s
Iter 10: Train loss 2.662, Learning Rate 1.000e-05, It/sec 0.490, Tokens/sec 161.374, Trained Tokens 3290, \
Peak mem 9.707 GB
Iter 100: Train loss 1.505, Learning Rate 1.000e-05, It/sec 25.674, Tokens/sec 8056.378, Trained Tokens 32807, \
Peak mem 10.588 GB
Iter 100: Saved adapter weights to adapters/adapters.safetensors and adapters/0000100_adapters.safetensors.
Iter 200: Val loss 1.441, Val took 4.812s
Iter 200: Train loss 1.3, Learning Rate 9.000e-06, It/sec 25.0, Tokens/sec 8000.0, Trained Tokens 65807, \
Peak mem 10.588 GB
Iter 200: Saved adapter weights to adapters/adapters.safetensors and adapters/0000200_adapters.safetensors.
Saved final weights to adapters/adapters.safetensors.
"""
TABLE = """\
Loading pretrained model
╭─ mlx_lm.lora ────────────╮
│    model           org/m │
│    batch · iters   2 · 1,000 │
╰──────────────────────────╯
  iter   train_loss     tok/s     tokens
"""


def read(path: Path, text: str | None = None) -> list[dict[str, Any]]:
    """All events of a log, to the point where nothing more comes."""
    if text is not None:
        path.write_text(text, encoding="utf-8", newline="")
    reader = StockLogReader(path)
    return [*reader.poll(), *reader.poll(), *reader.poll()]


def view_of(events: list[dict[str, Any]]) -> RunView:
    view = RunView()
    view.extend(events)
    assert view.unknown == 0
    return view


def rows(view: RunView, name: str, *fields: str) -> list[tuple[float, ...]]:
    columns = getattr(view, name)
    return list(zip(*(columns.column(field).tolist() for field in fields), strict=True))
