"""Opens the workbench on the terminal, and sees to it that nothing else writes there.

Libraries below Python print to descriptors 1 and 2. Before the app starts, the terminal is put on descriptors of its
own, and 1 and 2 go to a log; so a stray print can never tear the screen.
"""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.browser import in_browser
from tui_tuner.cli.output import has_terminal
from tui_tuner.errors import TunerError
from tui_tuner.paths import config_dir
from tui_tuner.paths import runs_dir as runs_place

if TYPE_CHECKING:
    from tui_tuner.ui.state import ChatTarget


@contextlib.contextmanager
def _collector_waiting() -> Iterator[None]:
    """Keeps the collector, until the first frame is drawn, from looking through what the start makes: all of it stays.

    With the first frame the app sets it to work, on what comes after.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@_collector_waiting()
def open_workbench(
    runs_dir: Path | None,
    *,
    preset: str | None = None,
    overrides: Sequence[str] = (),
    autostart: bool = False,
    run: Path | None = None,
    log: Path | None = None,
    chat: ChatTarget | None = None,
) -> int:
    """Opens the app and returns its exit status.

    Raises:
        TunerError: when there is no terminal to open it on.
    """
    if not has_terminal() and not in_browser():
        raise TunerError(
            "the workbench needs a terminal",
            code="no-terminal",
            fix="use `tui-tuner run PRESET` or `tui-tuner chat MODEL --prompt TEXT`, which need none",
            usage=True,
        )
    from tui_tuner.engine.worker import LocalEngine
    from tui_tuner.settings import load_settings
    from tui_tuner.ui.app import TunerApp

    engine = LocalEngine()
    with _terminal_kept():
        app = TunerApp(
            engine=engine,
            runs_dir=runs_place(runs_dir),
            preset=preset,
            overrides=overrides,
            autostart=autostart,
            run=run,
            log=log,
            chat=chat,
            settings=load_settings(),
        )
        status = app.run()
        if not engine.shutdown(timeout=30.0):
            # A worker deep in a library cannot be joined; letting the interpreter end under it would abort. All that a
            # run has done since its last checkpoint is in its events, and the rest is on disk.
            app.writer.finish(timeout=30.0)
            os._exit(status or 0)
    return status or 0


class Lasting(io.TextIOWrapper):
    """Text for a terminal that may be closed at any moment: what comes after that is lost, and nobody fails for it.

    Textual writes in a thread behind a queue of bounded length. Were that thread to end with the terminal, the app
    would wait for room in the queue for ever, and never come to stop and save.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(os.fdopen(descriptor, "wb"), encoding="utf-8", errors="backslashreplace")

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


@contextlib.contextmanager
def _terminal_kept() -> Iterator[None]:
    """Moves the terminal to fresh descriptors behind `sys.__stdout__`/`sys.__stderr__`, and 1 and 2 to a log."""
    log = _log_file()
    saved = [(1, os.dup(1)), (2, os.dup(2))]
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    out = Lasting(os.dup(1))
    err = Lasting(os.dup(2 if os.isatty(2) or in_browser() else 1))
    sys.stdout, sys.stderr = out, err
    sys.__stdout__, sys.__stderr__ = out, err  # type: ignore[misc]
    for descriptor, _ in saved:
        os.dup2(log, descriptor)
    records = logging.StreamHandler(os.fdopen(os.dup(log), "w", encoding="utf-8", errors="backslashreplace"))
    logging.getLogger("tui_tuner").addHandler(records)
    try:
        yield
    finally:
        logging.getLogger("tui_tuner").removeHandler(records)
        for descriptor, copy in saved:
            os.dup2(copy, descriptor)
            os.close(copy)
        sys.stdout, sys.stderr = streams[0], streams[1]
        sys.__stdout__, sys.__stderr__ = streams[2], streams[3]  # type: ignore[misc]
        for stream in (out, err, records.stream):
            with contextlib.suppress(OSError):
                stream.close()
        os.close(log)


def _log_file() -> int:
    """A descriptor of the app's own log; of a temporary file where the settings folder cannot be written."""
    with contextlib.suppress(OSError):
        folder = config_dir()
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / "app.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    descriptor, _ = tempfile.mkstemp(prefix="tui-tuner-", suffix=".log")
    return descriptor
