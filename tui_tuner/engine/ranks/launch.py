"""Starts the ranks of a run by mlx's own launcher and watches them. No mlx in here.

The launcher's exit status says nothing: it is 0 even when ranks crash. And when a rank dies, the others may wait for it
for ever. So the ranks themselves are listened to, and their processes looked at: the first thing that goes wrong is the
failure, and after a short while for rank 0 to write down what happened, what is left is ended.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import IO, Any

import psutil

from tui_tuner.atomic import write_failure
from tui_tuner.engine.ranks.hosts import RankPlan
from tui_tuner.engine.ranks.wire import GO, digest_of, heard, versions
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder

LOG = "launch.log"
"""The file in the run folder that gets what launcher and ranks print beside their messages."""

_STARTS_WITHIN = 180.0  # seconds in which a rank must have said that it is there
_SILENT = 120.0  # seconds without a sign of life after which a rank counts as gone
_GRACE = 20.0  # seconds that the others get after a failure
_LAST_WORDS = 2.0  # seconds in which the cause of a failure may yet be heard
_ENDED = re.compile(r"Node with rank (\d+) (was killed|exited with code (-?\d+))")
_UNSURE = 5.0  # seconds in which a process that has gone may still have said why: its words come through a pipe


@dataclass
class _Rank:
    host: str
    heard: float
    pid: int | None = None  # of a process on this machine
    there: bool = False
    ended: bool = False
    gone_since: float | None = None


class Launch:
    """The ranks of a run, from their start to their end. Belongs to one thread.

    Args:
        folder: the run.
        plan: the ranks.
        command: what starts them, instead of mlx's launcher.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        folder: RunFolder,
        plan: RankPlan,
        command: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._plan, self._clock = folder, plan, clock
        self._command = list(command)
        self._ranks = [_Rank(host, clock()) for host in plan.hosts]
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._readers: list[threading.Thread] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[str] | None = None
        self._begun = False
        self._failed_at, self._failed_rank = 0.0, -1
        self.failure: TunerError | None = None
        """The first thing that went wrong, once something did."""

    def start(self) -> None:
        """Starts the launcher.

        Raises:
            TunerError: when it cannot be, or its output has no place.
        """
        command = self._command or [
            *(sys.executable, "-m", "tui_tuner.engine.ranks.launcher", *self._plan.launcher_options(), "--"),
            *(sys.executable, "-m", "tui_tuner", "rank", str(self._folder.path)),
            *("--of", str(self._plan.size), "--backend", self._plan.backend),
            *("--beside", str(self._plan.most_on_a_host)),
        ]
        log = self._folder.path / LOG
        try:
            self._log = log.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
            # A session of its own: ctrl+c in the terminal is for who started it, who then asks the run to stop.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            if self._log is None:
                raise write_failure(error, log) from error
            self._log.close()
            raise TunerError(
                f"mlx's launcher cannot be started ({error.strerror or error})",
                code="ranks-not-connected",
                fix="end other programs, and try again",
            ) from error
        for stream in (self._process.stdout, self._process.stderr):
            reader = threading.Thread(target=self._read, args=(stream,), name="tui-tuner-launcher", daemon=True)
            reader.start()
            self._readers.append(reader)

    def look(self) -> bool:
        """Takes in what happened since the last look, and ends what must be ended; False once nothing runs."""
        assert self._process is not None
        running = self._process.poll() is None
        if not running:
            for reader in self._readers:  # what was said last
                reader.join(_GRACE)
        with contextlib.suppress(Empty):
            while True:
                self._take(self._lines.get_nowait())
        if self.failure is None or self.failure.code == "rank-lost":
            self._look_for_trouble(running)
        if self.failure is not None and running:
            # Before the word to begin nothing was done, and once rank 0 has ended nothing is left to be written down.
            grace = 0.0 if not self._begun else _LAST_WORDS if self._ranks[0].ended else _GRACE
            if self._clock() - self._failed_at >= grace:
                self.kill()
        return running

    def kill(self) -> None:
        """Ends launcher and ranks at once. Those on other machines notice that their connection is gone."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Ends what still runs, and lets go of the pipes."""
        assert self._process is not None
        if self._process.poll() is None:
            self.kill()
        for reader in self._readers:
            reader.join(_GRACE)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr, self._log):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    # -- what is said -------------------------------------------------------------------------------------------------
    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._lines.put(line.decode("utf-8", "backslashreplace"))

    def _take(self, line: str) -> None:
        message = heard(line)
        if message is None:
            self._note(line)
            return
        number = message["rank"]
        if not 0 <= number < len(self._ranks):
            return
        rank = self._ranks[number]
        rank.heard = self._clock()
        if message["say"] == "hello":
            self._welcome(number, message)
        elif message["say"] == "ended":
            rank.ended = True
        elif message["say"] == "failed":
            rank.ended = True
            self._fail(number, self._told(number, message))

    def _welcome(self, number: int, message: dict[str, Any]) -> None:
        rank = self._ranks[number]
        host = str(message.get("host"))
        rank.there = True
        if host == socket.gethostname() and isinstance(message.get("pid"), int):
            rank.pid = message["pid"]
        if message.get("config") != digest_of(self._folder.config):
            self._fail(
                number,
                TunerError(
                    f"rank {number} on {host} does not see this run folder",
                    code="rank-differs",
                    where=str(self._folder.path),
                    fix="put runs where all machines see the same files under the same path (--runs-dir)",
                ),
            )
        elif message.get("versions") != versions():
            self._fail(
                number,
                TunerError(
                    f"rank {number} on {host} has other versions ({message.get('versions')}) than here ({versions()})",
                    code="rank-differs",
                    fix="install the same on all machines",
                ),
            )
        elif all(other.there for other in self._ranks):
            self._begun = True
            self._say(GO)

    def _say(self, word: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(OSError):  # the launcher is gone: the next look sees it
            self._process.stdin.write(f"{word}\n".encode())
            self._process.stdin.flush()

    def _note(self, line: str) -> None:
        found = _ENDED.search(line)
        if found is not None and int(found[1]) < len(self._ranks):
            number = int(found[1])
            if not self._ranks[number].ended:
                self._ranks[number].ended = True
                # What was killed here was killed because another one failed.
                self._died(number, _manner(int(found[3])) if found[3] else "killed by the launcher")
        if self._log is not None:
            with contextlib.suppress(OSError):
                self._log.write(line)

    # -- what goes wrong ----------------------------------------------------------------------------------------------
    def _look_for_trouble(self, running: bool) -> None:
        now = self._clock()
        for number, rank in enumerate(self._ranks):
            if rank.ended:
                continue
            if rank.pid is not None and rank.gone_since is None and not _lives(rank.pid):
                rank.gone_since = now
            if not running or (rank.gone_since is not None and now - rank.gone_since > _UNSURE):
                rank.ended = True
                self._died(number, "without a word" if rank.there else "before it began")
            elif not rank.there and now - rank.heard > _STARTS_WITHIN:
                self._died(number, f"not there after {_STARTS_WITHIN:.0f} s")
            elif rank.there and now - rank.heard > _SILENT:
                self._died(number, f"silent for {_SILENT:.0f} s")

    def _died(self, number: int, how: str) -> None:
        rank = self._ranks[number]
        log = self._folder.log if number == 0 else self._folder.path / f"engine-rank{number}.log"
        self._fail(
            number,
            TunerError(
                f"{self._name(number)} is gone ({how})",
                code="rank-died",
                where=str(log if rank.there else self._folder.path / LOG),
                fix=f"look there; `tui-tuner resume {self._folder.name} {' '.join(self._plan.options())}` goes on from "
                "the last checkpoint",
            ),
        )

    def _told(self, number: int, message: dict[str, Any]) -> TunerError:
        said = {key: str(message.get(key, "")) for key in ("message", "code", "where", "fix")}
        text = said["message"] if number == 0 else f"{self._name(number)}: {said['message']}"
        return TunerError(text, code=said["code"] or "rank-died", where=said["where"], fix=said["fix"])

    def _name(self, number: int) -> str:
        return f"rank {number}" if self._plan.here else f"rank {number} on {self._ranks[number].host}"

    def _fail(self, number: int, error: TunerError) -> None:
        """Keeps the first failure. What a rank itself says of it is better than that it is gone, and any cause better
        than that another rank is gone.
        """
        first = self.failure
        if first is None:
            self._failed_at = self._clock()
        elif error.code == "rank-lost" or not (
            first.code == "rank-lost"
            or (first.code == "rank-died" and number == self._failed_rank and error.code != "rank-died")
        ):
            return
        self.failure, self._failed_rank = error, number


def _manner(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
