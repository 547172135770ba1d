"""What the screen costs a chat: tokens/s of answers in the full app ÷ those of `mlx_lm.generate`, and how keys echo.

The app is the real one, on a pseudo-terminal of 120×40, opened on a chat with the model; questions are typed. The other
side is a process that answers the same questions by `mlx_lm.generate` (`sides/talking.py`). They answer in turns
A B B A …, so that a machine whose speed drifts gives both the same. While some of the answers stream, letters are typed
that no model says, and the time until the terminal is sent one of them is taken.

    python benchmarks/chat_screen.py [--pairs 10] [--tokens 256] [--only embedded larger] [--json]

Exits 0 when the bars are met, 1 when not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import select
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chat import BARS, LARGER, endless, in_turns, talking
from common import ROOT, Terminal, app_on_terminal, run_python, verdict, wait_for

COLUMNS, ROWS = 120, 40
ECHO_BAR = 0.030
UPDATES_BAR = 20.0
LETTERS = "ωψχφυτσρξμλκιθηζεδγβϟϡѠѢѤѦѨѪѬѮѰѲѴѶѸѺѼѾ"
KEEP = 1 << 16


class AppSide:
    """The app, asked by keys.

    Attributes:
        speeds: tokens a second, one for each turn.
        updates: updates of the conversation a second, likewise.
        echoes: seconds from a key to its letter on the terminal.
    """

    def __init__(self, terminal: Terminal, record: int) -> None:
        self._terminal, self._record = terminal, record
        self._turns = 0
        self._told = b""
        self.speeds: list[float] = []
        self.updates: list[float] = []
        self.echoes: list[float] = []

    def turn(self) -> float:
        """Asks, and gives the tokens a second of the answer."""
        return self._asked(typing=False)

    def typing_turn(self) -> None:
        """Asks, and types while the answer streams."""
        self._asked(typing=True)

    def _asked(self, *, typing: bool) -> float:
        terminal = self._terminal
        terminal.press("\x0c")  # ctrl+l: an empty conversation
        time.sleep(0.3)
        terminal.press(f"{self._turns} Write the headline of the game, and tell who has won it.")
        time.sleep(0.3)
        terminal.press("\r")
        self._turns += 1
        if typing:
            time.sleep(0.25)
            self._type()
        # Nothing is looked at again and again meanwhile: that would take time from this side only.
        if not self._answered(120):
            raise TimeoutError("waited two minutes for an answer")
        told, self._told = json.loads(self._told), b""
        if "tokens" not in told:
            raise RuntimeError(f"the app could not answer: {told}")
        self.updates.append(told["updates"] / max(told["shown"], 0.001))
        if typing:
            terminal.press("\x7f" * len(LETTERS))
            time.sleep(0.3)
        return float(told["tokens"] / told["seconds"])

    def _type(self) -> None:
        for letter in LETTERS:
            if self._answered(0):
                break
            begun, sought = time.perf_counter(), letter.encode()
            self._terminal.press(letter)
            while sought not in self._terminal.drawn():
                if time.perf_counter() - begun > 5:
                    raise TimeoutError("a letter was never echoed")
                time.sleep(0.0005)
            if not self._answered(0):
                self.echoes.append(time.perf_counter() - begun)
            time.sleep(random.uniform(0.03, 0.09))

    def _answered(self, timeout: float) -> bool:
        """Whether the app has told of this turn's answer, for which so many seconds are waited."""
        while not self._told.endswith(b"\n"):
            if not select.select([self._record], [], [], timeout)[0]:
                return False
            self._told += os.read(self._record, 65536)
        return True


@contextlib.contextmanager
def app(folder: Path, model: Path, tokens: int) -> Iterator[AppSide]:
    """The app, open on a chat with a model."""
    path = folder / "record"
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    record = os.open(path, os.O_RDWR)  # for both, so that neither side waits for the other to open it
    environment = {
        "PYTHONPATH": str(ROOT),
        "TUI_TUNER_CONFIG": str(folder / "config"),
        "TUI_TUNER_CACHE": str(folder / "cache"),
    }
    arguments = [str(path), "chat", str(model), "--max-tokens", str(tokens), "--runs-dir", str(folder / "runs")]
    with (
        contextlib.closing(os.fdopen(record)),
        app_on_terminal(
            arguments,
            columns=COLUMNS,
            rows=ROWS,
            environment=environment,
            keep=KEEP,
            program=[str(ROOT / "benchmarks/recorded_chat.py")],
        ) as terminal,
    ):
        wait_for(lambda: b"Ask something" in terminal.drawn(), 60, "the chat's screen")
        time.sleep(1.0)
        yield AppSide(terminal, record)


def measured(folder: Path, name: str, model: Path, pairs: int, tokens: int) -> dict[str, Any]:
    """The figures of one model."""
    with app(folder, model, tokens) as ours, talking("stock", model, tokens) as stock:
        ratio = in_turns(ours, stock, pairs)
        while len(ours.echoes) < 40:
            ours.typing_turn()
    milliseconds = 1000 / statistics.median(stock.speeds)
    echoes = sorted(ours.echoes)
    found = {
        "ratio": asdict(ratio),
        "token_ms": milliseconds,
        "ours": ours.speeds,
        "stock": stock.speeds,
        "updates": max(ours.updates),
        "echo_p50": statistics.median(echoes),
        "echo_p95": echoes[int(0.95 * len(echoes))],
        "echoes": len(echoes),
    }
    print(
        f"{name}, {milliseconds:.1f} ms a token: {statistics.median(ours.speeds):.0f} tokens/s in the app, "
        f"{statistics.median(stock.speeds):.0f} by mlx_lm.generate, {ratio.low:.3f} to {ratio.high:.3f}; "
        f"a key's echo {1000 * found['echo_p50']:.0f} ms in the median of {len(echoes)}",
        file=sys.stderr,
    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=256, help="of an answer; the chat's own cap")
    parser.add_argument("--only", nargs="+", choices=list(BARS), default=list(BARS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in options.only:
            source = ROOT / "tui_tuner/quickstart/model"
            if model == "larger":
                source = folder / "larger"
                run_python(LARGER, str(source), "768", "8")
            talker = endless(source, folder / f"{model}-endless")
            found[model] = measured(folder, model, talker, options.pairs, options.tokens)
    if options.json:
        print(json.dumps(found))
        return 0
    met = []
    for model, one in found.items():
        what = f"tokens/s in the app ÷ mlx_lm.generate, {model} model ({one['token_ms']:.1f} ms a token)"
        met.append(verdict(what, one["ratio"]["value"], BARS[model], at_least=True))
        met.append(
            verdict(
                f"a key's echo while it streams, p95 in s, {model} model", one["echo_p95"], ECHO_BAR, at_least=False
            )
        )
        met.append(verdict(f"updates a second, {model} model", one["updates"], UPDATES_BAR, at_least=False))
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
