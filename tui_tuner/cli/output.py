"""What the command line says: results on stdout, progress and errors on stderr, one JSON document with `--json`.

While a job runs, descriptors 1 and 2 belong to its log, so everything here writes to duplicates made at the start.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TextIO

from tui_tuner.errors import TunerError

# What a terminal acts on, but for line feed and tab, and what turns the direction of text round: a model's answer or a
# file's name must not steer it.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"


@dataclass
class Output:
    """The two streams a person or a script reads, and whether JSON is wanted."""

    out: TextIO
    err: TextIO
    json: bool = False
    debug: bool = False

    def say(self, text: str = "") -> None:
        """A line of the result, for people."""
        self._write(self.out, text + "\n")

    def note(self, text: str) -> None:
        """A line of progress."""
        self._write(self.err, text + "\n")

    def document(self, value: Any) -> None:
        """The one JSON document."""
        from tui_tuner.runs.files import plain_json

        plain, _ = plain_json(value)
        self._write(self.out, json.dumps(plain, ensure_ascii=False) + "\n")

    def stream(self, text: str) -> None:
        """Part of a text that is still growing; as it is when it goes into a pipe or a file."""
        self._write(self.out, text)

    def error(self, error: TunerError) -> None:
        """A failure: a sentence on stderr, or the error document on stdout."""
        if self.json:
            self.document(error.as_json())
        else:
            self._write(self.err, f"tui-tuner: {error.sentence()}\n")

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        if stream.isatty():
            text = _CONTROL.sub(_shown, text)
        # A reader that went away (`| head`) ends the output, not the job.
        with contextlib.suppress(BrokenPipeError):
            stream.write(text)
            stream.flush()


@contextlib.contextmanager
def opened(*, json: bool = False, debug: bool = False) -> Iterator[Output]:
    """An `Output` on duplicates of stdout and stderr."""
    out = _duplicate(1, sys.stdout)
    err = _duplicate(2, sys.stderr)
    try:
        yield Output(out, err, json, debug)
    finally:
        for stream in (out, err):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
            if stream not in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.close()


def _duplicate(descriptor: int, stream: TextIO) -> TextIO:
    """A stream of its own on the same target; a stream that is no descriptor's (a test's buffer) is used as it is."""
    try:
        if stream.fileno() != descriptor:
            return stream
        return open(os.dup(descriptor), "w", encoding="utf-8", errors="backslashreplace", buffering=1)  # noqa: PTH123
    except (OSError, ValueError, AttributeError):
        return stream


def has_terminal() -> bool:
    """Whether a person sits in front: both input and output are a terminal."""
    try:
        return sys.stdin.isatty() and sys.stdout.isatty()
    except (ValueError, AttributeError):
        return False
