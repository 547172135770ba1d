"""What is wrong with an experiment, in sentences that name the place, the key, the value and what is allowed.

This module turns pydantic's findings into the project's own words. It must never show a reader pydantic's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tui_tuner.config import describe
from tui_tuner.config.suggest import nearest, nearest_key, nearest_section, note
from tui_tuner.config.types import ConflictError
from tui_tuner.errors import TunerError

SHOWN = 5
_LONGEST_VALUE = 60

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what, what to do about it."""

    key: str
    message: str
    fix: str = ""
    where: str = ""
    line: int | None = None

    def clause(self) -> str:
        """The problem without its place, as `message; fix`."""
        return f"{self.message}; {self.fix}" if self.fix else self.message


@dataclass(frozen=True)
class Origin:
    """Where the values of an experiment came from.

    Attributes:
        where: the file, or what stands for it.
        lines: the line of every key of the file's text.
        overrides: dotted key → the `--set` text that decided it.
    """

    where: str = ""
    lines: Mapping[Location, int] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)

    def line(self, location: Location) -> int | None:
        """The line of a key, or of the nearest table around it."""
        while location:
            if location in self.lines:
                return self.lines[location]
            location = location[:-1]
        return None

    def place(self, line: int | None) -> str:
        """The file and a line in it, for messages; empty where the values came from no file."""
        return f"{self.where}, line {line}" if line is not None and self.where else self.where


def explain(error: ValidationError, origin: Origin | None = None, section: str = "") -> list[Problem]:
    """Every problem that pydantic found, in our words and in the order of the file.

    Args:
        error: what pydantic raised.
        origin: where the values came from; without it problems have no place.
        section: the section that was assigned to, when the error is about one section only.
    """
    origin = origin or Origin()
    prefix: Location = (section,) if section else ()
    found = [_problem((*prefix, *entry["loc"]), entry, origin) for entry in error.errors(include_url=False)]
    unique = list({(problem.key, problem.message): problem for problem in found}.values())
    # What comes from the command line was typed last and is read first.
    return sorted(unique, key=lambda problem: (problem.line is not None, problem.line or 0))


def as_error(problems: Sequence[Problem], origin: Origin) -> TunerError:
    """The problems as one failure: a single one with its place, several in one sentence each."""
    code = "bad-config"
    typed = all(problem.where.startswith("--set ") for problem in problems)
    if len(problems) == 1:
        only = problems[0]
        return TunerError(only.message, code=code, where=only.where, fix=only.fix, usage=typed)
    told = [f"{_place(problem, origin)}{problem.clause()}" for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        told.append(f"And {len(problems) - SHOWN} more")
    message = f"{len(problems)} values are wrong. {_sentences(told)}"
    return TunerError(message, code=code, where="" if typed else origin.where, usage=typed)


def _sentences(told: Sequence[str]) -> str:
    ended = (each if each.endswith("?") else f"{each}." for each in told)
    return " ".join(each[:1].upper() + each[1:] for each in ended)


def shown(value: Any) -> str:
    """A value as TOML writes it, cut when it is long, with nothing in it that a terminal would act on."""
    try:
        return inert(describe.in_toml(value))
    except RecursionError:
        return "a value nested very deeply"


def inert(text: str, longest: int = _LONGEST_VALUE) -> str:
    """A text cut when it is longer than that, with nothing in it that a terminal would act on."""
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return "".join(char if char.isprintable() else f"\\u{ord(char):04X}" for char in text)


def unknown_key(key: str, *, table: bool = False) -> tuple[str, str]:
    """What to say about a key that does not exist: message and fix.

    Args:
        key: the dotted key.
        table: whether it holds keys of its own, so that a section was meant.
    """
    section = key.partition(".")[0]
    tables = [info.name for info in describe.sections()]
    if table and "." not in key:
        near = nearest_section(key, tables)
        fix = f"did you mean [{near}]?" if near else f"the sections are {', '.join(tables)}"
        return f'there is no section "{inert(key)}"', fix
    if section == "sweep":
        fix = "it is no part of one experiment: `tui-tuner sweep` takes it, or the table [sweep] of a preset's file"
    elif near := nearest_key(key, describe.key_names()):
        fix = f"did you mean {near}{f' ({more})' if (more := note(key)) else ''}?"
    elif section in tables:
        names = [info.name for info in describe.fields() if info.section == section]
        fix = f"[{section}] has {', '.join(names)}"
    else:
        fix = f"keys stand in the sections {', '.join(tables)}"
    return f'there is no key "{inert(key)}"', fix


def _place(problem: Problem, origin: Origin) -> str:
    if problem.line is not None:
        return f"line {problem.line}: "
    return f"{problem.where}: " if problem.where and problem.where != origin.where else ""


def _problem(location: Location, entry: ErrorDetails, origin: Origin) -> Problem:
    cause = entry.get("ctx", {}).get("error")
    conflict = cause if isinstance(cause, ConflictError) else None
    value = entry["input"]
    if conflict and conflict.key:
        value = value.get(conflict.key) if isinstance(value, Mapping) else getattr(value, conflict.key)
        location = (*location, conflict.key)
    key = ".".join(part for part in location[:2] if isinstance(part, str))
    message, fix = _words(key, location, value, entry["type"], conflict)
    if text := origin.overrides.get(key):
        return Problem(key, message, fix, f"--set {inert(text)}")
    # A key that is not there has no line; that of its table is where it belongs.
    line = origin.line(location)
    return Problem(key, message, fix, origin.place(line), line)


def _words(key: str, location: Location, value: Any, kind: str, conflict: ConflictError | None) -> tuple[str, str]:
    """Message and fix of one finding."""
    info = describe.field(key)
    if kind == "extra_forbidden":
        return unknown_key(".".join(str(part) for part in location), table=isinstance(value, Mapping))
    if kind == "missing":
        return _missing(key)
    if info is None:
        return f"{key} is {shown(value)}, not a table of keys", f"write its keys under [{key}]"
    item = f", item {location[2] + 1}," if len(location) > 2 and isinstance(location[2], int) else ""
    if item and len(location) > 3:
        inner = next((each for each in describe.entries(info) if each.key == f"{key}.{location[3]}"), info)
        info, item = inner, f"{item} {location[3]}"
    subject = f"{key}{item} is {shown(value)}"
    if conflict:
        if isinstance(value, (list, tuple)) or (isinstance(value, str) and not value.strip()):
            return f"{key}{item} {conflict.message}", conflict.fix
        return f"{subject}, which {conflict.message}", conflict.fix
    wanted = info.wanted
    if item and info.kind == "texts":
        wanted = "text"
    fix = f"set it to {wanted}"
    if info.kind in ("choice", "choices") and isinstance(value, str) and (near := nearest(value, info.choices)):
        fix = f'did you mean "{near}"? It takes {info.allowed}'
    elif isinstance(value, str) and info.kind in ("whole", "number", "switch") and _unquotable(value, info):
        fix = f"write it without quotes: {value.strip()}"
    return f"{subject}, which is {_misfit(info, kind)}", fix


def _misfit(info: describe.FieldInfo, kind: str) -> str:
    if kind in ("greater_than_equal", "greater_than"):
        return "too small"
    if kind in ("less_than_equal", "less_than"):
        return "too large"
    if kind == "finite_number":
        return "not a finite number"
    if info.kind in ("choice", "choices"):
        return "not one of its words"
    return "not " + {"switch": "true or false", "text": "text", "texts": "text"}.get(info.kind, f"a {info.type}")


def _missing(key: str) -> tuple[str, str]:
    info = describe.field(key)
    if info is None:
        first = next((each for each in describe.fields() if each.section == key and each.required), None)
        name = first.name if first else ""
        return f"the section [{key}] is missing", f'add [{key}] with {name} = "…"'
    return f"{key} is missing", f'add {info.name} = "…" under [{info.section}]'


def _unquotable(value: str, info: describe.FieldInfo) -> bool:
    text = value.strip()
    if info.kind == "switch":
        return text in ("true", "false")
    try:
        number = float(text)
    except ValueError:
        return False
    return number == number and abs(number) != float("inf") and (info.kind == "number" or number.is_integer())
