"""A benchmark of 100 test rows against a loop of `mlx_lm.generate`, in alternation, answers compared row by row.

Each side runs in a process of its own with the same BLAS and the same prompts. The app's side is what a run does: it
renders, answers and writes every row as it comes, without taking any answer from its cache; how long the whole takes,
with the losses of all rows, scores and intervals, is told besides.
Two models: the embedded one on the quickstart's rows, whose answers end by themselves, and a llama of random weights
that answers up to the cap behind a long common beginning. What is compared is the median of the ratios.

    python benchmarks/evaluation.py [--pairs 3] [--rows 100] [--batch 32] [--json]

`TUI_TUNER_BLAS=off` takes the fast BLAS from both sides. Exit 0 when all bars are met, else 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import ROOT, run_program, verdict

FASTER = 4.0
MEMORY = 1.1
SIDES = ROOT / "benchmarks" / "sides"
HIDDEN, LAYERS, VOCABULARY = 512, 4, 4096
SYSTEM = "You answer questions about animals, colours and games in one short sentence, and you never add anything. " * 4


def quickstart_rows(count: int) -> list[dict[str, Any]]:
    """Rows of the quickstart's table."""
    from tui_tuner.config import load_preset
    from tui_tuner.data.prepare import prepare

    experiment, found = load_preset("quickstart", ["data.test=100", "data.train=100"])
    return prepare(experiment.data, experiment.run.seed, found.path.parent).test[:count]


def random_rows(count: int) -> list[dict[str, Any]]:
    """Questions of unlike length behind the same system message."""
    from tests.support.models import make_rows

    return [
        {
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row["completion"]},
            ]
        }
        for row in make_rows(count, 0, 3, 60)
    ]


def random_model(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A llama of random weights with a tokenizer made of the rows."""
    texts = folder / "texts.json"
    texts.write_text(json.dumps([turn["content"] for row in rows for turn in row["messages"]]))
    run_program(SIDES / "model.py", folder / "llama", texts, HIDDEN, LAYERS, VOCABULARY)
    return folder / "llama"


def measured(name: str, model: Path, rows: list[dict[str, Any]], cap: int, options: Any, place: Path) -> Any:
    """Both sides in alternation: seconds of each, their ratios, and how many answers are the same."""
    path = place / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    seconds: dict[str, list[float]] = {"stock": [], "app": []}
    whole: dict[str, list[float]] = {"stock": [], "app": []}
    peaks: dict[str, int] = {}
    texts: dict[str, list[str]] = {}
    for _ in range(options.pairs):
        for side, told in seconds.items():
            out = place / f"{name}-{side}.json"
            figures = json.loads(run_program(SIDES / "answers.py", side, model, path, cap, options.batch, out))
            told.append(figures["seconds"])
            whole[side].append(figures["whole"])
            peaks[side], texts[side] = figures["peak"], json.loads(out.read_text())
    ratios = [one / other for one, other in zip(seconds["stock"], seconds["app"], strict=True)]
    same = sum(a == b for a, b in zip(texts["stock"], texts["app"], strict=True))
    return {
        "name": name,
        "rows": len(rows),
        "same": same,
        "seconds": {side: statistics.median(told) for side, told in seconds.items()},
        "whole": {side: statistics.median(told) for side, told in whole.items()},
        "ratios": ratios,
        "ratio": statistics.median(ratios),
        "peak": peaks,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--only", choices=["embedded", "random"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results, met = [], True
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rows = random_rows(options.rows)
        model = random_model(place, rows)
        cases = [("embedded", ROOT / "tui_tuner/quickstart/model", quickstart_rows(options.rows), 48)]
        cases.append(("random", model, rows, 32))
        for name, where, some, cap in cases:
            if options.only in (None, name):
                found = measured(name, where, some, cap, options, place)
                results.append(found)
                seconds = found["seconds"]
                print(
                    f"{name}: {seconds['stock']:.1f} s one by one, {seconds['app']:.1f} s here"
                    f" ({found['whole']['app']:.1f} s with losses and scores);"
                    f" {found['same']} of {found['rows']} answers the same",
                    file=sys.stderr,
                )
                met &= verdict(f"{name}, times as fast", found["ratio"], FASTER, at_least=True)
                met &= verdict(f"{name}, same answers", found["same"] / found["rows"], 1.0, at_least=True)
        memory = json.loads(run_program(SIDES / "shared_base.py", model))
        met &= verdict(
            "memory of base and adapter / of the base", memory["both"] / memory["base"], MEMORY, at_least=False
        )
    if options.json:
        print(json.dumps({"met": met, "results": results, "memory": memory}))
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
