"""Experiments as TOML files: in with every error named by its line, out with every default and its help.

What `dump_experiment` writes is loaded back equal, so a run folder's config.toml repeats the run whatever the defaults
of a later version are. This module must never run anything that a file says, nor change a file.
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tui_tuner.config import describe
from tui_tuner.config.anchor import anchored_overrides
from tui_tuner.config.locate import key_lines
from tui_tuner.config.model import Experiment
from tui_tuner.config.overrides import apply_overrides, by_key, validated
from tui_tuner.config.problems import Location, Origin, inert
from tui_tuner.config.scales import at_scale
from tui_tuner.config.sweep_table import SWEEP, read_sweep
from tui_tuner.errors import TunerError

_LARGEST_FILE = 1 << 20
_POSITION = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_COMMENT_WIDTH = 110
_LONGEST_COMMENT = 1000


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment from a TOML file and apply the overrides.

    A relative `model.path` or `data.source` among the overrides that exists under the working directory is made
    absolute: it was typed there, and not beside the file.

    Raises:
        TunerError: names the file, the line, the key, its value and what is allowed; or the override's text.
    """
    return experiment_from_text(read_text(path), str(path), anchored_overrides(overrides))


def experiment_from_text(text: str, where: str, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment from the text of a TOML file.

    Args:
        text: the TOML.
        where: what to call the text in errors, usually its path.
        overrides: `key=value` texts that are applied on top; `scale=NAME` first, wherever it stands.

    Raises:
        TunerError: as `load_experiment`.
    """
    data, overrides, lines = preset_tables(text, where, overrides)
    if SWEEP in data:
        read_sweep(data.pop(SWEEP), Origin(where, lines))  # what is wrong with it is said by every command alike
    return validated(apply_overrides(data, overrides), Origin(where, lines, by_key(overrides)))


def preset_tables(
    text: str, where: str, overrides: Sequence[str]
) -> tuple[dict[str, Any], list[str], dict[Location, int]]:
    """The tables of a preset's text at the scale that is asked for, `sweep` among them; else as `at_scale`.

    Raises:
        TunerError: it is not TOML, or its scales are wrong.
    """
    plain = text.removeprefix("\ufeff")
    return at_scale(_parse(plain, where), overrides, where, key_lines(plain))


EVERY_KEY = "An experiment with every key written out: it repeats whatever later defaults are."
"""What a file says of itself that `dump_experiment` wrote."""


def dump_experiment(experiment: Experiment, title: str = "", description: str = "") -> str:
    """The experiment as TOML, every default written out and every key under its help; `load_experiment` reads it.

    Args:
        experiment: what is written.
        title: the first line of the header comment; the run's name when empty.
        description: what follows in it, line by line.
    """
    head = [title.strip() or experiment.run.name, *description.expandtabs().splitlines()]
    lines = [f"# {inert(line, _LONGEST_COMMENT)}".rstrip() for line in head]
    lines.append(f"# {EVERY_KEY}")
    for section in describe.sections(type(experiment)):
        lines += ["", *_comment(section.help), f"[{section.name}]"]
        values = getattr(experiment, section.name)
        for info in describe.fields(type(experiment)):
            if info.section == section.name:
                help_text = f"{info.help} Allowed: {info.allowed}." if info.allowed else info.help
                lines += [*_comment(help_text), *_lines(info, getattr(values, info.name))]
    return "\n".join(lines) + "\n"


def _lines(info: describe.FieldInfo, value: Any) -> list[str]:
    """A key with its value; tables stand under headings of their own, which must be the last of their section."""
    if info.kind != "tables" or not value:
        return [f"{info.name} = {describe.in_toml(value)}"]
    return [line for table in describe.in_tables(info, value) for line in ("", *table.split("\n"))]


def read_text(path: Path) -> str:
    """The text of a TOML file, without a byte order mark.

    Raises:
        TunerError: when it is missing, no file, too large, unreadable or not UTF-8.
    """
    try:
        if path.is_dir():
            raise _unreadable(path, "it is a folder, not a TOML file", "name the file in it")
        if not path.exists():
            raise _unreadable(path, "there is no such file", "check the path")
        if not path.is_file():
            raise _unreadable(path, "it is no regular file", "name a TOML file")
        if path.stat().st_size > _LARGEST_FILE:
            raise _unreadable(path, "it is larger than 1 MiB and so no experiment", "name a TOML file")
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _unreadable(path, f"it cannot be read: {reason}", "check the path and its permissions") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise TunerError(
            f"byte 0x{raw[error.start]:02x} is not UTF-8 text",
            code="bad-config",
            where=f"{path}, line {line}",
            fix="save the file as UTF-8",
        ) from None


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        position = _POSITION.search(message)
        what, fix = _syntax(message, message[: position.start()] if position else message)
        if position and position.group(1):
            place = f"line {position.group(1)}, column {position.group(2)}"
        else:
            place = f"line {len(text.splitlines()) or 1}"
        raise TunerError(
            f"it is not valid TOML: {what}",
            code="bad-toml",
            where=f"{where}, {place}",
            fix=fix,
        ) from None
    except (RecursionError, ValueError) as error:
        # ValueError: an integer of more digits than Python reads.
        what = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise TunerError(f"it is not valid TOML: {what}", code="bad-toml", where=where) from None


# How tomllib's message starts, and what it means to somebody who has never read a grammar.
_SYNTAX = (
    ("Cannot overwrite", "a key is given twice", "give it once"),
    ("Cannot declare", "a section is given twice", "put its keys under one heading"),
    ("Expected '=' after", "a key has no equals sign", "write it as key = value"),
    ("Illegal character '\\n'", "a text has no closing quote", "close it on the same line, or use three quotes"),
    ("Unterminated string", "a text has no closing quote", "add the closing quote"),
    ("Unclosed array", "a list has no closing bracket", "add ] at its end"),
    ("Expected ']'", "a section's heading has no closing bracket", "write it as [section]"),
    ("Unescaped '\\'", "a text has a backslash that is no escape", "double it, or put the text in single quotes"),
    ("Invalid value (at end", "the file ends in the middle of a value", "finish the value"),
    ("Invalid value", "this is no value", "put text in double quotes; write numbers, true and false without"),
)


def _syntax(message: str, without_place: str) -> tuple[str, str]:
    """What is wrong in plain words, and what to do; tomllib's own words when they are not known."""
    for start, what, fix in _SYNTAX:
        if message.startswith(start):
            return what, fix
    words = f"{without_place[:1].lower()}{without_place[1:]}"
    return words, 'write lines such as iters = 100 or name = "text" under a [section]'


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _COMMENT_WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _unreadable(path: Path, what: str, fix: str) -> TunerError:
    return TunerError(what, code="no-config", where=str(path), fix=fix)
