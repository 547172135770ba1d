"""What the Data screen shows: the head, the rows, source and figures, brought up to date as the engine answers.

It asks through `Questions` and draws; what keys do is in `data` and `sourcework`.
"""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.widgets import Input, Static

from tui_tuner.engine.requests import LoadLibraries
from tui_tuner.engine.results import DataPreview
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets import data_figures, data_problems, data_summary
from tui_tuner.ui.widgets.config_subject import Subject, Subjects
from tui_tuner.ui.widgets.data_browser import DataBrowser
from tui_tuner.ui.widgets.data_mapping import WORDING
from tui_tuner.ui.widgets.data_pane import TextPane, lines, notice
from tui_tuner.ui.widgets.data_questions import Questions
from tui_tuner.ui.widgets.data_source import SourcePane
from tui_tuner.ui.widgets.data_zoom import unzoom

SOURCE_BESIDE, FIGURES_BESIDE = 120, 140
"""Columns from which on source and mapping, and the figures, stand beside the rows."""
_HEAD_START = 0.15
"""Seconds that the first rows get to be drawn in, before large libraries are imported to look at all of them."""


class DataViewScreen(WorkbenchScreen):
    """A screen that shows the data of the experiment, or of the run being looked at."""

    def __init__(self) -> None:
        super().__init__()
        self._subjects = Subjects()
        self._questions = Questions()
        self._at = 0
        self._subject: Subject | None = None
        self._ready = False
        self._figured: tuple[object, object] = (None, None)

    @property
    def browser(self) -> DataBrowser:
        return self.query_one(DataBrowser)

    @property
    def source(self) -> SourcePane:
        return self.query_one(SourcePane)

    @property
    def figures(self) -> TextPane:
        return self.query_one("#data-figures", TextPane)

    def on_run_changed(self, view: object) -> None:
        self._look()

    def on_experiment_changed(self) -> None:
        self._look()

    def on_engine_changed(self) -> None:
        self._look()

    def on_mount(self) -> None:
        # While every row is linted the share that is done is drawn anew; nothing else changes then.
        self.set_interval(0.5, self._while_linting)

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= SOURCE_BESIDE, "-roomy")
        self.set_class(event.size.width >= FIGURES_BESIDE, "-spacious")
        preview = self._questions.preview
        if preview is not None:
            self._draw_head(preview)

    def _show_view(self, view: str) -> None:
        """Shows one of the panes that narrow windows have no room for beside the rows, or the rows (empty)."""
        unzoom(self)
        for name in ("-figures", "-source"):
            self.set_class(view == name, name)
        target = {"-figures": self.figures, "-source": self.source}.get(view, self.browser.row_list)
        target.focus()

    def _look(self, *, again: bool = False) -> None:
        found = self._subjects.found(self.tuner.state)
        self._subject = self.browser.subject = subject = found[self._at % len(found)] if found else None
        self.set_class(subject is None, "-empty")
        if subject is None:
            text = self._subjects.problem or self.EMPTY
            self.query_one("#data-empty", Static).update(Content(visible(text, lines=True)))
            self._get_ready()
            return
        self._questions.ask(self.tuner.engine, subject, self.tuner.state.run, again=again)
        if self._questions.has_more_to_ask:
            self.set_timer(_HEAD_START, self._ask_more)
        self._draw_source()
        preview = self._questions.preview
        self.set_class(preview is None, "-nothing")
        self.set_class(preview is None and self._questions.source is None, "-waiting")
        if preview is None:
            self._draw_waiting(subject)
            self._go_to_mapping()
            return
        self.browser.bring_up_to_date()
        self._draw_head(preview)
        self._draw_figures(subject)
        if self.focused is None or (self.source.has_focus and not self.source.display):
            self.browser.row_list.focus()

    def _go_to_mapping(self) -> None:
        """Where no rows can be made, what they are made of is all there is to change: it gets the focus."""
        broken = self._questions.problem and self._questions.source is not None
        if broken and not self.source.has_focus and not isinstance(self.focused, Input):
            self.source.seek(WORDING)
            self.source.focus()

    def _ask_more(self) -> None:
        """Asks about all rows, and shows what was known already."""
        if self._questions.has_more_to_ask:
            self._questions.ask_more()
            self.call_hook("engine")

    def _get_ready(self) -> None:
        """Has the engine import while somebody looks for data what will be needed once it is found."""
        if not self._ready:
            self._ready = True
            self.tuner.engine.submit(LoadLibraries())

    def _draw_waiting(self, subject: Subject) -> None:
        """Says that the rows are being read, or why they cannot be."""
        width = max(self.size.width - 8, 20)
        parts = [Content.styled(visible(subject.experiment.data.source), "bold"), Content("")]
        if self._questions.problem:
            parts.append(notice("✗", self._questions.problem, "bold $text-error", width))
            known = self._questions.source is not None
            change = "change what is made of it (m, enter on a line below), " if known else ""
            mend = f"Mend the data and press r, {change}or open other data (l)."
            parts.append(notice(" ", mend, "$text-muted", width))
        else:
            parts.append(Content.styled("◌ reading the rows and counting their tokens …", "$text-muted"))
        self.query_one("#data-head", Static).update(lines(parts))

    def _draw_source(self) -> None:
        questions = self._questions
        if questions.experiment is not None:
            records = 0 if questions.facts is None else questions.facts.report.records
            self.source.tell(questions.experiment, questions.source, questions.source_problem, records)

    def _while_linting(self) -> None:
        preview = self._questions.preview
        if self.is_current and preview is not None and self._questions.linting:
            self._draw_head(preview)
            if self._subject is not None:
                self._draw_figures(self._subject)

    def _draw_figures(self, subject: Subject) -> None:
        """The figures of all rows, once they are known; drawn anew only when they or the experiment are others."""
        facts, experiment = self._questions.facts, subject.experiment
        if facts is None:
            text = self._linted_so_far().plain
            self.figures.draw(lambda width: notice(text[:1], text[2:], "$text-muted", width))
        elif facts is not self._figured[0] or experiment is not self._figured[1]:
            self.figures.draw(lambda width: data_figures.draw(facts, experiment, width))
        self._figured = facts, experiment

    def _draw_head(self, preview: DataPreview) -> None:
        width = max(self.size.width - 4, 20)
        subject = self._subject
        context = subject.experiment.train.max_seq_length if subject is not None else 0
        parts = [
            data_summary.counts(preview, width),
            data_summary.lengths(preview, self._questions.facts, context, width),
            self._linted_so_far(),
        ]
        if preview.notes:
            parts.append(data_summary.notes(preview, width, most=1 if self.size.height < 34 else 6))
        self.query_one("#data-head", Static).update(lines(parts))

    def _linted_so_far(self) -> Content:
        """What the linter found, or how far it is."""
        questions = self._questions
        if questions.facts is not None:
            return data_problems.summary(questions.facts.report.problems)
        if questions.linting_stopped:
            return Content.styled("◌ the linter was stopped; r has it look at every row again", "$text-muted")
        if questions.linting_problem:
            why = visible(questions.linting_problem)
            return Content.styled(f"✗ the rows could not be linted: {why}", "$text-error")
        stop = "; X stops it" if questions.linted else ""
        return Content.styled(f"◌ the linter looks at every row …{questions.linted}{stop}", "$text-muted")
