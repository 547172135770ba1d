"""Prepares data in memory and renders rows exactly as training will see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tui_tuner.config import Experiment
from tui_tuner.data.examples import Example, tokenise
from tui_tuner.data.prepare import Prepared, Row, prepare, row_kind
from tui_tuner.data.preview import DataPreview, PreviewRow
from tui_tuner.errors import TunerError


def preview_data(experiment: Experiment, tokenizer: Any, base: Path | None = None, limit: int = 200) -> DataPreview:
    """The data of an experiment at a glance: counts and lengths of all rows, the first `limit` of each split in full.

    Raises:
        TunerError: when the source cannot be read or a row cannot be rendered.
    """
    return preview_prepared(prepare(experiment.data, experiment.run.seed, base), experiment, tokenizer, limit)


def preview_prepared(prepared: Prepared, experiment: Experiment, tokenizer: Any, limit: int = 200) -> DataPreview:
    """As `preview_data`, for rows that are prepared already (those of a run folder)."""
    splits = {"train": prepared.train, "valid": prepared.valid, "test": prepared.test}
    longest = experiment.train.max_seq_length
    shown: list[PreviewRow] = []
    lengths: list[int] = []
    trainable = 0
    for split, rows in splits.items():
        for index, row in enumerate(rows):
            try:
                example = tokenise(row, tokenizer, mask_prompt=experiment.data.mask_prompt)
            except TunerError as error:
                where = error.where or f"{split}, row {index + 1}"
                raise TunerError(error.message, code=error.code, where=where, fix=error.fix) from error
            lengths.append(len(example.tokens))
            if split == "train":
                trainable += max(min(len(example.tokens), longest) - max(example.offset, 1), 0)
            if index < limit:
                shown.append(_preview_row(index, split, row, example, tokenizer, longest))
    kinds = [row_kind(rows[0]) for rows in splits.values() if rows]
    return DataPreview(
        counts={split: len(rows) for split, rows in splits.items()},
        kind=kinds[0] if kinds else "empty",
        rows=shown,
        notes=list(prepared.notes),
        token_lengths=_lengths(lengths),
        trainable_tokens=trainable,
    )


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
