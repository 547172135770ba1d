"""What a rank and the one who started it say to each other, through the launcher: lines on stdout and stdin.

A rank says who it is, that it lives, why it failed and that it has ended; it hears when all are there. Lines of several
ranks come through one pipe, and others print there too, so whatever is no message is passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from tui_tuner import __version__
from tui_tuner.errors import TunerError
from tui_tuner.versions import installed

GO = "go"
BEAT = 5.0
"""Seconds between two signs of life."""
_MARK = "tui-tuner-rank"
_PATIENCE = 120.0  # seconds in which a rank whose launcher is gone must have stopped and saved


def digest_of(config: Path) -> str:
    """What identifies a run's configuration; empty when it cannot be read."""
    try:
        return hashlib.sha256(config.read_bytes()).hexdigest()
    except OSError:
        return ""


def versions() -> str:
    """What must be the same on all machines."""
    return f"tui-tuner {__version__}, mlx {installed('mlx')}, mlx-lm {installed('mlx-lm')}"


def heard(line: str) -> dict[str, Any] | None:
    """A rank's message in a line of the launcher's output, or None."""
    start = line.find(f'{{"{_MARK}"')
    if start < 0:
        return None
    try:
        message = json.loads(line[start:])
    except (ValueError, RecursionError):
        return None
    good = isinstance(message, dict) and isinstance(message.get(_MARK), int) and isinstance(message.get("say"), str)
    return {**message, "rank": message[_MARK]} if good else None


class Post:
    """A rank's side: says what there is to say, beats, and listens for the word to begin and for the launcher's end.

    Args:
        rank: who speaks.
        out: where to; what the process prints otherwise must go elsewhere.
        stdin: the descriptor that is listened to.
    """

    def __init__(self, rank: int, out: TextIO, stdin: int = 0) -> None:
        self._rank, self._out, self._stdin = rank, out, stdin
        self._writing = threading.Lock()
        self._all_there, self._ended = threading.Event(), threading.Event()
        self._lost: Callable[[], None] | None = None
        self._is_lost = False

    def begin(self, config: Path) -> None:
        """Says who this is, and goes on saying that it lives."""
        self._say("hello", pid=os.getpid(), host=socket.gethostname(), config=digest_of(config), versions=versions())
        for work in (self._beat, self._listen):
            threading.Thread(target=work, name="tui-tuner-post", daemon=True).start()

    def wait_for_all(self) -> bool:
        """Waits for the word that all ranks are there; False when the launcher has gone instead."""
        self._all_there.wait()
        return not self._is_lost

    def when_lost(self, act: Callable[[], None]) -> None:
        """Has something done when the launcher goes: once, from another thread, and at once when it has gone already.
        A process that is still there two minutes later, in a collective that never ends, is ended.
        """
        self._lost = act
        if self._is_lost:
            act()

    def failed(self, error: TunerError) -> None:
        """Says why this rank ends."""
        self._say("failed", **error.as_json()["error"])

    def ended(self, status: str) -> None:
        """Says that this rank has done what it was to do."""
        self._ended.set()
        self._say("ended", status=status)

    def _say(self, what: str, **fields: Any) -> None:
        line = json.dumps({_MARK: self._rank, "say": what, **fields}) + "\n"
        with self._writing:
            try:
                self._out.write(line)
                self._out.flush()
            except (OSError, ValueError):  # nobody listens any more
                pass

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            self._say("alive")

    def _listen(self) -> None:
        # The descriptor itself: a thread inside a buffered reader would hold up the interpreter's end.
        text = b""
        while True:
            try:
                piece = os.read(self._stdin, 4096)
            except OSError:
                piece = b""
            if not piece:
                break
            text = (text + piece)[-4096:]
            if GO.encode() in text:
                self._all_there.set()
        self._is_lost = True
        self._all_there.set()
        if self._lost is not None:
            self._lost()
        if not self._ended.wait(_PATIENCE):
            os._exit(1)
