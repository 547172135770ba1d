"""What train, validation and test are called in the wild: by files, folders, keys of JSON and sets on the Hub."""

from __future__ import annotations

import re

SPLITS = ("train", "valid", "test")
_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
_WORD = re.compile(r"(?:^|[^A-Za-z])(" + "|".join(sorted(_NAMES, key=len, reverse=True)) + r")(?=$|[^A-Za-z])", re.I)


def split_of(name: str) -> str:
    """The split that a name is exactly: "train", "valid" or "test"; empty when it is none."""
    return _NAMES.get(name.casefold(), "")


def split_within(name: str) -> str:
    """The split that a name has as its only word of that kind, as in "squad-dev-v2"; empty when it has none."""
    found = {_NAMES[word.casefold()] for word in _WORD.findall(name)}
    return found.pop() if len(found) == 1 else ""
