"""A JSON text as a value, or what is wrong with it in plain words.

Strict about syntax; only NaN and infinities, which are no JSON but which Python writes, are read as null and counted.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from tui_tuner.data.readers.indexed import Damage
from tui_tuner.data.table import Record
from tui_tuner.units import many

_seen = threading.local()

_MOST_CELLS = 64


def _constant(_name: str) -> None:
    _seen.constants = getattr(_seen, "constants", 0) + 1


_DECODER = json.JSONDecoder(parse_constant=_constant)
_SPACE = " \t\r\n"


def whole(text: str) -> Any | Damage:
    """The value that a text holds, and nothing else."""
    _seen.constants = 0
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        return damage(error)


def first(text: str, start: int = 0) -> tuple[Any | Damage, int]:
    """The value that begins at a position (space before it is passed over), and where it ends."""
    while text[start : start + 1] in _SPACE and start < len(text):
        start += 1
    _seen.constants = 0
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        return damage(error), start


def constants() -> int:
    """How many NaN and infinite values the value had that this thread read last."""
    return int(getattr(_seen, "constants", 0))


def constants_note(count: int) -> list[str]:
    """The note of values that were read as null, if there are any."""
    words = many(count, "NaN or infinite value is", "NaN or infinite values are")
    return [f"{words} read as null"] if count else []


def damage(error: Exception) -> Damage:
    """What the decoder complains about, in plain words."""
    if isinstance(error, json.JSONDecodeError):
        return syntax_damage(error)
    what = "is nested too deeply" if isinstance(error, RecursionError) else "has a number of thousands of digits"
    return Damage(code="bad-json", message=f"the JSON {what}", fix="mend the row or take it out")


def syntax_damage(error: json.JSONDecodeError) -> Damage:
    """A syntax error in plain words, with its line and column."""
    rest = error.doc[error.pos : error.pos + 1]
    said = error.msg
    code, fix = "bad-json", "mend the line or take it out"
    if not rest:
        message = "the JSON breaks off in the middle of a value"
        code, fix = "cut-json", "fetch the file again, or take the row out"
    elif rest == "'" or (said.startswith("Expecting property name") and "'" in error.doc[error.pos : error.pos + 2]):
        message, fix = "the JSON has single quotes", 'put names and texts in double quotes (")'
    elif (rest in "]}" and error.doc[: error.pos].rstrip().endswith(",")) or said.startswith("Illegal trailing comma"):
        message, fix = "the JSON has a comma too many", "take the comma before the bracket out"
    elif said.startswith("Invalid control character"):
        message, fix = "a text in the JSON has a raw line break or control character", "write it as \\n or \\t"
    elif said.startswith("Unterminated string"):
        message, fix = "a text in the JSON is never closed", 'close it with a double quote (")'
    elif said.startswith("Invalid \\"):
        message, fix = "the JSON has a backslash that starts no escape", "write \\\\ for a backslash"
    elif said == "Extra data":
        message, fix = "there is more after the end of the JSON value", "put one object on each line"
    else:
        message = f"the JSON is malformed ({said[0].lower()}{said[1:]})"
    return Damage(code=code, message=message, fix=fix, line=error.lineno - 1, column=error.colno)


def is_cut(error: Damage, text: str) -> bool:
    """Whether a text that can't be decoded might be the beginning of one that can."""
    if error.code == "cut-json" or error.message.endswith("never closed"):
        return True
    lines = text.split("\n")
    # A literal or an escape that breaks off is blamed at its start.
    return error.line == len(lines) - 1 and error.column >= len(lines[-1]) - 6


def names_of_cells(row: Any) -> list[str] | None:
    """Names for the columns of rows that are lists, told by the first of them; None where that is no row of a table."""
    if not isinstance(row, list) or not 2 <= len(row) <= _MOST_CELLS:
        return None
    if any(isinstance(cell, dict | list) for cell in row):
        return None
    return [f"column {number}" for number in range(1, len(row) + 1)]


def cells_note(names: list[str]) -> str:
    """What a person is told of rows that are lists."""
    return f"the rows are lists, read as the columns {', '.join(names)}"


def as_record(value: Any, names: list[str] | None = None) -> Record | Damage:
    """A value as a record: an object, or a list with a cell for each of the columns that are named."""
    if isinstance(value, dict):
        return value
    if names is not None and isinstance(value, list) and len(value) == len(names):
        return dict(zip(names, value, strict=True))
    word = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
    return Damage(
        code="not-an-object",
        message=f"the row is {word}, not an object with named columns",
        fix='write each row as {"prompt": "…", "completion": "…"}',
    )
