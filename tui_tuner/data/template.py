"""Text templates that turn a record into a prompt or an answer: `In week {week}, {name} threw {yards or 0} yards.`

A template only looks up: dict keys and list positions, never attributes, calls or formatting codes, so a preset from a
stranger can't run anything. What it can do:

- `{column}`: the value of a column; `{a.b.0}`: a key in an object, a position in a list. A column whose own name is
  `a.b.0` goes first.
- `{column or 0}`, `{column or "none"}`: the text after `or` where the value is missing, null or empty.
- `{{` and `}}`: a brace.

How values are written: text as it is; whole numbers without a point, other numbers as Python's repr; true and false as
in JSON; null as nothing; a list as its values with ", " between them. An object has no text: name one of its keys.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tui_tuner.errors import TunerError

_OR = re.compile(r"""^(?P<path>.*?)\s+or\s+(?P<default>"[^"]*"|'[^']*'|[^\s"']+)\s*$""", re.DOTALL)
_PIECE = re.compile(r"\{\{|\}\}|\{|\}")


class _Missing:
    """Stands for a value that a record does not have, which is not the same as null."""


_MISSING = _Missing()


@dataclass(frozen=True)
class Field:
    """One `{path}` or `{path or default}`; default is None when there is no `or`."""

    path: str
    default: str | None


@dataclass(frozen=True)
class Template:
    """A parsed template: literal texts and fields in order. Build it with `Template.parse`."""

    text: str
    parts: tuple[str | Field, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template.

        Raises:
            TunerError: a brace without its partner or an empty field; names the position (code "bad-template").
        """
        parts: list[str | Field] = []
        literal: list[str] = []
        position = 0
        while match := _PIECE.search(text, position):
            literal.append(text[position : match.start()])
            piece = match.group()
            if piece in ("{{", "}}"):
                literal.append(piece[0])
                position = match.end()
                continue
            if piece == "}":
                raise _bad(text, match.start(), "a } has no { before it", "write }} for a brace")
            end = text.find("}", match.end())
            inner = text[match.end() : end]
            if end < 0 or "{" in inner:
                raise _bad(text, match.start(), "a { is never closed", "write {{ for a brace")
            if joined := "".join(literal):
                parts.append(joined)
            literal.clear()
            parts.append(_field(inner, text, match.start()))
            position = end + 1
        literal.append(text[position:])
        if joined := "".join(literal):
            parts.append(joined)
        return cls(text, tuple(parts))

    @property
    def fields(self) -> set[str]:
        """The paths that the template looks up."""
        return {part.path for part in self.parts if isinstance(part, Field)}

    def render(self, record: Mapping[str, Any]) -> str:
        """The text for one record.

        Raises:
            TunerError: the record has no such column and the field no default, or the value is an object
                (code "unknown-column" or "not-text").
        """
        try:
            return "".join(part if isinstance(part, str) else _rendered(part, record) for part in self.parts)
        except RecursionError:
            raise TunerError("a list is nested too deeply to be written", code="not-text") from None


def has_value(record: Mapping[str, Any], path: str) -> bool:
    """Whether the record has something other than null or empty text at the path."""
    return not _is_empty(_look_up(record, path))


def has_column(record: Mapping[str, Any], path: str) -> bool:
    """Whether the path exists in the record, empty or not."""
    return _look_up(record, path) is not _MISSING


def unknown_column(path: str, columns: list[str], template: str) -> TunerError:
    """The error for a path that leads nowhere, with the nearest column name there is."""
    near = difflib.get_close_matches(path, columns, n=1, cutoff=0.5)
    if not near:
        folded = {column.casefold(): column for column in columns}
        near = [folded[key] for key in difflib.get_close_matches(path.casefold(), list(folded), n=1, cutoff=0.5)]
    shown = ", ".join(columns[:12]) + (", …" if len(columns) > 12 else "")
    return TunerError(
        f"there is no column {_quoted(path)} for the template {_quoted(template)}",
        code="unknown-column",
        fix=f"did you mean {{{near[0]}}}?" if near else f"the columns are {shown or 'none'}",
    )


def _quoted(text: str) -> str:
    short = text if len(text) <= 60 else text[:57] + "…"
    return '"' + short.replace("\n", "\\n") + '"'


def _bad(text: str, position: int, message: str, fix: str) -> TunerError:
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    spot = f"character {column}" if "\n" not in text else f"line {line}, character {column}"
    return TunerError(f"{message} at {spot} of the template {_quoted(text)}", code="bad-template", fix=fix)


def _field(inner: str, text: str, position: int) -> Field:
    match = _OR.match(inner)
    if not match and re.search(r"\sor\s", inner):
        raise _bad(text, position, "the text after or needs quotes", 'write {column or "two words"}')
    path = (match["path"] if match else inner).strip()
    if not path:
        raise _bad(text, position, "a field names no column", "write {column}, or {{}} for a pair of braces")
    if not match:
        return Field(path, None)
    default = match["default"]
    return Field(path, default[1:-1] if default[0] in "\"'" else default)


def _look_up(record: Mapping[str, Any], path: str) -> Any:
    """The value at a path: the column of that very name, else key by key and position by position."""
    if path in record:
        return record[path]
    value: Any = record
    for step in path.split("."):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif (
            isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 10 and int(step) < len(value)
        ):
            value = value[int(step)]
        else:
            return _MISSING
    return value


def _is_empty(value: Any) -> bool:
    return value is _MISSING or value is None or value in ({}, []) or (isinstance(value, str) and not value.strip())


def _rendered(field: Field, record: Mapping[str, Any]) -> str:
    value = _look_up(record, field.path)
    if field.default is not None and _is_empty(value):
        return field.default
    if value is _MISSING:
        raise unknown_column(field.path, [str(name) for name in record], "{" + field.path + "}")
    return _as_text(value, field.path)


def _as_text(value: Any, path: str) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, list):
        return ", ".join(_as_text(item, f"{path}.{index}") for index, item in enumerate(value))
    keys = ", ".join(map(str, value)) if isinstance(value, Mapping) else ""
    raise TunerError(
        f"{_quoted(path)} is an object, which has no text of its own",
        code="not-text",
        fix=f"name one of its keys ({keys}), as in {{{path}.{next(iter(value))}}}" if keys else "name another column",
    )


def _number(value: int | float) -> str:
    try:
        return repr(value)
    except ValueError:  # Python refuses to write whole numbers of more than 4,300 digits
        raise TunerError("a number has more than 4,300 digits", code="not-text", fix="store it as text") from None
