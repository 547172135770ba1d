"""The runs that the pictures show: trained once, and put at a fixed time of day."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.cli.headless import perform
from tui_tuner.config import load_preset
from tui_tuner.engine.new_run import create_run
from tui_tuner.engine.requests import RunExperiment
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.runs import EventTail, RunFolder
from tui_tuner.runs.files import read_json, write_atomic, write_json

NOW = 1_772_445_600.0
"""The time of day on all pictures: 10:00 on 2 March 2026, UTC."""
LIVE_STEP = 60
"""Where the picture of a run that is still going stands."""


@dataclass(frozen=True)
class Recorded:
    """A run that the pictures show: its folder's name, settings, when it began, and after which step it was stopped."""

    name: str
    overrides: tuple[str, ...]
    begun: float
    stop_after: int | None = None


MAIN = Recorded("quickstart-20260302-095400", (), NOW - 360)
OTHERS = (
    Recorded("rank-2-20260302-091200", ("adapter.rank=2", "train.iters=50", "evaluation.rows=40"), NOW - 2880),
    Recorded("longer-20260301-173000", ("train.iters=400", "evaluation.enabled=false"), NOW - 59_400, stop_after=40),
)


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"{text}\n")


# -- the runs -----------------------------------------------------------------------------------------------------


def record(run: Recorded, runs: Path) -> RunFolder:
    """The run's folder; trained when it is not there yet."""
    if (runs / run.name).is_dir():
        return RunFolder.open(runs / run.name)
    say(f"training {run.name} …")
    experiment, preset = load_preset("quickstart", run.overrides)
    title = re.sub(r"-\d{8}-\d{6}$", "", run.name)
    with tempfile.TemporaryDirectory(dir=runs, prefix=".") as building:
        folder = create_run(experiment, Path(building), title, preset.path.parent, f"tui-tuner run {preset.name}")
        _train(folder, run.stop_after)
        _set_clock(folder, run.begun)
        shutil.rmtree(folder.state)  # what a resumption needs is of no use to a picture
        folder.path.rename(runs / run.name)
    return RunFolder.open(runs / run.name)


def _train(folder: RunFolder, stop_after: int | None) -> None:
    if stop_after is None:
        perform(RunExperiment(folder.path))
        return
    engine, tail, step = LocalEngine(), EventTail(folder.events), 0
    engine.start()
    handle = engine.submit(RunExperiment(folder.path))
    while not handle.finished.wait(0.05):
        step = max([step, *(event["step"] for event in tail.poll() if event["type"] == "train")])
        if step >= stop_after:
            handle.control.stop()
    engine.shutdown()
    if handle.error is not None:
        raise handle.error


def _set_clock(folder: RunFolder, begun: float) -> None:
    """Moves a run to another time of day; all durations stay."""
    events = [json.loads(line) for line in folder.events.read_text(encoding="utf-8").splitlines()]
    shift = begun - events[0]["t"]
    for event in events:
        event["t"] = round(event["t"] + shift, 3)
    write_atomic(folder.events, "".join(json.dumps(event) + "\n" for event in events))
    write_json(folder.meta, {**read_json(folder.meta), "created": begun})


def half_way(folder: RunFolder, into: Path) -> RunFolder:
    """A copy of a finished run as it was after `LIVE_STEP` steps."""
    copy = into / folder.name
    shutil.copytree(folder.path, copy)
    lines = folder.events.read_text(encoding="utf-8").splitlines(keepends=True)
    last = max(i for i, line in enumerate(lines) if json.loads(line).get("step", 1e9) <= LIVE_STEP)
    write_atomic(copy / "events.jsonl", "".join(lines[: last + 1]))
    return RunFolder.open(copy)
