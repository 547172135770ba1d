"""Disks full, slow or read-only, folders that vanish, clocks that jump, terminals that close: the app lives on."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import START, FakeEngine, RunBuilder, going
from tests.ui.looking import notices, until
from tests.ui.measured import measured
from tests.ui.workshop import experiment
from tui_tuner.engine.protocol import JobStatus
from tui_tuner.runs import EventLog
from tui_tuner.ui.actions import MODES

Build = Callable[..., RunBuilder]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
async def test_a_run_that_cannot_be_made_is_told(
    number: int, drive: Drive, engine: FakeEngine, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), str(self))

    async with drive() as (app, pilot):
        app.set_experiment(experiment())
        await pilot.pause()
        monkeypatch.setattr(Path, "mkdir", refuse)
        await pilot.press("f5")
        await until(pilot, lambda: notices(app), "it is told")
        monkeypatch.undo()
        assert engine.submitted == [] or all(type(each).__name__ != "RunExperiment" for each in engine.submitted)
        assert list(runs_dir.iterdir()) == [] and "Traceback" not in notices(app)[0]


async def test_every_screen_lives_on_when_the_runs_vanish(
    drive: Drive, engine: FakeEngine, build: Build, runs_dir: Path
) -> None:
    run = measured(build("players"))
    live = build("live", "20251010-085320").prepared().train(1, 40)
    going(engine, live)
    async with drive() as (app, pilot):
        app.set_experiment(experiment())
        app.select_run(run.folder)
        app.go("benchmark")
        await pilot.pause()
        app.select_run(live.folder)
        shutil.rmtree(runs_dir)
        for mode in MODES:
            app.go(mode)
            await until(pilot, lambda mode=mode: app.current_mode == mode and app.screen.query("#body"), mode)
            for _ in range(6):
                app.beat()
            app.desk.look()
            await pilot.pause()
        assert app.mishaps == []


async def test_a_clock_that_jumps_takes_neither_time_nor_sense(drive: Drive, engine: FakeEngine, build: Build) -> None:
    """Summer time, a laptop that slept, a clock that was set: elapsed and time left stay what they can be."""
    live = build("live").prepared()
    going(engine, live)
    async with drive() as (app, pilot):
        app.select_run(live.folder)
        app.go("train")
        for jump in (0.0, -7_200.0, 86_400.0 * 400, -86_400.0 * 800):
            live.now += jump
            last = app.state.follower.view.step if app.state.follower is not None else 0
            live.train(last + 1, last + 20)
            app.clock = lambda now=live.now: now + 5.0
            for _ in range(6):
                app.beat()
            await pilot.pause()
            view = app.state.follower.view  # type: ignore[union-attr]
            for now in (live.now, START - 1e6, live.now + 1e6):
                left = view.eta_seconds(now)
                assert 0 <= view.elapsed_at(now) < 4 * 3600 and (left is None or 0 <= left < 1e7), (jump, now, left)
        assert app.mishaps == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
async def test_a_terminal_that_closes_stops_and_saves(
    name: str, drive: Drive, engine: FakeEngine, build: Build
) -> None:
    live = going(engine, build("live").prepared().train(1, 20))
    handle = engine.handles()[0]
    engine.may_end.clear()
    async with drive() as (app, pilot):
        await until(
            pilot, lambda: signal.getsignal(getattr(signal, name)) not in (signal.SIG_DFL, signal.SIG_IGN), name
        )
        signal.raise_signal(getattr(signal, name))
        await until(pilot, lambda: handle.control.stop_requested, "the run is asked to stop")
        assert app.stopping and handle.status is JobStatus.RUNNING
        live.finish("stopped", "shutdown")
        engine.end(handle, status=JobStatus.STOPPED)
        engine.may_end.set()
        await until(pilot, lambda: app._exit, "the app leaves")
    assert engine.shut_down


async def test_a_slow_disk_is_felt_by_who_writes_and_not_by_who_looks(
    drive: Drive, engine: FakeEngine, build: Build, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a run's log takes its time, the thread that draws writes nothing below the runs, and goes on drawing."""
    live = build("live").prepared()
    going(engine, live)
    opened: dict[int, str] = {}
    drawing, wrote_while_drawing = threading.get_ident(), list[str]()
    really_open, turns = os.open, list[int]()

    def remember(path: Any, *arguments: Any, **options: Any) -> int:
        descriptor = really_open(path, *arguments, **options)
        opened[descriptor] = str(path)
        return descriptor

    def slowly(real: Callable[..., Any], path_of: Callable[[Any], str]) -> Callable[..., Any]:
        def act(what: Any, *arguments: Any, **options: Any) -> Any:
            if (path := path_of(what)).startswith(str(runs_dir)):
                if threading.get_ident() == drawing:
                    wrote_while_drawing.append(path)
                else:
                    time.sleep(0.2)
            return real(what, *arguments, **options)

        return act

    def write() -> None:
        with EventLog(live.folder.events) as log:
            for step in range(1, 4):
                log.append("train", step=step, loss=1 / step)
                log.append("checkpoint", step=step, path=f"{step}.safetensors", best=False)

    async with drive() as (app, pilot):
        app.select_run(live.folder)
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", remember)
            patch.setattr(os, "write", slowly(os.write, lambda descriptor: opened.get(descriptor, "")))
            patch.setattr(os, "fsync", slowly(os.fsync, lambda descriptor: opened.get(descriptor, "")))
            patch.setattr(os, "replace", slowly(os.replace, str))
            writer = threading.Thread(target=write)
            writer.start()
            modes = list(MODES)
            while writer.is_alive():
                app.go(modes[len(turns) % len(modes)])
                app.beat()
                await pilot.pause()
                turns.append(app.state.follower.view.step if app.state.follower is not None else 0)
            writer.join()
        await until(pilot, lambda: app.state.follower is not None and app.state.follower.view.step == 3, "all is read")
        assert wrote_while_drawing == [] and app.mishaps == []
    assert len(turns) > 3 and len(set(turns)) > 1, turns  # it drew meanwhile, and what had come by then
