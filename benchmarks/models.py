"""What converting and merging cost beside stock mlx-lm, and how much of a fine-tune each way of merging keeps."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import ROOT, run_program, verdict

from tests.support.families import make_family
from tests.support.models import make_rows

COSTS = {"convert": 1.3, "fuse": 2.0}
"""Bars of time and of peak memory beside mlx-lm. Merging keeps the base whole, because the result is compared with it,
and both sync what they write to the disk before it gets its name."""
KEPT = 0.99
"""Bar of what the recommended way keeps."""
SIDES = ROOT / "benchmarks" / "sides"
FAMILIES = ("embedded", "llama", "qwen3", "gemma2")
STEPS = 20


def trained(model: str, place: Path, rows: Path, steps: int = STEPS) -> Path:
    """The folder of a run that trained a LoRA for a few steps at a common rate."""
    from tui_tuner.config import Experiment
    from tui_tuner.engine.new_run import create_run
    from tui_tuner.engine.pipeline import run_experiment
    from tui_tuner.engine.shelf import ModelShelf
    from tui_tuner.runs.control import JobControl

    values: dict[str, dict[str, Any]] = {
        "run": {"name": "kept", "seed": 0},
        "model": {"path": model},
        "data": {"source": str(rows), "valid": 8, "test": 16},
        "adapter": {"rank": 8},
        "train": {
            "iters": steps,
            "batch_size": 4,
            "learning_rate": 1e-5,
            "eval_every": steps,
            "save_every": steps,
            "max_seq_length": 128,
        },
        "evaluation": {"enabled": False},
    }
    run = create_run(Experiment.model_validate(values), place / "runs")
    run_experiment(run, JobControl(), ModelShelf())
    return run.path


def kept(name: str, place: Path, rows: Path) -> dict[str, Any]:
    """What the default merge into a 4-bit base keeps of a run, and what the recommended one does."""
    from tui_tuner.engine.conversion import convert_model
    from tui_tuner.engine.fusing import fuse_adapter
    from tui_tuner.engine.model_requests import ConvertModel, FuseAdapter
    from tui_tuner.engine.shelf import ModelShelf
    from tui_tuner.runs.control import JobControl

    plain = "embedded:phi3-tiny" if name == "embedded" else str(make_family(place / name, name))
    four = place / f"{name}-4bit"
    convert_model(ConvertModel(plain, four, 4, 32, rows=1), JobControl(), ModelShelf())
    run = trained(str(four), place, rows)
    found = fuse_adapter(FuseAdapter(str(run), rows=16), JobControl(), ModelShelf())
    ways = {way["way"]: way for way in found["ways"]}
    return {
        "model": name,
        "stock": ways["stock"]["kept"],
        "recommended": found["recommended"],
        "kept": found["kept"],
        "bytes": found["bytes"] / ways["stock"]["bytes"],
    }


def compared(work: str, model: Path, adapter: Path, place: Path, pairs: int) -> dict[str, dict[str, float]]:
    """Median seconds and peak bytes of each side, taken in alternation, each time in a process of its own."""
    told: dict[str, list[dict[str, float]]] = {"stock": [], "app": [], "whole": []}
    for _ in range(pairs):
        for side, found in told.items():
            target = place / f"{work}-{side}"
            shutil.rmtree(target, ignore_errors=True)
            found.append(json.loads(run_program(SIDES / "modelwork.py", side, work, model, adapter, target)))
    return {
        side: {what: statistics.median(one[what] for one in found) for what in ("seconds", "peak")}
        for side, found in told.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", choices=["kept", "costs"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    met, costs, table = True, {}, []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        os.environ["TUI_TUNER_CACHE"] = str(place / "cache")
        rows = place / "rows.jsonl"
        rows.write_text("".join(json.dumps(row) + "\n" for row in make_rows(120)))
        for name in FAMILIES if options.only != "costs" else ():
            found = kept(name, place, rows)
            table.append(found)
            stock = f"{100 * found['stock']:.1f} %"
            print(
                f"{name}: {stock} kept by mlx-lm's way, {100 * found['kept']:.2f} % by {found['recommended']},"
                f" at {found['bytes']:.2f} times the size",
                file=sys.stderr,
            )
            met &= verdict(f"{name}, kept by the recommended way", found["kept"], KEPT, at_least=True)
        model = make_family(place / "large", "llama", hidden=256, intermediate=1024, layers=6)
        adapter = trained(str(model), place, rows, 1) / "adapters"
        for work in ("convert", "fuse") if options.only != "kept" else ():
            costs[work] = found = compared(work, model, adapter, place, options.pairs)
            stock, app, whole = (found[side] for side in ("stock", "app", "whole"))
            print(
                f"{work}: {stock['seconds']:.2f} s and {stock['peak'] / 1e6:.0f} MB by mlx-lm,"
                f" {app['seconds']:.2f} s and {app['peak'] / 1e6:.0f} MB here,"
                f" {whole['seconds']:.2f} s and {whole['peak'] / 1e6:.0f} MB with the proof",
                file=sys.stderr,
            )
            met &= verdict(f"{work}, seconds", app["seconds"] / stock["seconds"], COSTS[work], at_least=False)
            met &= verdict(f"{work}, peak memory", app["peak"] / stock["peak"], COSTS[work], at_least=False)
    if options.json:
        print(json.dumps({"met": met, "costs": costs, "kept": table}))
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
