"""Answers a test set greedily, scores every row, and keeps both in the run folder as they come.

Rows land in `<label>.partial.jsonl` as they finish, so that a killed benchmark goes on where it was; the finished,
sorted file replaces it in one step.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner.data.examples import prompt_tokens
from tui_tuner.data.prepare import Row, reference_of
from tui_tuner.evaluation.generate import greedy_answers
from tui_tuner.evaluation.metrics import Scored
from tui_tuner.evaluation.score import intervals, row_scores
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.files import write_all, write_atomic, write_failure
from tui_tuner.runs.progress import Emit, Throttle


@dataclass(frozen=True)
class BenchmarkResult:
    """A scored test set.

    Attributes:
        label: such as `before` or `after`.
        metrics: {name: {"value", "low", "high"}} with 95 % intervals.
        scores: per metric one value a row in the test set's order.
        path: the per-row file.
    """

    label: str
    metrics: dict[str, dict[str, float]]
    scores: dict[str, Scored]
    path: Path


def benchmark(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    *,
    label: str,
    folder: Path,
    metrics: Sequence[str],
    max_tokens: int,
    batch_size: int,
    control: JobControl,
    emit: Emit,
    stage: str,
) -> BenchmarkResult:
    """Generates, scores and stores; rows that an earlier, interrupted call finished are not generated again.

    Raises:
        StopRequested: when asked to stop; finished rows stay.
        TunerError: for rows without a prompt, or a folder that cannot be written.
    """
    partial = folder / f"{label}.partial.jsonl"
    answers = _read_partial(partial, len(rows))
    prompts = [prompt_tokens(row, tokenizer) for row in rows]
    open_rows = [i for i in range(len(rows)) if i not in answers]
    tell = Throttle(emit, stage, len(rows))
    tell(len(answers))
    with _appending(partial) as handle:
        for answer in greedy_answers(
            model,
            tokenizer,
            [prompts[i] for i in open_rows],
            max_tokens=max_tokens,
            batch_size=batch_size,
            control=control,
        ):
            index = open_rows[answer.index]
            answers[index] = {
                "index": index,
                "prediction": answer.text,
                "tokens": len(answer.tokens),
                "finish": answer.finish,
            }
            _write_line(handle, json.dumps(answers[index], ensure_ascii=True), partial)
            tell(len(answers), answer.text)
    return _finish(rows, tokenizer, prompts, answers, label, folder, metrics)


@contextlib.contextmanager
def _appending(path: Path) -> Iterator[int]:
    """A descriptor that adds to the end of `path`, in a folder that is made when missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise write_failure(error, path) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_line(descriptor: int, line: str, path: Path) -> None:
    try:
        write_all(descriptor, line.encode() + b"\n")
    except OSError as error:
        raise write_failure(error, path) from error


def _finish(
    rows: Sequence[Row],
    tokenizer: Any,
    prompts: list[list[int]],
    answers: dict[int, dict[str, Any]],
    label: str,
    folder: Path,
    metrics: Sequence[str],
) -> BenchmarkResult:
    predictions = [answers[i]["prediction"] for i in range(len(rows))]
    references = [reference_of(row) for row in rows]
    scores = row_scores(predictions, references, metrics)
    lines = []
    for i in range(len(rows)):
        record = {
            "index": i,
            "prompt": tokenizer.decode(prompts[i]),
            "reference": references[i],
            "prediction": predictions[i],
            "scores": {name: float(values[i]) for name, values in scores.items()},
            "tokens": answers[i]["tokens"],
            "finish": answers[i]["finish"],
        }
        lines.append(json.dumps(record, ensure_ascii=False))
    path = folder / f"{label}.jsonl"
    write_atomic(path, "\n".join(lines) + "\n")
    _forget_partial(folder, label)
    return BenchmarkResult(label, _as_json(scores), scores, path)


def read_result(folder: Path, label: str, metrics: Sequence[str]) -> BenchmarkResult | None:
    """A finished benchmark of a run folder, or None; scores are computed again from the stored texts.

    A file that cannot be read counts as none: its rows are answered again. Of one that can, the rows that landed while
    it was made are of no use any more; a kill may have left them.
    """
    path = folder / f"{label}.jsonl"
    try:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        predictions = [str(r["prediction"]) for r in records]
        references = [str(r["reference"]) for r in records]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not records:
        return None
    _forget_partial(folder, label)
    scores = row_scores(predictions, references, metrics)
    return BenchmarkResult(label, _as_json(scores), scores, path)


def _forget_partial(folder: Path, label: str) -> None:
    with contextlib.suppress(OSError):  # in the way of nothing
        (folder / f"{label}.partial.jsonl").unlink(missing_ok=True)


def _as_json(scores: dict[str, Scored]) -> dict[str, dict[str, float]]:
    return {name: {"value": i.value, "low": i.low, "high": i.high} for name, i in intervals(scores).items()}


def _read_partial(path: Path, count: int) -> dict[int, dict[str, Any]]:
    """Finished rows of an interrupted benchmark; a torn last line, or anything that is no row, does not count."""
    found: dict[int, dict[str, Any]] = {}
    if not path.is_file():
        return found
    whole = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            record = json.loads(line)
            index, text = record["index"], record["prediction"]
            record["tokens"], record["finish"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(index, int) and 0 <= index < count and isinstance(text, str):
            found[index] = record
            whole.append(line)
    write_atomic(path, b"".join(line + b"\n" for line in whole))
    return found
