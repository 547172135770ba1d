"""The app as it is, with a recorder beside it: what a frame costs, and how late the event loop is.

    python benchmarks/recorded_app.py RECORD [arguments of tui-tuner …]

Every few seconds a line of JSON is added to RECORD: `frames` drawn since the line before, `frame_ms` (median processor
time of one, from the news to the terminal's driver, its layout included) and `frame_p95_ms`, `lag_p95_ms` and
`lag_max_ms` (how much later than asked the event loop came back), `cpu` (processor seconds of the app's thread since
the beginning), and `points` of the curve. It is for benchmarks; the app has no such option.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

EVERY = 5.0
LOOK = 0.05


class Recorder:
    """Collects, and writes a line every few seconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames: list[float] = []
        self._lags: list[float] = []
        self._told = 0.0

    def told(self, seconds: float) -> None:
        """What it took to hand news to the widgets; part of the frame that follows."""
        self._told += seconds

    def drawn(self, seconds: float) -> None:
        """What it took to lay out, render and hand to the driver."""
        self._frames.append(seconds + self._told)
        self._told = 0.0

    async def run(self, app: Any) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + EVERY
        while True:
            before = loop.time()
            await asyncio.sleep(LOOK)
            now = loop.time()
            self._lags.append(now - before - LOOK)
            if now >= due:
                due = now + EVERY
                self._write(app)

    def _write(self, app: Any) -> None:
        follower = app.state.follower
        frames, lags = sorted(self._frames), sorted(self._lags)
        line = {
            "t": time.time(),
            "frames": len(frames),
            "frame_ms": 1000 * statistics.median(frames) if frames else None,
            "frame_p95_ms": 1000 * frames[int(0.95 * len(frames))] if frames else None,
            "lag_p95_ms": 1000 * lags[int(0.95 * len(lags))],
            "lag_max_ms": 1000 * lags[-1],
            "cpu": time.thread_time(),
            "points": len(follower.view.train) if follower is not None and follower.ready else 0,
        }
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._frames, self._lags = [], []


def attach(recorder: Recorder) -> None:
    """Puts the recorder between the app and textual."""
    from textual.screen import Screen

    from tui_tuner.ui.app import TunerApp

    update, tell, mount = Screen._on_timer_update, TunerApp.tell, TunerApp.on_mount
    tasks: list[asyncio.Task[None]] = []

    def updating(self: Any) -> None:
        dirty = bool(self._dirty_widgets or self._layout_required or self._repaint_required)
        before = time.thread_time()
        update(self)
        if dirty:
            recorder.drawn(time.thread_time() - before)

    def telling(self: Any, hook: str) -> None:
        before = time.thread_time()
        tell(self, hook)
        recorder.told(time.thread_time() - before)

    def mounting(self: Any) -> None:
        mount(self)
        tasks.append(asyncio.get_running_loop().create_task(recorder.run(self)))

    Screen._on_timer_update = updating  # type: ignore[method-assign]
    TunerApp.tell, TunerApp.on_mount = telling, mounting  # type: ignore[method-assign]


def main() -> int:
    from tui_tuner.cli.app import run

    attach(Recorder(Path(sys.argv[1])))
    return run(sys.argv[2:])


if __name__ == "__main__":
    raise SystemExit(main())
