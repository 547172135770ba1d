"""Looks at every row of a data set before a step is trained: its tokens, its problems, and the figures of the whole.

One pass: rows are made, tokenised by the very function that training uses, and linted, in portions, so that progress
can be shown and the pass be stopped. Nothing is written but the cache of results, and nothing is changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tui_tuner.data.draft import PARTS, Draft, draft
from tui_tuner.data.examples import Example, tokenise_many
from tui_tuner.data.findings import Problem
from tui_tuner.data.lint import Linter, RowFacts, allowed, texts_of
from tui_tuner.data.lint.context import context_of
from tui_tuner.data.lookup import paths_of
from tui_tuner.data.rows import Row, row_kind
from tui_tuner.data.shapes import Guess, recognise
from tui_tuner.data.shapes.guess import SAMPLE
from tui_tuner.data.source import read_records
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.config import Experiment

_PORTION = 256
_UNSETTLED = ("unknown-shape", "no-answers", "unknown-column", "bad-template", "bad-condition", "unknown-fix")
_AHEAD = 4  # portions that the tokenizer may be ahead of the linter


@dataclass
class Report:
    """Everything that was found about a data set.

    Attributes:
        source: as the configuration names it.
        format: of the file, such as "jsonl".
        records: how many the source has.
        counts: rows by split.
        guess: what the records were taken for.
        columns: their columns.
        notes: how the rows came about.
        problems: what is wrong or worth knowing, errors first.
        split: (rows,) index of each row's split in `PARTS`.
        number: (rows,) its number within the split.
        lengths: (rows,) its tokens, uncut; 0 for a row that cannot be rendered.
        offsets: (rows,) how many of them are prompt.
        lines: (rows,) line of its record.
        hits: by code, the positions in these arrays of the rows that a rule hits.
        answers: of the training answers: `distinct` (how many different ones), `short` (whether the median one has five
            words at most), and `top` ([answer, count] of the ten most frequent of up to 80 characters); empty for bare
            texts.
    """

    source: str
    format: str
    records: int
    counts: dict[str, int]
    guess: Guess
    columns: list[str]
    notes: list[str]
    problems: list[Problem]
    split: NDArray[np.int8]
    number: NDArray[np.int32]
    lengths: NDArray[np.int32]
    offsets: NDArray[np.int32]
    lines: NDArray[np.int32]
    hits: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)

    @property
    def errors(self) -> list[Problem]:
        """The problems that block training."""
        return [problem for problem in self.problems if problem.severity == "error"]

    def of(self, split: str) -> NDArray[np.bool_]:
        """Which rows belong to a split."""
        mask: NDArray[np.bool_] = self.split == PARTS.index(split)
        return mask


def scan(
    experiment: Experiment,
    tokenizer: Any,
    base: Path | None = None,
    *,
    tell: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[], None] = lambda: None,
    make: Callable[..., Draft] = draft,
) -> Report:
    """Makes, tokenises and lints every row.

    Args:
        experiment: its data, model and training sections are looked at.
        tokenizer: mlx-lm's wrapper; None to lint without tokens.
        base: folder that a relative source is looked for in first.
        tell: called with rows done and rows in all.
        check: called between portions; it may raise to end the pass.
        make: makes the draft, or gives the one that is held.

    Raises:
        TunerError: when the source cannot be read. Records of which no rows can be made are a problem of the report.
    """
    try:
        made = make(experiment.data, experiment.run.seed, base)
    except TunerError as error:
        if error.code not in _UNSETTLED:
            raise
        return _unsettled(experiment, base, error)
    check()
    return scan_draft(made, experiment, tokenizer, tell=tell, check=check)


def scan_draft(
    made: Draft,
    experiment: Experiment,
    tokenizer: Any,
    *,
    tell: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[], None] = lambda: None,
) -> Report:
    """As `scan`, for rows that are made already."""
    linter = Linter(context_of(experiment, tokenizer, made.recipe))
    for fault in made.faults:
        linter.fault(fault)
    for index, error in made.refused:
        linter.refusal(made.records.place(index), error)
    pass_ = _Pass(made, linter, sum(map(len, made.parts.values())))
    mask = experiment.data.mask_prompt
    texts = any(row_kind(row) == "text" for row in pass_.rows)
    for start, rows, examples in _tokenised(pass_.rows, tokenizer, mask_prompt=mask and not texts):
        pass_.take(start, rows, examples)
        tell(start + len(rows), pass_.total)
        check()
    problems = pass_.problems()
    if mask and texts:
        problems.insert(0, _masked_texts(pass_.total))
    problems = allowed(problems, list(experiment.data.allow))
    return Report(
        source=experiment.data.source,
        format=made.records.format,
        records=len(made.records.rows),
        counts=made.counts,
        guess=made.recipe.guess,
        columns=made.recipe.columns,
        notes=list(made.notes),
        problems=problems,
        split=pass_.split,
        number=pass_.number,
        lengths=pass_.lengths,
        offsets=pass_.offsets,
        lines=pass_.lines,
        hits={code: np.array(found, np.int32) for code, found in pass_.hits.items()},
        answers=linter.answers(),
    )


def _unsettled(experiment: Experiment, base: Path | None, error: TunerError) -> Report:
    """The report on records that no row can be made of, for one reason that holds for all of them."""
    records = read_records(experiment.data, base, strict=False)
    nothing = np.zeros(0, np.int32)
    return Report(
        source=experiment.data.source,
        format=records.format,
        records=len(records.rows),
        counts={},
        guess=recognise(records.rows),
        columns=paths_of(records.rows[:SAMPLE]),
        notes=list(records.notes),
        problems=[Problem(error.code, "error", len(records.rows), error.message, error.fix)],
        split=np.zeros(0, np.int8),
        number=nothing,
        lengths=nothing,
        offsets=nothing,
        lines=nothing,
    )


def _masked_texts(count: int) -> Problem:
    return Problem(
        "mask-text",
        "error",
        count,
        "the rows are bare texts, and the loss is to leave their prompts out, which nobody can tell from the answers",
        "set data.mask_prompt = false, or make prompt and answer of the texts (templates)",
        change=(("data.mask_prompt", False),),
    )


class _Pass:
    """One pass over the rows of a draft: arrays that fill up, and the linter."""

    def __init__(self, made: Draft, linter: Linter, total: int) -> None:
        self.made, self.linter, self.total = made, linter, total
        self.split, self.number = np.zeros(total, np.int8), np.zeros(total, np.int32)
        self.lengths, self.offsets = np.zeros(total, np.int32), np.zeros(total, np.int32)
        self.lines = np.zeros(total, np.int32)
        self.hits: dict[str, list[int]] = {}
        self.rows: list[Row] = []
        self._records: list[int] = []
        for part in PARTS:
            for number, (record, wording) in enumerate(made.parts.get(part, ())):
                at = len(self.rows)
                self.rows.append(made.made[record][wording])
                self._records.append(record)
                self.split[at], self.number[at] = PARTS.index(part), number
                self.lines[at] = made.records.lines[record]

    def take(self, start: int, rows: list[Row], examples: list[Example | TunerError]) -> None:
        """Lints a portion and notes its lengths."""
        for at, (row, example) in enumerate(zip(rows, examples, strict=True), start):
            if isinstance(example, TunerError):
                record = self._records[at]
                place = self.made.records.place(record)
                self.linter.refusal(place, TunerError(example.message, code=example.code, fix=example.fix))
                self.hits.setdefault(example.code, []).append(at)
                continue
            kind = row_kind(row)
            prompt, answer = texts_of(row, kind)
            facts = RowFacts(
                PARTS[self.split[at]], int(self.number[at]), int(self.lines[at]), row, kind, prompt, answer,
                example.tokens, example.offset,
            )  # fmt: skip
            self.lengths[at], self.offsets[at] = len(example.tokens), example.offset
            for code in self.linter.take(facts):
                self.hits.setdefault(code, []).append(at)

    def problems(self) -> list[Problem]:
        """What the linter found, and that the records cannot be divided as asked."""
        problems = self.linter.finish()
        wrong = self.made.undivided
        if wrong is not None:
            problems.insert(0, Problem(wrong.code, "error", 1, wrong.message, wrong.fix))
        return problems


Portion = tuple[int, list[Row], list[Example | TunerError]]


def _tokenised(rows: list[Row], tokenizer: Any, *, mask_prompt: bool) -> Iterator[Portion]:
    """Portions of rows with their tokens.

    Encoding releases the interpreter, so it runs ahead in a thread of its own while the caller lints.
    """
    starts = range(0, len(rows), _PORTION)
    if tokenizer is None:
        for start in starts:
            some = rows[start : start + _PORTION]
            yield start, some, [Example([], 0)] * len(some)
        return
    ready: Queue[Portion | BaseException | None] = Queue(_AHEAD)
    stopped = threading.Event()

    def work() -> None:
        try:
            for start in starts:
                if stopped.is_set():
                    return
                some = rows[start : start + _PORTION]
                ready.put((start, some, tokenise_many(some, tokenizer, mask_prompt=mask_prompt)))
            ready.put(None)
        except BaseException as error:  # handed to whoever asked, in whose thread it can be dealt with
            ready.put(error)

    thread = threading.Thread(target=work, name="tui-tuner-tokens", daemon=True)
    thread.start()
    try:
        while (portion := ready.get()) is not None:
            if isinstance(portion, BaseException):
                raise portion
            yield portion
    finally:
        stopped.set()
        while thread.is_alive():
            if not ready.empty():
                ready.get_nowait()  # so that it does not wait for room for ever
            thread.join(0.01)
