"""What the Data screen takes of a large file: how soon rows are there, how soon all is known, and what it costs.

Each figure is taken in a fresh process that drives the real app headless at 160×50: it opens the Data screen with
nothing chosen, and chooses the file four seconds later. Told are the seconds until rows are in the list, until the
linter's problems and the figures of all tokens are shown, how late the event loop came back meanwhile, and how much
memory all processes of the app took above the app before the screen was opened. The second opening is another process
with the same cache.

The rows are real instructions (alpaca and gsm8k in --data-dir), repeated with changes by seed until there are enough:
each answer has a part of its words replaced, so that none is a copy of another.

    python benchmarks/data.py --data-dir DIR [--rows 50000] [--many 1000000] [--json]

With --many 0 the last part, a file whose rows are only opened and looked at, is left out. Exits 0 when all bars are
met, 1 when not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from common import run_program, verdict

SIZE = (160, 50)
LOOK = 0.01
MEMORY_LOOK = 2.0  # looking through all processes takes some 30 ms of the thread that is measured
FIRST, ALL, LAG, MEMORY, AGAIN, FIRST_OF_MANY, ANY_ROW = 0.5, 25.0, 30.0, 400.0, 2.0, 1.0, 0.5
PATIENCE = 900.0
SETTLED = 3.0
LOOKING = 4.0  # seconds between opening the Data screen and choosing a file; a person takes longer


def real_rows(folder: Path) -> list[dict[str, str]]:
    """Instructions with their answers."""
    alpaca = json.loads((folder / "alpaca" / "alpaca_en_999.json").read_text(encoding="utf-8"))
    lines = (folder / "gsm8k" / "train_3000.jsonl").read_text(encoding="utf-8").split("\n")
    asked = [json.loads(line) for line in lines if line.strip()]
    return [*alpaca, *({"instruction": row["question"], "input": "", "output": row["answer"]} for row in asked)]


def write_instructions(path: Path, rows: list[dict[str, str]], count: int, seed: int = 1) -> Path:
    """A JSONL file of so many instructions, none a copy of another."""
    generator = random.Random(seed)
    with path.open("w", encoding="utf-8") as stream:
        for number in range(count):
            row = dict(rows[number % len(rows)])
            words = row["output"].split(" ")
            for _ in range(1 + len(words) // 12):
                words[generator.randrange(len(words))] = f"w{generator.randrange(10**6)}"
            row["output"] = " ".join(words)
            row["instruction"] += f" ({number})"
            stream.write(json.dumps(row) + "\n")
    # The hash of a file that was written this very moment is not kept; those that people choose are older.
    time.sleep(SETTLED)
    return path


def memory() -> float:
    """MB that this process and all it started hold."""
    held = 0
    for process in (own := psutil.Process(), *own.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            held += process.memory_info().rss
    return held / 1e6


class Watch:
    """How late the event loop comes back, and the most memory, while it runs."""

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.most = 0.0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        looked = 0.0
        while True:
            before = loop.time()
            await asyncio.sleep(LOOK)
            now = loop.time()
            self.lags.append(1000 * (now - before - LOOK))
            if now - looked > MEMORY_LOOK:
                looked, self.most = now, max(self.most, memory())


async def until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE:.0f} s for {what}")
        await asyncio.sleep(LOOK)


def shown(app: Any) -> str:
    """All text on the screen."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def measure(source: Path, runs: Path, *, many: bool) -> dict[str, float]:
    """Opens a file in the app of this process."""
    from tui_tuner.config import Experiment
    from tui_tuner.engine.worker import LocalEngine
    from tui_tuner.ui.app import TunerApp
    from tui_tuner.ui.screens.data import DataScreen

    experiment = Experiment.model_validate(
        {"model": {"path": "embedded:phi3-tiny"}, "data": {"source": str(source)}, "run": {"seed": 1}}
    )
    engine, found = LocalEngine(), dict[str, float]()
    app = TunerApp(engine=engine, runs_dir=runs)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(1.0)
        idle, watch = memory(), Watch()
        app.go("data")
        await pilot.pause(LOOKING)
        screen = app.screen
        assert isinstance(screen, DataScreen)
        with source.open(encoding="utf-8") as stream:
            first_words = json.loads(stream.readline())["instruction"][:10]
        watching = asyncio.create_task(watch.run())
        begun = time.perf_counter()
        app.set_experiment(experiment)
        questions = screen._questions
        await until(lambda: questions.preview is not None and screen.browser.row_list.count > 0, "the first rows")
        await until(lambda: first_words in shown(app), "the first rows on the screen")
        found["first"] = time.perf_counter() - begun
        if many:
            await until(lambda: questions.preview is not None and questions.preview.complete, "all rows")
            found["whole"] = time.perf_counter() - begun
            found["row"] = max([await row(app, experiment, part) for part in (0.9999, 0.5, 0.01)])
        else:
            await until(lambda: questions.facts is not None or questions.linting_problem, "the linter")
            if questions.linting_problem:
                raise RuntimeError(questions.linting_problem)
            await until(lambda: "Figures" in shown(app) and "half the rows" in shown(app), "the figures on the screen")
            found["all"] = time.perf_counter() - begun
        watching.cancel()
        found["lag_p95"] = statistics.quantiles(watch.lags, n=20)[-1] if len(watch.lags) > 1 else 0.0
        found["lag_max"] = max(watch.lags, default=0.0)
        found["idle"], found["memory"] = idle, watch.most - idle
    engine.shutdown()
    return found


async def row(app: Any, experiment: Any, part: float) -> float:
    """Seconds until one row far down in the file is there with its tokens."""
    from tui_tuner.engine.requests import PreviewData

    screen = app.screen
    number = int(part * screen._questions.preview.counts["train"])
    begun = time.perf_counter()
    handle = app.engine.submit(PreviewData(experiment, only=(("train", number),)))
    await until(lambda: handle.status.ended, "a row")
    if handle.error is not None:
        raise handle.error
    assert handle.result.rows[0].index == number
    return time.perf_counter() - begun


def child(source: Path, folder: Path, *, many: bool) -> dict[str, float]:
    found: dict[str, float] = json.loads(
        run_program(Path(__file__), "--open", source, "--folder", folder, *(["--only-open"] if many else []))
    )
    return found


def compare(folder: Path, options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """All figures, and whether the bars are met."""
    rows = real_rows(options.data_dir)
    source = write_instructions(folder / "rows.jsonl", rows, options.rows)
    first, again = child(source, folder, many=False), child(source, folder, many=False)
    figures: dict[str, Any] = {"rows": options.rows, "first_opening": first, "second_opening": again}
    bars = [
        ("seconds to the first rows", first["first"], FIRST),
        ("seconds to all problems and figures", first["all"], ALL),
        ("event-loop lag meanwhile, p95 in ms", first["lag_p95"], LAG),
        ("memory above the idle app, MB", first["memory"], MEMORY),
        ("seconds to all of it the second time", again["all"], AGAIN),
    ]
    if options.many:
        many = child(write_instructions(folder / "many.jsonl", rows, options.many), folder, many=True)
        figures["many"] = {"rows": options.many, **many}
        bars += [
            (f"seconds to the first of {options.many:,} rows", many["first"], FIRST_OF_MANY),
            ("seconds to any of them, once all are counted", many["row"], ANY_ROW),
        ]
        if not options.json:
            print(f"{options.many:,} rows counted and divided after {many['whole']:.1f} s, {many['memory']:.0f} MB")
    if options.json:
        return figures, all(value <= bar for _, value, bar in bars)
    told = [verdict(name, value, bar, at_least=False) for name, value, bar in bars]
    return figures, all(told)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="the folder with alpaca and gsm8k")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    for hidden in ("--open", "--folder"):
        parser.add_argument(hidden, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only-open", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open is not None:
        os.environ["TUI_TUNER_CONFIG"] = str(options.folder / "config")
        os.environ["TUI_TUNER_CACHE"] = str(options.folder / "cache")
        print(json.dumps(asyncio.run(measure(options.open, options.folder / "runs", many=options.only_open))))
        return 0
    if options.data_dir is None:
        parser.error("--data-dir is needed: the rows are made of real ones")
    with tempfile.TemporaryDirectory() as name:
        figures, met = compare(Path(name), options)
    if options.json:
        print(json.dumps({**figures, "met": met}))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
