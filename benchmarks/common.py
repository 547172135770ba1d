"""What the benchmarks share: rows, presets, and the app on a pseudo-terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import pty
import random
import signal
import statistics
import struct
import subprocess
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def write_rows(folder: Path, *, train: int, valid: int, low: int = 10, high: int = 40, seed: int = 0) -> Path:
    """A data folder of prompt/completion rows with lengths between `low` and `high` words, as mlx-lm reads it."""
    from tests.support.models import make_rows

    folder.mkdir(parents=True, exist_ok=True)
    rows = make_rows(train + valid, seed, low, high)
    random.Random(seed).shuffle(rows)
    for name, part in (("train", rows[:train]), ("valid", rows[train:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return folder


def write_preset(path: Path, model: Path, data: Path, /, **sections: dict[str, Any]) -> Path:
    """A preset on that model and data."""
    import tomli_w

    values: dict[str, dict[str, Any]] = {
        "run": {"name": "benchmark", "seed": 0},
        "model": {"path": str(model)},
        "data": {"source": str(data)},
        "evaluation": {"enabled": False},
    }
    for section, changes in sections.items():
        values.setdefault(section, {}).update(changes)
    path.write_text(tomli_w.dumps(values))
    return path


class Terminal:
    """A program on a pseudo-terminal: what it drew can be read, and keys can be pressed.

    Attributes:
        pid: the program's process.
        drawn_bytes: how many bytes it has drawn so far.
    """

    def __init__(self, pid: int, master: int, keep: int) -> None:
        self.pid, self.drawn_bytes = pid, 0
        self._master, self._keep = master, keep
        self._kept = bytearray()
        self._lock = threading.Lock()
        threading.Thread(target=self._drain, daemon=True).start()

    def drawn(self) -> bytes:
        """The last of what it drew, up to the bytes that are kept."""
        with self._lock:
            return bytes(self._kept)

    def press(self, keys: str) -> None:
        """Sends keys as a terminal would."""
        os.write(self._master, keys.encode())

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 65536):
                with self._lock:
                    self.drawn_bytes += len(data)
                    self._kept += data
                    if len(self._kept) > 2 * self._keep:
                        del self._kept[: -self._keep]


@contextlib.contextmanager
def app_on_terminal(
    arguments: Sequence[str],
    *,
    columns: int = 120,
    rows: int = 40,
    environment: dict[str, str] | None = None,
    keep: int = 1 << 20,
    program: Sequence[str] = ("-m", "tui_tuner"),
) -> Iterator[Terminal]:
    """The app in a process of its own on a pseudo-terminal, killed at the end.

    Args:
        keep: bytes of what it drew that can be read again.
        program: what python runs, before the arguments.
    """
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm-256color", "COLORTERM": "truecolor", **(environment or {})})
        os.execv(sys.executable, [sys.executable, *program, *arguments])
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.kill(pid, signal.SIGWINCH)
    try:
        yield Terminal(pid, master, keep)
    finally:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        with contextlib.suppress(OSError):
            os.close(master)


def wait_for(condition: Callable[[], bool], timeout: float, what: str) -> None:
    """Looks every 20 ms until the condition holds.

    Raises:
        TimeoutError: naming what was waited for.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:.0f} s for {what}")
        time.sleep(0.02)


def run_python(code: str, *arguments: str, timeout: float = 900) -> str:
    """Runs a piece of Python in a process of its own and gives its standard output."""
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"a measured process failed:\n{result.stderr[-2000:]}")
    return result.stdout


def run_program(program: Path, *arguments: object, label: str = "") -> str:
    """Runs a program of ours in a process of its own and gives its standard output.

    Args:
        label: what stands before its progress, which is then shown every ten seconds.

    Raises:
        RuntimeError: with the end of what it said, when it fails.
    """
    process = subprocess.Popen(
        [sys.executable, str(program), *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'benchmarks'}"},
    )
    said: deque[str] = deque(maxlen=40)
    begun = time.monotonic()

    def listen() -> None:
        assert process.stderr is not None
        shown = begun
        for line in process.stderr:
            if not line.startswith("progress "):
                said.append(line)
            elif label and time.monotonic() - shown >= 10:
                shown = time.monotonic()
                done, total = line.split()[1:3]
                print(f"{label}: {done} of {total} steps, {shown - begun:.0f} s", flush=True)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        assert process.stdout is not None
        output = process.stdout.read()
        status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    listener.join()
    if status:
        raise RuntimeError(f"{program.name} failed:\n{''.join(said)[-2000:]}")
    return output


@dataclass(frozen=True)
class Ratio:
    """The median of ratios of speeds with its 95 % interval.

    The interval is between two of the ordered ratios, by the binomial distribution in its normal approximation
    (Conover, Practical Nonparametric Statistics, section 3.2); it asks nothing of how they are distributed.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, over: list[float], under: list[float]) -> Ratio:
        ratios = sorted(a / b for a, b in zip(over, under, strict=True))
        count = len(ratios)
        aside = math.floor((count - 1.96 * math.sqrt(count)) / 2)
        if aside < 1:
            return cls(statistics.median(ratios), 0.0, math.inf)
        return cls(statistics.median(ratios), ratios[aside - 1], ratios[count - aside])


def verdict(name: str, value: float, bar: float, *, at_least: bool) -> bool:
    """Prints a figure against its bar and says whether it is met."""
    met = value >= bar if at_least else value <= bar
    sign = "≥" if at_least else "≤"
    print(f"{name}: {value:.3f} (bar {sign} {bar:g}): {'met' if met else 'MISSED'}")
    return met
