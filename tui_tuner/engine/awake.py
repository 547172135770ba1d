"""Keeps a Mac from falling asleep in the middle of a run."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def kept_awake(platform: str = sys.platform) -> Iterator[bool]:
    """Holds a sleep assertion while open, on macOS; gives whether it does.

    `caffeinate -w` watches this process, so that the assertion ends even when the process is killed. The display may
    sleep. A closed lid without power still puts the machine to sleep; the run then goes on when it wakes.
    """
    program = shutil.which("caffeinate") if platform == "darwin" else None
    if program is None:
        yield False
        return
    try:
        process = subprocess.Popen(
            [program, "-i", "-m", "-s", "-w", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
