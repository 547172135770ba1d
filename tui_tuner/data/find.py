"""Finds rows by their text. It reads a draft and changes nothing."""

from __future__ import annotations

from collections.abc import Callable

from tui_tuner.data.draft import PARTS, Draft
from tui_tuner.data.lint.facts import texts_of
from tui_tuner.data.rows import row_kind

_PORTION = 1024


def find_rows(made: Draft, text: str, check: Callable[[], None] = lambda: None) -> tuple[tuple[str, int], ...]:
    """(split, number) of the rows whose prompt or answer holds a text, whatever its case; in the order of splits.

    Args:
        text: what is sought; nothing is found for an empty one.
        check: called now and then; it may raise to end the search.
    """
    wanted = text.casefold()
    found: list[tuple[str, int]] = []
    if not wanted:
        return ()
    for part in PARTS:
        for number, row in enumerate(made.each(part)):
            if not number % _PORTION:
                check()
            if any(wanted in said.casefold() for said in texts_of(row, row_kind(row))):
                found.append((part, number))
    return tuple(found)
