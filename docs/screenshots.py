"""Draws the pictures of README and guide: real screens of the app, over runs that were really trained.

    python -m docs.screenshots [--runs DIR] [--again] [--only home train …]

Three runs of the embedded model are trained once (some minutes on a slow machine) and kept in DIR, by default
build/screenshots; the pictures are then taken from the app in headless mode, at 120×40. Names of runs, the time of day
and the time zone are fixed, so that pictures change when the screens or the results do, and not with the calendar. A
picture must never show a path of the machine it was taken on, nor refer to anything outside its own file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from docs.recorded import LIVE_STEP, MAIN, NOW, OTHERS, half_way, record, say
from docs.svg import self_contained
from tui_tuner.engine import modelshelves
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import ChatTurn, RunExperiment
from tui_tuner.engine.results import ModelDetails
from tui_tuner.engine.worker import LocalEngine
from tui_tuner.models import sizes
from tui_tuner.runs import RunFolder
from tui_tuner.ui import format as fmt
from tui_tuner.ui.app import TunerApp

ROOT = Path(__file__).resolve().parents[1]
IMAGES = Path(__file__).resolve().parent / "images"
SIZE = (120, 40)
LARGEST = 300_000
PROMPT = "Report this game: Nora Winslow, Herons v Wolves, score 4-2, goals 3, assists 1, minutes 52."


class Stage(LocalEngine):
    """The real engine, with one run that is said to be going, and stands still for its picture."""

    def __init__(self, going: RunFolder | None = None) -> None:
        super().__init__()
        self._going = [] if going is None else [JobHandle(0, RunExperiment(going.path), status=JobStatus.RUNNING)]

    def handles(self) -> list[JobHandle]:
        return [*self._going, *super().handles()]

    def active(self, lane: str = "mlx") -> JobHandle | None:
        return self._going[0] if self._going and lane == "mlx" else super().active(lane)


# -- the pictures -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def opened(
    runs: Path,
    run: RunFolder | None = None,
    engine: LocalEngine | None = None,
    now: float = NOW,
    preset: str | None = "quickstart",
) -> AsyncIterator[tuple[TunerApp, Pilot[Any]]]:
    """The app, headless, with a preset loaded and a run selected."""
    engine = engine or Stage()
    app = TunerApp(engine=engine, runs_dir=runs, preset=preset)
    app.clock = lambda: now
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: preset is None or app.state.experiment is not None, "the preset")
        if run is not None:
            app.select_run(run)
        try:
            yield app, pilot
            if app.mishaps:
                raise app.mishaps[0]
        finally:
            await asyncio.to_thread(engine.shutdown)


async def until(pilot: Pilot[Any], condition: Callable[[], object], what: str, seconds: float = 120.0) -> None:
    """Lets the app work until a condition holds.

    Raises:
        TimeoutError: naming what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        await pilot.pause(0.02)
    await pilot.pause()


def text_of(app: TunerApp) -> str:
    """All text on the screen."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def shows(app: TunerApp, pilot: Pilot[Any], *words: str) -> None:
    """Waits until all of the words are on the screen, and the screen is at rest."""
    await until(pilot, lambda: all(word in text_of(app) for word in words), f"{', '.join(words)} on the screen")
    await settled(app, pilot)


async def settled(app: TunerApp, pilot: Pilot[Any]) -> None:
    """Waits until the screen looks the same a few times in a row."""
    before, same = "", 0
    while same < 4:
        await pilot.pause(0.15)
        now = text_of(app)
        before, same = now, same + 1 if now == before else 0


def save(app: TunerApp, name: str) -> None:
    """Writes a picture.

    Raises:
        ValueError: it is too large, refers to something outside, or shows a path of this machine.
    """
    svg = self_contained(app.export_screenshot(title="tui-tuner"))
    for word in ("http://", "https://", str(ROOT), str(Path.home()), tempfile.gettempdir()):
        if word in svg.replace('xmlns="http://www.w3.org/2000/svg"', ""):
            raise ValueError(f"the picture {name} shows or refers to {word}")
    if len(svg.encode()) > LARGEST:
        raise ValueError(f"the picture {name} has {len(svg.encode()):,} bytes, more than {LARGEST:,}")
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{name}.svg").write_text(svg, encoding="utf-8")
    say(f"docs/images/{name}.svg")


Picture = Callable[[Path, RunFolder], Coroutine[Any, Any, None]]


async def home(runs: Path, run: RunFolder) -> None:
    async with opened(runs, preset=None) as (app, pilot):
        await shows(app, pilot, "CONTINUE", "RECENT RUNS", "trains models", run.name[:10])
        save(app, "home")


async def models(runs: Path, run: RunFolder) -> None:
    """The models of a machine on which 4 bits were tried against 8."""
    from huggingface_hub import constants

    with tempfile.TemporaryDirectory() as place:
        constants.HF_HUB_CACHE = f"{place}/hub"
        os.environ.update(TUI_TUNER_MODELS=f"{place}/models", TUI_TUNER_CACHE=f"{place}/cache")
        async with opened(runs) as (app, pilot):
            app.go("models")
            await shows(app, pilot, "qkv_proj", "fits")
            await pilot.press("b")
            await shows(app, pilot, "Try 4 against 8 bits?")
            await pilot.press("enter")
            await shows(app, pilot, "Variants of", "phi3-tiny-8bit")
            await pilot.press("escape")
            app.clear_notifications()
            await shows(app, pilot, "2 made of it", "phi3-tiny-8bit", "qkv_proj")
            save(app, "models")
        for name in ("TUI_TUNER_MODELS", "TUI_TUNER_CACHE"):
            del os.environ[name]


async def data(runs: Path, run: RunFolder) -> None:
    async with opened(runs) as (app, pilot):
        app.go("data")
        await shows(app, pilot, "<|assistant|>", "boundary", "o lists", "1 of 520")  # tokens, and all that is known
        save(app, "data")


async def config(runs: Path, run: RunFolder) -> None:
    async with opened(runs) as (app, pilot):
        app.go("config")
        await shows(app, pilot, "As TOML", "estimated")
        await pilot.press("slash", *"adapter.rank", "enter", "escape", "right")
        await shows(app, pilot, "trainable parameters", "differ from the default", "estimated")
        save(app, "config")


async def live(runs: Path, run: RunFolder) -> None:
    with tempfile.TemporaryDirectory() as place:
        going = half_way(run, Path(place))
        last = json.loads(going.events.read_text(encoding="utf-8").splitlines()[-1])["t"]
        async with opened(Path(place), going, Stage(going), last + 0.3) as (app, pilot):
            app.go("train")
            await shows(app, pilot, f"{LIVE_STEP}/100")
            save(app, "train")


async def finished(runs: Path, run: RunFolder) -> None:
    async with opened(runs, run) as (app, pilot):
        app.go("train")
        await shows(app, pilot, "Finished", "exact_match")
        await pilot.press("v")
        await settled(app, pilot)
        save(app, "finished")


async def probes(runs: Path, run: RunFolder) -> None:
    async with opened(runs, run) as (app, pilot):
        app.go("train")
        await shows(app, pilot, "Finished", "exact_match")
        await pilot.press("b")
        await shows(app, pilot, "compare with", "words than untrained")
        await pilot.press("left", "left")
        await settled(app, pilot)
        save(app, "probes")


async def benchmark(runs: Path, run: RunFolder) -> None:
    async with opened(runs, run) as (app, pilot):
        app.go("benchmark")
        await shows(app, pilot, "Exact match", "higher is better")
        await settled(app, pilot)
        save(app, "verdict")
        await pilot.press("v", "v")
        await shows(app, pilot, "Exact match", "FT |", "marked: what changed")
        await settled(app, pilot)
        save(app, "benchmark")


async def chat(runs: Path, run: RunFolder) -> None:
    engine = Stage()
    async with opened(runs, run, engine) as (app, pilot):
        app.go("chat")
        await shows(app, pilot, "Probe prompts")
        await pilot.press("ctrl+o", *("down",))
        await pilot.press("enter")
        await until(pilot, lambda: _answered(engine) == 2, "both answers")
        await pilot.press(*"/row test 4", "enter")
        await shows(app, pilot, "Row test 4")
        await pilot.press("enter")
        await until(pilot, lambda: _answered(engine) == 4, "both answers to the row")
        await pilot.press(*"/se")
        await shows(app, pilot, "/set [NAME VALUE]")
        await settled(app, pilot)
        save(app, "chat")


def _answered(engine: LocalEngine) -> int:
    return sum(isinstance(handle.request, ChatTurn) and handle.status.ended for handle in engine.handles())


async def jump(runs: Path, run: RunFolder) -> None:
    async with opened(runs, run) as (app, pilot):
        app.go("train")
        await shows(app, pilot, "Finished", "exact_match")
        await pilot.press("semicolon")
        await shows(app, pilot, "a letter goes where it stands")
        save(app, "jump")


async def runs_list(runs: Path, run: RunFolder) -> None:
    async with opened(runs, run) as (app, pilot):
        app.go("runs")
        await shows(app, pilot, *(other.name[:12] for other in (MAIN, *OTHERS)))
        save(app, "runs")


PICTURES: dict[str, Picture] = {
    "home": home,
    "models": models,
    "data": data,
    "config": config,
    "train": live,
    "finished": finished,
    "probes": probes,
    "benchmark": benchmark,
    "chat": chat,
    "runs": runs_list,
    "jump": jump,
}


def _pretend() -> None:
    """Has the app count from the pictures' time of day, on a machine of 64 GB, with the checkout in a home folder."""
    ago, model_details = fmt.ago, modelshelves.model_details

    def elsewhere(path: str) -> ModelDetails:
        details = model_details(path)
        seen = details.inspection
        facts = replace(seen.facts, path=seen.facts.path.replace(str(ROOT), "~/tui_tuner"))
        return replace(details, inspection=replace(seen, facts=facts))

    sizes.this_machine = lambda: sizes.room(64 * 10**9, 48 * 10**9)
    fmt.ago = lambda then, now=None: ago(then, NOW if now is None else now)
    modelshelves.model_details = elsewhere


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the pictures."""
    parser = argparse.ArgumentParser(description="Draw the pictures of README and guide.")
    parser.add_argument("--runs", type=Path, default=ROOT / "build" / "screenshots", help="where trained runs are kept")
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=list(PICTURES), help="draw these alone")
    parser.add_argument("--again", action="store_true", help="train the runs anew")
    options = parser.parse_args(arguments)
    os.environ.update(TZ="UTC", TEXTUAL_ANIMATIONS="none")
    time.tzset()
    _pretend()
    runs = options.runs.resolve()
    for run in (MAIN, *OTHERS) if options.again else ():
        shutil.rmtree(runs / run.name, ignore_errors=True)
    runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as own:
        os.environ["TUI_TUNER_CONFIG"] = own
        main_run, *_ = [record(run, runs) for run in (MAIN, *OTHERS)]
        for name in options.only:
            asyncio.run(PICTURES[name](runs, main_run))
    return 0


if __name__ == "__main__":
    sys.exit(main())
