"""What watching costs: steps/s of a run in the full app ÷ the same run without a screen, in short turns.

The app is the real one on a pseudo-terminal of 160×50, with its Train screen and all panels in sight, and nobody
presses a key. Without a screen it is `tui-tuner run`. Both train the same rows in the same order and report every step,
which is the most there can be to draw. Choose `--hidden` so that a step takes 50 to 500 ms: what the app takes is then
what a person's run would feel. With TUI_TUNER_BLAS=off both compute on one core only, and the app has the other.

Both processes are started once. Then one is let run for some seconds while the other is stopped (SIGSTOP), in turns
A B B A …, so that a machine whose speed drifts gives both the same. An app that wakes finds that time has passed, and
draws at once; so a turn's speed is taken between its first report after a second and its last one, and turns are long
enough for drawings to come as seldom as they do in a run that nobody stops. Told are the ratio (the median over pairs
of turns, for a machine that others share stands still now and then) with a 95 % interval, and the processor time of the
app's own thread as a share of one core, where the system tells it.

    python benchmarks/screen_overhead.py [--pairs 40] [--seconds 7] [--hidden 256] [--json]

Exits 0 when the bar is met, 1 when not, 2 when the interval reaches too far to both sides of it to say.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from common import ROOT, Ratio, app_on_terminal, run_python, wait_for, write_preset, write_rows

BAR = 0.97
COLUMNS, ROWS = 160, 50
SETTLE = 1.0  # seconds of a turn that do not count: pages and caches come back
WARM_UP = 20  # reports before the first turn
TELLING = 0.03  # half an interval wider than this cannot tell 3 %

MODEL = """
import sys
from pathlib import Path
from tests.support.models import make_model
make_model(Path(sys.argv[1]), hidden=int(sys.argv[2]), layers=4, intermediate=2 * int(sys.argv[2]))
"""


def main_thread_seconds(process: psutil.Process) -> float | None:
    """Processor time of a process's first thread, where the system tells it."""
    with contextlib.suppress(psutil.Error, NotImplementedError):
        return next((t.user_time + t.system_time for t in process.threads() if t.id == process.pid), None)
    return None


@dataclass
class Side:
    """A run that is let go on in turns.

    Attributes:
        speeds: steps a second, one for each turn.
        main_thread: share of one core that the process's first thread took in the turns; None: not told.
    """

    pid: int
    runs: Path
    speeds: list[float] = field(default_factory=list)
    main_thread: list[float | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        from tui_tuner.runs import EventTail

        self._process = psutil.Process(self.pid)
        wait_for(lambda: any(self.runs.glob("*/events.jsonl")), 120, "a run to begin")
        self._tail = EventTail(next(self.runs.glob("*/events.jsonl")))
        self._reports: list[float] = []

    def reports(self) -> list[float]:
        """The moments of the reports so far, in seconds since the epoch.

        Raises:
            RuntimeError: when the run has ended.
        """
        for event in self._tail.poll():
            if event["type"] == "train":
                self._reports.append(event["t"])
            elif event["type"] == "run_finished":
                raise RuntimeError(f"the run ended as {event['status']}: {event['reason']}")
        return self._reports

    def hold(self) -> None:
        self._process.suspend()

    def turn(self, seconds: float) -> None:
        """Lets the run go on for a while, and takes its speed."""
        busy = main_thread_seconds(self._process)
        begun = time.time()
        self._process.resume()
        time.sleep(seconds)
        self.hold()
        counted = [t for t in self.reports() if begun + SETTLE <= t]
        if len(counted) < 3:
            raise RuntimeError("too few steps in a turn: make turns longer (--seconds) or the model smaller (--hidden)")
        self.speeds.append((len(counted) - 1) / (counted[-1] - counted[0]))
        after = main_thread_seconds(self._process)
        self.main_thread.append(None if busy is None or after is None else (after - busy) / seconds)


@contextlib.contextmanager
def headless(preset: Path, runs: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tui_tuner", "run", str(preset), "--runs-dir", str(runs)]
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def share(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{100 * statistics.fmean(known):.1f} %" if known else "unknown"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=7.0, help="how long a turn is")
    parser.add_argument("--hidden", type=int, default=256, help="width of the model, in steps of 32")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        environment = {
            "PYTHONPATH": str(ROOT),
            "TUI_TUNER_CONFIG": str(folder / "config"),
            "TUI_TUNER_CACHE": str(folder / "cache"),
        }
        run_python(MODEL, str(folder / "model"), str(options.hidden))
        train = {"iters": 10**6, "batch_size": 4, "learning_rate": 1e-5, "max_seq_length": 256}
        every = {"report_every": 1, "eval_every": 10**7, "save_every": 10**7}
        data = write_rows(folder / "data", train=200, valid=8)
        preset = write_preset(folder / "preset.toml", folder / "model", data, train={**train, **every})
        sides = {}
        for side in ("headless", "screen"):
            runs = folder / side
            runs.mkdir()
            if side == "headless":
                pid = stack.enter_context(headless(preset, runs, environment)).pid
            else:
                arguments = ["--preset", str(preset), "--start", "--runs-dir", str(runs)]
                terminal = stack.enter_context(
                    app_on_terminal(arguments, columns=COLUMNS, rows=ROWS, environment=environment)
                )
                pid = terminal.pid
            one = sides[side] = Side(pid, runs)
            wait_for(lambda one=one: len(one.reports()) >= WARM_UP, 300, f"{WARM_UP} steps")  # type: ignore[misc]
            one.hold()
        for number in range(options.pairs):
            for side in ("screen", "headless") if number % 2 == 0 else ("headless", "screen"):
                sides[side].turn(options.seconds)
        if b"tokens/s" not in terminal.drawn():
            raise RuntimeError("the Train screen was not in sight")
    screen, bare = sides["screen"], sides["headless"]
    ratio = Ratio.of(screen.speeds, bare.speeds)
    told = "met" if ratio.value >= BAR else "not met"
    if ratio.high - ratio.low > 2 * TELLING:
        told = "cannot be told"
    if options.json:
        measured = {"screen": screen.speeds, "headless": bare.speeds, "main_thread": screen.main_thread}
        print(json.dumps({**measured, "ratio": asdict(ratio), "bar": BAR, "verdict": told}))
    else:
        print(
            f"{options.pairs} pairs of turns of {options.seconds:g} s: {statistics.median(screen.speeds):.2f} steps/s "
            f"with the screen, {statistics.median(bare.speeds):.2f} without "
            f"({1000 / statistics.median(bare.speeds):.0f} ms a step)\n"
            f"the app's thread took {share(screen.main_thread)} of a core, the headless one's "
            f"{share(bare.main_thread)}\n"
            f"steps/s with the screen ÷ without: {ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f}), "
            f"bar {BAR}: {told}"
        )
    return {"met": 0, "not met": 1}.get(told, 2)


if __name__ == "__main__":
    raise SystemExit(main())
