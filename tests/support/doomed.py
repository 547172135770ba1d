"""Runs a run folder in a process that kills itself, without warning, at a named moment. Only tests know of it.

    python -m tests.support.doomed RUN_FOLDER MOMENT NTH

The moments lie where a kill from outside hardly ever falls: in the middle of a write, or between two of them. The
program itself has no hook for it: what it calls is wrapped here.

- `half KIND`: a file has been written to half its length.
- `before KIND`, `after KIND`: a file is about to take its name, or has just taken it.
- `half event TYPE`: half the line of an event is in the log; `half row`: half an answer is in the benchmark's file.
- `count STAGE`: a batch of a validation or a row of a benchmark is done.
- `sweep`: a file of an old checkpoint is about to be removed.

A kind is `state`, `weights` (a checkpoint's), or the name of a file.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any


class Doom:
    """Counts the moments that come by, and ends the process at the chosen one."""

    def __init__(self, moment: str, nth: int) -> None:
        self.moment, self.nth = moment, nth
        self._seen = Counter[str]()

    def due(self, moment: str) -> bool:
        self._seen[moment] += 1
        return moment == self.moment and self._seen[moment] == self.nth

    def at(self, moment: str) -> None:
        if self.due(moment):
            die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kind_of(path: Path) -> str:
    if path.name[:1].isdigit() and path.suffix == ".safetensors":
        return "weights" if path.name.endswith("_adapters.safetensors") else "state"
    return path.name


def doom_files(doom: Doom) -> None:
    replace, unlink = Path.replace, Path.unlink

    def replacing(self: Path, target: Any) -> Path:
        kind = kind_of(Path(target))
        if doom.due(f"half {kind}"):
            os.truncate(self, self.stat().st_size // 2)
            die()
        doom.at(f"before {kind}")
        result = replace(self, target)
        doom.at(f"after {kind}")
        return result

    def unlinking(self: Path, missing_ok: bool = False) -> None:
        if not self.name.startswith(".tmp-") and kind_of(self) in ("state", "weights"):
            doom.at("sweep")
        unlink(self, missing_ok)

    Path.replace, Path.unlink = replacing, unlinking  # type: ignore[method-assign]


def doom_lines(doom: Doom) -> None:
    from tui_tuner.evaluation import benchmark
    from tui_tuner.runs import events

    for module, moment_of in (
        (events, lambda line: f"half event {(events.parse_line(line.strip()) or {}).get('type')}"),
        (benchmark, lambda line: "half row"),
    ):
        write = module.write_all

        def writing(descriptor: int, line: bytes, *, write: Any = write, moment_of: Any = moment_of) -> None:
            if doom.due(moment_of(bytes(line))):
                write(descriptor, line[: len(line) // 2])
                die()
            write(descriptor, line)

        module.write_all = writing  # type: ignore[attr-defined]


def doom_counts(doom: Doom) -> None:
    from tui_tuner.runs.progress import Throttle

    call = Throttle.__call__

    def counting(self: Any, done: int, text: str = "") -> None:
        call(self, done, text)
        doom.at(f"count {self._stage}")

    Throttle.__call__ = counting  # type: ignore[method-assign]


def main() -> int:
    from tui_tuner.cli.app import run

    folder, moment, nth = sys.argv[1:4]
    doom = Doom(moment, int(nth))
    doom_files(doom)
    doom_lines(doom)
    doom_counts(doom)
    return run(["resume", folder])


if __name__ == "__main__":
    raise SystemExit(main())
