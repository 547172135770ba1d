"""A run's end is told outside the app only when the terminal is not in front, and no text can break out of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import until
from tests.ui.workshop import HOSTILE
from tui_tuner.settings import Settings
from tui_tuner.ui.notifying import sequences, system_command, tell

Build = Callable[..., RunBuilder]


def test_terminals_get_both_sequences_and_tmux_passes_them_on() -> None:
    assert sequences("run", "finished", tmux=False) == "\x1b]9;run: finished\x07\x1b]777;notify;run;finished\x07"
    wrapped = sequences("run", "done", tmux=True)
    assert wrapped == "\x1bPtmux;\x1b\x1b]9;run: done\x07\x1b\\\x1bPtmux;\x1b\x1b]777;notify;run;done\x07\x1b\\"


def test_no_text_breaks_out_of_a_sequence() -> None:
    told = sequences("a;b" + HOSTILE, HOSTILE + "x" * 10_000, tmux=False)
    assert told.count("\x1b") == 2 and told.count("\x07") == 2
    assert told.count(";") == 1 + 3
    assert len(told) < 1_000


def test_a_system_gets_texts_as_arguments() -> None:
    hostile = '" & (do shell script "touch x") & "'
    on_mac = system_command("t", hostile, "darwin")
    assert on_mac is not None and on_mac[-2:] == ["t", hostile] and hostile not in on_mac[2]


def test_a_program_that_is_not_there_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr("tui_tuner.ui.notifying.system_command", lambda title, text: ["/nonexistent/program"])
    assert not tell("system", "a", "b", written.append)
    monkeypatch.setattr("tui_tuner.ui.notifying.system_command", lambda title, text: None)
    assert not tell("system", "a", "b", written.append)
    assert not tell("off", "a", "b", written.append)
    assert written == []


@pytest.mark.parametrize(
    ("how", "in_front", "sent"), [("terminal", False, 1), ("terminal", True, 0), ("off", False, 0)]
)
async def test_the_end_of_a_run_is_told(
    how: str, in_front: bool, sent: int, drive: Drive, engine: FakeEngine, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    from tui_tuner.runs import RunLock

    builder = build().prepared().train(1, 60)
    async with drive(settings=Settings(notify=how)) as (app, pilot):
        written: list[str] = []
        assert app._driver is not None
        monkeypatch.setattr(app._driver, "write", written.append)
        app.app_focus = in_front
        with RunLock(builder.folder):
            app.select_run(builder.folder)
            await until(pilot, lambda: app.state.follower is not None and app.state.follower.active)
            builder.evaluated().finish()
        await until(pilot, lambda: app._last_seen[1].value == "finished")
        told = [each for each in written if "]777;notify;" in each]
        assert len(told) == sent
        if sent:
            assert builder.folder.name[:8] in told[0] and "finished" in told[0]
