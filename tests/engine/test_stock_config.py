"""What is exported trains with stock `mlx_lm.lora --config`, as the program that it is, to the run's own losses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.twins import twins
from tui_tuner.config.interchange import import_text
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.stockfile import of_run
from tui_tuner.runs import RunFolder, RunView
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.events import read_events
from tui_tuner.runs.stocklog import StockLogReader

pytestmark = pytest.mark.mlx

PRINTED = 0.00101
"""mlx-lm prints losses to three places; the last one may be rounded otherwise by another BLAS."""
CASES: dict[str, dict[str, dict[str, Any]]] = {
    "lora": {"adapter": {"rank": 4, "scale": 8.0, "dropout": 0.1}},
    "lora, alpha, one layer, attention, cosine with warm-up": {
        "adapter": {"rank": 4, "alpha": 32.0, "layers": 1, "targets": ["attention"]},
        "train": {"schedule": "cosine", "warmup": 3, "optimizer": "adamw", "weight_decay": 0.1},
    },
    "lora, single layers": {"adapter": {"rank": 4, "layer_numbers": [0]}, "train": {"warmup": 2}},
    "dora, linear, accumulation": {
        "adapter": {"method": "dora", "rank": 4, "scale": 8.0},
        "train": {"schedule": "linear", "warmup": 2, "grad_accumulation": 2, "epochs": 1.5},
    },
    "full": {"adapter": {"method": "full", "layers": 1}, "data": {"mask_prompt": False}},
}


def trained(folder: RunFolder) -> RunView:
    assert run_experiment(folder, JobControl(), ModelShelf())["status"] == "finished"
    view = RunView()
    view.extend(read_events(folder.events))
    return view


def stock(config: Path, place: Path) -> RunView:
    """What `python -m mlx_lm lora --config` printed, told as the events of a run."""
    command = [sys.executable, "-m", "mlx_lm", "lora", "--config", str(config)]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    log = place / "stock.log"
    log.write_text(done.stdout + done.stderr)
    view = RunView()
    view.extend(StockLogReader(log).poll())
    return view


QUICK = list(CASES)[:1]


@pytest.mark.parametrize("name", twins(CASES, QUICK))
def test_stock_mlx_lm_trains_to_the_same_losses(name: str, new_run: Callable[..., RunFolder], tmp_path: Path) -> None:
    import mlx.core as mx

    sections: dict[str, dict[str, Any]] = {
        "evaluation": {"enabled": True, "rows": 4, "max_tokens": 2},
        **{key: dict(value) for key, value in CASES[name].items()},
    }
    sections["train"] = {"mode": "stock", "keep": "last", "report_every": 1, **sections.get("train", {})}
    folder = new_run(**sections)
    ours = trained(folder)
    file = of_run(folder)
    assert file.equal, file.told
    config = tmp_path / "stock.yaml"
    config.write_text(file.text)
    theirs = stock(config, tmp_path)
    for series in ("train", "validation"):
        a, b = getattr(ours, series), getattr(theirs, series)
        told = set(b.column("step").tolist())
        steps = [step for step in a.column("step").tolist() if step in told]
        assert len(steps) >= (ours.steps if series == "train" else 2)
        mine = dict(zip(a.column("step").tolist(), a.column("loss").tolist(), strict=True))
        for step, loss in zip(b.column("step").tolist(), b.column("loss").tolist(), strict=True):
            assert abs(mine[step] - loss) < PRINTED, (series, step)
    losses = ours.train.column("loss")
    assert abs(losses[0] - losses[-1]) > 10 * PRINTED  # something was learned that could have differed
    last = mx.load(str(tmp_path / "adapters" / "tiny" / "adapters.safetensors"))
    (newest,) = sorted(folder.adapters.glob("0*_adapters.safetensors"))[-1:]
    for key, value in mx.load(str(newest)).items():
        assert np.allclose(np.array(value), np.array(last[key]), atol=2e-4), key


def test_what_was_exported_is_imported_as_it_was(new_run: Callable[..., RunFolder]) -> None:
    folder = new_run(train={"mode": "stock"}, adapter={"rank": 4, "targets": ["self_attn.qkv_proj"]})
    trained(folder)
    file = of_run(folder)
    back = import_text(file.text, "stock.yaml")
    assert back.dialect == "mlx-lm" and back.sure == "certain" and not back.warnings
    again = back.experiment()
    assert again.adapter.targets == ["self_attn.qkv_proj"]
    assert (again.train.iters, again.run.seed, again.data.source) == (14, 5, str(folder.data))
