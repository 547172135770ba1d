"""What all tests of the interface use: an app on doubles, and a way to wait that is a condition, never a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import at_rest
from tui_tuner.ui.app import TunerApp

Drive = Callable[..., AbstractAsyncContextManager[tuple[TunerApp, Pilot[Any]]]]


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps a person's own settings, presets and runs out of the tests."""
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("TUI_TUNER_RUNS", raising=False)
    monkeypatch.delenv("TUI_TUNER_DEBUG", raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    path = tmp_path / "runs"
    path.mkdir()
    return path


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def build(runs_dir: Path) -> Callable[..., RunBuilder]:
    """Makes run folders in the test's own place."""
    return lambda *args, **kwargs: RunBuilder(runs_dir, *args, **kwargs)


@pytest.fixture
def drive(engine: FakeEngine, runs_dir: Path) -> Drive:
    """Runs the app headless; at the end no exception may have been turned into a notice."""

    @asynccontextmanager
    async def driven(
        *, size: tuple[int, int] = (120, 40), mishaps: bool = False, **kwargs: Any
    ) -> AsyncIterator[tuple[TunerApp, Pilot[Any]]]:
        app = TunerApp(engine=kwargs.pop("engine", engine), runs_dir=kwargs.pop("runs_dir", runs_dir), **kwargs)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            yield app, pilot
        assert mishaps or app.mishaps == []

    return driven


@pytest.fixture
def snap_compare(snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
    """Compares a picture that has come to rest, in which no cursor blinks.

    On a busy machine a layout may still be under way, and a cursor that is told to stop may blink once more.
    """
    monkeypatch.setattr(Input, "_toggle_cursor", lambda field: None)
    monkeypatch.setattr(TextArea, "_toggle_cursor_blink_visible", lambda field: None)

    def compare(app: TunerApp, *, run_before: Callable[[Pilot[Any]], Awaitable[None]], **kwargs: Any) -> bool:
        async def prepare(pilot: Pilot[Any]) -> None:
            await run_before(pilot)
            await at_rest(pilot)

        return snap_compare(app, run_before=prepare, **kwargs)

    return compare
