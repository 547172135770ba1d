"""Which way of dividing records fits them, and why: single records, groups about the same thing, or facts in words.

Advice from the first records of a source. Nothing is divided here, and nothing is chosen for a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tui_tuner.data.lookup import is_empty, look_up

_FEWEST = 20
"""Records from which on something can be said."""
_FILLED = 0.8
_SPREAD = 0.2
"""A value that so many records share is a kind, not a subject."""
_WORDS_OF_A_NAME, _WORDS_OF_A_TEXT = 1, 4
_SUBJECTS = 8
"""Fewer different values than this are kinds, too."""


@dataclass(frozen=True)
class SplitAdvice:
    """A way of dividing that fits.

    Attributes:
        mode: a value of `data.split`; empty where the source brings its own splits.
        group: columns for `data.group`, for groups.
        why: one sentence.
    """

    mode: str
    group: tuple[str, ...] = ()
    why: str = ""


def split_advice(
    records: Sequence[Mapping[str, Any]], columns: Sequence[str], prompts: int, used: Sequence[str] = (), *, own: bool
) -> SplitAdvice:
    """What fits these records.

    Args:
        records: the first ones.
        columns: paths to look at.
        prompts: how many wordings each record is asked in.
        used: the columns that prompts are made of, which count before others; answers must not be among them.
        own: whether the source brings its own splits.
    """
    if own:
        return SplitAdvice("", (), "The source brings its own splits, and they are taken as they are.")
    if prompts > 2:
        why = f"Every record is asked in {prompts} wordings: holding back wordings measures recall of what is trained."
        return SplitAdvice("facts", (), why)
    others = [path for path in columns if path not in used]
    found = _subject(records, used, _WORDS_OF_A_NAME) or _subject(records, others, _WORDS_OF_A_TEXT)
    if found is None:
        more = " With a third wording, recall could be measured in words not trained." if prompts == 2 else ""
        return SplitAdvice("records", (), f"No column repeats a subject, so single records can be held back.{more}")
    path, different, filled = found
    return SplitAdvice(
        "grouped",
        (path,),
        f'"{path}" repeats ({different:,} different in {filled:,} records): if that is what a record is about, '
        "its rows belong on one side of training and test.",
    )


def _subject(records: Sequence[Mapping[str, Any]], paths: Sequence[str], words: int) -> tuple[str, int, int] | None:
    """The column that says most exactly what a record is about while others say the same: path, values, records.

    Args:
        words: how many words its texts must have on average, unless it is called an id.
    """
    best: tuple[str, int, int] | None = None
    if len(records) < _FEWEST:
        return None
    for path in paths:
        values = [look_up(record, path) for record in records]
        texts = [value for value in values if isinstance(value, str) and not is_empty(value)]
        numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
        names_an_id = path.casefold().split(".")[-1].replace("-", "_").split("_")[-1] == "id"
        told = sum(len(text.split()) for text in texts) >= words * len(texts) or names_an_id
        held: list[Any] = texts if texts and told else numbers if names_an_id else []
        if len(held) < _FILLED * len(records):
            continue
        counts = Counter(held)
        repeats = len(counts) <= 0.7 * len(held) and len(counts) >= _SUBJECTS
        if repeats and max(counts.values()) <= _SPREAD * len(held) and (best is None or len(counts) > best[1]):
            best = path, len(counts), len(held)
    return best
