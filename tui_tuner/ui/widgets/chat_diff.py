"""What an answer has that another one has not, word by word: as rows with the words marked. No Markdown here."""

from __future__ import annotations

from functools import lru_cache

from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets.chat_rows import BOLD, STRIKE, UNDERLINE, Ink, Row, Run, set_runs
from tui_tuner.ui.worddiff import MOST_WORDS, Change, changes, much


@lru_cache(64)
def _compared(first: str, second: str) -> list[Change] | None:
    return changes(first, second)


def marked(text: str, other: str, width: int, ink: Ink, *, first: bool) -> tuple[list[Row], str]:
    """An answer with the words marked that another one has not.

    Args:
        first: whether the text is the one that the other is held against: what it has alone is lost, else gained.

    Returns:
        Its rows, and how much changed in words.
    """
    own, its = visible(text, lines=True), visible(other, lines=True)
    found = _compared(own, its) if first else _compared(its, own)
    if found is None:
        rows = [row for line in own.split("\n") for row in set_runs([(line, "text", 0)], width, ink)]
        return rows, f"more than {MOST_WORDS:,} words are not compared"
    hidden = "gained" if first else "lost"
    runs: list[Run] = []
    for piece, kind in found:
        if kind == "same":
            runs.append((piece, "text", 0))
        elif kind != hidden:
            runs.append((piece, "error", STRIKE) if first else (piece, "good", BOLD | UNDERLINE))
    return set_lines(runs, width, ink), much(found)


def set_lines(runs: list[Run], width: int, ink: Ink) -> list[Row]:
    """Runs with line breaks in them as rows."""
    rows: list[Row] = []
    line: list[Run] = []
    for text, tone, how in runs:
        *ended, last = text.split("\n")
        for part in ended:
            rows += set_runs([*line, (part, tone, how)], width, ink)
            line = []
        if last:
            line.append((last, tone, how))
    return [*rows, *set_runs(line, width, ink)] if line else rows
