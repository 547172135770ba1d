"""Answers a test set greedily, scores every row, and keeps both in the run folder as they come.

Rows land in `<label>.partial.jsonl` as they finish, so that a killed benchmark goes on where it was; the finished,
sorted file replaces it in one step.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tui_tuner.data.examples import prompt_tokens
from tui_tuner.data.prepare import Row, messages_of, reference_of
from tui_tuner.errors import TunerError
from tui_tuner.evaluation.answers import AnswerStore, store_key
from tui_tuner.evaluation.generate import greedy_answers, in_float32, text_of
from tui_tuner.evaluation.metrics import Scored
from tui_tuner.evaluation.perplexity import row_losses
from tui_tuner.evaluation.score import asked_for, intervals, record_scores, summary
from tui_tuner.models.libraries import backend
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.files import write_all, write_atomic, write_failure, write_json
from tui_tuner.runs.progress import Emit, Throttle


@dataclass(frozen=True)
class BenchmarkResult:
    """A scored test set.

    Attributes:
        label: such as `before` or `after`.
        metrics: {name: {"value", "low", "high"}} with 95 % intervals.
        scores: per metric one value for each row that the figures are about: all but those of the split "unseen".
        path: the per-row file.
        splits: for each row of the file the split that it is reported under; empty where there is but one.
        every: as `scores`, of all rows of the file.
    """

    label: str
    metrics: dict[str, dict[str, float]]
    scores: dict[str, Scored]
    path: Path
    splits: list[str] = field(default_factory=list)
    every: dict[str, Scored] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What is measured, and how: what a result says of itself.

    Attributes:
        label: such as `before` or `after`.
        metrics: their names.
        max_tokens: cap on the tokens of one answer.
        batch_size: prompts answered at once.
        model, adapter: what was asked, in words or as paths; the adapter is empty for a model alone.
        store: the key of the answers that are kept from run to run; None keeps none.
        splits: for each row the split it is reported under; empty for one test set.
        raw_prompt: whether prompts go in without the chat template.
        mask_prompt, max_length: what the loss of a row counts, as in training.
        key: what the result is of; rows that an interrupted benchmark of another key left are not taken. Empty where
            there is but one.
        settings: further settings to be told in the result.
    """

    label: str
    metrics: Sequence[str]
    max_tokens: int
    batch_size: int
    model: str = ""
    adapter: str = ""
    store: str | None = None
    splits: Sequence[str] = ()
    raw_prompt: bool = False
    mask_prompt: bool = True
    max_length: int | None = None
    key: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def kept_under(self, key: str | None) -> Asked:
        """The same with a store of answers."""
        return replace(self, store=key)


def benchmark(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    asked: Asked,
    *,
    folder: Path,
    control: JobControl,
    emit: Emit,
    stage: str,
) -> BenchmarkResult:
    """Generates, scores and stores; rows that an earlier, interrupted call finished are not generated again.

    Raises:
        StopRequested: when asked to stop; finished rows stay.
        TunerError: for rows without a prompt, or a folder that cannot be written.
    """
    partial = folder / f"{asked.label}.partial.jsonl"
    answers = _read_partial(partial, len(rows), asked.key)
    prompts = [_prompt(row, tokenizer, asked.raw_prompt) for row in rows]
    tell = Throttle(emit, stage, len(rows))
    tell(len(answers))
    with _appending(partial) as handle, AnswerStore(asked.store) as store:

        def keep(index: int, text: str, tokens: int, finish: str) -> None:
            answers[index] = {"index": index, "prediction": text, "tokens": tokens, "finish": finish}
            if asked.key:
                answers[index]["of"] = asked.key
            _write_line(handle, json.dumps(answers[index], ensure_ascii=True), partial)
            tell(len(answers), text)

        for index in [i for i in range(len(rows)) if i not in answers]:
            if known := store.get(prompts[index]):
                keep(index, text_of(tokenizer, known[0]), len(known[0]), known[1])
        open_rows = [i for i in range(len(rows)) if i not in answers]
        for answer in greedy_answers(
            model,
            tokenizer,
            [prompts[i] for i in open_rows],
            max_tokens=asked.max_tokens,
            batch_size=asked.batch_size,
            control=control,
        ):
            index = open_rows[answer.index]
            store.put(prompts[index], answer.tokens, answer.finish)
            keep(index, answer.text, len(answer.tokens), answer.finish)
        losses = _losses(model, tokenizer, rows, prompts, asked, store, control, emit)
    return _finish(rows, tokenizer, prompts, answers, losses, asked, folder)


def _losses(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    prompts: Sequence[list[int]],
    asked: Asked,
    store: AnswerStore,
    control: JobControl,
    emit: Emit,
) -> list[tuple[float, int]] | None:
    """For each row the summed loss of its answer and how many tokens that is; None, with a line in the log, where the
    rows have none."""
    marks = [_loss_mark(row, prompt, asked) for row, prompt in zip(rows, prompts, strict=True)]
    found = [store.loss(mark) for mark in marks]
    missing = [index for index, one in enumerate(found) if one is None]
    try:
        if missing:
            sums, counts = row_losses(
                model,
                tokenizer,
                [rows[index] for index in missing],
                mask_prompt=asked.mask_prompt,
                max_length=asked.max_length,
                batch_size=asked.batch_size,
                control=control,
            )
            for index, total, count in zip(missing, sums.tolist(), counts.tolist(), strict=True):
                found[index] = total, int(count)
                store.put_loss(marks[index], total, int(count))
    except TunerError as error:
        emit("log", level="warning", text=f"the loss of the test rows is left out: {error.sentence()}")
        return None
    return [one for one in found if one is not None]


def _loss_mark(row: Row, prompt: list[int], asked: Asked) -> list[int]:
    """What a row's loss is kept under: prompt and answer, and what of them is counted."""
    return [*prompt, -2, int(asked.mask_prompt), asked.max_length or 0, *reference_of(row).encode()]


def answers_key(model: Any, tokenizer: Any, folder: Path, adapter: Path | None, asked: Asked) -> str | None:
    """The key under which a model's answers are kept: everything they depend on but the prompts.

    In half precision the rounding differs with the rows that are answered together, so the batch counts there.

    Args:
        folder: the model's.
        adapter: the adapter's folder or weights file.
    """
    settings = {
        "max_tokens": asked.max_tokens,
        "ends": sorted(int(token) for token in tokenizer.eos_token_ids),
        "device": backend(),
        "batch_size": 0 if in_float32(model) else asked.batch_size,
        "template": str(getattr(tokenizer, "chat_template", None)),
    }
    return store_key(folder, adapter, settings)


def _prompt(row: Row, tokenizer: Any, raw: bool) -> list[int]:
    """Token ids of a row's prompt: rendered as for training, or the bare text of its last question."""
    if not raw:
        return prompt_tokens(row, tokenizer)
    return list(tokenizer.encode(str(messages_of(row)[-2]["content"])))


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
    losses: list[tuple[float, int]] | None,
    asked: Asked,
    folder: Path,
) -> BenchmarkResult:
    records = []
    for index, row in enumerate(rows):
        answer = answers[index]
        record = {
            "index": index,
            "prompt": tokenizer.decode(prompts[index]),
            "reference": reference_of(row),
            "prediction": answer["prediction"],
            "scores": {},
            "tokens": answer["tokens"],
            "finish": answer["finish"],
        }
        if losses is not None:
            record["nll"], record["trained_tokens"] = losses[index]
        if asked.splits:
            record["split"] = asked.splits[index]
        records.append(record)
    scores = record_scores(records, asked.metrics)
    for index, record in enumerate(records):
        values = {name: one[index] for name, one in scores.items()}
        record["scores"] = {name: value if np.isfinite(value) else None for name, value in values.items()}
    path = folder / f"{asked.label}.jsonl"
    write_atomic(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    main = _main(scores, asked.splits)
    settings = {"max_tokens": asked.max_tokens, "batch_size": asked.batch_size, **asked.settings}
    if asked.raw_prompt:
        settings["mismatch"] = "prompts went in without the chat template that training renders them with"
    document = summary(records, scores, label=asked.label, model=asked.model, adapter=asked.adapter, settings=settings)
    write_json(folder / f"{asked.label}.json", document)
    _forget_partial(folder, asked.label)
    bounds = ("value", "low", "high")
    figures = {name: {bound: told[bound] for bound in bounds} for name, told in document["metrics"].items()}
    return BenchmarkResult(asked.label, figures, main, path, list(asked.splits), scores)


def _main(scores: dict[str, Scored], splits: Sequence[str]) -> dict[str, Scored]:
    """The scores of the rows that the benchmark is about."""
    about = asked_for(splits)
    return {name: one.part(about) for name, one in scores.items()} if splits else scores


def read_result(folder: Path, label: str, metrics: Sequence[str]) -> BenchmarkResult | None:
    """A finished benchmark of a run folder, or None; scores are computed again from the stored texts.

    A file that cannot be read counts as none: its rows are answered again. Of one that can, the rows that landed while
    it was made are of no use any more; a kill may have left them.
    """
    path = folder / f"{label}.jsonl"
    try:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        known = all(isinstance(record[key], str) for record in records for key in ("prediction", "reference"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not records or not known:
        return None
    _forget_partial(folder, label)
    splits = [str(record.get("split", "")) for record in records]
    splits = splits if any(splits) else []
    scores = record_scores(records, metrics)
    main = _main(scores, splits)
    return BenchmarkResult(label, _as_json(main), main, path, splits, scores)


def _forget_partial(folder: Path, label: str) -> None:
    with contextlib.suppress(OSError):  # in the way of nothing
        (folder / f"{label}.partial.jsonl").unlink(missing_ok=True)


def _as_json(scores: dict[str, Scored]) -> dict[str, dict[str, float]]:
    return {name: {"value": i.value, "low": i.low, "high": i.high} for name, i in intervals(scores).items()}


def _read_partial(path: Path, count: int, key: str) -> dict[int, dict[str, Any]]:
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
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(index, int) and 0 <= index < count and isinstance(text, str) and record.get("of", "") == key:
            found[index] = record
            whole.append(line)
    write_atomic(path, b"".join(line + b"\n" for line in whole))
    return found
