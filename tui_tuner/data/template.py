"""Text templates that turn a record into a prompt or an answer: `In week {week}, {name} threw {yards or 0} yards.`

A template only looks up: dict keys and list positions, never attributes, calls or formatting codes, so a preset from a
stranger can't run anything. What it can do:

- `{column}`: the value of a column; `{a.b.0}`: a key in an object, a position in a list. A column whose own name is
  `a.b.0` goes first.
- `{column or 0}`, `{column or "none"}`: the text after `or` where the value is missing, null or empty.
- `{if input}…{else}…{end}`: the first text where the condition holds, the second (or nothing) where not; conditions
  are those of filters, such as `{if yards > 300}`. They may stand inside each other.
- `{{` and `}}`: a brace.

How values are written: text as it is; whole numbers without a point, other numbers as Python's repr; true and false as
in JSON; null as nothing; a list as its values with ", " between them. An object has no text: name one of its keys.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tui_tuner.data.conditions import Condition
from tui_tuner.data.lookup import MISSING, is_empty, look_up
from tui_tuner.errors import TunerError

_OR = re.compile(r"""^(?P<path>.*?)\s+or\s+(?P<default>"[^"]*"|'[^']*'|[^\s"']+)\s*$""", re.DOTALL)
_PIECE = re.compile(r"\{\{|\}\}|\{|\}")


@dataclass(frozen=True)
class Field:
    """One `{path}` or `{path or default}`; default is None when there is no `or`."""

    path: str
    default: str | None


@dataclass(frozen=True)
class Choice:
    """`{if condition}…{else}…{end}`: which of two texts is written depends on the record."""

    condition: Condition
    yes: tuple[Part, ...]
    no: tuple[Part, ...]


Part = str | Field | Choice


@dataclass(frozen=True)
class Template:
    """A parsed template: literal texts, fields and choices in order. Build it with `Template.parse`."""

    text: str
    parts: tuple[Part, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template.

        Raises:
            TunerError: a brace without its partner or an empty field; names the position (code "bad-template").
        """
        reader = _Reader(text)
        position = 0
        while match := _PIECE.search(text, position):
            reader.literal(text[position : match.start()])
            piece = match.group()
            if piece in ("{{", "}}"):
                reader.literal(piece[0])
                position = match.end()
                continue
            if piece == "}":
                raise _bad(text, match.start(), "a } has no { before it", "write }} for a brace")
            end = text.find("}", match.end())
            inner = text[match.end() : end]
            if end < 0 or "{" in inner:
                raise _bad(text, match.start(), "a { is never closed", "write {{ for a brace")
            reader.field(inner, match.start())
            position = end + 1
        reader.literal(text[position:])
        return cls(text, reader.finish())

    @property
    def fields(self) -> set[str]:
        """The paths that the template looks up, those of its conditions included."""
        return set(_paths(self.parts))

    @property
    def written(self) -> set[str]:
        """The paths whose values are always written, and have no text that stands in for an empty one."""
        return {part.path for part in self.parts if isinstance(part, Field) and part.default is None}

    def render(self, record: Mapping[str, Any]) -> str:
        """The text for one record.

        Raises:
            TunerError: the record has no such column and the field no default, or the value is an object
                (code "unknown-column" or "not-text").
        """
        try:
            return _written(self.parts, record)
        except RecursionError:
            raise TunerError("a list is nested too deeply to be written", code="not-text") from None


class _Reader:
    """Collects the parts of a template, and of the choices that are open in it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._parts: list[Part] = []
        self._literal: list[str] = []
        # For each open choice: where it began, its condition, the parts before it, and those of its first branch.
        self._open: list[tuple[int, Condition, list[Part], list[Part] | None]] = []

    def literal(self, text: str) -> None:
        self._literal.append(text)

    def _settle(self) -> None:
        if joined := "".join(self._literal):
            self._parts.append(joined)
        self._literal.clear()

    def field(self, inner: str, position: int) -> None:
        self._settle()
        word = inner.strip()
        if word.startswith("if ") and word[3:].strip():
            self._open.append((position, Condition.parse(word[3:].strip()), self._parts, None))
            self._parts = []
        elif word == "else" and self._open:
            start, condition, before, first = self._open.pop()
            if first is not None:
                raise _bad(self._text, position, "an {if} has a second {else}", "take one out")
            self._open.append((start, condition, before, self._parts))
            self._parts = []
        elif word == "end" and self._open:
            _start, condition, before, first = self._open.pop()
            yes, no = (self._parts, []) if first is None else (first, self._parts)
            self._parts = [*before, Choice(condition, tuple(yes), tuple(no))]
        else:
            self._parts.append(_field(inner, self._text, position))

    def finish(self) -> tuple[Part, ...]:
        self._settle()
        if self._open:
            raise _bad(self._text, self._open[-1][0], "an {if} has no {end}", "write {end} where its text ends")
        return tuple(self._parts)


def _paths(parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Field):
            yield part.path
        elif isinstance(part, Choice):
            yield from part.condition.paths
            yield from _paths(part.yes)
            yield from _paths(part.no)


def _written(parts: tuple[Part, ...], record: Mapping[str, Any]) -> str:
    pieces = []
    for part in parts:
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, Field):
            pieces.append(_rendered(part, record))
        else:
            pieces.append(_written(part.yes if part.condition.holds(record) else part.no, record))
    return "".join(pieces)


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


def _rendered(field: Field, record: Mapping[str, Any]) -> str:
    value = look_up(record, field.path)
    if field.default is not None and is_empty(value):
        return field.default
    if value is MISSING:
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
