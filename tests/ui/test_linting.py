"""The look at every row while it goes on: how far it is, when it will be through, and how it is ended."""

from __future__ import annotations

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine
from tests.ui.linted import PROBLEMS, with_problems
from tests.ui.looking import shown, until
from tests.ui.workshop import experiment, open_mode
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import ScanData


async def test_the_linter_tells_how_far_it_is_and_is_stopped_with_a_key(drive: Drive, engine: FakeEngine) -> None:
    asked: list[JobHandle] = []
    found = with_problems(PROBLEMS)

    def answer(handle: JobHandle) -> None:
        if isinstance(handle.request, ScanData) and not asked:
            asked.append(handle)
            return
        found(handle)

    engine.answer = answer
    async with drive() as (app, pilot):
        await open_mode(pilot, "data", made=experiment())
        await until(pilot, lambda: "the linter looks at every row …" in shown(app))
        assert "X stops it" not in shown(app), "it has not begun"
        handle = asked[0]
        progress = handle.request.progress
        progress(100, 1000, now=10.0)
        progress(340, 1000, now=22.0)
        await until(pilot, lambda: "34%, 33 s left; X stops it" in shown(app))
        await pilot.press("X")
        assert handle.control.stop_requested
        handle.status = JobStatus.STOPPED
        engine.tell()
        await until(pilot, lambda: "the linter was stopped; r has it look at every row again" in shown(app))
        assert not app.screen.check_action("halt", ()), "there is nothing to stop"
        await pilot.press("r")
        await until(pilot, lambda: "✗ 1 error" in shown(app))
