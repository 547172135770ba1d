"""What the forecast says against what a run then takes: memory and time, on configurations of four architectures.

Each configuration is forecast in closed form, measured by a few steps, and then trained for real, all of it in a
process of its own with models of random weights. Errors are ratios, so the machine does not matter much; time wants a
quiet one.

    python benchmarks/forecast.py [--only NAME …] [--steps 40] [--json]

The closed form has a bar on memory only; its time is printed beside. Exit 0 when all bars are met, else 1. With
`--only` the bars are those of the ones that are measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import run_program, verdict, write_preset, write_rows

CLOSED_BAR, LEAST_BAR, MEASURED_BAR, TIME_BAR = 0.15, 0.70, 0.05, 0.10

Sections = dict[str, dict[str, Any]]
SMALL = {"hidden": 128, "layers": 6, "intermediate": 384, "vocabulary": 4_000}
WIDE = {"hidden": 256, "layers": 4, "intermediate": 768, "vocabulary": 8_000}
GELU = {"settings": {"hidden_act": "gelu_pytorch_tanh"}}
CONFIGURATIONS: dict[str, tuple[dict[str, Any], Sections]] = {
    "llama": ({"kind": "llama", **SMALL}, {}),
    "llama 4 bits, long rows": (
        {"kind": "llama", **SMALL, "layers": 3, "bits": 4},
        {"train": {"batch_size": 1}, "rows": {"low": 60, "high": 120}},
    ),
    "llama checkpointed": ({"kind": "llama", **WIDE}, {"train": {"grad_checkpoint": True}}),
    "llama stock": ({"kind": "llama", **SMALL}, {"train": {"mode": "stock"}}),
    "llama full": ({"kind": "llama", **SMALL}, {"adapter": {"method": "full"}, "train": {"learning_rate": 1e-5}}),
    "qwen2 2 layers": ({"kind": "qwen2", **WIDE}, {"adapter": {"layers": 2}}),
    "qwen2 attention, accumulated": (
        {"kind": "qwen2", **SMALL},
        {"adapter": {"targets": ["attention"]}, "train": {"grad_accumulation": 4, "batch_size": 2}},
    ),
    "qwen2 dora, 8 bits": ({"kind": "qwen2", **SMALL, "bits": 8}, {"adapter": {"method": "dora"}}),
    "qwen2 dropout, one row": (
        {"kind": "qwen2", **SMALL},
        {"adapter": {"dropout": 0.1, "rank": 32}, "train": {"batch_size": 1}},
    ),
    "gemma": ({"kind": "gemma", **SMALL, **GELU}, {}),
    "gemma checkpointed, stock": (
        {"kind": "gemma", **SMALL, **GELU},
        {"train": {"mode": "stock", "grad_checkpoint": True}},
    ),
    "gemma mlp, 4 bits": ({"kind": "gemma", **WIDE, **GELU, "bits": 4}, {"adapter": {"targets": ["mlp"], "rank": 16}}),
    "phi3": ({"kind": "phi3", **WIDE}, {"train": {"batch_size": 8}}),
    "phi3 sgd, 3 layers": (
        {"kind": "phi3", **SMALL, "bits": 4},
        {"adapter": {"layers": 3}, "train": {"optimizer": "sgd", "batch_size": 2}},
    ),
}


def measure(name: str, folder: Path, steps: int) -> dict[str, float]:
    """Forecasts and trains one configuration in this process; bytes and seconds."""
    from tests.support.models import make_model
    from tui_tuner.config import load_experiment
    from tui_tuner.engine.dataset import data_facts
    from tui_tuner.engine.forecast_measure import measure_forecast
    from tui_tuner.engine.forecast_requests import MeasureForecast
    from tui_tuner.engine.forecasting import closed_form
    from tui_tuner.engine.new_run import create_run
    from tui_tuner.engine.pipeline import run_experiment
    from tui_tuner.engine.shelf import ModelShelf
    from tui_tuner.models.libraries import ready
    from tui_tuner.runs import read_events
    from tui_tuner.runs.control import JobControl

    ready()
    shape, sections = CONFIGURATIONS[name]
    model = make_model(folder / "model", **shape)
    rows = {"low": 20, "high": 60, **sections.get("rows", {})}
    data = write_rows(folder / "rows", train=120, valid=12, seed=3, **rows)
    train = {"iters": steps, "max_seq_length": 512, "eval_every": steps // 2, "save_every": steps, "report_every": 5}
    preset = write_preset(
        folder / "preset.toml",
        model,
        data,
        adapter=sections.get("adapter", {}),
        train={**train, **sections.get("train", {})},
    )
    experiment = load_experiment(preset)
    plain = closed_form(experiment, folder, data_facts(experiment, folder))
    shelf = ModelShelf()
    measured = measure_forecast(MeasureForecast(experiment, folder), JobControl(), shelf)
    run = create_run(experiment, folder / "runs", None, folder)
    run_experiment(run, JobControl(), shelf)
    events = read_events(run.events)
    stages = {e["name"]: float(e["seconds"]) for e in events if e["type"] == "stage" and e["status"] == "done"}
    assert plain.span is not None and measured.span is not None
    return {
        "peak": max(int(e["peak_memory"]) for e in events if e["type"] == "train"),
        "closed_peak": plain.memory.peak,
        "measured_peak": measured.memory.peak,
        "seconds": stages["train"],
        "closed_seconds": plain.span.seconds,
        "measured_seconds": measured.span.seconds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(CONFIGURATIONS), choices=list(CONFIGURATIONS))
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, folder = arguments.child
        print(json.dumps(measure(name, Path(folder), arguments.steps)))
        return 0
    results: dict[str, dict[str, float]] = {}
    print(f"{'':<30}{'peak':>10}{'closed':>8}{'measured':>10}{'time':>9}{'closed':>8}{'measured':>10}")
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            told = run_program(Path(__file__), "--steps", arguments.steps, "--child", name, folder)
        found = results[name] = json.loads(told.strip().splitlines()[-1])
        peak, seconds = found["peak"], found["seconds"]
        ratios = [found["closed_peak"] / peak, found["measured_peak"] / peak]
        times = [found["closed_seconds"] / seconds, found["measured_seconds"] / seconds]
        print(
            f"{name:<30}{peak / 1e6:>7.1f} MB{ratios[0]:>8.2f}{ratios[1]:>10.3f}{seconds:>7.1f} s"
            f"{times[0]:>8.2f}{times[1]:>10.3f}",
            flush=True,
        )
    if arguments.json:
        print(json.dumps(results))
    return 0 if judged(list(results.values())) else 1


def judged(results: list[dict[str, float]]) -> bool:
    closed = [found["closed_peak"] / found["peak"] for found in results]
    measured = [abs(found["measured_peak"] / found["peak"] - 1) for found in results]
    seconds = [abs(found["measured_seconds"] / found["seconds"] - 1) for found in results]
    middle = statistics.median(abs(each - 1) for each in closed)
    met = [
        verdict("closed form, error of the peak, median", middle, CLOSED_BAR, at_least=False),
        verdict("closed form, least share of the peak", min(closed), LEAST_BAR, at_least=True),
        verdict("measured, largest error of the peak", max(measured), MEASURED_BAR, at_least=False),
        verdict("measured, error of the time, median", statistics.median(seconds), TIME_BAR, at_least=False),
    ]
    return all(met)


if __name__ == "__main__":
    sys.exit(main())
