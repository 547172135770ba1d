"""What the columns of some records hold, in figures: the evidence that recognition goes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tui_tuner.data.lookup import is_empty, look_up, paths_of

Kind = Literal["text", "number", "switch", "turns", "list", "object", "empty"]
_QUESTION_MARKS = ("?", "？", "؟", "՞")  # the last is Armenian; the Greek one is a semicolon, which ends much else


@dataclass(frozen=True)
class Column:
    """One column of a sample of records.

    Attributes:
        path: its name, or the path of a nested one.
        kind: what most of its values are; "turns" is a list of messages, also as JSON text.
        filled: share of the records with something in it, 0..1.
        unique: share of different values among those filled, 0..1.
        length: mean characters of its texts.
        words: mean number of words (runs of letters between blanks) of its texts.
        asking: share of its texts that end with a question mark, 0..1.
    """

    path: str
    kind: Kind
    filled: float
    unique: float
    length: float
    words: float
    asking: float

    @property
    def is_prose(self) -> bool:
        """Whether it holds texts that could be asked or answered: no numbers, no identifiers of one word each."""
        return self.kind == "text" and self.filled > 0.5 and not self.is_identifier

    @property
    def is_identifier(self) -> bool:
        """Whether its texts look like keys: each its own, one word, with hardly any variation in form."""
        return (
            self.kind == "text" and self.unique > 0.98 and self.words <= 1.05 and self.length < 60 and not self.asking
        )


def columns_of(records: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The columns of a sample, nested ones by their paths, in the order of their first occurrence.

    A column with lists of texts counts by the first text of each (as in SQuAD's answers).
    """
    found = []
    for path in paths_of(records):
        column = _column(path, [look_up(record, path) for record in records])
        if column.kind == "list":
            first = _column(f"{path}.0", [look_up(record, f"{path}.0") for record in records])
            column = first if first.kind == "text" else column
        found.append(column)
    return found


def looks_like_turns(value: Any) -> bool:
    """Whether a value is a list of messages: objects that have a speaker and what they say."""
    if not isinstance(value, list) or not value or not all(isinstance(turn, Mapping) for turn in value):
        return False
    keys = {str(key).casefold() for key in value[0]}
    return bool(keys & {"role", "from", "speaker", "author"}) and bool(
        keys & {"content", "value", "text", "message", "tool_calls"}
    )


def _column(path: str, values: list[Any]) -> Column:
    filled = [value for value in values if not is_empty(value)]
    if not filled:
        return Column(path, "empty", 0.0, 0.0, 0.0, 0.0, 0.0)
    kinds = [_kind(value) for value in filled]
    kind = max(set(kinds), key=lambda kind: (kinds.count(kind), kind))
    texts = [value for value in filled if isinstance(value, str)]
    count = max(len(texts), 1)
    stripped = [text.rstrip() for text in texts]
    return Column(
        path=path,
        kind=kind,
        filled=len(filled) / len(values),
        unique=len(set(map(str, filled))) / len(filled),
        length=sum(map(len, texts)) / count,
        words=sum(len(text.split()) for text in texts) / count,
        asking=sum(text.endswith(_QUESTION_MARKS) for text in stripped) / count,
    )


def _kind(value: Any) -> Kind:
    if isinstance(value, bool):
        return "switch"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return _kind_of_text(value)
    if looks_like_turns(value):
        return "turns"
    return "list" if isinstance(value, list) else "object"


_SPEAKER_KEYS = ('"role"', '"from"', "'role'", "'from'")


def _kind_of_text(text: str) -> Kind:
    start = text.lstrip()[:2]
    if start in ("[{", "[ ", "[\n") and any(key in text[:400] for key in _SPEAKER_KEYS):
        return "turns"
    if len(text) < 40:
        try:
            float(text.replace(",", "").rstrip("%").lstrip("$€£"))
        except ValueError:
            return "text"
        return "number"
    return "text"
