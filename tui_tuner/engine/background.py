"""Starts this program once more in a process of its own, which outlives whoever started it.

It leads a session of its own, so neither an interrupt in the terminal nor its end reaches it, and it holds no folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def start(words: list[str], log: Path, *, spoken_to: bool = False) -> subprocess.Popen[bytes]:
    """Starts `tui-tuner` with these words.

    Args:
        words: the command and its arguments; paths in them must be absolute.
        log: what it prints is added to this file.
        spoken_to: whether its standard input is a pipe, else there is none.

    Raises:
        OSError: the file cannot be opened, or there is no room for another process.
    """
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "tui_tuner", *words],
            stdin=subprocess.PIPE if spoken_to else subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            cwd=os.sep,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
