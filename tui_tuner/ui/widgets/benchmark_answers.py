"""The rows of two results: which are listed, in which order, and one of them in full.

It shows what it is handed; reading and judging are done elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content

from tui_tuner.evaluation.stored import Pair
from tui_tuner.ui.format import count
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets import benchmark_detail, benchmark_rows
from tui_tuner.ui.widgets import benchmark_table as drawn
from tui_tuner.ui.widgets.benchmark_rows import FILTERS, ORDERS, Choice
from tui_tuner.ui.widgets.benchmark_store import BenchmarkStore
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import Drawing, TextPane


class AnswersPane(Horizontal):
    """Rows, and the selected one in full.

    Attributes:
        choice: what is listed, and in which order.
        against_reference: what the marks in the answers mean.
        rows: those listed.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.choice = Choice()
        self.against_reference = False
        self.rows: list[Pair] = []
        self._names = ("before", "after")

    def compose(self) -> ComposeResult:
        yield RowList("Rows", id="benchmark-rows")
        yield TextPane("Row", id="benchmark-row")

    @property
    def listed(self) -> RowList:
        return self.query_one("#benchmark-rows", RowList)

    @property
    def pane(self) -> TextPane:
        return self.query_one("#benchmark-row", TextPane)

    @property
    def row(self) -> Pair | None:
        """The selected row."""
        at = self.listed.cursor
        return self.rows[at] if at < len(self.rows) else None

    def step_order(self) -> None:
        at = ORDERS.index(self.choice.order)
        self.choice = replace(self.choice, order=ORDERS[(at + 1) % len(ORDERS)])

    def step_filter(self) -> None:
        at = FILTERS.index(self.choice.filter)
        self.choice = replace(self.choice, filter=FILTERS[(at + 1) % len(FILTERS)])

    def step_split(self, splits: list[str]) -> None:
        """The next part of the rows, then all of them again."""
        offered = ["", *splits]
        at = offered.index(self.choice.split) if self.choice.split in offered else 0
        self.choice = replace(self.choice, split=offered[(at + 1) % len(offered)])

    def show(self, store: BenchmarkStore, metric: str, cursor: int | None = None) -> None:
        """Lists what the choice asks for, scored by a metric."""
        higher = store.higher_is_better(metric)
        whole = store.reading.pairs.rows
        if self.choice.split and self.choice.split not in store.reading.pairs.splits:
            self.choice = replace(self.choice, split="")
        self.rows = benchmark_rows.chosen(whole, self.choice, metric, higher)
        self._names = store.names
        listed = self.listed
        listed.show(
            len(self.rows), lambda at, width: drawn.row_line(self.rows[at], metric, width, higher),
            header=partial(drawn.row_header, self._names), cursor=cursor,
        )  # fmt: skip
        told = store.told.get(metric)
        went = f" · {drawn.outcome(told)}" if told else ""
        listed.border_title = Content(f"Rows by {drawn.label(metric)}{went}" if metric else "Rows")
        if store.waiting:
            listed.border_subtitle = "reading the answers …"
            return
        left_out = f" of {count(len(whole))}" if len(self.rows) != len(whole) else ""
        only = f" · {clip(self.choice.told, 40)}" if self.choice.told else ""
        order = benchmark_rows.ORDER_NAMES[self.choice.order]
        listed.border_subtitle = Content(f"{count(len(self.rows))}{left_out} rows, {order}{only}")

    def show_row(self, drawing: Drawing | None = None, subtitle: str = "") -> None:
        """The selected row in full, or something else about it."""
        pane, row = self.pane, self.row
        if row is None:
            why = "No row is like that. f and / show others." if self.choice.told else "No answers were stored."
            pane.border_title, pane.border_subtitle = Content("Row"), ""
            pane.draw(lambda _width: Content.styled(why, "$text-muted"))
            return
        pane.border_title = Content(f"Row {row.index}")
        marks = "shared with the reference" if self.against_reference else "what changed"
        pane.border_subtitle = Content(subtitle or f"marked: {visible(marks)}")
        tight = self.app.size.height < 34
        pane.draw(drawing or partial(_detail, row, self.against_reference, tight, self._names))


def _detail(row: Pair, against_reference: bool, tight: bool, names: tuple[str, str], width: int) -> Content:
    return benchmark_detail.detail(row, width, against_reference=against_reference, tight=tight, names=names)
