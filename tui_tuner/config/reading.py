"""The words in which a person says how a source is read: an encoding, a separator, a slice, a chat template.

Shared by the configuration, which refuses what means nothing, and the readers, which act on it. It must never read a
file.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

SPACES = "spaces"
"""The separator that is two spaces or more."""

AUTO_TEMPLATE = "auto"
CHAT_TEMPLATES = (
    *(AUTO_TEMPLATE, "chatml", "llama-3", "llama-2", "mistral", "gemma", "phi-3", "zephyr", "vicuna", "alpaca"),
    "plain",
)
"""What chooses a chat template by name; the first is the model's own. Anything else is a file."""

_LONGEST_SEPARATOR = 8
_SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " ", "colon": ":"}
_SLICE = re.compile(r"(?P<split>[\w.-]*)(?:\[(?P<start>-?\d+%?)?:(?P<stop>-?\d+%?)?\])?")


def encoding_name(text: str) -> str | None:
    """Python's name of an encoding of text; None where there is none of that name."""
    try:
        found = codecs.lookup(text.strip())
    except (LookupError, ValueError):
        return None
    return found.name if getattr(found, "_is_text_encoding", True) else None


def separator(text: str) -> str | None:
    """The sign or signs that a separator's name or they themselves mean; "spaces" stays so, None means nothing."""
    signs = _SEPARATORS.get(text.casefold(), text)
    return signs if 0 < len(signs) <= _LONGEST_SEPARATOR and not set('"\r\n') & set(signs) else None


@dataclass(frozen=True)
class Slice:
    """A part of a source, as `datasets` writes it: "train[:1000]", "[10%:20%]", "test".

    Attributes:
        split: the name of a split, as it is written; empty for the one that is trained on.
        start, stop: row numbers or percentages as they are written; empty for the beginning and the end.
    """

    split: str = ""
    start: str = ""
    stop: str = ""

    @classmethod
    def parse(cls, text: str) -> Slice | None:
        """The slice that a text means, or None."""
        found = _SLICE.fullmatch(text.replace(" ", ""))
        return cls(found["split"], found["start"] or "", found["stop"] or "") if found else None

    @property
    def counts_from_the_end(self) -> bool:
        """Whether the number of rows must be known before the slice means anything."""
        return any(sign in self.start + self.stop for sign in "%-")

    def bounds(self, count: int) -> tuple[int, int | None]:
        """The first row, from 0, and the row behind the last one, None for the end; `count` are all rows."""
        return (_number(self.start, count) if self.start else 0), (_number(self.stop, count) if self.stop else None)


def _number(text: str, count: int) -> int:
    value = int(text.rstrip("%"))
    number = round(count * abs(value) / 100) if text.endswith("%") else abs(value)
    return number if not text.startswith("-") else max(count - number, 0)
