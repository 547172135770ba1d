"""The rows of a data set beside what is told of the selected one; or the problems, and the rows that one of them hits.

It shows what `Questions` knows and asks for rows that are to be seen. It must never change the experiment: what a key
does to it is the screen's.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.message import Message

from tui_tuner.engine.requests import PreviewData
from tui_tuner.engine.results import DataPreview, PreviewRow
from tui_tuner.ui.format import count
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets import data_problems, data_row, data_summary
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_lookup import Lookup
from tui_tuner.ui.widgets.data_pane import TextPane, lines
from tui_tuner.ui.widgets.data_questions import Questions

if TYPE_CHECKING:
    from tui_tuner.data.findings import Problem
    from tui_tuner.ui.widgets.config_subject import Subject

_LISTED = 200
"""Rows of a problem that are shown in full."""
_FORM_NAMES = {"record": "Record", "conversation": "Conversation", "tokens": "Tokens"}


class DataBrowser(Container):
    """The list and the row.

    Attributes:
        subject: what is looked at.
        problems_listed: whether problems are listed, not rows.
    """

    class Moved(Message):
        """Another line is selected, or other lines are listed."""

    def __init__(self, questions: Questions, *, id: str) -> None:
        super().__init__(id=id)
        self.subject: Subject | None = None
        self.problems_listed = False
        self._questions = questions
        self._hit = Lookup()
        self._only: Problem | None = None
        self._seen: tuple[object, object] = (None, None)
        self._form = 2

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
    def row(self) -> PreviewRow | None:
        """The selected row."""
        rows = self._rows
        at = self.row_list.cursor
        return rows[at] if not self.problems_listed and at < len(rows) else None

    @property
    def problem(self) -> Problem | None:
        """The selected problem, while problems are listed."""
        facts = self._questions.facts
        if not self.problems_listed or facts is None or not self.is_mounted:
            return None
        at = self.row_list.cursor
        return facts.report.problems[at] if at < len(facts.report.problems) else None

    @property
    def _rows(self) -> list[PreviewRow]:
        """The rows that are listed: the first of all, or those of one problem."""
        if self._only is not None:
            found = self._hit.result
            return found.rows if isinstance(found, DataPreview) else []
        preview = self._questions.preview
        return preview.rows if preview is not None else []

    # -- what can be asked of it --------------------------------------------------------------------------------

    def bring_up_to_date(self) -> None:
        """Fills the list again where other rows or problems are known now."""
        preview, facts = self._questions.preview, self._questions.facts
        if preview is not self._seen[0]:
            self.problems_listed, self._only = self.problems_listed and facts is not None, None
        elif facts is self._seen[1] and self._only is None:
            return
        self.fill()

    def step_form(self, step: int) -> None:
        """Shows the row in its next form."""
        self._form = (self._form + step) % len(data_row.FORMS)
        self.draw_row()

    def toggle_problems(self) -> None:
        """From the rows to the problems, and from them (or the rows of one of them) back to all rows."""
        self.problems_listed, self._only = not self.problems_listed and self._only is None, None
        self.fill()

    def go_back(self) -> bool:
        """From the rows of a problem to the problems, from these to all rows; False when there is no way back."""
        if self._only is None and not self.problems_listed:
            return False
        self.problems_listed, self._only = self._only is not None, None
        self.fill()
        return True

    def show_hits(self) -> None:
        """Lists the rows of the selected problem."""
        problem, questions = self.problem, self._questions
        if problem is None or questions.experiment is None or questions.engine is None:
            return
        if not problem.rows:
            self.notify("This problem is not one of single rows that could be shown.", markup=False)
            return
        asked = PreviewData(questions.experiment, questions.base, only=problem.rows[:_LISTED])
        self._hit.ask(questions.engine, (questions.facts, problem.code), asked)
        self.problems_listed, self._only = False, problem
        self.row_list.cursor = 0
        self.fill()

    def find(self, text: str) -> int:
        """The position of `[split] row` in the list; rows count from 0 within their split.

        Raises:
            ValueError: there is no such row; the text says which there are.
        """
        *split, number = text.split() or [""]
        rows, current = self._rows, self.row
        wanted = split[0].lower() if split else (current.split if current is not None else "train")
        if not number.isdigit():
            raise ValueError("A row is asked for by its number, with its split if it is in another one: valid 3.")
        for at, row in enumerate(rows):
            if row.split.startswith(wanted) and row.index == int(number):
                return at
        held = [row.index for row in rows if row.split.startswith(wanted)]
        among = f"{wanted} has rows {min(held)} to {max(held)} here" if held else f"there is no split {wanted}"
        raise ValueError(f"Row {number} is not shown: {among}.")

    # -- what is shown ------------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Puts rows, problems, or the rows of one problem into the list."""
        preview, facts = self._questions.preview, self._questions.facts
        if preview is None:
            return
        self._seen = (preview, facts)
        listed = self.row_list
        if self.problems_listed and facts is not None:
            problems = facts.report.problems
            listed.border_title = Content("Problems")
            listed.show(
                len(problems),
                lambda at, width: data_problems.line(problems[at], width),
                header=data_problems.header,
                cursor=min(listed.cursor, max(len(problems) - 1, 0)),
            )
            listed.border_subtitle = Content("enter: its rows")
        else:
            rows, only = self._rows, self._only
            listed.border_title = Content("Rows" if only is None else f"Rows: {visible(only.code)}")
            listed.show(
                len(rows), lambda at, width: data_summary.row_line(rows[at], width),
                header=data_summary.row_header, cursor=min(listed.cursor, max(len(rows) - 1, 0)),
            )  # fmt: skip
            total = sum(preview.counts.values()) if only is None else only.count
            some = f"the first {count(len(rows))} of {count(total)}" if total > len(rows) > 0 else ""
            listed.border_subtitle = Content(some)
        self.draw_row()
        self.post_message(self.Moved())

    def draw_row(self) -> None:
        """Shows the selected row, or all of the selected problem."""
        pane, problem = self.pane, self.problem
        if problem is not None:
            self._draw_problem(pane, problem)
            return
        row = self.row
        if row is None:
            waiting = self._only is not None and self._hit.waiting
            text = "◌ reading these rows …" if waiting else "There are no rows."
            text = "No problems were found in any row." if self.problems_listed else text
            pane.border_title, pane.border_subtitle = Content(""), Content("")
            pane.draw(lambda _width: Content.styled(text, "$text-muted"))
            return
        form = data_row.FORMS[self._form]
        forms = [(f" {name} ", "reverse" if key == form else "") for key, name in _FORM_NAMES.items()]
        pane.border_title = Content.assemble(f"{visible(row.split)} {row.index} ", *forms)
        pane.border_subtitle = data_row.legend() if form == "tokens" else Content("")
        summary = Content.styled(data_row.summary(row), "$text-muted")
        pane.draw(lambda width: lines([summary, Content(""), partial(data_row.draw, row, form)(width)]))

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
