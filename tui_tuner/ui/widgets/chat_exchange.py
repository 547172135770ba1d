"""An exchange as rows: its number and question, its answers below one another or side by side, and the vote.

It knows widths and heights; what an answer looks like is the column's business.
"""

from __future__ import annotations

import math

from rich.segment import Segment

from tui_tuner.chat.conversation import Exchange
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets.chat_answer import Column, Face, ReferenceColumn, faces
from tui_tuner.ui.widgets.chat_rows import BOLD, Ink, Row, Run, padded, set_runs
from tui_tuner.ui.widgets.chat_view import LogView

NARROW = 90
"""Below this many cells answers always stand below one another."""
COLUMN = 34
"""Cells that an answer beside others has at least."""
QUESTION_ROWS = 12
"""Rows of a question that are shown while it is folded."""


def abreast(answers: int, width: int, wide: bool) -> int:
    """How many of so many answers stand side by side."""
    if not wide or width < NARROW or answers < 2:
        return 1
    most = max(1, min(answers, (width + 1) // (COLUMN + 1)))
    return math.ceil(answers / math.ceil(answers / most))


def _asked(view: LogView, exchange: Exchange) -> list[object]:
    """What of a view changes the look of an exchange."""
    seen = [(id(view.inside.get(answer)), id(view.references.get(answer))) for answer in exchange.answers]
    compared = view.diff and exchange.ended
    return [compared, view.wide, view.blind, view.diff, view.unfold, view.raw, *seen]


class Block:
    """The rows of one exchange."""

    def __init__(self, exchange: Exchange, ink: Ink) -> None:
        self.exchange = exchange
        self.columns = [Column(answer, ink) for answer in exchange.answers]
        self._ink = ink
        self._width = 1
        self._top: list[Row] = []
        self._bands: list[list[Column]] = []
        self._bottom: list[Row] = []
        self._across = 1
        self._laid: tuple[object, ...] = ()
        self._view = LogView()
        self._branch = (1, 1)

    def lay(self, width: int, view: LogView, branch: tuple[int, int]) -> bool:
        """Sets everything for a width and a view.

        Args:
            branch: which of how many questions at this place it is, both from 1.

        Returns:
            Whether there was anything to do.
        """
        exchange = self.exchange
        wanted = (width, branch, exchange.vote, exchange.blind, exchange.reference, *_asked(view, exchange))
        if wanted == self._laid:
            return False
        self._laid, self._width, self._view, self._branch = wanted, width, view, branch
        if [column.answer for column in self.columns] != exchange.answers:
            self.columns = [Column(answer, self._ink) for answer in exchange.answers]
        reference = [ReferenceColumn(exchange, self._ink)] if exchange.reference else []
        shown: list[Column] = [*self.columns, *reference]
        self._across = across = abreast(len(shown), width, view.wide)
        self._top = self._question(view, branch)
        own = self._column_width - 3
        for number, (column, face) in enumerate(zip(self.columns, faces(exchange, view), strict=True)):
            chosen = exchange.vote == number and len(self.columns) > 1
            against = self._against(number) if view.diff and exchange.ended else None
            column.lay(own, face, view, chosen=chosen, against=against, leads=number == 0 and len(self.columns) > 1)
        for column in reference:
            alone = view.diff and exchange.ended and len(self.columns) == 1
            against = self.columns[0].answer.text if alone else None
            column.lay(own, Face("◇", "muted", "reference"), view, against=against, leads=True)
        self._bands = [shown[at : at + across] for at in range(0, len(shown), across)]
        self._bottom = self._verdict(view)
        return True

    def _against(self, number: int) -> str | None:
        """The text that an answer is compared with: the first one's; that of the row, where only one was asked."""
        answers = self.exchange.answers
        if len(answers) == 1:
            return self.exchange.reference or None
        if number:
            return answers[0].text
        return answers[1].text if len(answers) == 2 else None

    def forget(self) -> None:
        """Sets everything anew when next asked to: the colours have changed."""
        self._laid = ()

    @property
    def _column_width(self) -> int:
        return self._width // self._across

    @property
    def behind(self) -> bool:
        """Whether an answer has text that was not set yet."""
        return any(column.behind for column in self.columns)

    @property
    def height(self) -> int:
        return len(self._top) + sum(self._tall(band) for band in self._bands) + len(self._bottom) + 1

    @staticmethod
    def _tall(band: list[Column]) -> int:
        return 1 + max(column.height for column in band)

    def grow(self, columns: list[Column]) -> int | None:
        """Takes in what is new of some columns.

        Returns:
            The first line that may look otherwise than before; None when there is nothing new.
        """
        if self.lay(self._width, self._view, self._branch):
            return 0  # all have ended, and can be compared
        first: int | None = None
        base = len(self._top)
        for band in self._bands:
            for column in band:
                row = column.grow() if column in columns else None
                if row is not None:
                    first = base + row if first is None else min(first, base + row)
            base += self._tall(band)
        return first

    def place(self, column: Column) -> tuple[int, int]:
        """The line of an answer's head, and the cell at which its rows begin."""
        base = len(self._top)
        for band in self._bands:
            if column in band:
                return base, band.index(column) * self._column_width + 2
            base += self._tall(band)
        return 0, 0

    def token_at(self, line: int, cell: int) -> tuple[Column, int] | None:
        """The answer and the token at a place, where one looks inside."""
        for column in self.columns:
            first, left = self.place(column)
            if column.tokens is not None and left <= cell < left + self._column_width - 2:
                token = column.tokens.token_at(line - first - 1, cell - left)
                if token is not None:
                    return column, token
        return None

    def line(self, at: int) -> Row:
        """One of its lines, from 0, filled up to the width."""
        width = self._width
        blank = self._ink.style("text")
        if at < len(self._top):
            return padded(self._top[at], width, blank)
        at -= len(self._top)
        for band in self._bands:
            tall = self._tall(band)
            if at < tall:
                return self._beside(band, at) if at < tall - 1 else padded((), width, blank)
            at -= tall
        return padded(self._bottom[at] if at < len(self._bottom) else (), width, blank)

    def _beside(self, band: list[Column], at: int) -> Row:
        blank, own = self._ink.style("text"), self._column_width
        out: list[Segment] = []
        for column in band:
            bar = self._ink.segment("▌ ", column.tone) if at < column.height else Segment("  ", blank)
            out += [bar, *padded(column.row(at), own - 3, blank), Segment(" ", blank)]
        return padded(out, self._width, blank)

    def _question(self, view: LogView, branch: tuple[int, int]) -> list[Row]:
        exchange, ink = self.exchange, self._ink
        number = f"{exchange.number} "
        first = ink.row((number, "muted", 0), ("❯ ", "strong", BOLD))
        rest = ink.row((" " * (len(number) + 2), "text", 0))
        most = None if view.unfold else QUESTION_ROWS
        text = exchange.question if most is None else exchange.question[: most * self._width]
        rows: list[Row] = []
        for line in visible(text, lines=True).split("\n"):
            rows += set_runs([(line, "text", BOLD)], self._width, ink, rest if rows else first, rest)
            if most is not None and len(rows) > most:
                break
        if most is not None and (len(rows) > most or len(text) < len(exchange.question)):
            cut = f"… {len(exchange.question):,} letters in all"
            rows = [*rows[:most], (*rest, ink.segment(cut, "muted"))]
        told = self._told(branch)
        if told:
            rows += set_runs([(told, "muted", 0)], self._width, ink, rest, rest)
        return [*rows, ()]

    def _told(self, branch: tuple[int, int]) -> str:
        """What is to be known of a question beside its words."""
        exchange = self.exchange
        at, of = branch
        return " · ".join(
            [
                *([f"branch {at} of {of}"] if of > 1 else []),
                *([f"row {visible(exchange.source)}"] if exchange.source else []),
                *(["system message"] if exchange.system else []),
                *exchange.sampling.told(),
                *(["plain text, no template"] if exchange.plain else []),
                *(["without what came before"] if not exchange.memory and exchange.parent else []),
            ]
        )

    def _verdict(self, view: LogView) -> list[Row]:
        exchange = self.exchange
        if exchange.vote is None or len(exchange.answers) < 2:
            return []
        runs: list[Run] = []
        if 0 <= exchange.vote < len(exchange.answers):
            face = faces(exchange, view)[exchange.vote]
            letter = f"{face.letter}, " if face.letter else ""
            runs.append((f"★ {letter}{face.name} was found better", "good", BOLD))
        else:
            runs.append(("= neither was found better", "strong", BOLD))
        if exchange.blind:
            runs.append(("  (voted blind)", "muted", 0))
        return set_runs(runs, self._width, self._ink)
