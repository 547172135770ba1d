"""Answers greedily whenever it is told to, and tells how fast it was: SIDE MODEL TOKENS.

`stock` is what `mlx_lm.generate` does, but for printing; `engine` is a chat's answer by the engine, its text taken
ten times a second, as the screen does. Each line on standard input is a turn, and is answered with a line of JSON:
tokens, and seconds from asking to the end of the answer. Every turn asks something else, so nothing is read already.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from tui_tuner.models.libraries import ready

TAKES = 10


def question(turn: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"{turn} Write the headline of the game, and tell who has won it."}]


def stock(model: str, tokens: int) -> Callable[[int], int]:
    ready()
    from mlx_lm import stream_generate

    from tui_tuner.data.examples import conversation_tokens
    from tui_tuner.models.folder import locate
    from tui_tuner.models.load import load_base

    base = load_base(locate(model))

    def answer(turn: int) -> int:
        prompt = conversation_tokens(question(turn), base.tokenizer)
        count = 0
        for response in stream_generate(base.model, base.tokenizer, prompt, max_tokens=tokens):
            count = response.generation_tokens
        return count

    return answer


def engine(model: str, tokens: int) -> Callable[[int], int]:
    from tui_tuner.chat.sampling import Sampling
    from tui_tuner.chat.voices import Voice
    from tui_tuner.engine.requests import ChatTurn
    from tui_tuner.engine.worker import LocalEngine

    worker = LocalEngine()
    worker.start()

    def answer(turn: int) -> int:
        asked = ChatTurn(Voice(model), question(turn), Sampling(max_tokens=tokens))
        handle = worker.submit(asked)
        while not handle.finished.wait(1 / TAKES):
            asked.sink.take()
        if handle.error is not None:
            raise handle.error
        return int(handle.result.tokens)

    return answer


def main() -> None:
    side, model, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3])
    answer = {"stock": stock, "engine": engine}[side](model, tokens)
    for turn, _ in enumerate(sys.stdin):
        begun = time.perf_counter()
        count = answer(turn)
        told: dict[str, Any] = {"tokens": count, "seconds": time.perf_counter() - begun}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
