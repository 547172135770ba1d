"""Rows out of JSON in every arrangement that real files have, each with the line it starts on.

One object a line; one array of objects; one object that holds the array under some key; pretty-printed objects one
after another. A syntax error names line and column; no row is ever skipped but blank lines, which are counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tui_tuner.data.wording import many
from tui_tuner.errors import TunerError

_SPACE = re.compile(r"[ \t\r\n]*")
# Lists under these keys are parts of one row, not a list of rows.
_PARTS_OF_A_ROW = frozenset({"messages", "conversations", "conversation", "dialogue", "turns", "chat", "tools"})


@dataclass
class Found:
    """Rows, the line that each starts on, the arrangement they were in, and what was passed over."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    format: str = "jsonl"
    notes: list[str] = field(default_factory=list)


class _Decoder:
    """The JSON decoder, strict about syntax, with NaN and infinities (which are no JSON) read as null and counted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.constants = 0
        self._decoder = json.JSONDecoder(parse_constant=self._constant)

    def _constant(self, _name: str) -> None:
        self.constants += 1

    def line(self, text: str, line: int) -> Any:
        """The value that a whole line holds. Raises TunerError naming line and column."""
        try:
            return self._decoder.decode(text)
        except json.JSONDecodeError as error:
            raise syntax_error(self.path, error, line) from None
        except (ValueError, RecursionError) as error:
            raise self._beyond(error, line) from None

    def value(self, text: str, position: int) -> tuple[Any, int]:
        """The value that starts at a position of a whole document, and where it ends. Raises TunerError."""
        try:
            return self._decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise syntax_error(self.path, error, 1) from None
        except (ValueError, RecursionError) as error:
            raise self._beyond(error, text.count("\n", 0, position) + 1) from None

    def _beyond(self, error: Exception, line: int) -> TunerError:
        what = "is nested too deeply" if isinstance(error, RecursionError) else "has a number of thousands of digits"
        return TunerError(f"the JSON {what}", code="bad-json", where=f"{self.path}, line {line}")

    def notes(self) -> list[str]:
        words = many(self.constants, "NaN or infinite value is", "NaN or infinite values are")
        return [f"{words} read as null"] if self.constants else []


def syntax_error(path: Path, error: json.JSONDecodeError, first_line: int) -> TunerError:
    """A decoder's complaint in plain words. `first_line` is the line of the file that the decoded text starts on."""
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
    return TunerError(
        message, code=code, where=f"{path}, line {first_line + error.lineno - 1}, column {error.colno}", fix=fix
    )


def json_lines(lines: Iterable[str], path: Path) -> Found:
    """One object a line.

    Raises:
        TunerError: a line that is no JSON object; names the line, and the column of a syntax error.
    """
    found = Found()
    decoder = _Decoder(path)
    blank = 0
    for number, line in enumerate(lines, 1):
        text = line.strip(" \t\r\n\ufeff")
        if not text:
            blank += 1
            continue
        # The column must count what was stripped in front, so the line itself is decoded where it can be.
        found.rows.append(_object(decoder.line(line.strip("\r\n\ufeff"), number), path, number))
        found.lines.append(number)
    if blank and found.rows:
        found.notes.append(f"{many(blank, 'blank line is', 'blank lines are')} skipped")
    found.notes.extend(decoder.notes())
    return found


def json_document(text: str, path: Path) -> Found:
    """A whole JSON file: an array, an object that holds one, or objects one after another.

    Raises:
        TunerError: a syntax error (line and column) or a row that is no object (line).
    """
    decoder = _Decoder(path)
    start = _skip(text, 0)
    if text[start : start + 1] == "[":
        found = _array(text, start, decoder, "json-array")
    else:
        found = _sequence(text, start, decoder)
        if len(found.rows) == 1 and (key := _holder(found.rows[0])):
            position = _position_of_array(text, start, key)
            if position is not None:
                found = _array(text, position, decoder, "json-object", inside=True)
                found.notes.append(f'the rows are those under "{key}"')
    found.notes.extend(decoder.notes())
    return found


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _object(value: Any, path: Path, line: int) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    word = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
    raise TunerError(
        f"the row is {word}, not an object with named columns",
        code="not-an-object",
        where=f"{path}, line {line}",
        fix='write each row as {"prompt": "…", "completion": "…"}',
    )


class _LineCounter:
    """Line numbers of rising positions, counted once over the whole text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._line = 1

    def at(self, position: int) -> int:
        self._line += self._text.count("\n", self._position, position)
        self._position = position
        return self._line


def _array(text: str, start: int, decoder: _Decoder, name: str, *, inside: bool = False) -> Found:
    """The rows of the array that opens at `start`; `inside` an object, what follows the array is not looked at."""
    found = Found(format=name)
    counter = _LineCounter(text)
    position = _skip(text, start + 1)
    if text[position : position + 1] == "]":
        return found
    while True:
        line = counter.at(position)
        value, position = decoder.value(text, position)
        found.rows.append(_object(value, decoder.path, line))
        found.lines.append(line)
        position = _skip(text, position)
        mark = text[position : position + 1]
        if mark == "]":
            break
        if mark != ",":
            raise syntax_error(decoder.path, json.JSONDecodeError("Expecting ',' between two rows", text, position), 1)
        position = _skip(text, position + 1)
    after = _skip(text, position + 1)
    if after < len(text) and not inside:
        raise syntax_error(decoder.path, json.JSONDecodeError("Extra data", text, after), 1)
    return found


def _sequence(text: str, start: int, decoder: _Decoder) -> Found:
    """Objects one after another, with or without commas between them."""
    found = Found(format="json-objects")
    for line, value in _values(text, start, decoder):
        found.rows.append(_object(value, decoder.path, line))
        found.lines.append(line)
    return found


def _values(text: str, position: int, decoder: _Decoder) -> Iterator[tuple[int, Any]]:
    counter = _LineCounter(text)
    while position < len(text):
        line = counter.at(position)
        value, position = decoder.value(text, position)
        yield line, value
        position = _skip(text, position)
        if text[position : position + 1] == ",":
            position = _skip(text, position + 1)


def _holder(row: dict[str, Any]) -> str | None:
    """The key under which the one object of a file holds its rows; None when the object is a row itself."""
    lists = [
        key
        for key, value in row.items()
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
    ]
    if len(lists) != 1 or lists[0] in _PARTS_OF_A_ROW:
        return None
    return lists[0]


def _position_of_array(text: str, start: int, key: str) -> int | None:
    """Where the array under a key of the outermost object opens, found by walking over the object's members."""
    decoder = json.JSONDecoder()
    position = _skip(text, start + 1)
    opening: int | None = None
    while text[position : position + 1] == '"':
        name, position = decoder.raw_decode(text, position)
        position = _skip(text, _skip(text, position) + 1)
        if name == key:  # the last one of that name counts, as it does for the decoder
            opening = position
        position = _skip(text, decoder.raw_decode(text, position)[1])
        position = _skip(text, position + 1)
    return opening
