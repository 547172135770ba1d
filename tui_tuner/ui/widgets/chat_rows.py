"""Letters into rows of a given width, as they come: what stands in a row that is full is never looked at again.

No widgets but for the colours. The text is inert already (`ui/text.py`): this must never be given any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from rich.cells import cell_len, get_character_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.widget import Widget

Row = tuple[Segment, ...]
"""One line on the screen, at most as wide as it was folded for."""

Tone = Literal[
    "text", "muted", "strong", "code", "head", "link", "first", "second", "third", "fourth", "warning", "error", "good"
]
"""Colours of the log; each is a component class of it."""

BOLD, ITALIC, STRIKE, UNDERLINE, REVERSE = 1, 2, 4, 8, 16

Run = tuple[str, Tone, int]
"""Some text, its colour, and how it is set (`BOLD` and so on, added up)."""

_MOST_MARKS = 4
"""Characters a cell may take on average in a row: heaps of combining marks are cut into several."""


class Ink:
    """The colours of a widget, looked up once."""

    def __init__(self, widget: Widget, prefix: str) -> None:
        self._widget = widget
        self._prefix = prefix
        self._styles: dict[tuple[Tone, int], Style] = {}

    def renewed(self) -> bool:
        """Looks the colours up again when next asked; whether one that was used has changed."""
        old, self._styles = self._styles, {}
        return any(self.style(*key) != style for key, style in old.items())

    def style(self, tone: Tone, how: int = 0) -> Style:
        found = self._styles.get((tone, how))
        if found is None:
            found = self._widget.get_visual_style(f"{self._prefix}{tone}").rich_style
            if how:
                found = found + Style(
                    bold=bool(how & BOLD) or None,
                    italic=bool(how & ITALIC) or None,
                    strike=bool(how & STRIKE) or None,
                    underline=bool(how & UNDERLINE) or None,
                    reverse=bool(how & REVERSE) or None,
                )
            self._styles[tone, how] = found
        return found

    def segment(self, text: str, tone: Tone = "text", how: int = 0) -> Segment:
        return Segment(text, self.style(tone, how))

    def row(self, *runs: Run) -> Row:
        """Runs as one row, folded by nobody."""
        return tuple(Segment(text, self.style(tone, how)) for text, tone, how in runs if text)


def width_of(row: Row) -> int:
    """Cells that a row takes."""
    return sum(segment.cell_length for segment in row)


def folds(text: str, width: int) -> list[tuple[int, int]]:
    """Where each row of a line begins and ends, as positions in it: at blanks where there are any.

    A blank that a row was ended at is in neither row. Linear in the text.

    Args:
        text: without line breaks.
        width: in cells, at least 1.
    """
    length = len(text)
    if length <= width and text.isascii():
        return [(0, length)]
    found: list[tuple[int, int]] = []
    start, ascii_only = 0, text.isascii()
    while start < length:
        end = min(start + width, length) if ascii_only else _reach(text, start, width)
        if end >= length:
            found.append((start, length))
            break
        blank = text.rfind(" ", start + 1, end + 1)
        if blank > start and not text[start:blank].isspace():
            found.append((start, blank))
            start = blank + 1
        else:
            found.append((start, end))
            start = end
    return found or [(0, 0)]


def _reach(text: str, start: int, width: int) -> int:
    """The position up to which letters fit into a width; at least one further than the start."""
    cells, most = 0, min(len(text), start + _MOST_MARKS * width)
    for at in range(start, most):
        cells += get_character_cell_size(text[at])
        if cells > width:
            return max(at, start + 1)
    return max(most, start + 1)


def set_runs(runs: Sequence[Run], width: int, ink: Ink, first: Row = (), rest: Row = ()) -> list[Row]:
    """A line of several colours as rows.

    Args:
        runs: without line breaks.
        width: of the rows, what stands before them included.
        first: what stands before the first row.
        rest: what stands before the others.
    """
    text = "".join([run[0] for run in runs])
    room = max(width - width_of(first), 1)
    if len(runs) <= 1:
        style = ink.style(runs[0][1], runs[0][2]) if runs else ink.style("text")
        return [
            (*(rest if number else first), Segment(text[start:end], style))
            for number, (start, end) in enumerate(folds(text, room))
        ]
    rows: list[Row] = []
    for number, pieces in enumerate(split([run[0] for run in runs], room)):
        row = [*(rest if number else first)]
        row += [Segment(text, ink.style(runs[at][1], runs[at][2])) for at, text in pieces]
        rows.append(tuple(row))
    return rows


def split(texts: Sequence[str], width: int) -> Iterator[list[tuple[int, str]]]:
    """The rows of texts that follow one another in a line: for each row, which of them has what part in it."""
    index, begun = 0, 0  # the text that a row begins in, and where that text begins
    for start, end in folds("".join(texts), width):
        row: list[tuple[int, str]] = []
        while index < len(texts):
            text = texts[index]
            low, high = max(start - begun, 0), min(end - begun, len(text))
            if high > low:
                row.append((index, text[low:high]))
            if begun + len(text) > end:
                break
            begun += len(text)
            index += 1
        yield row


class Letters:
    """Text as it comes, in one colour, folded. Full rows are handed out once by `take`; `tail` is the one that grows.

    Args:
        before: what stands before every row.
    """

    def __init__(self, width: int, ink: Ink, tone: Tone = "text", before: Row = ()) -> None:
        self._room = max(width - width_of(before), 1)
        self._ink, self._tone, self._before = ink, tone, before
        self._line = ""
        self._rows: list[Row] = []

    def write(self, text: str) -> None:
        """More text; line breaks end rows."""
        style = self._ink.style(self._tone)
        *lines, last = (self._line + text).split("\n")
        for line in lines:
            self._rows += [(*self._before, Segment(line[a:b], style)) for a, b in folds(line, self._room)]
        spans = folds(last, self._room)
        self._rows += [(*self._before, Segment(last[a:b], style)) for a, b in spans[:-1]]
        self._line = last[spans[-1][0] :]

    def take(self) -> list[Row]:
        rows, self._rows = self._rows, []
        return rows

    @property
    def tail(self) -> list[Row]:
        if not self._line:
            return []
        # The blank that the row will be ended at has no room in it.
        whole = self._line[-1] != " " or cell_len(self._line) <= self._room
        text = self._line if whole else self._line.rstrip(" ")
        return [(*self._before, Segment(text, self._ink.style(self._tone)))]


def padded(row: Iterable[Segment], width: int, style: Style) -> Row:
    """A row filled up to a width, and cut there."""
    out: list[Segment] = []
    used = 0
    for segment in row:
        cells = segment.cell_length
        if used + cells > width:
            segment = segment.split_cells(width - used)[0]
            cells = segment.cell_length
            out.append(segment)
            used += cells
            break
        out.append(segment)
        used += cells
    if used < width:
        out.append(Segment(" " * (width - used), style))
    return tuple(out)


def clipped(text: str, width: int) -> str:
    """Text cut to a width, with an ellipsis where something is missing."""
    if cell_len(text) <= width:
        return text
    start, end = (0, 0) if width < 1 else folds(text[: _MOST_MARKS * width], max(width - 1, 1))[0]
    return text[start:end] + "…"
