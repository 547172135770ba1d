"""The start does nothing that can wait until the first frame is drawn."""

from __future__ import annotations

import gc

import pytest

from tests.ui.conftest import Drive
from tests.ui.looking import until
from tui_tuner.cli import screen
from tui_tuner.errors import TunerError


async def test_the_collector_works_from_the_first_frame_on_and_leaves_alone_what_was_there(drive: Drive) -> None:
    before = gc.get_freeze_count()
    with screen._collector_waiting():
        assert not gc.isenabled()
        async with drive() as (_, pilot):
            await until(pilot, gc.isenabled, "the collector works")
            assert gc.get_freeze_count() > before
    assert gc.isenabled()


def test_without_a_terminal_the_collector_is_left_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "has_terminal", lambda: False)
    monkeypatch.setattr(screen, "in_browser", lambda: False)
    with pytest.raises(TunerError):
        screen.open_workbench(None)
    assert gc.isenabled()
