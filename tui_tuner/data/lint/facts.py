"""What the rules of the linter look at: one row in all its forms, and what is true of the whole set. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tui_tuner.data.formprobe import ChatForm
from tui_tuner.data.rows import Row, RowKind


@dataclass(frozen=True)
class LintContext:
    """What rules must know beside the rows.

    Attributes:
        model: what the model is called, for messages.
        specials: texts of the tokenizer's special and added tokens.
        bos: id of the token that begins a sequence; None where there is none.
        ends: ids of the tokens that end an answer.
        has_template: whether conversations can be rendered.
        max_length: tokens that a row is cut at.
        batch_size: rows a step.
        drops_remainder: whether rows that fill no batch are left out (mlx-lm's own order).
        mask_prompt: whether the loss counts the answer only.
        benchmark: whether the test rows are answered before and after.
        numeric: whether `numeric_accuracy` is among what their answers are judged by.
        shape, confidence: what the records were taken for, and how surely (1 with templates).
        templated: whether rows are written by templates of the preset.
        wordings: how many of them a record has.
        split: `data.split`.
        grouped: whether `data.group` names what records are about.
        form: what the chat template does with conversations.
        template: `model.chat_template`.
        stops: ids of the tokens at which answering stops; empty when that is not known.
        allow: `data.allow`.
    """

    model: str = ""
    specials: frozenset[str] = frozenset()
    bos: int | None = None
    ends: frozenset[int] = frozenset()
    has_template: bool = True
    max_length: int = 2048
    batch_size: int = 1
    drops_remainder: bool = False
    mask_prompt: bool = True
    benchmark: bool = True
    numeric: bool = False
    shape: str = "completion"
    confidence: float = 1.0
    templated: bool = False
    wordings: int = 1
    split: str = "records"
    grouped: bool = False
    form: ChatForm = field(default_factory=ChatForm)
    template: str = "auto"
    stops: frozenset[int] = frozenset()
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class RowFacts:
    """One row in all its forms.

    Attributes:
        split: "train", "valid", "test" or "unseen".
        number: its number within the split, from 0.
        line: line of its record in the file, from 1; 0 for none.
        row: as prepared.
        kind: of the row.
        prompt, answer: its texts; of a text row only the answer.
        length: tokens of the whole row, not cut.
        offset: how many of them are prompt.
        start: ids of the first two.
        end: ids of the last three.
    """

    split: str
    number: int
    line: int
    row: Row
    kind: RowKind
    prompt: str
    answer: str
    length: int = 0
    offset: int = 0
    start: tuple[int, ...] = ()
    end: tuple[int, ...] = ()

    @cached_property
    def text(self) -> str:
        """Prompt and answer together."""
        return f"{self.prompt}\n{self.answer}" if self.prompt else self.answer

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of a conversation; none for the other kinds."""
        return list(self.row["messages"]) if self.kind == "chat" else []


@dataclass(frozen=True)
class Hit:
    """That a rule hits a row: an example to show, and an amount that is summed over all rows."""

    example: str = ""
    amount: float = 0.0


@dataclass
class Tally:
    """What a rule has found so far.

    Attributes:
        count: rows hit.
        total: rows looked at.
        amount: sum of the hits' amounts.
        examples: the first few different examples.
        places: (split, number, line) of the first thousand rows hit.
    """

    count: int = 0
    total: int = 0
    amount: float = 0.0
    examples: list[str] = field(default_factory=list)
    places: list[tuple[str, int, int]] = field(default_factory=list)


def texts_of(row: Row, kind: RowKind) -> tuple[str, str]:
    """Prompt and answer of a prepared row as plain text; earlier turns of a conversation belong to the prompt."""
    if kind == "completion":
        return str(row["prompt"]), str(row["completion"])
    if kind == "text":
        return "", str(row["text"])
    messages = row["messages"]
    return "\n".join(str(m["content"]) for m in messages[:-1]), str(messages[-1]["content"])
