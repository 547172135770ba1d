"""The terminal while the workbench has it: nothing else writes there, and it is given back as it was."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from tests.support.commands import Tuner, tuner
from tui_tuner.cli import screen
from tui_tuner.paths import config_dir

__all__ = ["tuner"]


class FakeEngine:
    ended = True

    def shutdown(self, timeout: float) -> bool:
        return self.ended


class FakeApp:
    """Stands for the app: it remembers how it was made, and does on the terminal what a test says."""

    made: ClassVar[list[dict[str, Any]]] = []
    does: Any = staticmethod(lambda: 0)

    def __init__(self, **options: Any) -> None:
        self.made.append(options)
        self.writer = self

    def finish(self, timeout: float) -> None:
        """As the writer of transcripts."""
        self.made.append({"finished": timeout})

    def run(self) -> int | None:
        return FakeApp.does()  # type: ignore[no-any-return]


@pytest.fixture
def workbench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[FakeApp]:
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "settings"))
    monkeypatch.setattr(screen, "has_terminal", lambda: True)
    monkeypatch.setattr("tui_tuner.ui.app.TunerApp", FakeApp)
    monkeypatch.setattr("tui_tuner.engine.worker.LocalEngine", FakeEngine)
    monkeypatch.setattr(FakeApp, "made", [])
    return FakeApp


def test_a_stray_print_goes_to_the_log_and_the_app_to_the_terminal(
    workbench: type[FakeApp], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def app() -> int:
        os.write(1, b"a library says something\n")
        os.write(2, b"and another one\n")
        logging.getLogger("tui_tuner.somewhere").warning("noted by us: %s", "ä")
        assert sys.__stdout__ is not None
        sys.__stdout__.write("a frame\n")
        sys.__stdout__.flush()
        print("printed")
        return 3

    monkeypatch.setattr(workbench, "does", staticmethod(app))
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    assert screen.open_workbench(None, preset="quickstart", autostart=True) == 3
    assert (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) == streams
    os.write(1, b"afterwards\n")
    assert capfd.readouterr().out == "a frame\nprinted\nafterwards\n"
    log = (config_dir() / "app.log").read_text()
    assert log == "a library says something\nand another one\nnoted by us: ä\n"
    assert (config_dir() / "app.log").stat().st_mode & 0o777 == 0o600
    (options,) = workbench.made
    assert (options["preset"], options["autostart"], options["run"]) == ("quickstart", True, None)


def test_an_app_that_fails_gives_the_terminal_back(workbench: type[FakeApp], monkeypatch: pytest.MonkeyPatch) -> None:
    def app() -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(workbench, "does", staticmethod(app))
    stdout, handlers = sys.stdout, list(logging.getLogger("tui_tuner").handlers)
    with pytest.raises(ZeroDivisionError):
        screen.open_workbench(None)
    assert sys.stdout is stdout and logging.getLogger("tui_tuner").handlers == handlers and gc.isenabled()


def test_where_settings_cannot_be_written_the_log_is_a_temporary_file(
    workbench: type[FakeApp], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "settings").write_text("a file where a folder should be")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(workbench, "does", staticmethod(lambda: None))
    assert screen.open_workbench(None) == 0
    assert list(tmp_path.glob("tui-tuner-*.log"))


def test_a_worker_deep_in_a_library_does_not_abort_the_end(
    workbench: type[FakeApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = []
    monkeypatch.setattr(FakeEngine, "ended", False)
    monkeypatch.setattr(screen.os, "_exit", left.append)
    monkeypatch.setattr(workbench, "does", staticmethod(lambda: 4))
    screen.open_workbench(None)
    assert left == [4]
    assert workbench.made[-1] == {"finished": 30.0}, "what a chat said is written before"


def test_a_browsers_window_needs_no_terminal(
    workbench: type[FakeApp], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(screen, "has_terminal", lambda: False)
    monkeypatch.setattr(screen, "in_browser", lambda: True)
    assert screen.open_workbench(tmp_path / "runs", overrides=["train.iters=3"]) == 0
    assert workbench.made[0]["runs_dir"] == tmp_path / "runs"


def test_attach_on_a_terminal_opens_the_run(
    tuner: Tuner, workbench: type[FakeApp], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tests.ui.fakes import RunBuilder
    from tui_tuner.cli import output

    monkeypatch.setattr(output, "has_terminal", lambda: True)
    folder = RunBuilder(tmp_path).prepared().folder
    assert tuner("attach", "last").status == 0
    assert workbench.made[0]["run"] == folder.path
    assert tuner("attach", "nobody").status == 2 and len(workbench.made) == 1


def test_a_chat_without_a_prompt_opens_with_what_was_chosen(
    tuner: Tuner, workbench: type[FakeApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_tuner.cli import output

    said = tuner("chat", "embedded:phi3-tiny")
    assert said.status == 2 and 'give one with --prompt "…"' in said.err
    monkeypatch.setattr(output, "has_terminal", lambda: True)
    said = tuner("chat", "embedded:phi3-tiny", "--system", "be short", "--sampling", "lively", "--seed", "3", "--plain")
    assert said.status == 0, said.err
    chat = workbench.made[0]["chat"]
    assert (chat.system, chat.sampling.seed, chat.plain) == ("be short", 3, True)
    assert tuner("chat", "./no-such-model").status != 0 and len(workbench.made) == 1
    assert tuner("chat", "embedded:phi3-tiny", "--adapter", "no-such-adapter").status != 0
    assert tuner("chat", "embedded:phi3-tiny", "--json").status == 2 and len(workbench.made) == 1


def test_a_terminal_that_is_gone_holds_nobody_up() -> None:
    """Textual writes in a thread behind a short queue: were it to end with the terminal, all would wait."""
    reader, descriptor = os.pipe()
    os.close(reader)
    terminal = screen.Lasting(descriptor)
    output = WriterThread(terminal)
    output.start()

    def draw() -> None:
        for _ in range(10 * MAX_QUEUED_WRITES):
            output.write("─" * 4_000)
        output.stop()

    app = threading.Thread(target=draw, daemon=True)
    app.start()
    app.join(20)
    assert not app.is_alive() and not output.is_alive()
    with contextlib.suppress(OSError):
        terminal.close()
