"""Which words two texts share: for showing what an answer gained and lost. Pure; no styles, no widgets."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

MOST_WORDS = 1500
"""Longer texts are not compared word by word, because the matcher's time grows with the square."""

_WORD = re.compile(r"\s+|\w+|[^\w\s]", re.UNICODE)

Piece = tuple[str, bool]
"""Some text, and whether the other side has it too."""


def words(text: str) -> list[str]:
    """The text cut into words, signs and blanks; joined they are the text again."""
    return _WORD.findall(text)


def word_diff(first: str, second: str) -> tuple[list[Piece], list[Piece]] | None:
    """Both texts in pieces that are shared or not; None when they are too long to compare.

    Joined, the pieces of each side are that side's text, character for character.
    """
    left, right = words(first), words(second)
    if len(left) > MOST_WORDS or len(right) > MOST_WORDS:
        return None
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    a: list[Piece] = []
    b: list[Piece] = []
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        same = kind == "equal"
        if i2 > i1:
            a.append(("".join(left[i1:i2]), same))
        if j2 > j1:
            b.append(("".join(right[j1:j2]), same))
    return a, b
