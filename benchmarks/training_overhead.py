"""What the app costs: steps/s of a run in the full app ÷ the same run by stock mlx-lm, in alternation.

The app runs for real: on a pseudo-terminal of 120×40 with its Train screen and live charts. Stock is what
`mlx_lm.lora` runs (`mlx_lm.lora.train_model`), with a callback that notes the time. Both train in mlx-lm's order with
its loss, with the same BLAS (TUI_TUNER_BLAS=off takes it from both), and report every 2 steps; the
speed is taken between their second and their last report but one, so neither start-up nor validation counts.

    python benchmarks/training_overhead.py [--pairs 3] [--steps 60] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from common import app_on_terminal, run_python, verdict, wait_for, write_preset, write_rows

BAR = 0.97
REPORT = 2

STOCK = """
import json, sys, time, types
from tui_tuner.models.blas import load_fast_blas
load_fast_blas()  # both sides multiply with the same BLAS
import numpy as np
from mlx_lm import lora
from mlx_lm.tuner.callbacks import TrainingCallback
from mlx_lm.tuner.datasets import load_dataset
from mlx_lm.utils import load

model_path, data, steps, report, out = sys.argv[1:6]
marks = []
class Clock(TrainingCallback):
    def on_train_loss_report(self, info):
        marks.append((info["iteration"], time.time()))
args = types.SimpleNamespace(**{**lora.CONFIG_DEFAULTS, "model": model_path, "data": data, "train": True,
    "iters": int(steps), "batch_size": 4, "steps_per_report": int(report), "steps_per_eval": 10**6,
    "save_every": 10**6, "mask_prompt": True, "num_layers": -1, "learning_rate": 1e-4, "max_seq_length": 256,
    "adapter_path": out})
np.random.seed(0)
model, tokenizer = load(model_path)
train, valid, _ = load_dataset(args, tokenizer)
sys.stdout = sys.stderr
lora.train_model(args, model, train, valid, Clock())
sys.stdout = sys.__stdout__
print(json.dumps(marks))
"""


def speed(marks: list[tuple[int, float]]) -> float:
    """Steps per second between the second report and the last but one."""
    (first, begun), (last, ended) = marks[1], marks[-2]
    return (last - first) / (ended - begun)


def stock(model: Path, data: Path, steps: int, out: Path) -> float:
    output = run_python(STOCK, str(model), str(data), str(steps), str(REPORT), str(out))
    return speed([(int(i), float(t)) for i, t in json.loads(output.strip().splitlines()[-1])])


def app(preset: Path, runs: Path) -> float:
    from tui_tuner.runs import read_events

    runs.mkdir()
    with app_on_terminal(["--preset", str(preset), "--start", "--runs-dir", str(runs)]):

        def ended() -> bool:
            logs = list(runs.glob("*/events.jsonl"))
            return bool(logs) and any(e["type"] == "run_finished" for e in read_events(logs[0]))

        wait_for(ended, 900, "the run to end")
    events = read_events(next(runs.glob("*/events.jsonl")))
    end = next(e for e in events if e["type"] == "run_finished")
    if end["status"] != "finished":
        raise RuntimeError(f"the run in the app ended as {end['status']}: {end['reason']}")
    return speed([(e["step"], e["t"]) for e in events if e["type"] == "train"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument(
        "--hidden", type=int, default=96, help="width of the model; choose it so that a step takes 50 to 500 ms"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        code = (
            "import sys; from pathlib import Path; from tests.support.models import make_model\n"
            "make_model(Path(sys.argv[1]), hidden=int(sys.argv[2]), layers=4, intermediate=2 * int(sys.argv[2]))"
        )
        run_python(code, str(folder / "model"), str(options.hidden))
        data = write_rows(folder / "data", train=200, valid=8)
        preset = write_preset(
            folder / "preset.toml",
            folder / "model",
            data,
            train={
                "mode": "stock",
                "iters": options.steps,
                "batch_size": 4,
                "learning_rate": 1e-4,
                "max_seq_length": 256,
                "report_every": REPORT,
                "eval_every": 10**6,
                "save_every": 10**6,
            },
            adapter={"rank": 8, "scale": 20.0},
        )
        pairs = []
        for number in range(options.pairs):
            theirs = stock(folder / "model", data, options.steps, folder / f"stock{number}")
            ours = app(preset, folder / f"runs{number}")
            pairs.append((ours, theirs))
            if not options.json:
                print(
                    f"pair {number + 1}: app {ours:.2f} steps/s, mlx_lm.lora {theirs:.2f} steps/s "
                    f"({1000 / theirs:.0f} ms a step), ratio {ours / theirs:.3f}",
                    flush=True,
                )
        ratio = statistics.median(a / b for a, b in pairs)
    if options.json:
        print(json.dumps({"pairs": pairs, "ratio": ratio, "bar": BAR}))
        return 0 if ratio >= BAR else 1
    return 0 if verdict("steps/s in the app ÷ mlx_lm.lora, median of pairs", ratio, BAR, at_least=True) else 1


if __name__ == "__main__":
    raise SystemExit(main())
