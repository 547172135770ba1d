"""What one sees of a data set before a step is trained: plain data, made by `data.inspect` and shown by any face."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PreviewRow:
    """One row in its three forms.

    Attributes:
        index: position within its split, from 0; without a split, among the rows of the file.
        split: `train`, `valid`, `test` or `unseen`; empty in a preview that is not complete, where it is not known.
        row: the prepared row (prompt/completion, messages or text).
        rendered: the conversation as the chat template writes it.
        tokens: (id, text of that token) in order, cut at the maximum length; none in the first preview of a model whose
            tokenizer is not read yet.
        offset: tokens before this position are not trained on.
        truncated: tokens lost to the maximum length.
        record: the record as it was read; empty where it is not known.
        line: the line of its file that the record starts on; 0 where that is not known.
        special: which of the ids are tokens with a meaning of their own (start, end, roles); None where the tokenizer
            was not asked.
    """

    index: int
    split: str
    row: dict[str, Any]
    rendered: str
    tokens: list[tuple[int, str]]
    offset: int
    truncated: int
    record: dict[str, Any] = field(default_factory=dict)
    line: int = 0
    special: frozenset[int] | None = None


@dataclass(frozen=True)
class DataPreview:
    """A data set at a glance.

    Attributes:
        counts: rows by split; 0 also where it is not known yet.
        kind: of the rows: "completion", "chat" or "text", or "empty".
        rows: those that were asked for.
        notes: what a person should know about how they came about.
        token_lengths: min, median, p95 and max over all rows of all splits; 0 where they were not counted.
        trainable_tokens: of all training rows; 0 where they were not counted.
        complete: whether the whole source was read; if not, only its first rows are known.
    """

    counts: dict[str, int]
    kind: str
    rows: list[PreviewRow]
    notes: list[str]
    token_lengths: dict[str, int]
    trainable_tokens: int
    complete: bool = True
