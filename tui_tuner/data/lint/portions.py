"""Lints a set portion by portion, in this process or in one of its own.

Rules are Python's work, and hold the interpreter that making rows, encoding them and drawing the screen want too. For
many rows a process of its own takes that off them. It is this very module that runs there, so both find the same. It
must never outlive whoever asked, and never leave a problem out because that process ended.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tui_tuner.data.findings import Problem
from tui_tuner.data.lint.facts import LintContext, RowFacts
from tui_tuner.data.lint.linter import Linter
from tui_tuner.data.table import Fault, Place
from tui_tuner.errors import TunerError

MANY = 5_000
"""Rows from which on a process of its own is worth its start, some tenths of a second."""
_ROOT = Path(__file__).resolve().parents[3]
_ENDED = 5.0  # seconds that the process gets to end after it was told to


@dataclass
class Found:
    """What the linter found: its problems, the training answers at a glance, and by code the places it was told."""

    problems: list[Problem]
    answers: dict[str, Any]
    hits: dict[str, list[int]] = field(default_factory=dict)


class Lint(Protocol):
    """Takes what is known of a set, portion by portion, and then tells what it found."""

    def faults(self, faults: Sequence[Fault]) -> None:
        """Takes note of records that could not be read."""

    def refusals(self, refused: Sequence[tuple[Place, TunerError]]) -> None:
        """Takes note of records that no row could be made of, or that could not be rendered."""

    def rows(self, rows: Sequence[tuple[int, RowFacts]]) -> None:
        """Looks at rows, each with a number that its hits are told by."""

    def finish(self) -> Found:
        """What was found. Nothing may be told to it afterwards."""

    def close(self) -> None:
        """Lets go of it, finished or not; asking twice does no harm."""


class LintHere:
    """A linter in this process."""

    def __init__(self, context: LintContext) -> None:
        self._linter = Linter(context)
        self._hits: dict[str, list[int]] = {}

    def faults(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            self._linter.fault(fault)

    def refusals(self, refused: Sequence[tuple[Place, TunerError]]) -> None:
        for place, error in refused:
            self._linter.refusal(place, error)

    def rows(self, rows: Sequence[tuple[int, RowFacts]]) -> None:
        for number, facts in rows:
            for code in self._linter.take(facts):
                self._hits.setdefault(code, []).append(number)

    def finish(self) -> Found:
        return Found(self._linter.finish(), self._linter.answers(), self._hits)

    def close(self) -> None:
        """There is nothing to let go of."""


class LintApart:
    """A linter in a process of its own.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, context: LintContext) -> None:
        paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a screen may be in front; what goes wrong is told in the answer
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # a Ctrl+C is for whoever asked
        )
        self._tell("", context)

    def faults(self, faults: Sequence[Fault]) -> None:
        self._tell("faults", list(faults))

    def refusals(self, refused: Sequence[tuple[Place, TunerError]]) -> None:
        self._tell("refusals", list(refused))

    def rows(self, rows: Sequence[tuple[int, RowFacts]]) -> None:
        self._tell("rows", list(rows))

    def finish(self) -> Found:
        self._tell("finish", None)
        assert self._process.stdout is not None
        try:
            found = pickle.load(self._process.stdout)  # noqa: S301  # from a process of our own
        except (EOFError, pickle.UnpicklingError, OSError):
            raise self._lost() from None
        finally:
            self.close()
        if isinstance(found, str):
            raise RuntimeError(f"the linter failed:\n{found}")
        assert isinstance(found, Found)
        return found

    def close(self) -> None:
        process = self._process
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # it is gone already, and with it what was still to be written
                    stream.close()
        try:
            process.wait(0.0 if process.poll() is not None else _ENDED)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _tell(self, name: str, value: object) -> None:
        stream = self._process.stdin
        assert stream is not None
        try:
            pickle.dump((name, value), stream, pickle.HIGHEST_PROTOCOL)
            stream.flush()
        except OSError:
            raise self._lost() from None

    def _lost(self) -> TunerError:
        return TunerError(
            f"the process that looks for problems in the data ended too early (status {self._process.poll()})",
            code="linter-lost",
            fix="try again; when it goes on ending, look whether there is memory enough",
        )


def lint_of(context: LintContext, rows: int) -> Lint:
    """A linter for so many rows, in the place that suits them."""
    if rows >= MANY:
        with contextlib.suppress(OSError):  # where no process can be started, this one does it
            return LintApart(context)
    return LintHere(context)


def main() -> None:
    """What the process of its own does: obeys until it is told to finish, or whoever asked is gone."""
    told, answer = sys.stdin.buffer, sys.stdout.buffer
    try:
        _, context = pickle.load(told)  # noqa: S301  # from the process that started this one
        lint = LintHere(context)
        while True:
            name, value = pickle.load(told)  # noqa: S301
            if name == "finish":
                break
            getattr(lint, name)(value)
        said: Found | str = lint.finish()
    except EOFError:
        return
    except Exception:
        said = traceback.format_exc()
    with contextlib.suppress(OSError):
        pickle.dump(said, answer, pickle.HIGHEST_PROTOCOL)
        answer.flush()


if __name__ == "__main__":
    # Under its own name, so that what is pickled here is known there.
    from tui_tuner.data.lint import portions  # noqa: PLW0406

    portions.main()
