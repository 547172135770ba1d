"""Rows exactly as training will see them, any of a draft, and the first ones before anything else is known.

Only the rows that are asked for are rendered and tokenised: a window of a large set costs what its rows cost. Figures
of all rows are given where there are few enough to count at once; else the scan tells them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tui_tuner.config import Experiment
from tui_tuner.data.draft import PARTS, Draft, draft
from tui_tuner.data.examples import TOGETHER, Example, tokenise_many
from tui_tuner.data.head import read_head
from tui_tuner.data.prepare import Row, prepared_of, row_kind
from tui_tuner.data.preview import DataPreview, PreviewRow
from tui_tuner.errors import TunerError
from tui_tuner.units import many

Chosen = Sequence[tuple[str, int]]
COUNTED = 2000
"""Rows that are tokenised for the figures of a preview; of more than that its lengths are 0, not known."""


def preview_data(
    experiment: Experiment,
    tokenizer: Any,
    base: Path | None = None,
    limit: int = 200,
    *,
    only: Chosen = (),
    make: Callable[..., Draft] = draft,
) -> DataPreview:
    """The data of an experiment at a glance: counts of all rows, the first `limit` of each split in full.

    Records that no row can be made of are counted in a note, with the reason of the first.

    Args:
        only: (split, number) of the rows to give in full instead, in this order; what is not there is left out.
        make: makes the draft, or gives the one that is held.

    Raises:
        TunerError: when the source cannot be read, it is not clear what its records are, or none can be used.
    """
    made = make(experiment.data, experiment.run.seed, base)
    if not any(made.parts.values()):
        prepared_of(made)  # says why
    notes = list(made.notes)
    if made.refused:
        first = made.refused[0][1]
        notes.insert(0, f"{many(len(made.refused), 'record', 'records')} can't be used; the first: {first.sentence()}")
    if made.undivided is not None:
        notes.insert(0, made.undivided.sentence())
    counts = made.counts
    first_rows = (made.row(part, 0) for part in PARTS if counts.get(part))
    shower = _Shower(experiment, tokenizer, [row_kind(row) for row in first_rows if row is not None], notes)
    if only:
        rows = ((part, number, made.row(part, number)) for part, number in only)
        found = shower.preview(counts, [(part, number, row) for part, number, row in rows if row is not None])
        return _with_records(found, made)
    if sum(counts.values()) <= COUNTED:
        return _with_records(shower.whole({part: made.rows(part) for part in PARTS if part in counts}, limit), made)
    chosen = [(part, number) for part in PARTS for number in range(min(limit, counts.get(part, 0)))]
    shown = ((part, number, made.row(part, number)) for part, number in chosen)
    found = shower.preview(counts, [(part, number, row) for part, number, row in shown if row is not None])
    return _with_records(found, made)


def _with_records(preview: DataPreview, made: Draft) -> DataPreview:
    """The same with the records that the rows were made of."""

    def whole(row: PreviewRow) -> PreviewRow:
        record = made.parts[row.split][row.index][0]
        return replace(row, record=made.records[record], line=made.records.place(record).line)

    return replace(preview, rows=[whole(row) for row in preview.rows])


def preview_head(experiment: Experiment, tokenizer: Any, base: Path | None = None, limit: int = 200) -> DataPreview:
    """The first rows of a source of any size; the whole is not read, so the preview is not `complete`.

    Args:
        tokenizer: None to show the rows without their tokens.

    Raises:
        TunerError: the source cannot be read, or it is not clear what its records are.
    """
    head = read_head(experiment.data, base, limit)
    kinds = [row_kind(row) for _, _, row in head.rows[:1]]
    counts = {part: 0 for part in PARTS if part != "unseen"}
    if tokenizer is None:
        plain = [PreviewRow(number, split, dict(row), "", [], 0, 0) for split, number, row in head.rows]
        return DataPreview(counts, kinds[0] if kinds else "empty", plain, head.notes, _lengths([]), 0, complete=False)
    return _Shower(experiment, tokenizer, kinds, head.notes).preview(counts, head.rows, complete=False)


class _Shower:
    """Shows rows of one set."""

    def __init__(self, experiment: Experiment, tokenizer: Any, kinds: list[Any], notes: list[str]) -> None:
        self._tokenizer, self._notes = tokenizer, notes
        self._longest = experiment.train.max_seq_length
        self._kind = kinds[0] if kinds else "empty"
        # Prompts cannot be told from answers in bare texts: they are shown unmasked, and the linter says so.
        self._masked = experiment.data.mask_prompt and "text" not in kinds
        self._failed = False
        self._special = special_ids(tokenizer)
        self._texts: dict[int, str] = {}  # of tokens; a few thousand make up all rows

    def whole(self, splits: Mapping[str, list[Row]], limit: int) -> DataPreview:
        """The first rows of each split, and the figures of all."""
        shown: list[PreviewRow] = []
        lengths: list[int] = []
        trainable = 0
        for split, rows in splits.items():
            for index, (row, example) in enumerate(zip(rows, self._examples(rows), strict=True)):
                if isinstance(example, TunerError):
                    self._tell(split, index, example)
                    continue
                lengths.append(len(example.tokens))
                if split == "train":
                    trainable += max(min(len(example.tokens), self._longest) - max(example.offset, 1), 0)
                if index < limit:
                    shown.append(self._row(index, split, row, example))
        counts = {split: len(rows) for split, rows in splits.items()}
        return DataPreview(counts, self._kind, shown, self._notes, _lengths(lengths), trainable)

    def preview(
        self, counts: dict[str, int], rows: Sequence[tuple[str, int, Row]], *, complete: bool = True
    ) -> DataPreview:
        """Some rows, without figures of all."""
        shown: list[PreviewRow] = []
        examples = self._examples([row for _, _, row in rows])
        for (split, index, row), example in zip(rows, examples, strict=True):
            if isinstance(example, TunerError):
                self._tell(split, index, example)
            else:
                shown.append(self._row(index, split, row, example))
        return DataPreview(counts, self._kind, shown, self._notes, _lengths([]), 0, complete=complete)

    def _tell(self, split: str, index: int, error: TunerError) -> None:
        if not self._failed:
            self._notes.insert(0, f"{split or 'the file'}, row {index + 1}: {error.message}")
        self._failed = True

    def _examples(self, rows: list[Row]) -> Iterator[Example | TunerError]:
        for start in range(0, len(rows), TOGETHER):
            yield from tokenise_many(rows[start : start + TOGETHER], self._tokenizer, mask_prompt=self._masked)

    def _row(self, index: int, split: str, row: Row, example: Example) -> PreviewRow:
        kept = example.tokens[: self._longest]
        for token in set(kept) - self._texts.keys():
            self._texts[token] = self._tokenizer.decode([token])
        return PreviewRow(
            index=index,
            split=split,
            row=dict(row),
            rendered=self._tokenizer.decode(example.tokens),
            tokens=[(token, self._texts[token]) for token in kept],
            offset=max(example.offset, 1),
            truncated=len(example.tokens) - len(kept),
            special=self._special.intersection(kept),
        )


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Ids of the tokens that a tokenizer takes whole out of a text: start, end, and what parts the turns."""
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}
    return frozenset(map(int, added)) | frozenset(getattr(tokenizer, "all_special_ids", None) or ())


def _lengths(lengths: list[int]) -> dict[str, int]:
    if not lengths:
        return {"min": 0, "median": 0, "p95": 0, "max": 0}
    values = np.array(lengths)
    return {
        "min": int(values.min()),
        "median": int(np.median(values)),
        "p95": int(np.percentile(values, 95)),
        "max": int(values.max()),
    }
