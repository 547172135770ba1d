"""The workbench in a process and on a terminal of its own, which can be looked at, typed on and closed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.commands import ROOT

PATIENCE = 240.0
"""Seconds after which what was waited for is taken not to come."""


class Terminal:
    """A terminal with a program of ours in front.

    Args:
        arguments: of `tui-tuner`.
        size: rows and columns.
    """

    def __init__(self, *arguments: str | Path, size: tuple[int, int] = (30, 110)) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LEAD, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._drawn = bytearray()
        self._open = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while self._open:
            if select.select([self._master], [], [], 0.05)[0]:
                try:
                    self._drawn += os.read(self._master, 65536)
                except OSError:
                    return

    def type(self, keys: str) -> None:
        """Types keys."""
        os.write(self._master, keys.encode())

    @property
    def drawn(self) -> str:
        """All that was drawn so far, control sequences and all."""
        return self._drawn.decode("utf-8", "replace")

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Waits for a condition while the program lives; fails with the end of what was drawn when it does not come."""
        wait_for(condition, lambda: f"{what}; it drew: {self.drawn[-2000:]!r}", self.process)

    def close(self) -> None:
        """Closes the terminal as a window is closed: the program gets a SIGHUP, and can read and write no more."""
        self._open = False
        self._reader.join()
        with contextlib.suppress(OSError):
            os.close(self._master)

    def kill(self) -> None:
        """Ends the program, whatever it does, and the terminal."""
        self.process.kill()
        self.process.wait(60)
        if self._open:
            self.close()


def wait_for(condition: Callable[[], object], what: Callable[[], str], process: subprocess.Popen[Any]) -> None:
    """Waits for a condition as long as a process lives."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            assert condition(), f"it ended with {process.returncode}: {what()}"


# The terminal becomes the one that controls the new session, so that closing it is a SIGHUP.
_LEAD = (
    "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "from tui_tuner.__main__ import main; sys.argv[0] = 'tui-tuner'; sys.exit(main())"
)
