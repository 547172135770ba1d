"""The rows of a data set beside what is told of the selected one; or the problems, and the rows that one of them hits.

It shows what `Questions` knows and asks for the rows that are to be seen. It must never change the experiment: what a
key does to it is the screen's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.message import Message

from tui_tuner.engine.requests import FindRows, PreviewData
from tui_tuner.engine.results import DataPreview, PreviewRow
from tui_tuner.ui.format import count
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets import data_problems, data_row, data_summary
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_listing import (
    ORDERS,
    Everything,
    Listing,
    Place,
    Places,
    Sorted,
    by_length,
    of_problem,
    problems_at,
    sought,
)
from tui_tuner.ui.widgets.data_lookup import Lookup
from tui_tuner.ui.widgets.data_pane import TextPane
from tui_tuner.ui.widgets.data_questions import Questions
from tui_tuner.ui.widgets.data_store import RowStore, held

if TYPE_CHECKING:
    from tui_tuner.data.findings import Problem
    from tui_tuner.engine.dataset import DataFacts
    from tui_tuner.ui.widgets.config_subject import Subject


class DataBrowser(Container):
    """The list and the row.

    Attributes:
        subject: what is looked at.
        problems_listed: whether problems are listed, not rows.
        listing: the rows that are listed, when no problems are.
        view: how the selected row is drawn.
    """

    class Moved(Message):
        """Another line is selected, or other lines are listed."""

    def __init__(self, questions: Questions, *, id: str) -> None:
        super().__init__(id=id)
        self.subject: Subject | None = None
        self.problems_listed = False
        self.listing: Listing = Places(())
        self.view = data_row.View()
        self._questions = questions
        self._store = RowStore()
        self._search, self._text = Lookup(), ""
        self._only: Problem | None = None
        self._seen: tuple[DataPreview | None, DataFacts | None] = (None, None)

    def compose(self) -> ComposeResult:
        yield RowList("Rows", id="data-rows")
        yield TextPane("Tokens", id="data-row")

    @property
    def row_list(self) -> RowList:
        return self.query_one(RowList)

    @property
    def pane(self) -> TextPane:
        return self.query_one("#data-row", TextPane)

    # -- what is selected ---------------------------------------------------------------------------------------

    @property
    def place(self) -> Place | None:
        """Split and number of the selected row."""
        at = self.row_list.cursor
        return self.listing.place(at) if not self.problems_listed and at < len(self.listing) else None

    @property
    def row(self) -> PreviewRow | None:
        """The selected row, as far as it is here."""
        place = self.place
        return self._store.row(place) if place is not None else None

    @property
    def problem(self) -> Problem | None:
        """The selected problem, while problems are listed."""
        facts = self._questions.facts
        if not self.problems_listed or facts is None or not self.is_mounted:
            return None
        at = self.row_list.cursor
        return facts.report.problems[at] if at < len(facts.report.problems) else None

    # -- what can be asked of it --------------------------------------------------------------------------------

    def bring_up_to_date(self) -> None:
        """Takes over what the engine has told since the last time."""
        preview, facts = self._questions.preview, self._questions.facts
        if preview is not None and preview is not self._seen[0]:
            self._store.reset(preview.rows)
            self.problems_listed = self.problems_listed and facts is not None
            self._seen = (preview, facts)
            self.show_all()
        elif facts is not self._seen[1]:
            self._seen = (preview, facts)
            self.fill()
        if self._store.take_answer():
            self.row_list.refresh()
            self.draw_row()
            self._ask()
        self._take_found()

    def step_form(self, step: int) -> None:
        """Shows the row in its next form."""
        self.view.step(step)
        self.draw_row()

    def toggle_ids(self) -> None:
        """Shows the tokens with their ids, one below the other, or as running text again."""
        self.view.toggle_ids()
        self.draw_row()

    def toggle_problems(self) -> None:
        """From the rows to the problems, and from them (or the rows of one of them) back to all rows."""
        self.problems_listed = not self.problems_listed and self._only is None
        self.show_all()

    def go_back(self) -> bool:
        """From the rows of a problem to the problems, from these or from what was found to all rows; else False."""
        if self._only is None and not self.problems_listed and not self._text:
            return False
        self.problems_listed = self._only is not None
        self.show_all()
        return True

    def show_all(self) -> None:
        """Lists every row again, as far as it is known (or the problems, when those are listed)."""
        preview = self._questions.preview
        self._only, self._text = None, ""
        if preview is not None:
            self.listing = Everything(preview.counts) if preview.complete else Places(held(preview.rows))
        self.fill()

    def show_hits(self) -> None:
        """Lists the rows of the selected problem."""
        problem, facts = self.problem, self._questions.facts
        if problem is None or facts is None:
            return
        listing = of_problem(problem, facts.report)
        if not len(listing):
            self.notify("This problem is not one of single rows that could be shown.", markup=False)
            return
        self.problems_listed, self._only, self._text, self.listing = False, problem, "", listing
        self.row_list.cursor = 0
        self.fill()

    def step_order(self) -> None:
        """Orders the listed rows by length, longest or shortest first, or as they are in the file.

        Raises:
            ValueError: the lengths are not known yet.
        """
        facts = self._questions.facts
        if facts is None:
            raise ValueError("The tokens of the rows are still being counted; they can be ordered after that.")
        order = ORDERS[(ORDERS.index(self.listing.order) + 1) % len(ORDERS)]
        preview = self._questions.preview
        if not order and not self._only and not self._text and preview is not None:
            self.listing = Everything(preview.counts)
        else:
            self.listing = by_length(self.listing, facts.report, order)
        self.row_list.cursor = 0
        self.fill()

    def search(self, text: str) -> None:
        """Lists the rows that have a text in them; nothing goes back to all rows."""
        questions = self._questions
        if questions.engine is None or questions.experiment is None:
            return
        self.problems_listed = False
        if not text.strip():
            self.show_all()
            return
        self._text, self._only = text, None
        asked = FindRows(questions.experiment, questions.base, text)
        self._search.ask(questions.engine, (id(questions.preview), text), asked)
        self.row_list.border_subtitle = Content(f"◌ searching for {clip(text, 24)} …")
        self._take_found()

    def go_to(self, text: str) -> None:
        """Selects the row that `[split] row` means; all rows are listed where it is not among the listed ones.

        Raises:
            ValueError: there is no such row; the text says which there are.
        """
        preview = self._questions.preview
        if preview is None:
            return
        if not preview.complete:
            problem = self._questions.reading_problem
            raise ValueError(problem or "The rows are still being read; one can be gone to after that.")
        place = sought(text, self.place, preview.counts)
        if self.listing.find(place) is None:
            self.show_all()
        self.row_list.cursor = self.listing.find(place) or 0

    def _take_found(self) -> None:
        """Lists what the search has found, once."""
        found = self._search.result
        if self._search.problem:
            self._search.forget()
            self.show_all()
        if not isinstance(found, tuple) or not self._text:
            return
        self._search.forget()
        if not found:
            self.notify(f"No row has “{visible(self._text)}” in it.", markup=False)
            self.show_all()
            return
        self.listing = Places(found, f"Rows with “{clip(self._text, 20)}”")
        self.row_list.cursor = 0
        self.fill()

    # -- what is shown ------------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Puts rows or problems into the list."""
        facts, listed = self._questions.facts, self.row_list
        if self.problems_listed and facts is not None:
            problems = facts.report.problems
            listed.border_title = Content("Problems")
            listed.show(
                len(problems), lambda at, width: data_problems.line(problems[at], width),
                header=data_problems.header,
            )  # fmt: skip
        else:
            listed.border_title = Content(self.listing.title)
            listed.show(len(self.listing), self._row_line, header=data_summary.row_header)
        self.draw_row()
        self.post_message(self.Moved())

    def _row_line(self, at: int, width: int) -> Content:
        place = self.listing.place(at)
        row = self._store.row(place)
        if row is not None:
            return data_summary.row_line(row, width)
        if self._store.missed:
            self.call_later(self._ask)
        why = "✗ not rendered" if self._store.is_gone(place) else "◌"
        length = int(self.listing.report.lengths[self.listing.positions[at]]) if isinstance(self.listing, Sorted) else 0
        return data_summary.absent_line(place, length, why, width)

    def _ask(self) -> None:
        """Asks for the rows in sight that are not here."""
        questions, listed = self._questions, self.row_list
        if questions.engine is None or questions.experiment is None or self.problems_listed or not self.is_mounted:
            return
        first = int(listed.scroll_offset.y)
        asked = PreviewData(questions.experiment, questions.base)
        sight = range(first, first + max(listed.size.height, 1))
        self._store.ask(questions.engine, asked, self.listing, sight, listed.cursor)

    def draw_row(self) -> None:
        """Shows the selected row, or all of the selected problem."""
        pane, problem, place = self.pane, self.problem, self.place
        self._subtitle()
        if problem is not None:
            self._draw_problem(pane, problem)
            return
        row = self.row
        if row is None:
            text = "There are no rows."
            if place is not None:
                self.call_later(self._ask)
                gone = self._store.is_gone(place)
                text = "✗ This row cannot be rendered; o tells why." if gone else "◌ reading this row …"
            text = "No problems were found in any row." if self.problems_listed else text
            pane.border_title = Content(f"{visible(place[0])} {place[1]}" if place is not None else "")
            pane.border_subtitle = Content("")
            pane.draw(lambda _width: Content.styled(text, "$text-muted"))
            return
        view = self.view
        pane.border_title = Content.assemble(f"{visible(row.split)} {row.index} ".lstrip(), *view.titles)
        pane.border_subtitle = view.legend
        problems = self._problems_of((row.split, row.index))
        pane.draw(lambda width: view.draw(row, width, problems))

    def _problems_of(self, place: Place) -> list[str]:
        """The codes of the problems that a row has."""
        facts = self._questions.facts
        return problems_at(facts.report, place) if facts is not None else []

    def _subtitle(self) -> None:
        """Where in the list the cursor is, and how it is ordered."""
        listed, preview = self.row_list, self._questions.preview
        if self.problems_listed:
            listed.border_subtitle = Content("enter: its rows")
            return
        where = f"{count(listed.cursor + 1)} of {count(listed.count)}" if listed.count else ""
        if preview is not None and not preview.complete:
            where += " · the rest cannot be read" if self._questions.reading_problem else " · reading the rest …"
        listed.border_subtitle = Content(f"{where} · {self.listing.order}" if self.listing.order else where)

    def _draw_problem(self, pane: TextPane, problem: Problem) -> None:
        subject = self.subject
        mine = subject is not None and not subject.is_run
        applied = subject is not None and problem.step in subject.experiment.data.fixes
        pane.border_title = Content(visible(problem.code))
        pane.border_subtitle = Content("")
        pane.draw(lambda width: data_problems.about(problem, width, applied=applied, can_apply=mine))

    def on_row_list_highlighted(self, _event: RowList.Highlighted) -> None:
        self.draw_row()
        self.post_message(self.Moved())
