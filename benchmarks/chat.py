"""What a chat costs over `mlx_lm.generate`, and what a conversation's next turn costs.

Speed: tokens/s of a chat's answers by the engine ÷ those of `mlx_lm.generate`, greedily, of the same prompts. Both are
processes of their own that stay, and answer in turns A B B A …, so that a machine whose speed drifts gives both the
same. The embedded model, at 2 ms a token, is the hardest case; a llama of random weights at 15 ms and more is the usual
one. Both have their end taken away, so that every answer is as long as the others.

Turns: a conversation of many turns with a llama of random weights. How many tokens each turn read, and how long its
first token took, against the last turn's when all of it is read anew: a turn shall cost what is new in it, and what
was said before only as much as looking back at it takes.

    python benchmarks/chat.py [--pairs 12] [--tokens 256] [--only speed turns] [--models embedded larger]

Exits 0 when the bars are met, 1 when not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import ROOT, Ratio, run_python, verdict

BARS = {"embedded": 0.90, "larger": 0.97}
GROWTH = 1.1  # of what is read, from the second turn to the last
ANEW = 0.25  # of the time to the first token that reading all anew takes
TURNS = 24
_NO_END = 390  # a token that neither the embedded model nor one of random weights is likely to say

LARGER = """
import sys
from pathlib import Path
from tests.support.models import make_model
make_model(Path(sys.argv[1]), "llama", hidden=int(sys.argv[2]), layers=int(sys.argv[3]),
           intermediate=3 * int(sys.argv[2]), vocabulary=1024, settings={"max_position_embeddings": 16384})
"""

CONVERSATION = """
import json, sys
from tui_tuner.chat.sampling import Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.engine.requests import ChatTurn
from tui_tuner.engine.worker import LocalEngine
def ask(engine, messages):
    handle = engine.submit(ChatTurn(Voice(sys.argv[1]), messages, Sampling(max_tokens=60)))
    handle.finished.wait()
    return handle.result
engine, other, messages, told = LocalEngine(), LocalEngine(), [], []
engine.start()
other.start()
ask(other, [{"role": "user", "content": "who?"}])
for turn in range(int(sys.argv[2])):
    messages.append({"role": "user", "content": f"{turn} " + "and what of the red fox and the blue owl " * 8})
    reply = ask(engine, list(messages))
    told.append([reply.prompt_tokens, reply.prompt_tokens - reply.reused, reply.time_to_first_token])
    messages.append({"role": "assistant", "content": reply.text})
anew = ask(other, messages[:-1])
assert anew.text == reply.text
engine.shutdown()
other.shutdown()
print(json.dumps([told, anew.time_to_first_token]))
"""


def endless(source: Path, folder: Path) -> Path:
    """A copy of a model folder whose answers end at the cap only."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    for name in ("config.json", "generation_config.json"):
        path = folder / name
        config = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        path.write_text(json.dumps({**config, "eos_token_id": [_NO_END]}), "utf-8")
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text("utf-8"))
    backend = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    seldom = next(text for text, number in backend["model"]["vocab"].items() if number == _NO_END)
    path.write_text(json.dumps({**config, "eos_token": seldom}), "utf-8")
    return folder


class Side:
    """A process that answers in turns.

    Attributes:
        speeds: tokens a second, one for each turn.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.speeds: list[float] = []

    def turn(self) -> float:
        """Has it answer once, and gives the tokens a second.

        Raises:
            RuntimeError: when it has failed.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a side has failed with status {self._process.wait()}")
        told = json.loads(line)
        return float(told["tokens"] / told["seconds"])


@contextlib.contextmanager
def talking(side: str, model: Path, tokens: int) -> Iterator[Side]:
    """A side of `sides/talking.py`."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "benchmarks/sides/talking.py"), side, str(model), str(tokens)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield Side(process)
    finally:
        process.kill()
        process.wait()


def in_turns(first: Side, second: Side, pairs: int) -> Ratio:
    """The first side's speed over the second's, after a turn of each that does not count."""
    for side in (first, second):
        side.turn()
    for number in range(pairs):
        for side in (first, second) if number % 2 == 0 else (second, first):
            side.speeds.append(side.turn())
    return Ratio.of(first.speeds, second.speeds)


def speed(folder: Path, pairs: int, tokens: int, models: list[str]) -> dict[str, Any]:
    """The ratio of the engine to `mlx_lm.generate`, for each model."""
    if "larger" in models:
        run_python(LARGER, str(folder / "larger"), "512", "8")
    sources = {"embedded": ROOT / "tui_tuner/quickstart/model", "larger": folder / "larger"}
    found: dict[str, Any] = {}
    for name in models:
        model = endless(sources[name], folder / f"{name}-endless")
        with talking("engine", model, tokens) as ours, talking("stock", model, tokens) as stock:
            ratio = in_turns(ours, stock, pairs)
        milliseconds = 1000 / statistics.median(stock.speeds)
        found[name] = {"ratio": asdict(ratio), "token_ms": milliseconds, "ours": ours.speeds, "stock": stock.speeds}
        print(
            f"{name}, {milliseconds:.1f} ms a token: {statistics.median(ours.speeds):.0f} tokens/s by the engine, "
            f"{statistics.median(stock.speeds):.0f} by mlx_lm.generate, {ratio.low:.3f} to {ratio.high:.3f}",
            file=sys.stderr,
        )
    return found


def turns(folder: Path) -> dict[str, Any]:
    """Tokens and seconds to the first token of each turn of a conversation."""
    run_python(LARGER, str(folder / "talker"), "256", "4")
    told, anew = json.loads(run_python(CONVERSATION, str(folder / "talker"), str(TURNS)))
    return {
        "prompt": [prompt for prompt, _, _ in told],
        "read": [read for _, read, _ in told],
        "seconds": [seconds for _, _, seconds in told],
        "anew": anew,
        "growth": told[-1][1] / told[1][1],
        "share": statistics.median(seconds for _, _, seconds in told[-4:]) / anew,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=256, help="of an answer; the chat's own cap")
    parser.add_argument("--only", nargs="+", choices=["speed", "turns"], default=["speed", "turns"])
    parser.add_argument("--models", nargs="+", choices=list(BARS), default=list(BARS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        if "speed" in options.only:
            found["speed"] = speed(Path(name), options.pairs, options.tokens, options.models)
        if "turns" in options.only:
            found["turns"] = turns(Path(name))
    if options.json:
        print(json.dumps(found))
        return 0
    met = []
    for model, one in found.get("speed", {}).items():
        what = f"tokens/s of a chat's answer ÷ mlx_lm.generate, {model} model ({one['token_ms']:.1f} ms a token)"
        met.append(verdict(what, one["ratio"]["value"], BARS[model], at_least=True))
    if "turns" in found:
        one = found["turns"]
        print(f"the last turn's prompt has {one['prompt'][-1]:,} tokens, of which {one['read'][-1]} were read")
        met.append(verdict("tokens read, last turn ÷ second", one["growth"], GROWTH, at_least=False))
        met.append(verdict("time to the first token ÷ reading all anew", one["share"], ANEW, at_least=False))
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
