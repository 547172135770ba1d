"""The fast mode against mlx_lm.lora: real, unpadded tokens per second, on the same rows, in alternation.

Stock is what `mlx_lm.lora` runs (`mlx_lm.lora.train_model`); the fast mode is the app's own loop. Each side runs in
a process of its own, with the same BLAS, prompt masking on, one whole epoch over the same rows, and pays for
everything: the tokenisation, every trace of its compiled step, the remainder rows (which stock leaves out, and which
count for the fast mode because it trains them). Only ratios are printed as results, and only they mean something on
another machine.

    python benchmarks/training_throughput.py --data-dir DIR [--pairs 1] [--sets alpaca gsm8k wikisql] [--batch 1 4 8]
        [--rows 0] [--frozen] [--keep FILE] [--again] [--json]

DIR holds alpaca/alpaca_en_999.json, gsm8k/train_3000.jsonl and wikisql/train.jsonl (the project ships no data). Without
`--batch` each set is measured at the batches that have a bar. `--rows N` takes only N rows of each set: quick, and less
than the truth for the fast mode, whose traces then serve fewer steps. Every measurement is kept in a file as it comes;
called again with the same options and the same code, the benchmark goes on where it was. Exit 0 when all bars are met,
else 1.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import ROOT, run_program, verdict

BARS = {
    ("alpaca", 1): 1.0,
    ("alpaca", 4): 1.6,
    ("alpaca", 8): 1.9,
    ("gsm8k", 1): 1.0,
    ("gsm8k", 4): 1.3,
    ("gsm8k", 8): 1.45,
    ("wikisql", 1): 1.0,
}
FROZEN_BAR = 1.7
# Hidden size, layers and vocabulary by batch: what makes a step of the fast mode take 50 to 500 ms on two cores of a
# processor. The output head has 31 to 40 % of the weights that are multiplied with, as in models of half a billion.
MODELS = {1: (128, 6, 4096), 4: (64, 4, 2048), 8: (64, 2, 1024)}
FROZEN = "frozen layers"
FROZEN_ROWS, FROZEN_BATCH, FROZEN_EPOCHS = 400, 4, 3
MAX_LENGTH = 1024
ROWS = 1500
"""Rows of a set at most; more would only help the fast mode, whose traces would serve more steps."""
SIDES = ROOT / "benchmarks" / "sides"

Rows = list[dict[str, str]]
Figures = dict[str, Any]


def read_sets(folder: Path) -> dict[str, Rows]:
    """Prompt/completion rows of the three data sets."""
    alpaca = json.loads((folder / "alpaca" / "alpaca_en_999.json").read_text(encoding="utf-8"))
    gsm8k = [json.loads(line) for line in (folder / "gsm8k" / "train_3000.jsonl").open(encoding="utf-8")]
    wikisql = [json.loads(line)["text"] for line in (folder / "wikisql" / "train.jsonl").open(encoding="utf-8")]
    return {
        "alpaca": [
            {"prompt": "\n\n".join(filter(None, (r["instruction"], r["input"]))), "completion": r["output"]}
            for r in alpaca
        ],
        "gsm8k": [{"prompt": r["question"], "completion": r["answer"]} for r in gsm8k],
        "wikisql": [
            dict(zip(("prompt", "completion"), text.rsplit("\nA: ", 1), strict=True))
            for text in wikisql
            if "\nA: " in text
        ],
    }


def usable(rows: Rows) -> Rows:
    """Rows with an answer, and with a prompt that leaves room for one, shuffled: the same for both sides."""
    kept = [row for row in rows if row["completion"] and len(row["prompt"]) < 2 * MAX_LENGTH]
    random.Random(0).shuffle(kept)
    return kept[:ROWS]


def write_set(folder: Path, rows: Rows) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", rows), ("valid", rows[:1])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    return folder


class Keeper:
    """Measurements in a file: one pair of figures for a cell and a pair's number, written as soon as it is there."""

    def __init__(self, path: Path, conditions: dict[str, Any], *, again: bool) -> None:
        self._path, self._conditions = path, conditions
        self._pairs: dict[str, dict[str, Figures]] = {}
        if not again and path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["conditions"] == json.loads(json.dumps(conditions)):
                self._pairs = kept["pairs"]
                print(f"{len(self._pairs)} pairs were measured before and are in {path}", flush=True)

    def get(self, cell: str, pair: int) -> dict[str, Figures] | None:
        return self._pairs.get(f"{cell}, pair {pair + 1}")

    def put(self, cell: str, pair: int, figures: dict[str, Figures]) -> None:
        self._pairs[f"{cell}, pair {pair + 1}"] = figures
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(self._path.name + ".new")
        temporary.write_text(json.dumps({"conditions": self._conditions, "pairs": self._pairs}, indent=1))
        temporary.replace(self._path)


class Bench:
    """The cells that are measured, each by two sides in alternation.

    Args:
        options: of the command line.
        scratch: a folder for models, rows and adapters.
        keeper: where measurements go.
    """

    def __init__(self, options: argparse.Namespace, scratch: Path, keeper: Keeper) -> None:
        self._options, self._scratch, self._keeper = options, scratch, keeper
        self._sets = {name: usable(rows) for name, rows in read_sets(options.data_dir).items()}
        self._models: dict[tuple[int, ...], Path] = {}

    def cells(self) -> list[tuple[str, int]]:
        """(set, batch) in the order they are measured."""
        options = self._options
        return [
            (name, size)
            for name in options.sets
            for size in options.batch or sorted(batch for known, batch in BARS if known == name)
        ]

    def compare(self, name: str, size: int, pair: int) -> dict[str, Figures]:
        """One pair: both sides over an epoch of a set."""
        cell = f"{name}, batch {size}"
        data = write_set(self._scratch / f"{name}-{size}", self._sets[name][: self._options.rows or None])
        model = self._model(*self._sizes(size))
        stock = (SIDES / "stock.py", model, data, size, MAX_LENGTH, self._scratch / "adapter")
        fast = (SIDES / "fast.py", model, data, size, MAX_LENGTH, 0, 1, "plain")
        return self._pair(cell, pair, {"stock": stock, "fast": fast})

    def frozen(self, pair: int) -> dict[str, Figures]:
        """One pair with a quarter of the layers adapted: without and with what frozen layers compute kept."""
        hidden, layers, vocabulary = self._sizes(1)  # a head as small as that of the larger models
        layers = -(-layers // 4) * 4
        rows = self._sets["gsm8k"][: min(self._options.rows or FROZEN_ROWS, FROZEN_ROWS)]
        data = write_set(self._scratch / "frozen", rows)
        model = self._model(hidden, layers, vocabulary)
        common = (SIDES / "fast.py", model, data, FROZEN_BATCH, MAX_LENGTH, layers // 4, FROZEN_EPOCHS)
        return self._pair(FROZEN, pair, {"plain": (*common, "plain"), "reuse": (*common, "reuse")})

    def _pair(self, cell: str, pair: int, sides: dict[str, tuple[Any, ...]]) -> dict[str, Figures]:
        if (kept := self._keeper.get(cell, pair)) is not None:
            return kept
        got: dict[str, Figures] = {}
        for side in sides if pair % 2 == 0 else reversed(sides):
            program, *arguments = sides[side]
            text = run_program(program, *arguments, label=f"  {cell}, {side}")
            got[side] = json.loads(text.strip().splitlines()[-1])
        self._keeper.put(cell, pair, got)
        return got

    def _sizes(self, batch: int) -> tuple[int, int, int]:
        """Hidden size, layers and vocabulary of the model that a batch is measured with."""
        usual = MODELS[max(least for least in MODELS if least <= batch)]
        options = self._options
        return options.hidden or usual[0], options.layers or usual[1], options.vocabulary or usual[2]

    def _model(self, *sizes: int) -> Path:
        if sizes not in self._models:
            texts = self._scratch / "texts.json"
            texts.write_text(json.dumps([" ".join(row.values()) for rows in self._sets.values() for row in rows]))
            folder = self._scratch / "-".join(("model", *map(str, sizes)))
            run_program(SIDES / "model.py", folder, texts, *sizes)
            self._models[sizes] = folder
        return self._models[sizes]


def speed(figures: Figures) -> float:
    return float(figures["tokens"] / figures["seconds"])


def later_epoch(figures: Figures) -> float:
    """Seconds of an epoch from the second on."""
    epochs = figures["epochs"]
    return float((epochs[-1] - epochs[0]) / (len(epochs) - 1))


def described(stock: Figures, fast: Figures) -> str:
    padding = fast["padding"]
    sides = (
        f"{side} {speed(got):.0f} tokens/s ({1000 * got['seconds'] / got['steps']:.0f} ms a step, {share:.0%} padding, "
        f"peak {got['peak'] / 1e6:.0f} MB, resident {got['resident'] / 1e6:.0f} MB)"
        for side, got, share in (("stock", stock, padding[1]), ("fast", fast, padding[0]))
    )
    return f"{', '.join(sides)}, {fast['shapes']} shapes, {padding[2]:.2f}x by padding alone"


def measure(bench: Bench, options: argparse.Namespace) -> dict[str, list[dict[str, Figures]]]:
    """All pairs by cell. A whole round of cells comes before the next, so that an interruption leaves whole rounds."""
    found: dict[str, list[dict[str, Figures]]] = {}
    cells = [] if options.only_frozen else bench.cells()
    for pair in range(options.pairs):
        for name, size in cells:
            got = bench.compare(name, size, pair)
            found.setdefault(f"{name}, batch {size}", []).append(got)
            ratio = speed(got["fast"]) / speed(got["stock"])
            print(f"{name}, batch {size}: {described(got['stock'], got['fast'])}, ratio {ratio:.2f}", flush=True)
        if options.frozen or options.only_frozen:
            got = bench.frozen(pair)
            found.setdefault(FROZEN, []).append(got)
            before, after = (later_epoch(got[way]) for way in ("plain", "reuse"))
            peaks = " and ".join(f"{got[way]['peak'] / 1e6:.0f}" for way in ("plain", "reuse"))
            print(
                f"{FROZEN}: an epoch from the second on took {before:.1f} s without and {after:.1f} s with reuse, "
                f"ratio {before / after:.2f}; peak {peaks} MB",
                flush=True,
            )
    return found


def judged(found: dict[str, list[dict[str, Figures]]]) -> tuple[list[dict[str, Any]], bool]:
    """Medians over the pairs against the bars."""
    results, met = [], True
    for cell, pairs in found.items():
        if cell == FROZEN:
            ratio = statistics.median(later_epoch(got["plain"]) / later_epoch(got["reuse"]) for got in pairs)
            results.append({"cell": cell, "ratio": ratio, "pairs": len(pairs)})
            met &= verdict("a quarter of the layers adapted: later epochs with reuse", ratio, FROZEN_BAR, at_least=True)
            continue
        name, size = cell.split(", batch ")
        ratio, processor, peak, resident = (
            statistics.median(values)
            for values in zip(
                *(
                    (
                        speed(got["fast"]) / speed(got["stock"]),
                        (got["fast"]["tokens"] / got["fast"]["processor"])
                        / (got["stock"]["tokens"] / got["stock"]["processor"]),
                        got["fast"]["peak"] / got["stock"]["peak"],
                        got["fast"]["resident"] / got["stock"]["resident"],
                    )
                    for got in pairs
                ),
                strict=True,
            )
        )
        results.append(
            {"cell": cell, "ratio": ratio, "processor": processor, "peak": peak, "resident": resident}
            | {"pairs": len(pairs)}
        )
        if (bar := BARS.get((name, int(size)))) is not None:
            met &= verdict(f"{cell}: tokens/s ÷ mlx_lm.lora", ratio, bar, at_least=True)
        met &= verdict(f"{cell}: peak memory ÷ mlx_lm.lora", peak, 1.0, at_least=False)
    return results, met


def conditions(options: argparse.Namespace) -> dict[str, Any]:
    """What must be the same for measurements to belong together."""
    code = hashlib.sha256()
    for file in sorted([*(ROOT / "tui_tuner").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]):
        code.update(file.read_bytes())
    names = ("rows", "hidden", "layers", "vocabulary")
    return {
        "code": code.hexdigest()[:16],
        "libraries": {name: version(name) for name in ("mlx", "mlx-lm")},
        "blas": os.environ.get("TUI_TUNER_BLAS", ""),
        "data": str(options.data_dir.resolve()),
        **{name: getattr(options, name) for name in names},
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument(
        "--rows", type=int, default=0, help="rows of each set; 0, an honest measurement, is all up to 1,500"
    )
    parser.add_argument("--pairs", type=int, default=1, help="the median of so many pairs counts")
    parser.add_argument("--sets", nargs="+", default=["alpaca", "gsm8k", "wikisql"])
    parser.add_argument("--batch", nargs="+", type=int, help="batch sizes; those that have a bar unless given")
    parser.add_argument(
        "--hidden", type=int, default=0, help="hidden size of the model; 0, the usual, depends on the batch"
    )
    parser.add_argument("--layers", type=int, default=0, help="its layers; 0 likewise")
    parser.add_argument("--vocabulary", type=int, default=0, help="its vocabulary; 0 likewise")
    parser.add_argument("--frozen", action="store_true", help="measure the reuse of frozen layers as well")
    parser.add_argument("--only-frozen", action="store_true", help="measure nothing else")
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "training_throughput.json", metavar="FILE")
    parser.add_argument("--again", action="store_true", help="leave out what was measured before")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    with contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout):
        keeper = Keeper(options.keep, conditions(options), again=options.again)
        begun = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as name:
                found = measure(Bench(options, Path(name), keeper), options)
        except KeyboardInterrupt:
            print(f"\ninterrupted; what was measured is in {options.keep}, and the same command goes on from there")
            return 130
        print(f"measured in {(time.monotonic() - begun) / 60:.0f} minutes", flush=True)
        results, met = judged(found)
    if options.json:
        print(json.dumps({"results": results, "met": met}))
    return 0 if met else 1


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    raise SystemExit(main())
