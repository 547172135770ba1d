"""A training log of another program on the train screen: followed as it grows, and never steered."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import notices, shown, until
from tests.unit.test_log_watch import BEGIN, HEADER, OVERFIT, report, written
from tui_tuner.settings import Settings
from tui_tuner.ui.app import TunerApp
from tui_tuner.ui.widgets.keybar import KeyBar
from tui_tuner.ui.widgets.losschart import LossChart

SIZES = [(80, 24), (120, 40)]
DONE = "Saved final weights to adapters/adapters.safetensors.\n"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a log will be: in the folder that somebody stands in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "train.log"


def bar(app: TunerApp) -> str:
    return str(app.screen.query_one(KeyBar).render())


async def test_a_log_is_followed_as_it_grows(drive: Drive, log: Path) -> None:
    now = time.time()
    written(log, HEADER + BEGIN, now)
    async with drive(log=log, size=(80, 24)) as (app, pilot):
        await until(pilot, lambda: "log train.log" in shown(app) and "watched from outside" in shown(app))
        assert app.current_mode == "train" and "● training" in shown(app)
        written(log, report(20, 2.0) + report(40, 1.9, 1.7), now)
        await until(pilot, lambda: "40/600" in shown(app))
        await until(
            pilot, lambda: re.search(r"9(\.\d)? min left", shown(app)), "560 seconds, less what passes meanwhile"
        )
        chart = app.screen.query_one(LossChart)
        assert list(chart.series[0].x) == [20.0, 40.0]
        written(log, OVERFIT[OVERFIT.index("Iter 60:") :] + DONE, now)
        await until(pilot, lambda: "Finished." in shown(app) and "a shows what looked wrong" in shown(app))
        await pilot.press("a")
        await until(pilot, lambda: "the model learns the rows" in " ".join(shown(app).replace("│", "").split()))


async def test_what_cannot_work_is_not_offered_and_says_why(drive: Drive, engine: FakeEngine, log: Path) -> None:
    written(log, HEADER + BEGIN + report(20, 2.0), time.time())
    async with drive(log=log) as (app, pilot):
        await until(pilot, lambda: "20/600" in shown(app))
        for word in ("Pause", "Stop", "Resume"):
            assert word not in bar(app)
        assert "Log scale" in bar(app)
        keys = {"space": "Pause", "p": "Pause", "s": "Stop", "r": "Resume", "e": "Validate now", "c": "Checkpoint now",
                "w": "Finish after this epoch", "n": "Rate"}  # fmt: skip
        for key, label in keys.items():
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: len(notices(app)) == 1, key)
            assert notices(app)[0].startswith(f"{label} is not possible here: another program writes train.log.")
        assert engine.submitted == []


async def test_keys_of_ones_own_say_so_too(drive: Drive, log: Path) -> None:
    written(log, HEADER + BEGIN + report(20, 2.0), time.time())
    async with drive(log=log, settings=Settings(keys={"train.stop": "f7"})) as (app, pilot):
        await until(pilot, lambda: "20/600" in shown(app))
        await pilot.press("s")
        assert notices(app) == []
        await pilot.press("f7")
        await until(pilot, lambda: notices(app) and notices(app)[0].startswith("Stop is not possible here"))


async def test_a_log_that_vanishes_and_another_that_takes_its_place(drive: Drive, log: Path) -> None:
    written(log, HEADER + BEGIN + OVERFIT, time.time())
    async with drive(log=log) as (app, pilot):
        await until(pilot, lambda: "600/600" in shown(app))
        log.unlink()
        await until(pilot, lambda: "no longer there" in shown(app) and "600/600" in shown(app))
        written(log, HEADER + BEGIN + report(20, 2.5), time.time())
        await until(pilot, lambda: "20/600" in shown(app))
        assert "no longer there" not in shown(app)
        assert list(app.screen.query_one(LossChart).series[0].x) == [20.0]


async def test_a_large_file_is_read_without_blocking_and_may_be_no_log(
    drive: Drive, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_tuner.ui.logfollower.LARGE", 100)
    log.write_text("It was a dark and stormy night.\n" * 300)
    async with drive(log=log) as (app, pilot):
        await until(pilot, lambda: "holds no training log of mlx-lm" in " ".join(shown(app).split()))
        written(log, HEADER + BEGIN + report(20, 2.5), time.time())
        await until(pilot, lambda: "20/600" in shown(app))


async def test_a_run_chosen_afterwards_takes_the_logs_place(
    drive: Drive, log: Path, build: Callable[..., RunBuilder]
) -> None:
    written(log, HEADER + BEGIN + report(20, 2.5), time.time())
    builder = build().prepared().train(1, 40).finish("stopped")
    async with drive(log=log) as (app, pilot):
        await until(pilot, lambda: "20/600" in shown(app))
        await pilot.press("5")
        await until(pilot, lambda: "A log of another program has no benchmark" in shown(app))
        app.select_run(builder.folder)
        app.go("train")
        await until(pilot, lambda: "Stopped and saved at step 40" in shown(app) and "baseline" in shown(app))
        assert "watched from outside" not in shown(app) and "Resume" in bar(app)


async def test_a_silent_log_is_called_quiet(drive: Drive, log: Path) -> None:
    written(log, HEADER + BEGIN + report(20, 2.0) + report(40, 1.9), time.time() - 3600)
    async with drive(log=log) as (app, pilot):
        await until(pilot, lambda: "↯ quiet" in shown(app) and re.search(r"Nothing new for 1:0\d:\d\d", shown(app)))


async def test_hostile_text_in_a_log_is_inert(drive: Drive, log: Path) -> None:
    hostile = "[bold red]x[/] \u202eab"
    written(log, f"[WARNING] {hostile}\n" + HEADER + BEGIN + f"[WARNING] {hostile}\n" + report(20, 2.0), time.time())
    async with drive(log=log) as (app, pilot):
        await until(pilot, lambda: "[bold red]x[/] ‹rlo›ab" in shown(app))


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_picture(
    snap_compare: Callable[..., bool], engine: FakeEngine, log: Path, size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    written(log, HEADER + BEGIN + OVERFIT[: OVERFIT.index("Iter 480")])
    app = TunerApp(engine=engine, runs_dir=log.parent, log=log)
    app.clock = lambda: 5004.0

    async def prepare(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "460/600" in shown(app) and "by heart" in " ".join(shown(app).split()))

    assert snap_compare(app, terminal_size=size, run_before=prepare)
