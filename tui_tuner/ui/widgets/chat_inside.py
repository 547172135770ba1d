"""An answer token by token: how probable each was, by colour and underline, and what else there was under the cursor.

Probabilities are the model's own, before any sampling. No Markdown here: what counts is what was said, token by token.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.segment import Segment

from tui_tuner.ui.format import count, number, share
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets.chat_rows import BOLD, ITALIC, REVERSE, UNDERLINE, Ink, Row, Run, Tone, set_runs, split

if TYPE_CHECKING:
    from tui_tuner.chat.inside import Inside

LIKELY = 0.5
"""Tokens at least as probable are set as any other text."""
PEEK = 3
"""Rows below the line with the cursor in which its token is explained; always as many, so that nothing jumps."""
LEGEND: tuple[Run, ...] = (
    ("likely", "text", 0),
    (" · ", "muted", 0),
    ("< 50 %", "warning", UNDERLINE),
    (" · ", "muted", 0),
    ("< 10 %", "error", UNDERLINE | BOLD),
    (" · ", "muted", 0),
    ("< 1 %", "error", UNDERLINE | BOLD | ITALIC),
)


def level(probability: float) -> tuple[Tone, int]:
    """How a token of this probability is set; each step down has a sign more than its colour."""
    if probability >= LIKELY:
        return "text", 0
    if probability >= 0.1:
        return "warning", UNDERLINE
    return "error", UNDERLINE | BOLD | (ITALIC if probability < 0.01 else 0)


def told(inside: Inside, what: str = "") -> str:
    """The mean loss and the perplexity of a text."""
    if inside.mean is None or inside.perplexity is None:
        return f"{what}no tokens"
    perplexity = number(inside.perplexity) if math.isfinite(inside.perplexity) else "beyond numbers"
    return f"{what}loss {number(inside.mean)} a token · perplexity {perplexity}"


def named(piece: str) -> str:
    """A token's text, with its blanks and line breaks to be seen."""
    return f"“{visible(piece).replace(' ', '␣')}”"


class Tokens:
    """An answer's tokens as rows.

    Attributes:
        rows: with the cursor's token and what is told of it.
    """

    def __init__(self, inside: Inside, width: int, ink: Ink) -> None:
        self.inside = inside
        self._width, self._ink = width, ink
        self._plain: list[Row] = []
        self._owners: list[tuple[int, ...]] = []  # of each row the token of each segment
        self._at: dict[int, int] = {}  # the row in which a token ends
        self._set()
        self.rows = self._plain
        self._cursor: int | None = None

    def __len__(self) -> int:
        return len(self.inside.pieces)

    def point(self, token: int | None) -> None:
        """Puts the cursor on a token, or takes it away."""
        self._cursor = token
        row = None if token is None else self._at.get(token)
        if token is None or row is None:
            self.rows = self._plain
            return
        first = min(at for at in range(max(row - 1, 0), row + 1) if token in self._owners[at])
        lit = [self._lit(at, token) for at in range(first, row + 1)]
        self.rows = [*self._plain[:first], *lit, *self._peek(token), *self._plain[row + 1 :]]

    def row_of(self, token: int) -> int:
        """The row in which a token ends, among `rows`."""
        return self._at.get(token, 0)

    def token_at(self, row: int, cell: int) -> int | None:
        """The token at a place of `rows`."""
        cursor = None if self._cursor is None else self._at.get(self._cursor)
        if cursor is not None and row > cursor:
            row -= PEEK
            if row <= cursor:
                return None
        if not 0 <= row < len(self._plain):
            return None
        for segment, owner in zip(self._plain[row], self._owners[row], strict=True):
            cell -= segment.cell_length
            if cell < 0:
                return owner
        return None

    def _set(self) -> None:
        """Makes the rows, without a cursor."""
        line: list[tuple[int, str]] = []
        for token, piece in enumerate(self.inside.pieces):
            *ended, last = visible(piece, lines=True).split("\n")
            for part in ended:
                self._set_line([*line, (token, part + "⏎")])
                line = []
            line.append((token, last))
        if any(text for _, text in line):
            self._set_line(line)

    def _set_line(self, line: list[tuple[int, str]]) -> None:
        levels = [level(math.exp(-self.inside.losses[token])) for token, _ in line]
        for pieces in split([text for _, text in line], self._width):
            for at, _ in pieces:
                self._at[line[at][0]] = len(self._plain)
            self._owners.append(tuple(line[at][0] for at, _ in pieces))
            self._plain.append(tuple(self._ink.segment(text, *levels[at]) for at, text in pieces))

    def _lit(self, row: int, token: int) -> Row:
        style = self._ink.style("strong", REVERSE | BOLD)
        owners = zip(self._plain[row], self._owners[row], strict=True)
        return tuple(Segment(segment.text, style) if owner == token else segment for segment, owner in owners)

    def _peek(self, token: int) -> list[Row]:
        inside, edge = self.inside, self._ink.row(("╎ ", "strong", 0))
        rank = inside.rank[token]
        place = "the likeliest" if rank == 0 else f"{count(rank)} likelier"
        head: list[Run] = [
            (named(inside.pieces[token]), "strong", BOLD),
            (f" {_percent(math.exp(-inside.losses[token]))} · {place}", "text", 0),
            (f" · token {count(token + 1)} of {count(len(inside.pieces))}", "muted", 0),
        ]
        rows = set_runs(head, self._width, self._ink, edge, edge)[:1]
        others: list[Run] = [("instead: ", "muted", 0)]
        for text, probability in inside.alternatives[token]:
            if text != inside.pieces[token]:
                others += [(named(text), "head", 0), (f" {_percent(probability)}  ", "muted", 0)]
        rows += set_runs(others, self._width, self._ink, edge, edge)[: PEEK - 1]
        return [*rows, *([edge] * (PEEK - len(rows)))]


def _percent(probability: float) -> str:
    return share(probability) if probability >= 0.001 else "< 0.1 %"
