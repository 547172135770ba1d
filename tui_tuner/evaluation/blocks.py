"""What a report is made of (headings, sentences, tables, quoted texts, charts), and how Markdown writes it.

A report is put together once and written by `as_markdown` here or as a page by `page`. Texts of data and models are
quoted as indented code, the one form that no text can break out of, or stand in cells with their bars and breaks taken
out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_ACTING = ("Cc", "Cf", "Cs")
"""Categories of characters that steer a terminal, reorder text, or are none."""


@dataclass(frozen=True)
class Heading:
    """A heading of a level, 1 to 3."""

    level: int
    text: str


@dataclass(frozen=True)
class Sentence:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Table:
    """Titles and rows of equal length."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Quoted:
    """A text as it is, under what it is called; without a title it is a command."""

    title: str
    text: str


@dataclass(frozen=True)
class Terms:
    """Words with what they mean."""

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Curve:
    """One line of a chart: (x, y) in the order of x; `slot` gives colour, sign and kind of line."""

    name: str
    points: Sequence[tuple[float, float]]
    slot: int = 0


@dataclass(frozen=True)
class Chart:
    """Lines over one axis. Markdown has no charts, so a report says in a table what must be known without them."""

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]


Block = Heading | Sentence | Table | Quoted | Terms | Chart


def as_markdown(blocks: Sequence[Block]) -> str:
    """The blocks as Markdown; charts are left out."""
    lines: list[str] = []
    for block in blocks:
        match block:
            case Heading(level, text):
                lines += [f"{'#' * level} {cell(text)}", ""]
            case Sentence(text):
                lines += [cell(text), ""]
            case Table(titles, rows):
                told = [titles, ["---"] * len(titles), *rows]
                lines += [*("| " + " | ".join(cell(one) for one in line) + " |" for line in told), ""]
            case Quoted(title, text):
                lines += [f"{cell(title)}:", ""] if title else []
                lines += [*(f"    {plain(line)}" for line in text.splitlines() or [""]), ""]
            case Terms(items):
                lines += [*(f"- **{cell(term)}**: {cell(text)}" for term, text in items), ""]
            case Chart():
                pass
    return "\n".join(lines).rstrip() + "\n"


def cell(text: object) -> str:
    """Text for a table or a line: in one line, and without what Markdown or HTML would act on."""
    flat = plain(" ".join(str(text).split()))
    return re.sub(r"([\\|`*\[\]])", r"\\\1", flat).replace("<", "&lt;")


def plain(text: str) -> str:
    """Without control characters and those that reorder others."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _ACTING else c for c in text)
