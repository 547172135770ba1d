"""Which words two texts share: for showing what an answer gained and lost. Pure; no styles, no widgets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

MOST_WORDS = 1500
"""Longer texts are not compared word by word, because the matcher's time grows with the square."""

_WORD = re.compile(r"\s+|\w+|[^\w\s]", re.UNICODE)

Piece = tuple[str, bool]
"""Some text, and whether the other side has it too."""


class Change(NamedTuple):
    """Some text that both sides have, or only the first (`lost`), or only the second (`gained`)."""

    text: str
    kind: Literal["same", "lost", "gained"]


def words(text: str) -> list[str]:
    """The text cut into words, signs and blanks; joined they are the text again."""
    return _WORD.findall(text)


def changes(first: str, second: str) -> list[Change] | None:
    """Both texts as one, what is lost before what is gained in its place; None when they are too long to compare.

    Joined, what is not gained is the first text, and what is not lost the second, character for character.
    """
    left, right = words(first), words(second)
    if len(left) > MOST_WORDS or len(right) > MOST_WORDS:
        return None
    found: list[Change] = []
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(Change("".join(left[i1:i2]), "same"))
            continue
        if i2 > i1:
            found.append(Change("".join(left[i1:i2]), "lost"))
        if j2 > j1:
            found.append(Change("".join(right[j1:j2]), "gained"))
    return found


def much(pieces: Sequence[tuple[str, str]]) -> str:
    """How many words went and came."""
    lost, gained = (sum(len(text.split()) for text, kind in pieces if kind == one) for one in ("lost", "gained"))
    return f"−{lost:,} +{gained:,} words" if lost or gained else "= the same"


def word_diff(first: str, second: str) -> tuple[list[Piece], list[Piece]] | None:
    """Both texts in pieces that are shared or not; None when they are too long to compare.

    Joined, the pieces of each side are that side's text, character for character.
    """
    found = changes(first, second)
    if found is None:
        return None
    a, b = ([(text, kind == "same") for text, kind in found if kind != other] for other in ("gained", "lost"))
    return a, b
