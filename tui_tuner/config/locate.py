"""Where in a TOML text a key stands, so that an error can name the line; and which comments it has.

The scanner reads TOML that `tomllib` has already accepted, so it looks for structure only and never judges. It must
never raise: on a text that it does not follow it stops, and the keys after that have no line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}#\r\n]*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_COMMENT = re.compile(rf"{_STRING.pattern}|#+(?P<comment>[^\n]*)", re.DOTALL)
_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(["\\bfnrt]))')
_SHORT = {'"': '"', "\\": "\\", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def key_lines(text: str) -> dict[Path, int]:
    """The line (from 1) of every key, table and list item of a TOML text.

    Keys of the answer are paths such as `("train", "iters")` or `("data", "prompt", 0)`. A table opened several times,
    or made by dotted keys, has the line that names it first.
    """
    scanner = _Scanner(text)
    try:
        scanner.document()
    except (_Lost, RecursionError):
        pass
    return scanner.lines


@dataclass(frozen=True)
class Layout:
    """Where in a TOML text things stand, as character positions.

    Attributes:
        values: start and end of the value of every key.
        ends: where the last line of every table ends: behind its last key, or its heading where it has none.
        headings: the start of every table's heading, in the order of the text.
    """

    values: Mapping[Path, tuple[int, int]]
    ends: Mapping[Path, int]
    headings: Mapping[Path, int]


def layout(text: str) -> Layout:
    """Where values and tables stand in a TOML text that `tomllib` has accepted."""
    scanner = _Scanner(text)
    try:
        scanner.document()
    except (_Lost, RecursionError):
        pass
    return Layout(scanner.values, scanner.ends, scanner.headings)


def comments(text: str) -> list[str]:
    """The comments of a TOML text, without their sign and the space around them, in their order; empty ones too."""
    return [found["comment"].strip() for found in _COMMENT.finditer(text) if found["comment"] is not None]


class _Lost(Exception):  # noqa: N818  a signal inside this module, not an error
    pass


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.counted = 0
        self.counted_to = 0
        self.lines: dict[Path, int] = {}
        self.arrays: dict[Path, int] = {}
        self.values: dict[Path, tuple[int, int]] = {}
        self.ends: dict[Path, int] = {}
        self.headings: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        self.skip(_GAP)
        while self.at < len(self.text):
            if self.peek("["):
                table = self.header()
            else:
                self.pair(table)
                self.ends[table] = self.end_of_line()
            self.skip(_GAP)

    def header(self) -> Path:
        line, start = self.line(), self.at
        doubled = self.text.startswith("[[", self.at)
        self.at += 2 if doubled else 1
        keys = self.keys()
        self.expect("]]" if doubled else "]")
        path: Path = ()
        for index, key in enumerate(keys):
            path = (*path, key)
            self.lines.setdefault(path, line)
            last = index == len(keys) - 1
            if path in self.arrays and not (last and doubled):
                path = (*path, self.arrays[path])
        if doubled:
            self.arrays[path] = self.arrays.get(path, -1) + 1
            path = (*path, self.arrays[path])
            self.lines.setdefault(path, line)
        self.headings.setdefault(path, start)
        self.ends[path] = self.end_of_line()
        return path

    def pair(self, table: Path) -> None:
        line = self.line()
        path = table
        for key in self.keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self.expect("=")
        self.skip(_SPACE)
        start = self.at
        self.value(path)
        self.values[path] = start, start + len(self.text[start : self.at].rstrip())

    def keys(self) -> list[str]:
        found = []
        while True:
            self.skip(_SPACE)
            if self.text[self.at : self.at + 1] in {'"', "'"}:
                found.append(_unquote(self.take(_STRING)))
            else:
                found.append(self.take(_BARE))
            self.skip(_SPACE)
            if not self.peek("."):
                return found
            self.at += 1

    def value(self, path: Path) -> None:
        self.skip(_GAP)
        if self.peek("["):
            self.array(path)
        elif self.peek("{"):
            self.inline_table(path)
        elif self.text[self.at : self.at + 1] in {'"', "'"}:
            self.take(_STRING)
        else:
            self.take(_SCALAR)

    def array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while True:
            self.skip(_GAP)
            if self.peek("]"):
                break
            self.lines.setdefault((*path, index), self.line())
            self.value((*path, index))
            index += 1
            self.skip(_GAP)
            if self.peek(","):
                self.at += 1
            elif not self.peek("]"):
                raise _Lost
        self.at += 1

    def inline_table(self, path: Path) -> None:
        self.at += 1
        while True:
            self.skip(_GAP)
            if self.peek("}"):
                break
            self.pair(path)
            self.skip(_GAP)
            if self.peek(","):
                self.at += 1
            elif not self.peek("}"):
                raise _Lost
        self.at += 1

    def peek(self, mark: str) -> bool:
        return self.text.startswith(mark, self.at)

    def expect(self, mark: str) -> None:
        if not self.peek(mark):
            raise _Lost
        self.at += len(mark)

    def skip(self, pattern: re.Pattern[str]) -> None:
        if match := pattern.match(self.text, self.at):
            self.at = match.end()

    def take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None or not match.group():
            raise _Lost
        self.at = match.end()
        return match.group()

    def end_of_line(self) -> int:
        end = self.text.find("\n", self.at)
        return len(self.text) if end < 0 else end

    def line(self) -> int:
        self.counted += self.text.count("\n", self.counted_to, self.at)
        self.counted_to = self.at
        return self.counted + 1


def _unquote(text: str) -> str:
    if text.startswith("'"):
        return text[1:-1]

    def plain(match: re.Match[str]) -> str:
        code = match.group(1) or match.group(2)
        return chr(int(code, 16)) if code else _SHORT[match.group(3)]

    return _ESCAPE.sub(plain, text[1:-1])
