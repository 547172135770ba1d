"""Answers rows greedily and tells how long it took: SIDE MODEL ROWS MAX_TOKENS BATCH OUT.

`stock` is a loop of `mlx_lm.generate`; `app` is the benchmark of a run: its answers, with rendering and with every row
written as it comes, and the whole of it, with losses, scores and intervals besides. Both are given the same token ids
and the same BLAS. The clock starts when the model is loaded and has answered one row.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tui_tuner.models.libraries import ready

Row = dict[str, str]
Answering = Callable[[list[Row]], tuple[list[str], float]]
"""Gives the answers, and when the last of them was there."""


def stock(model: Any, tokenizer: Any, max_tokens: int, batch: int) -> Answering:
    from mlx_lm import generate

    from tui_tuner.data.examples import prompt_tokens

    def answer(rows: list[Row]) -> tuple[list[str], float]:
        texts = [generate(model, tokenizer, prompt_tokens(row, tokenizer), max_tokens=max_tokens) for row in rows]
        return texts, time.perf_counter()

    return answer


def app(model: Any, tokenizer: Any, max_tokens: int, batch: int) -> Answering:
    from tui_tuner.evaluation.benchmark import Asked, benchmark
    from tui_tuner.runs.control import JobControl

    def answer(rows: list[Row]) -> tuple[list[str], float]:
        answered = 0.0

        def emit(type: str, **fields: Any) -> None:
            nonlocal answered
            if type == "progress" and fields["done"] == fields["total"]:
                answered = time.perf_counter()

        asked = Asked("answers", ["exact_match", "rouge1", "rouge2", "rougeL"], max_tokens, batch)
        with tempfile.TemporaryDirectory() as folder:
            control = JobControl()
            place = Path(folder)
            found = benchmark(model, tokenizer, rows, asked, folder=place, control=control, emit=emit, stage="evaluate")
            lines = found.path.read_text(encoding="utf-8").split("\n")
        return [json.loads(line)["prediction"] for line in lines if line], answered

    return answer


def main() -> None:
    side, folder, path, max_tokens, batch, out = sys.argv[1:7]
    ready()
    import mlx.core as mx

    from tui_tuner.models.load import load_base

    base = load_base(Path(folder))
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").split("\n") if line]
    answer = {"stock": stock, "app": app}[side](base.model, base.tokenizer, int(max_tokens), int(batch))
    answer(rows[:1])
    mx.reset_peak_memory()
    begun = time.perf_counter()
    texts, answered = answer(rows)
    whole = time.perf_counter() - begun
    Path(out).write_text(json.dumps(texts))
    print(json.dumps({"seconds": answered - begun, "whole": whole, "peak": mx.get_peak_memory()}))


if __name__ == "__main__":
    main()
