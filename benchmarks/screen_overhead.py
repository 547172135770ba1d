"""What watching costs: steps/s of a run in the full app ÷ the same run without a screen, in alternation.

The app is the real one on a pseudo-terminal of 160×50, with its Train screen and all panels in sight, and nobody
presses a key. Without a screen it is `tui-tuner run`. Both train the same rows in the same order and report every step,
which is the most there can be to draw. The speed is taken between the second report and the last but one, so neither
start-up nor validation counts. Choose `--hidden` so that a step takes 50 to 500 ms: what the app takes is then what a
person's run would feel. With TUI_TUNER_BLAS=off both compute on one core only, and the app has the other.

Beside the ratio, the processor time of the app's own thread is told, as a share of one core, where the system tells it.

    python benchmarks/screen_overhead.py [--pairs 5] [--steps 120] [--hidden 256] [--json]

Exits 0 when the bar is met, 1 when not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from common import ROOT, app_on_terminal, run_python, verdict, write_preset, write_rows

BAR = 0.97
COLUMNS, ROWS = 160, 50

MODEL = """
import sys
from pathlib import Path
from tests.support.models import make_model
make_model(Path(sys.argv[1]), hidden=int(sys.argv[2]), layers=4, intermediate=2 * int(sys.argv[2]))
"""


@dataclass(frozen=True)
class Measured:
    """A run: steps a second, and shares of one core that the process and its main thread took (None: not told)."""

    speed: float
    process: float
    main_thread: float | None


def main_thread_seconds(process: psutil.Process) -> float | None:
    """Processor time of a process's first thread, where the system tells it."""
    with contextlib.suppress(psutil.Error, NotImplementedError):
        return next((t.user_time + t.system_time for t in process.threads() if t.id == process.pid), None)
    return None


def watched(runs: Path, steps: int, pid: int, alive: Callable[[], bool]) -> Measured:
    """Follows the only run of a folder to its end.

    Raises:
        RuntimeError: when it ends as anything but finished.
    """
    from tui_tuner.runs import EventTail

    process, samples = psutil.Process(pid), []
    tail: EventTail | None = None
    marks: list[tuple[int, float]] = []
    deadline = time.monotonic() + 1800
    while True:
        if time.monotonic() > deadline or not alive():
            raise RuntimeError("the measured process ended, or took longer than half an hour")
        if tail is None and (logs := list(runs.glob("*/events.jsonl"))):
            tail = EventTail(logs[0])
        for event in tail.poll() if tail is not None else ():
            if event["type"] == "train":
                marks.append((event["step"], event["t"]))
                if event["step"] in (2, steps - 1):
                    cpu = process.cpu_times()
                    samples.append((time.monotonic(), cpu.user + cpu.system, main_thread_seconds(process)))
            elif event["type"] == "run_finished":
                if event["status"] != "finished":
                    raise RuntimeError(f"the run ended as {event['status']}: {event['reason']}")
                (begun, all_before, main_before), (ended, all_after, main_after) = samples
                (first, first_at), (last, last_at) = marks[1], marks[-2]
                wall = ended - begun
                main = (main_after - main_before) / wall if main_before is not None and main_after is not None else None
                return Measured((last - first) / (last_at - first_at), (all_after - all_before) / wall, main)
        time.sleep(0.05)


@contextlib.contextmanager
def headless(preset: Path, runs: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tui_tuner", "run", str(preset), "--runs-dir", str(runs)]
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def measure(side: str, preset: Path, runs: Path, steps: int, environment: dict[str, str]) -> Measured:
    """One run, in the app (`screen`) or without a screen (`headless`)."""
    runs.mkdir()
    if side == "headless":
        with headless(preset, runs, environment) as process:
            # A poll would reap it before its last events are read.
            return watched(runs, steps, process.pid, lambda: process.returncode is None)
    arguments = ["--preset", str(preset), "--start", "--runs-dir", str(runs)]
    with app_on_terminal(arguments, columns=COLUMNS, rows=ROWS, environment=environment) as terminal:
        measured = watched(runs, steps, terminal.pid, lambda: psutil.pid_exists(terminal.pid))
        if b"tokens/s" not in terminal.drawn():
            raise RuntimeError("the Train screen was not in sight")
        return measured


def share(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.1f} %"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--hidden", type=int, default=256, help="width of the model, in steps of 32")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    pairs: list[dict[str, Measured]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {
            "PYTHONPATH": str(ROOT),
            "TUI_TUNER_CONFIG": str(folder / "config"),
            "TUI_TUNER_CACHE": str(folder / "cache"),
        }
        run_python(MODEL, str(folder / "model"), str(options.hidden))
        train = {"iters": options.steps, "batch_size": 4, "learning_rate": 1e-4, "max_seq_length": 256}
        every = {"report_every": 1, "eval_every": 10**6, "save_every": 10**6}
        data = write_rows(folder / "data", train=200, valid=8)
        preset = write_preset(folder / "preset.toml", folder / "model", data, train={**train, **every})
        for number in range(options.pairs):
            order = ("screen", "headless") if number % 2 == 0 else ("headless", "screen")
            pair = {
                side: measure(side, preset, folder / f"{side}{number}", options.steps, environment) for side in order
            }
            pairs.append(pair)
            screen, bare = pair["screen"], pair["headless"]
            print(
                f"pair {number + 1}: with the screen {screen.speed:.2f} steps/s, without {bare.speed:.2f} "
                f"({1000 / bare.speed:.0f} ms a step), ratio {screen.speed / bare.speed:.3f}; "
                f"the app's thread took {share(screen.main_thread)} of a core, the headless one's "
                f"{share(bare.main_thread)}",
                file=sys.stderr if options.json else sys.stdout,
                flush=True,
            )
    ratio = statistics.median(p["screen"].speed / p["headless"].speed for p in pairs)
    if options.json:
        document = [{side: asdict(measured) for side, measured in pair.items()} for pair in pairs]
        print(json.dumps({"pairs": document, "ratio": ratio, "bar": BAR, "met": ratio >= BAR}))
        return 0 if ratio >= BAR else 1
    return 0 if verdict("steps/s with the screen ÷ without, median of pairs", ratio, BAR, at_least=True) else 1


if __name__ == "__main__":
    raise SystemExit(main())
