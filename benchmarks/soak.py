"""Half an hour of training in the full app, to see that nothing grows that should not: memory, files, threads, frames.

The embedded model trains with steps of a few milliseconds and reports every one of them, so that the curve grows to
tens of thousands of points, on a pseudo-terminal of 160×50. Somebody changes screens now and then, and looks at the
Train screen in between. For the last fifth of the time the run is stopped and nobody does anything. Measured are

- resident memory, its slope after the warm-up with a 95 % interval, and what that is for one reported point: the curve
  is kept whole, twice (for the screens, and for the run doctor: 13 numbers a point each), so this is the one thing that
  may grow;
- what a frame costs the app's own thread, and how late its event loop is, by a recorder beside the app;
- open files, threads, and the size of `events.jsonl`, which has a line for each point;
- the share of a core that the app's thread takes, while it trains and while it idles.

The first third of the training is compared with the last. The verdict is "flat", with exit status 0, when

- memory grows by no more than 24 MB an hour, or by no more than 512 bytes a reported point, and by no more than 12 MB
  an hour while idle (the lower end of the interval counts: what is not beyond doubt is not held against it);
- there are usually (in the median) no more files open, and no more threads, in the last third than in the first;
- a frame costs no more than 1.5 times what it cost in the first third, and the event loop is no later than twice, or
  below 20 ms anyway;
- while idle the app's thread takes no more than 2 % of a core;

else "it grows", with exit status 1. An interrupt (Ctrl+C) ends it early, with figures of what there is.

    python benchmarks/soak.py [--minutes 30] [--keep FOLDER] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
from common import ROOT, Terminal, app_on_terminal, wait_for, write_preset
from screen_overhead import main_thread_seconds

Item = TypeVar("Item")

COLUMNS, ROWS = 160, 50
SAMPLE = 5.0  # seconds
WARM_UP = 0.15  # of the training
IDLE = 0.2  # of the whole
PER_POINT = 512  # bytes
PER_HOUR = 24  # MB
IDLE_PER_HOUR = 12  # MB
FRAME = 1.5
LAG = 2.0
LAG_FLOOR = 20.0  # ms
IDLE_CPU = 0.02
VISITS = "14243454647404"
"""Screens by their keys; every other one is the Train screen, where somebody looks at the curve."""
TRAIN_KEYS = ("l", "m", "v", "u")


@dataclass(frozen=True)
class Sample:
    """The app's process at a moment: bytes, counts, and seconds of its main thread; `phase` is `train` or `idle`."""

    at: float
    phase: str
    resident: int
    files: int
    threads: int
    events: int
    cpu: float | None


@dataclass(frozen=True)
class Slope:
    """Growth for one unit of x, with a 95 % interval."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> Slope:
        return Slope(self.value * factor, self.low * factor, self.high * factor)

    def text(self, unit: str) -> str:
        return f"{self.value:+.1f} {unit} ({self.low:+.1f} to {self.high:+.1f})"


def slope(x: Sequence[float], y: Sequence[float], blocks: int = 20) -> Slope:
    """The slope of y over x by least squares.

    Neighbouring samples of memory are not independent, so the line is laid through the means of `blocks` pieces.
    """
    size = max(1, len(x) // blocks)
    xs = [statistics.fmean(x[i : i + size]) for i in range(0, len(x) - size + 1, size)]
    ys = [statistics.fmean(y[i : i + size]) for i in range(0, len(y) - size + 1, size)]
    if len(xs) < 3:
        return Slope(math.nan, math.nan, math.nan)
    mean_x, mean_y = statistics.fmean(xs), statistics.fmean(ys)
    spread = sum((a - mean_x) ** 2 for a in xs)
    value = sum((a - mean_x) * (b - mean_y) for a, b in zip(xs, ys, strict=True)) / spread
    rest = sum((b - mean_y - value * (a - mean_x)) ** 2 for a, b in zip(xs, ys, strict=True))
    # Two-sided 95 % of Student's t, by the expansion of Abramowitz and Stegun 26.7.5 to its second term.
    free, z = len(xs) - 2, 1.959964
    student = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    error = student * math.sqrt(rest / free / spread)
    return Slope(value, value - error, value + error)


def preset(folder: Path) -> Path:
    """Steps of a few milliseconds: one row a step, adapters on one layer; more steps than there will be time for."""
    train = {
        "iters": 10_000_000,
        "batch_size": 1,
        "learning_rate": 1e-4,
        "max_seq_length": 128,
        "report_every": 1,
        "eval_every": 2_000,
        "save_every": 5_000,
    }
    return write_preset(
        folder / "soak.toml",
        Path("embedded:phi3-tiny"),
        Path("embedded:players"),
        data={
            "source": "embedded:players",
            "prompt": ["Report this game: {first} {last}, {team} v {opponent}."],
            "completion": ["FT | {first} {last} | {team} v {opponent}"],
            "train": 200,
            "valid": 20,
        },
        adapter={"rank": 2, "layers": 1, "targets": ["attention"]},
        train=train,
        probes={"prompts": ["Report this game: Nora Winslow, Herons v Wolves."]},
    )


class Soak:
    """The app, what is done to it, and what is measured meanwhile."""

    def __init__(self, terminal: Terminal, runs: Path, record: Path, say: Callable[[str], None]) -> None:
        self._terminal, self._runs, self._record, self._say = terminal, runs, record, say
        self._process = psutil.Process(terminal.pid)
        self._visits = itertools.cycle(VISITS)
        self._keys = itertools.cycle(TRAIN_KEYS)
        self.samples: list[Sample] = []

    @property
    def log(self) -> Path:
        return next(self._runs.glob("*/events.jsonl"))

    def train(self, seconds: float) -> None:
        """Looks at screens in turn: fifteen seconds at the Train screen, five at another one."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            key = next(self._visits)
            self._terminal.press("\x1b")  # out of a text field, so that a key is no text
            self._wait(0.5, "train")
            self._terminal.press(key)
            if key == "4":
                self._wait(5.0, "train")
                self._terminal.press(next(self._keys))
                self._wait(10.0, "train")
            else:
                self._wait(5.0, "train")

    def idle(self, seconds: float) -> None:
        """Stops the run, and leaves the app to itself."""
        from tui_tuner.runs import RunFolder, read_events
        from tui_tuner.runs.requests import ask

        self._terminal.press("\x1b")
        self._wait(0.5, "train")
        self._terminal.press("4")
        folder = RunFolder.open(self.log.parent)
        ask(folder, "stop")
        wait_for(lambda: read_events(folder.events)[-1]["type"] == "run_finished", 120, "the run to stop")
        self._wait(20.0, "settling")
        self._wait(seconds - 20.0, "idle")

    def _wait(self, seconds: float, phase: str) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            last = self.samples[-1] if self.samples else None
            if last is None or time.time() - last.at >= SAMPLE or last.phase != phase:
                self._sample(phase)
            time.sleep(min(left, 0.5))

    def _sample(self, phase: str) -> None:
        process = self._process
        with process.oneshot():
            sample = Sample(
                time.time(),
                phase,
                process.memory_info().rss,
                process.num_fds(),
                process.num_threads(),
                self.log.stat().st_size,
                main_thread_seconds(process),
            )
        self.samples.append(sample)
        if len(self.samples) % 60 == 0:
            self._say(f"{phase}: {sample.resident / 1e6:.0f} MB, {sample.files} files, {sample.threads} threads")

    def records(self) -> list[dict[str, Any]]:
        with self._record.open() as lines:
            return [json.loads(line) for line in lines]


def thirds(items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
    """The first and the last third."""
    size = max(1, len(items) // 3)
    return items[:size], items[-size:]


def share(samples: Sequence[Sample]) -> float | None:
    """What the main thread took of a core."""
    if len(samples) < 2 or samples[0].cpu is None or samples[-1].cpu is None:
        return None
    return (samples[-1].cpu - samples[0].cpu) / (samples[-1].at - samples[0].at)


def median(records: Sequence[dict[str, Any]], name: str) -> float:
    values = [r[name] for r in records if r[name] is not None]
    return statistics.median(values) if values else math.nan


@dataclass(frozen=True)
class Line:
    """A figure in the first third and in the last, and whether it may be so."""

    name: str
    first: str
    last: str
    flat: bool


def judged(samples: list[Sample], records: list[dict[str, Any]]) -> tuple[list[Line], dict[str, Any]]:
    """The table of figures and their verdicts, and what a machine would want to read."""
    training = [s for s in samples if s.phase == "train"]
    warm = training[int(WARM_UP * len(training)) :]
    idle = [s for s in samples if s.phase == "idle"]
    begun, ended = warm[0].at, warm[-1].at
    told = [r for r in records if begun <= r["t"] <= ended]
    hours = (ended - begun) / 3600
    points = told[-1]["points"] - told[0]["points"]
    growth = slope([s.at / 3600 for s in warm], [s.resident / 1e6 for s in warm])
    per_point = growth.scaled(1e6 * hours / max(points, 1))
    resting = slope([s.at / 3600 for s in idle], [s.resident / 1e6 for s in idle])
    (first, last), (early, late) = thirds(warm), thirds(told)
    frame, lag = ((median(early, n), median(late, n)) for n in ("frame_ms", "lag_p95_ms"))
    busy, lazy = share(warm), share(idle)

    def mean(part: Sequence[Sample]) -> str:
        return f"{statistics.fmean(s.resident for s in part) / 1e6:.1f} MB"

    def usual(part: Sequence[Sample], name: str) -> int:
        # A thread or a file that comes and goes is no growth; what stays is seen in the median.
        return statistics.median_low(getattr(s, name) for s in part)

    lines = [
        Line("resident memory", mean(first), mean(last), not (growth.low > PER_HOUR and per_point.low > PER_POINT)),
        Line("… while idle", mean(thirds(idle)[0]), mean(thirds(idle)[1]), not resting.low > IDLE_PER_HOUR),
        Line("points of the curve", f"{early[-1]['points']:,}", f"{late[-1]['points']:,}", True),
        Line("cost of a frame", f"{frame[0]:.1f} ms", f"{frame[1]:.1f} ms", frame[1] <= FRAME * frame[0]),
        Line("lag of the loop, p95", f"{lag[0]:.1f} ms", f"{lag[1]:.1f} ms", lag[1] <= max(LAG * lag[0], LAG_FLOOR)),
        *(
            Line(what, str(usual(first, name)), str(usual(last, name)), usual(last, name) <= usual(first, name))
            for what, name in (("open files", "files"), ("threads", "threads"))
        ),
        Line("events.jsonl", f"{first[-1].events / 1e6:.1f} MB", f"{last[-1].events / 1e6:.1f} MB", True),
    ]
    if lazy is not None and busy is not None:
        lines.append(Line("app's thread, training | idle", f"{busy:.1%}", f"{lazy:.1%}", lazy <= IDLE_CPU))
    figures = {
        "hours": hours,
        "points": points,
        "megabytes_per_hour": asdict(growth),
        "bytes_per_point": asdict(per_point),
        "idle_megabytes_per_hour": asdict(resting),
        "frame_ms": frame,
        "lag_p95_ms": lag,
        "cpu": {"training": busy, "idle": lazy},
        "event_bytes_per_point": (warm[-1].events - warm[0].events) / max(points, 1),
    }
    return lines, figures


def report(lines: list[Line], figures: dict[str, Any]) -> None:
    print(f"{'':32}{'first third':>14}{'last third':>14}")
    for line in lines:
        print(f"{line.name:32}{line.first:>14}{line.last:>14}  {'' if line.flat else '← grows'}")
    hour, point, rest = (
        Slope(**figures[name]) for name in ("megabytes_per_hour", "bytes_per_point", "idle_megabytes_per_hour")
    )
    print(f"memory while training: {hour.text('MB an hour')}, {point.text('bytes a reported point')}")
    print(f"memory while idle: {rest.text('MB an hour')}")
    for seconds, every in ((1.0, 1), (1.0, 10)):
        reports = 8 * 3600 / seconds / every
        print(
            f"eight hours of steps of {seconds:.0f} s, every {every}th reported: "
            f"{reports * max(point.value, 0) / 1e6:.1f} MB of memory, "
            f"{reports * figures['event_bytes_per_point'] / 1e6:.1f} MB of events"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--keep", type=Path, help="a folder that the run and all samples are left in")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    say: Callable[[str], None] = (lambda text: None) if options.json else (lambda text: print(text, flush=True))
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        runs, record = folder / "runs", folder / "record.jsonl"
        runs.mkdir(exist_ok=True)
        terminal = stack.enter_context(
            app_on_terminal(
                [str(record), "--preset", str(preset(folder)), "--start", "--runs-dir", str(runs)],
                columns=COLUMNS,
                rows=ROWS,
                environment={
                    "PYTHONPATH": str(ROOT),
                    "TUI_TUNER_CONFIG": str(folder / "config"),
                    "TUI_TUNER_CACHE": str(folder / "cache"),
                },
                program=(str(ROOT / "benchmarks" / "recorded_app.py"),),
            )
        )
        wait_for(lambda: any('"type":"train"' in p.read_text() for p in runs.glob("*/events.jsonl")), 180, "a step")
        soak = Soak(terminal, runs, record, say)
        with contextlib.suppress(KeyboardInterrupt):
            soak.train(60 * options.minutes * (1 - IDLE))
            soak.idle(60 * options.minutes * IDLE)
        lines, figures = judged(soak.samples, soak.records())
        if options.keep:
            (folder / "samples.json").write_text(json.dumps([asdict(s) for s in soak.samples]))
    flat = all(line.flat for line in lines)
    if options.json:
        print(json.dumps({"flat": flat, **figures, "lines": [asdict(line) for line in lines]}))
    else:
        report(lines, figures)
        print("flat" if flat else "it grows")
    return 0 if flat else 1


if __name__ == "__main__":
    raise SystemExit(main())
