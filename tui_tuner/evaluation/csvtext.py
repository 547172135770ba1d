"""Rows as comma-separated text that any reader gives back as they were; lines end with a line feed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence

_END = "\r\n"


class _Lines:
    """Takes rows from Python's writer, each in one piece."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, text: str) -> None:
        self.parts.append(text.removesuffix(_END) + "\n")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """The rows as CSV. Texts stand as they are, in quotes where they hold a comma, a quote or a line break."""
    lines = _Lines()
    # Told that lines end with both signs, the writer puts a text with either of them in quotes.
    csv.writer(lines, lineterminator=_END).writerows(rows)
    return "".join(lines.parts)
