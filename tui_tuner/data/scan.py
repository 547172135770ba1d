"""Looks at every row of a data set before a step is trained: its tokens, its problems, and the figures of the whole.

One pass: rows are made, tokenised by the very function that training uses, and linted, in portions, so that progress
can be shown and the pass be stopped. Nothing is written but the cache of results, and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tui_tuner.data.ahead import ahead
from tui_tuner.data.draft import PARTS, Draft, draft
from tui_tuner.data.examples import Example, encode_many, render_many
from tui_tuner.data.findings import Problem
from tui_tuner.data.lint import LintContext, Linter, RowFacts, allowed, texts_of
from tui_tuner.data.lint.context import context_of
from tui_tuner.data.lint.portions import Found, Lint, lint_of
from tui_tuner.data.lookup import paths_of
from tui_tuner.data.opening import open_source
from tui_tuner.data.openrecords import OpenRecords
from tui_tuner.data.rows import Row, row_kind
from tui_tuner.data.shapes import Guess, recognise
from tui_tuner.data.shapes.guess import SAMPLE
from tui_tuner.data.table import Place
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.config import Experiment

_PORTION = 512
"""Rows that are made, encoded and linted together; enough of them to keep all cores at encoding."""
_UNSETTLED = ("unknown-shape", "no-answers", "unknown-column", "bad-template", "bad-condition", "unknown-fix")


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
        made = make(experiment.data, experiment.run.seed, base, check)
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
    mask = experiment.data.mask_prompt
    texts = "text" in made.kinds
    pass_ = _Pass(made)
    # Closed whatever happens, so that no thread and no process goes on after a pass that was ended.
    with (
        closing(lint_of(context_of(experiment, tokenizer, made.recipe), pass_.total)) as lint,
        closing(_tokenised(made, pass_.origins, tokenizer, mask_prompt=mask and not texts)) as portions,
    ):
        lint.faults(made.faults)
        lint.refusals([(made.records.place(index), error) for index, error in made.refused])
        for start, rows, examples in portions:
            pass_.take(start, rows, examples, lint)
            tell(start + len(rows), pass_.total)
            check()
        found = lint.finish()
    problems = found.problems
    if (wrong := made.undivided) is not None:
        problems.insert(0, Problem(wrong.code, "error", 1, wrong.message, wrong.fix))
    if mask and texts:
        problems.insert(0, _masked_texts(pass_.total))
    problems = allowed(problems, list(experiment.data.allow))
    return Report(
        source=experiment.data.source,
        format=made.records.format,
        records=len(made.records),
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
        hits={code: np.array(numbers, np.int32) for code, numbers in pass_.hits(found).items()},
        answers=found.answers,
    )


def _unsettled(experiment: Experiment, base: Path | None, error: TunerError) -> Report:
    """The report on records that no row can be made of, for one reason that holds for all of them."""
    records = OpenRecords(open_source(experiment.data, base))
    sample = list(islice(records.unread, SAMPLE))
    count = sum(1 for _ in records.first_pass())
    linter = Linter(LintContext())
    for fault in records.faults:
        linter.fault(fault)
    nothing = np.zeros(0, np.int32)
    return Report(
        source=experiment.data.source,
        format=records.format,
        records=count,
        counts={},
        guess=recognise(sample),
        columns=paths_of(sample),
        notes=list(records.notes),
        problems=[Problem(error.code, "error", count, error.message, error.fix), *linter.finish()],
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
    """One pass over the rows of a draft: arrays that fill up, while a linter looks at the rows."""

    def __init__(self, made: Draft) -> None:
        self.made = made
        held = [(PARTS.index(part), made.parts[part].pairs) for part in PARTS if part in made.parts]
        self.origins = np.concatenate([np.zeros((0, 2), np.int32), *(pairs for _, pairs in held)])
        self.total = total = len(self.origins)
        self.split = np.concatenate(
            [np.zeros(0, np.int8), *(np.full(len(pairs), part, np.int8) for part, pairs in held)]
        )
        self.number = np.concatenate(
            [np.zeros(0, np.int32), *(np.arange(len(pairs), dtype=np.int32) for _, pairs in held)]
        )
        self.lengths, self.offsets = np.zeros(total, np.int32), np.zeros(total, np.int32)
        self.lines = np.zeros(total, np.int32)
        self._refused: dict[str, list[int]] = {}

    def take(self, start: int, rows: list[Row], examples: list[Example | TunerError], lint: Lint) -> None:
        """Notes the lengths of a portion, and hands it to the linter."""
        known: list[tuple[int, RowFacts]] = []
        refused: list[tuple[Place, TunerError]] = []
        portion = slice(start, start + len(rows))
        lines = self.lines[portion] = self.made.records.lines_of(self.origins[portion, 0])
        places = zip(self.split[portion].tolist(), self.number[portion].tolist(), lines.tolist(), strict=True)
        for at, (row, example, (split, number, line)) in enumerate(zip(rows, examples, places, strict=True), start):
            if isinstance(example, TunerError):
                place = self.made.records.place(int(self.origins[at, 0]))
                refused.append((place, TunerError(example.message, code=example.code, fix=example.fix)))
                self._refused.setdefault(example.code, []).append(at)
                continue
            kind = row_kind(row)
            prompt, answer = texts_of(row, kind)
            facts = RowFacts(
                PARTS[split], number, line, row, kind, prompt, answer,
                len(example.tokens), example.offset, tuple(example.tokens[:2]), tuple(example.tokens[-3:]),
            )  # fmt: skip
            self.lengths[at], self.offsets[at] = len(example.tokens), example.offset
            known.append((at, facts))
        lint.refusals(refused)
        lint.rows(known)

    def hits(self, found: Found) -> dict[str, list[int]]:
        """The rows that each rule hits, and those that could not be rendered."""
        return {**self._refused, **found.hits}


Portion = tuple[int, list[Row], list[Example | TunerError]]


def _tokenised(made: Draft, origins: NDArray[np.int32], tokenizer: Any, *, mask_prompt: bool) -> Generator[Portion]:
    """Portions of rows with their tokens.

    Encoding releases the interpreter and takes all cores there are, so it runs ahead in a thread of its own while the
    next rows are made in another, and the caller lints.
    """

    def portions() -> Iterator[tuple[int, list[Row]]]:
        for start in range(0, len(origins), _PORTION):
            yield start, list(made.some(origins[start : start + _PORTION].tolist()))

    if tokenizer is None:
        for start, rows in portions():
            yield start, rows, [Example([], 0)] * len(rows)
        return
    rendered = ((start, rows, render_many(rows, tokenizer, mask_prompt=mask_prompt)) for start, rows in portions())
    with closing(ahead(rendered, "tui-tuner-rows")) as waiting:
        encoded = ((start, rows, encode_many(texts)) for start, rows, texts in waiting)
        with closing(ahead(encoded, "tui-tuner-tokens", 1)) as ready:
            yield from ready
