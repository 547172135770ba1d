"""How a delimited file is written: what separates its values, and whether its first record names the columns.

Both are told by statistics over the first records, with a stated confidence, and both can be said by a person instead.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, pstdev

from tui_tuner.config.reading import SPACES

_USUAL = (",", ";", "\t", "|")
_RARE = ("^", "~", "¦", "§", "\x1f", "\x01", ":")
_SPACES = re.compile(r" {2,}|\t+")
_PROSE = {",", ";", ":"}
_NAME = re.compile(r"[^\W\d][\w .()/#%-]{0,39}")
_NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:[eE][-+]?\d+)? ?%?")
_YEAR = re.compile(r"(?:19|20)\d\d")
_ENDS = (".", "!", "?", "…", "。", "！", "？")
_KNOWN = frozenset(
    re.findall(
        r"\S+",
        "id idx name title text sentence document article context passage content body label labels class category"
        " question query input instruction prompt system user source premise hypothesis answer answers response output"
        " completion assistant reply target summary chosen rejected language lang date year score rating url author"
        " frage antwort réponse pregunta respuesta",
    )
)
_LIKELY = 0.9


@dataclass(frozen=True)
class Header:
    """Whether the first record names the columns, and how sure that is, from 0.5 to 1."""

    present: bool
    confidence: float


def cells_of(text: str, delimiter: str) -> list[str]:
    """The values of one record.

    Raises:
        csv.Error: it can't be read.
    """
    if delimiter == SPACES:
        return _SPACES.split(text.strip(" "))
    if len(delimiter) > 1:  # which the csv module has not
        return text.split(delimiter)
    return next(csv.reader([text], delimiter=delimiter), [])


def find_delimiter(records: Sequence[str], *, tabs_first: bool = False) -> str:
    """The separator under which the first records have the same number of values; a comma when nothing separates.

    Args:
        records: the first lines, or records of several lines.
        tabs_first: whether the file's name says that tabs separate, so that commas in its texts don't win.
    """
    if tabs_first and any("\t" in record for record in records):
        return "\t"
    usual = [found for delimiter in _USUAL if (found := _score(records, delimiter))]
    if usual:
        best = max(usual, key=lambda found: found[:2])
        rivals = [found for found in usual if found[0] == best[0] and found[2] != best[2]]
        if best[2] == "," and rivals and _commas_are_decimals(records):
            best = max(rivals, key=lambda found: found[:2])
        return best[2]
    # What else may separate has to do so in every record, as these signs have other uses.
    for delimiter in (*_RARE, SPACES):
        found = _score(records, delimiter)
        if found and found[0] == 1.0 and len(records) >= 3 and (delimiter != ":" or found[1] >= 3):
            return delimiter
    return ","


def is_table(records: Sequence[str], delimiter: str) -> bool:
    """Whether the first records make a table: two columns or more, as many values in each, and no prose."""
    found = _score(records, delimiter)
    if not found or found[0] < 1.0 or len(records) < 2:
        return False
    return not (delimiter in _PROSE and _is_prose(records, delimiter))


def find_header(records: Sequence[Sequence[str]]) -> Header:
    """Whether the first of some records names the columns, judged column by column against the others.

    A name stands over numbers and is none, is short, occurs once, and no value below it is the same. Votes of the
    columns are added up as log odds.
    """
    if not records:
        return Header(True, 0.5)
    first, below = records[0], [record for record in records[1:] if any(cell.strip() for cell in record)]
    votes = 0.7
    named = [cell.strip() for cell in first if cell.strip()]
    if len(set(named)) < len(named):
        votes -= 0.7
    for number, cell in enumerate(first):
        column = [record[number].strip() for record in below if number < len(record)]
        votes += _vote(cell.strip(), [value for value in column if value])
    confidence = 1 / (1 + math.exp(-abs(votes)))
    return Header(votes >= 0, min(confidence, 0.99))


def unique_names(given: Sequence[str]) -> list[str]:
    """Column names without gaps or repeats: "column 3" for an unnamed one, "x (2)" for the second x."""
    names: list[str] = []
    taken: set[str] = set()
    every = set(given)
    for index, name in enumerate(given, 1):
        base = name or f"column {index}"
        candidate, number = base, 2
        while candidate in taken or (candidate != name and candidate in every):
            candidate, number = f"{base} ({number})", number + 1
        names.append(candidate)
        taken.add(candidate)
    return names


def _score(records: Sequence[str], delimiter: str) -> tuple[float, int, str] | None:
    """The share of records that are as wide as the first one, and that width; None when it has one value only."""
    try:
        widths = [len(cells) for record in records if (cells := cells_of(record, delimiter))]
    except csv.Error:
        return None
    if not widths or widths[0] < 2:
        return None
    return sum(width == widths[0] for width in widths) / len(widths), widths[0], delimiter


def _commas_are_decimals(records: Sequence[str]) -> bool:
    commas = sum(record.count(",") for record in records[1:])
    return commas > 0 and sum(len(re.findall(r"\d,\d", record)) for record in records[1:]) >= _LIKELY * commas


def _is_prose(records: Sequence[str], delimiter: str) -> bool:
    """Whether the signs between values are those of sentences: a space behind nearly each, and no quotes."""
    count = sum(record.count(delimiter) for record in records)
    spaced = sum(record.count(delimiter + " ") for record in records)
    return spaced >= _LIKELY * count and not any('"' in record for record in records)


def _vote(cell: str, column: Sequence[str]) -> float:
    """How much a first value speaks for being a name (above 0) or one more value (below)."""
    numbers = sum(map(_is_number, column))
    if _is_number(cell):
        if _YEAR.fullmatch(cell) and not any(map(_YEAR.fullmatch, column)):
            return 0.0  # a table by years
        return -3.0 if numbers >= _LIKELY * len(column) and column else -1.5
    if not cell:  # an index without a name stands before names
        return 1.5 if column and numbers == len(column) else 0.0
    vote = 0.0
    if column and numbers >= _LIKELY * len(column):
        vote += 3.0
    if cell.casefold().strip("#_ ") in _KNOWN:
        vote += 2.0
    elif "_" in cell and cell.isidentifier():
        vote += 1.0
    repeats = Counter(column)[cell]
    if repeats:
        vote -= 3.0 if len(column) > 2 else 1.0
    if not _NAME.fullmatch(cell):
        vote -= 1.5 if len(cell) > 40 else 0.5
    if cell.endswith(_ENDS):
        vote -= 2.0 if sum(value.endswith(_ENDS) for value in column) * 2 > len(column) else 1.0
    elif cell.count(" ") >= 3:
        vote -= 0.5
    lengths = [len(value) for value in column]
    if len(lengths) >= 3 and numbers < _LIKELY * len(column):
        spread = max(pstdev(lengths), 1.0)
        vote += 1.0 if (mean(lengths) - len(cell)) / spread > 1.0 else 0.0
    return vote


def _is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text.strip("$€£ ")))
