"""What one sees of a data set before a step is trained: plain data, made by `data.inspect` and shown by any face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PreviewRow:
    """One row in its three forms.

    Attributes:
        index: position within its split, from 0.
        split: `train`, `valid` or `test`.
        row: the prepared row (prompt/completion, messages or text).
        rendered: the conversation as the chat template writes it.
        tokens: (id, text of that token) in order, cut at the maximum length.
        offset: tokens before this position are not trained on.
        truncated: tokens lost to the maximum length.
    """

    index: int
    split: str
    row: dict[str, Any]
    rendered: str
    tokens: list[tuple[int, str]]
    offset: int
    truncated: int


@dataclass(frozen=True)
class DataPreview:
    """A data set at a glance. `token_lengths` has the keys min, median, p95 and max over all rows of all splits."""

    counts: dict[str, int]
    kind: str
    rows: list[PreviewRow]
    notes: list[str]
    token_lengths: dict[str, int]
    trainable_tokens: int
