"""From process start to the first frame, on a pseudo-terminal of 120×40.

The first frame is there when the mode bar's word "Models" has been drawn. The time is that of a whole process, the
interpreter's own start included.

    python benchmarks/startup.py [--runs 7] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time

from common import app_on_terminal, verdict

BAR = 0.6


def first_frame(folder: str) -> float:
    begun = time.perf_counter()
    with app_on_terminal(["--runs-dir", folder], environment={"TUI_TUNER_CONFIG": folder}) as terminal:
        deadline = begun + 30
        while b"Models" not in terminal.drawn():
            if time.perf_counter() > deadline:
                raise TimeoutError("no frame within 30 s")
            time.sleep(0.002)
        return time.perf_counter() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        first_frame(folder)  # compiles the byte code
        times = sorted(first_frame(folder) for _ in range(options.runs))
    median = statistics.median(times)
    if options.json:
        print(json.dumps({"seconds": times, "median": median, "bar": BAR}))
        return 0 if median <= BAR else 1
    print(f"{options.runs} starts: {times[0]:.3f} to {times[-1]:.3f} s")
    return 0 if verdict("seconds to the first frame, median", median, BAR, at_least=False) else 1


if __name__ == "__main__":
    raise SystemExit(main())
