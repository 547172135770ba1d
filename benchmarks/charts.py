"""How long a chart takes from new data to final strips.

Runs the real widget in a headless app at 120×30 cells: a noisy loss curve with gaps, smoothed with the raw values
behind, each frame with new points, so that no cache helps. The bar is a median of 5 ms for 100,000 points.

    python benchmarks/charts.py [--json] [--frames N]

Exits 0 when the bar is met, 1 when not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from textual.app import App, ComposeResult

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tui_tuner.ui.charts import LineChart

BAR_MS = 5.0
WIDTH, HEIGHT = 120, 30
NOISE = np.random.default_rng(7).normal(0.0, 0.2, 200_000)


class Bench(App[None]):
    """Four charts that share a screen, each as large as the whole: only the strips are timed, not the layout."""

    CSS = f"LineChart {{ width: {WIDTH}; height: {HEIGHT}; }}"

    def compose(self) -> ComposeResult:
        for index in range(4):
            yield LineChart("Loss", y_label="nats per token", id=f"chart{index}")


def curve(points: int, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """A loss curve whose noise moves with the frame, so that nothing of the last frame can be used again."""
    x = np.arange(points, dtype=np.float64)
    y = 1.0 + 2.0 * np.exp(-x / (points / 5)) + NOISE[frame : frame + points]
    y[points // 2 : points // 2 + points // 50] = np.nan
    return x, y


def frames(charts: list[LineChart], points: int, count: int) -> Iterator[float]:
    """Milliseconds of each frame: all charts get new data and give their strips."""
    for frame in range(count):
        data = [curve(points, 4 * frame + index) for index in range(len(charts))]
        start = time.perf_counter()
        for chart, (x, y) in zip(charts, data, strict=True):
            chart.set_series("train", x, y)
            strips = chart.frame()
        elapsed = (time.perf_counter() - start) * 1000
        if len(strips) != HEIGHT:
            raise RuntimeError(f"a frame has {len(strips)} lines, not {HEIGHT}")
        if frame >= 3:
            yield elapsed


async def measure(count: int) -> list[dict[str, float | int]]:
    """One row per case: charts, points, smoothing, median and 95th percentile in milliseconds."""
    rows: list[dict[str, float | int]] = []
    app = Bench()
    async with app.run_test(size=(WIDTH, 4 * HEIGHT)) as pilot:
        await pilot.pause()
        charts = list(app.query(LineChart))
        cases = [(1, n, weight) for weight in (0.0, 0.9) for n in (1_000, 10_000, 100_000)] + [(4, 10_000, 0.0)]
        for number, points, weight in cases:
            for chart in charts:
                chart.smoothing = weight
            times = sorted(frames(charts[:number], points, count + 3))
            p95 = times[min(len(times) - 1, int(0.95 * len(times)))]
            rows.append(
                {
                    "charts": number,
                    "points": points,
                    "smoothing": weight,
                    "median_ms": round(statistics.median(times), 3),
                    "p95_ms": round(p95, 3),
                }
            )
    return rows


def main() -> int:
    """Measure, print, and judge by the bar."""
    parser = argparse.ArgumentParser(description="Time a chart from new data to final strips.")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--frames", type=int, default=60, help="frames per case")
    arguments = parser.parse_args()
    rows = asyncio.run(measure(max(1, arguments.frames)))
    judged = next(row for row in rows if row["charts"] == 1 and row["points"] == 100_000 and not row["smoothing"])
    met = judged["median_ms"] <= BAR_MS
    if arguments.json:
        print(json.dumps({"cells": [WIDTH, HEIGHT], "rows": rows, "bar_ms": BAR_MS, "met": met}))
        return 0 if met else 1
    print(f"one frame at {WIDTH}x{HEIGHT} cells, new data to strips")
    print(f"{'charts':>6} {'points':>8} {'smoothing':>9} {'median ms':>9} {'p95 ms':>8}")
    for row in rows:
        print(
            f"{row['charts']:>6} {row['points']:>8,} {row['smoothing']:>9} "
            f"{row['median_ms']:>9.2f} {row['p95_ms']:>8.2f}"
        )
    print(f"bar: 1 chart, 100,000 points, no smoothing, median <= {BAR_MS:g} ms: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
