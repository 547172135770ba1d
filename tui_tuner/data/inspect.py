"""Prepares data in memory and renders rows exactly as training will see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tui_tuner.config import Experiment
from tui_tuner.data.draft import draft
from tui_tuner.data.examples import TOGETHER, Example, tokenise_many
from tui_tuner.data.prepare import Prepared, Row, prepared_of, row_kind
from tui_tuner.data.preview import DataPreview, PreviewRow
from tui_tuner.data.wording import many
from tui_tuner.errors import TunerError

Chosen = Sequence[tuple[str, int]]


def preview_data(
    experiment: Experiment, tokenizer: Any, base: Path | None = None, limit: int = 200, *, only: Chosen = ()
) -> DataPreview:
    """The data of an experiment at a glance: counts and lengths of all rows, the first `limit` of each split in full.

    Records that no row can be made of are counted in a note, with the reason of the first.

    Args:
        only: (split, number) of the rows to give in full instead.

    Raises:
        TunerError: when the source cannot be read, it is not clear what its records are, or none can be used.
    """
    made = draft(experiment.data, experiment.run.seed, base)
    if not any(made.parts.values()):
        prepared_of(made)  # says why
    notes = list(made.notes)
    if made.refused:
        first = made.refused[0][1]
        notes.insert(0, f"{many(len(made.refused), 'record', 'records')} can't be used; the first: {first.sentence()}")
    if made.undivided is not None:
        notes.insert(0, made.undivided.sentence())
    prepared = Prepared(made.rows("train"), made.rows("valid"), made.rows("test"), notes, made.rows("unseen"))
    return preview_prepared(prepared, experiment, tokenizer, limit, only=only)


def preview_prepared(
    prepared: Prepared, experiment: Experiment, tokenizer: Any, limit: int = 200, *, only: Chosen = ()
) -> DataPreview:
    """As `preview_data`, for rows that are prepared already (those of a run folder)."""
    splits = {"train": prepared.train, "valid": prepared.valid, "test": prepared.test, "unseen": prepared.unseen}
    longest = experiment.train.max_seq_length
    kinds = [row_kind(rows[0]) for rows in splits.values() if rows]
    # Prompts cannot be told from answers in bare texts: they are shown unmasked, and the linter says so.
    masked = experiment.data.mask_prompt and "text" not in kinds
    notes = list(prepared.notes)
    shown: list[PreviewRow] = []
    lengths: list[int] = []
    wanted = set(only)
    trainable = failed = 0
    for split, rows in splits.items():
        for index, (row, example) in enumerate(zip(rows, _examples(rows, tokenizer, masked), strict=True)):
            if isinstance(example, TunerError):
                if not failed:
                    notes.insert(0, f"{split}, row {index + 1}: {example.message}")
                failed += 1
                continue
            lengths.append(len(example.tokens))
            if split == "train":
                trainable += max(min(len(example.tokens), longest) - max(example.offset, 1), 0)
            if (split, index) in wanted if only else index < limit:
                shown.append(_preview_row(index, split, row, example, tokenizer, longest))
    return DataPreview(
        counts={split: len(rows) for split, rows in splits.items() if rows or split != "unseen"},
        kind=kinds[0] if kinds else "empty",
        rows=shown,
        notes=notes,
        token_lengths=_lengths(lengths),
        trainable_tokens=trainable,
    )


def _examples(rows: list[Row], tokenizer: Any, masked: bool) -> Iterator[Example | TunerError]:
    for start in range(0, len(rows), TOGETHER):
        yield from tokenise_many(rows[start : start + TOGETHER], tokenizer, mask_prompt=masked)


def _preview_row(index: int, split: str, row: Row, example: Example, tokenizer: Any, longest: int) -> PreviewRow:
    kept = example.tokens[:longest]
    return PreviewRow(
        index=index,
        split=split,
        row=dict(row),
        rendered=tokenizer.decode(example.tokens),
        tokens=[(token, tokenizer.decode([token])) for token in kept],
        offset=max(example.offset, 1),
        truncated=len(example.tokens) - len(kept),
    )


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
