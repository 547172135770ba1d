"""Markdown as models write it, set while it comes: line by line, each line once.

A line that has ended is final, so what an update costs does not depend on what stands already. That is why a line break
is a line break here, emphasis ends with its line, and headings are those that begin with `#`. Nothing is fetched and
nothing can be clicked: a link shows where it leads. Lines of thousands of letters are shown as they are.
The text is inert already; this must never be given any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.cells import cell_len

from tui_tuner.ui.widgets.chat_rows import (
    BOLD,
    ITALIC,
    STRIKE,
    UNDERLINE,
    Ink,
    Letters,
    Row,
    Run,
    Tone,
    clipped,
    set_runs,
)

LONGEST = 2000
"""Letters of one line that signs are looked for in."""
MOST_TABLE = 40
"""Lines of a table that are set as one."""

# Nothing that is emphasised is longer than 400 letters, so that a line of signs without ends stays cheap.
_INLINE = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?P<ticks>`{1,3})(?P<code>[^`](?:.{0,400}?[^`])?)(?P=ticks)(?!`)"
    r"|\*\*(?=\S)(?P<bold>.{1,400}?)(?<=\S)\*\*(?!\*)"
    r"|(?<!\w)__(?=\S)(?P<bold_>.{1,400}?)(?<=\S)__(?!\w)"
    r"|\*(?=[^\s*])(?P<em>.{1,400}?)(?<=[^\s*])\*(?!\*)"
    r"|(?<!\w)_(?=[^\s_])(?P<em_>.{1,400}?)(?<=[^\s_])_(?!\w)"
    r"|~~(?=\S)(?P<gone>.{1,400}?)(?<=\S)~~"
    r"|!?\[(?P<label>[^\[\]]{0,400})\]\((?P<to>[^()\s]{1,400})\)"
)
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_ITEM = re.compile(r"( {0,12})([-*+•]|\d{1,9}[.)])\s+(\[[ xX]\]\s+)?")
_QUOTE = re.compile(r" {0,3}((?:> ?){1,6})")
_RULE = re.compile(r" {0,3}([-*_])(?: *\1){2,}\s*$")
_FENCE = re.compile(r" {0,6}(`{3,}|~{3,})\s*([^`]*)$")
_TABLE = re.compile(r" {0,3}\|.*\|\s*$")
_DASHES = re.compile(r"\s*:?-+:?\s*$")
_PLAIN = re.compile(r" {0,3}[^\W\d_]")  # begins as no sign does
_SIGNS = re.compile(r"[\\`*_~\[]")


def inline(text: str, tone: Tone = "text", how: int = 0, depth: int = 3) -> list[Run]:
    """One line with its emphasis, code and links, as runs; without their signs."""
    if not depth or not _SIGNS.search(text):
        return [(text, tone, how)] if text else []
    runs: list[Run] = []
    at = 0
    for match in _INLINE.finditer(text):
        if match.start() > at:
            runs.append((text[at : match.start()], tone, how))
        runs += _meant(match, tone, how, depth)
        at = match.end()
    if at < len(text):
        runs.append((text[at:], tone, how))
    return runs


def _meant(match: re.Match[str], tone: Tone, how: int, depth: int) -> list[Run]:
    found = match.groupdict()
    if found["escaped"] is not None:
        return [(found["escaped"], tone, how)]
    if found["code"] is not None:
        return [(found["code"], "code", how)]
    for name, added in (("bold", BOLD), ("bold_", BOLD), ("em", ITALIC), ("em_", ITALIC), ("gone", STRIKE)):
        if found[name] is not None:
            return inline(found[name], tone, how | added, depth - 1)
    label, to = found["label"], found["to"]
    if not label or label == to:
        return [(to, "link", how | UNDERLINE)]
    return [*inline(label, "link", how | UNDERLINE, depth - 1), (f" ({to})", "muted", how)]


class Markdown:
    """An answer's text as it comes. Finished rows are handed out once by `take`; `tail` are those that still change."""

    def __init__(self, width: int, ink: Ink) -> None:
        self._width, self._ink = width, ink
        self._rows: list[Row] = []
        self._open = ""  # the line that has not ended
        self._fence = ""  # what ends the block of code one is in
        self._code: Letters | None = None
        self._long: Letters | None = None  # a line too long for signs
        self._table: list[str] = []
        self._drawn: tuple[str, list[Row]] = ("", [])

    def write(self, text: str) -> None:
        """More text."""
        *lines, last = text.split("\n")
        for line in lines:
            self._end(line)
        self._open += last
        self._keep_short()

    def take(self) -> list[Row]:
        """The rows that have become final since the last call."""
        rows, self._rows = self._rows, []
        return rows

    @property
    def tail(self) -> list[Row]:
        """The rows that more text may still change."""
        if self._long is not None:
            return self._long.tail
        known = f"{len(self._table)} {self._open}"
        if self._drawn[0] != known:
            self._drawn = (known, self._growing())
        return self._drawn[1]

    # -- lines --------------------------------------------------------------------------------------------------

    def _keep_short(self) -> None:
        """Hands a line that has become too long over to one that is never looked at again."""
        if self._long is None and len(self._open) > LONGEST:
            self._end_table()
            before = self._edge() if self._fence else ()
            self._long = Letters(self._width, self._ink, "code" if self._fence else "text", before)
        if self._long is not None:
            self._long.write(self._open)
            self._rows += self._long.take()
            self._open = ""

    def _end(self, rest: str) -> None:
        """A line has ended."""
        line, self._open = self._open + rest, ""
        if self._long is None and len(line) > LONGEST:
            self._open = line
            self._keep_short()
            line = ""
        if self._long is not None:
            self._long.write(line + "\n")
            self._rows += self._long.take()
            self._long = None
        elif self._fence:
            self._end_code_line(line)
        else:
            self._end_line(line)

    def _end_code_line(self, line: str) -> None:
        if line.strip().startswith(self._fence) and not line.strip().strip(self._fence[0]):
            self._fence = ""
            return
        self._rows += self._code_rows(line)

    def _end_line(self, line: str) -> None:
        if not self._table and _PLAIN.match(line):
            self._rows += self._set(line)
            return
        if _TABLE.match(line) and len(self._table) < MOST_TABLE:
            self._table.append(line)
            return
        self._end_table()
        fence = _FENCE.match(line)
        if fence is not None:
            self._fence = fence.group(1)
            label = fence.group(2).strip()
            if label:
                self._rows.append(self._ink.row(("▏", "muted", 0), (clipped(label, self._width - 1), "muted", ITALIC)))
            return
        self._rows += self._set(line)

    def _end_table(self) -> None:
        if self._table:
            self._rows += self._set_table(self._table)
            self._table = []

    # -- rows ---------------------------------------------------------------------------------------------------

    def _growing(self) -> list[Row]:
        line = self._open
        if self._fence:
            closing = line.strip()
            return [] if not closing.strip(self._fence[0]) and closing else self._code_rows(line) if line else []
        if self._table or (line.startswith("|") and len(self._table) < MOST_TABLE):
            whole = bool(line) and _TABLE.match(line) is not None
            rows = self._set_table([*self._table, *([line] if whole else [])])
            return rows if whole or not line else [*rows, *self._set(line)]
        if line.startswith(("```", "~~~")) and _FENCE.match(line):
            return []
        return self._set(line) if line else []

    def _edge(self) -> Row:
        return self._ink.row(("▏", "muted", 0))

    def _code_rows(self, line: str) -> list[Row]:
        return set_runs([(line, "code", 0)], self._width, self._ink, self._edge(), self._edge())

    def _set(self, line: str) -> list[Row]:
        """One line that is neither code nor of a table."""
        ink, width = self._ink, self._width
        if _PLAIN.match(line):
            return set_runs(inline(line), width, ink)
        if not line.strip():
            return [()]
        heading = _HEADING.match(line)
        if heading is not None:
            how = BOLD | (UNDERLINE if len(heading.group(1)) == 1 else 0)
            return set_runs(inline(heading.group(2), "head", how), width, ink)
        if _RULE.match(line):
            return [ink.row(("─" * width, "muted", 0))]
        quote = _QUOTE.match(line)
        before: tuple[Run, ...] = ()
        tone: Tone = "text"
        if quote is not None:
            before = (("▎ " * min(quote.group(1).count(">"), max(1, width // 8)), "muted", 0),)
            line, tone = line[quote.end() :], "muted"
        item = _ITEM.match(line)
        if item is None:
            edge = ink.row(*before)
            return set_runs(inline(line, tone), width, ink, edge, edge)
        sign = item.group(2) if item.group(2)[0].isdigit() else "•"
        box = item.group(3)
        if box:
            sign = "☐" if "[ ]" in box else "☑"
        indent = " " * min(len(item.group(1)), width // 3)
        first = ink.row(*before, (f"{indent}{sign} ", "head", 0))
        rest = ink.row(*before, (indent + " " * (len(sign) + 1), "text", 0))
        return set_runs(inline(line[item.end() :], tone), width, ink, first, rest)

    def _set_table(self, lines: list[str]) -> list[Row]:
        if len(lines) < 2 or not all(_DASHES.match(cell) for cell in _cells(lines[1])):
            return [row for line in lines for row in self._set(line)]
        table = [[inline(cell.strip()) for cell in _cells(line)] for line in (lines[0], *lines[2:])]
        columns = min(max(len(row) for row in table), max(1, self._width // 4))
        widest = [max((_length(row[i]) for row in table if i < len(row)), default=0) for i in range(columns)]
        room = self._width - 3 * (columns - 1)
        widths = _shared(widest, room)
        rows: list[Row] = []
        for number, line in enumerate(table):
            rows.append(self._table_row(line, widths, BOLD if number == 0 else 0))
            if number == 0:
                rows.append(self._ink.row(("─┼─".join("─" * width for width in widths), "muted", 0)))
        return rows

    def _table_row(self, line: list[list[Run]], widths: list[int], how: int) -> Row:
        out: list[Run] = []
        for number, width in enumerate(widths):
            if number:
                out.append((" │ ", "muted", 0))
            left = width
            for text, tone, set_how in line[number] if number < len(line) else []:
                part = clipped(text, left)
                if left <= 0 or not part:
                    break
                out.append((part, tone, set_how | how))
                left -= cell_len(part)
            out.append((" " * max(left, 0), "text", 0))
        return self._ink.row(*out)


def _cells(line: str) -> list[str]:
    return line.strip().removeprefix("|").removesuffix("|").split("|")


def _length(runs: Iterable[Run]) -> int:
    return sum(cell_len(text) for text, _, _ in runs)


def _shared(widest: list[int], room: int) -> list[int]:
    """Widths of columns that fit into a room: narrow ones get what they want, the others share the rest alike."""
    widths = [1] * len(widest)
    order = sorted(range(len(widest)), key=widest.__getitem__)
    for number, at in enumerate(order):
        widths[at] = max(1, min(widest[at], room // (len(widest) - number)))
        room -= widths[at]
    return widths
