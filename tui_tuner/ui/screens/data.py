"""The data exactly as the model will see it: counts and lengths, the list of rows, and one row in its three forms.

What is asked of the engine is in `data_questions`, what is listed in `data_browser`; here are the keys. For a run, its
own prepared rows are read, not the source they once came from.
"""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from tui_tuner.config.model import Experiment
from tui_tuner.engine.requests import LoadLibraries
from tui_tuner.engine.results import DataPreview
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.mapping import MappingEditor, change
from tui_tuner.ui.recents import remember_source
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.sourcedialog import SourceDialog
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets import data_figures, data_problems, data_summary
from tui_tuner.ui.widgets.config_subject import Subject, Subjects
from tui_tuner.ui.widgets.data_browser import DataBrowser
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane, lines, notice
from tui_tuner.ui.widgets.data_questions import Questions
from tui_tuner.ui.widgets.data_source import SourcePane
from tui_tuner.ui.widgets.data_zoom import unzoom, zoom

SOURCE_BESIDE, FIGURES_BESIDE = 120, 140
"""Columns from which on source and mapping, and the figures, stand beside the rows."""


_TRIAL_MODEL = "embedded:phi3-tiny"
"""Shows data where no model was chosen yet."""


_HEAD_START = 0.15
"""Seconds that the first rows get to be drawn in, before large libraries are imported to look at all of them."""


class DataScreen(WorkbenchScreen):
    """Shows the data of the experiment, or of the run being looked at."""

    MODE = "data"
    EMPTY = (
        "There is no data to look at yet.\n\nChoose a preset on Home (0), or open a run (7).\n"
        "Or press l to open data of your own; a file can be dropped here, too."
    )
    INTRO = (
        "What the model will really see. A row has three forms: the record as read and prepared, the conversation as "
        "the chat template writes it, and its tokens. Bold underlined tokens are trained on; dim ones only context. "
        "The linter looks at every row: o lists what it found. f shows the figures of all rows, m what the source was "
        "taken for and how rows are made of it, to change it."
    )
    CSS_PATH = "data.tcss"
    AUTO_FOCUS = "#data-rows"
    BINDINGS = bindings("data")

    def __init__(self) -> None:
        super().__init__()
        self._subjects = Subjects()
        self._questions = Questions()
        self._at = 0
        self._subject: Subject | None = None
        self._ready = False
        self._asked: Callable[[str], None] = lambda text: None
        self._figured: tuple[object, object] = (None, None)

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, classes="empty", id="data-empty", markup=False)
        yield Static("", id="data-head", markup=False)
        yield Input(id="data-go", compact=True)
        with Horizontal(id="data-panes"):
            yield SourcePane(id="data-source")
            yield DataBrowser(self._questions, id="data-browser")
            yield TextPane("Figures", id="data-figures")

    @property
    def browser(self) -> DataBrowser:
        return self.query_one(DataBrowser)

    @property
    def source(self) -> SourcePane:
        return self.query_one(SourcePane)

    @property
    def figures(self) -> TextPane:
        return self.query_one("#data-figures", TextPane)

    # -- hooks --------------------------------------------------------------------------------------------------

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

    def on_data_browser_moved(self) -> None:
        self.refresh_bars()

    # -- actions ------------------------------------------------------------------------------------------------

    def action_form(self, step: int) -> None:
        self.browser.step_form(step)

    def action_row(self, step: int) -> None:
        self.browser.row_list.cursor += step

    def action_go_to(self) -> None:
        self._enter_input("Go to row", "row, or split and row: 12, valid 3", self.browser.go_to)

    def action_search(self) -> None:
        self._enter_input("Search", "a text that prompt or answer has; nothing for all rows", self.browser.search)

    def action_order(self) -> None:
        self._try(self.browser.step_order)

    def action_ids(self) -> None:
        self.browser.toggle_ids()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        asked, text = self._asked, event.value
        self._leave_input()
        self._try(lambda: asked(text))

    def _try(self, act: Callable[[], None]) -> None:
        """Does something that may say why it cannot be done."""
        try:
            act()
        except ValueError as error:
            self.tuner.notice(str(error), "warning")

    def action_zoom(self) -> None:
        if not unzoom(self):
            focused = self.focused
            zoom(self, focused if isinstance(focused, RowList | TextPane) else self.browser.pane)

    def action_figures(self) -> None:
        """Goes to the figures of all rows, and back to the list."""
        self._show_view("" if self.figures.has_focus else "-figures")

    def action_mapping(self) -> None:
        """Goes to source and mapping, and back to the list."""
        self._show_view("" if self.source.has_focus else "-source")

    def action_open_source(self) -> None:
        self._ask_source("")

    def on_paste(self, event: events.Paste) -> None:
        """A file that is dropped on the terminal, or a path that is pasted, is opened."""
        event.stop()
        if event.text.strip():
            self._ask_source(event.text)

    def _ask_source(self, text: str) -> None:
        state = self.tuner.state
        current = state.experiment.data.source if state.experiment is not None else ""
        self.app.push_screen(SourceDialog(current, state.base, text), self._open_source)

    def _open_source(self, source: str | None) -> None:
        """Makes another source the experiment's; what was said of the old one's columns does not hold for it."""
        if source is None:
            return
        from tui_tuner.config.data_section import DataSection

        remember_source(source)
        state, self._at = self.tuner.state, 0
        before = state.experiment
        if before is not None and before.data.source == source:
            self._look(again=True)
            return
        if before is None:
            made = Experiment.model_validate({"model": {"path": _TRIAL_MODEL}, "data": {"source": source}})
            self.tuner.notice("It is shown with the embedded tiny model; a preset or --set names yours.")
        else:
            made = before.model_copy(update={"data": DataSection(source=source)})
        self.tuner.set_experiment(made, preset=state.preset, base=state.base, edited=True)

    def action_subject(self) -> None:
        self._at += 1
        self._look()

    def action_again(self) -> None:
        self._look(again=True)

    def action_problems(self) -> None:
        """From the rows to the problems, and from them (or the rows of one of them) back to all rows."""
        self.browser.toggle_problems()

    def action_fix(self) -> None:
        """Puts the selected problem's fix or setting into the experiment, or takes the fix out again."""
        problem, subject = self.browser.problem, self._subject
        if problem is None or subject is None or subject.is_run:
            return
        fixes = list(subject.experiment.data.fixes)
        if problem.step:
            kept = [fix for fix in fixes if fix != problem.step]
            changes: dict[str, object] = {"data.fixes": kept if problem.step in fixes else [*fixes, problem.step]}
        else:
            changes = dict(problem.change)
        told = change(self.tuner, subject.experiment, changes)
        self.tuner.notice(f"{told}: the file stays as it is, and the rows are read again.")

    def go_back(self) -> bool:
        if self.has_class("-going"):
            self._leave_input()
            return True
        if unzoom(self):
            return True
        if self.figures.has_focus or self.source.has_focus:
            self._show_view("")
            return True
        return self.browser.go_back() or super().go_back()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "subject":
            return len(self._subjects.found(self.tuner.state)) > 1
        if action == "problems":
            return self._questions.facts is not None
        if not self.is_mounted:
            return super().check_action(action, parameters)
        if action == "fix":
            problem = self.browser.problem
            mine = self._subject is not None and not self._subject.is_run
            return mine and problem is not None and bool(problem.step or problem.change)
        if action in ("form", "ids", "go_to", "order", "search"):
            return self._questions.preview is not None and not self.browser.problems_listed
        if action in ("row", "zoom", "figures"):
            return self._questions.preview is not None
        if action == "mapping":
            return self._questions.preview is not None or self._questions.source is not None
        if action == "again":
            return self._subject is not None
        return super().check_action(action, parameters)

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        if event.row_list is self.source:
            self._edit(self.source.key)
        elif self.browser.problems_listed:
            self.browser.show_hits()
        else:
            self.browser.pane.focus()
            zoom(self, self.browser.pane)

    def _edit(self, key: str) -> None:
        """Asks for another value of a line of the mapping."""
        subject, facts = self._subject, self._questions.source
        if key == "data.source":
            self._ask_source("")
        elif subject is not None and subject.is_run:
            self.tuner.notice("A run's data is as it was trained on. s leads to the experiment, whose data can change.")
        elif subject is not None and facts is not None:
            row = self.browser.row
            MappingEditor(self.tuner, subject.experiment, facts, row.record if row is not None else {}).edit(key)

    # -- what is shown ------------------------------------------------------------------------------------------

    def _show_view(self, view: str) -> None:
        """Shows one of the panes that narrow windows have no room for beside the rows, or the rows (empty)."""
        unzoom(self)
        for name in ("-figures", "-source"):
            self.set_class(view == name, name)
        target = {"-figures": self.figures, "-source": self.source}.get(view, self.browser.row_list)
        target.focus()

    def _enter_input(self, title: str, hint: str, asked: Callable[[str], None]) -> None:
        """Asks for a line of text and hands it on."""
        self._asked = asked
        field = self.query_one("#data-go", Input)
        field.border_title, field.placeholder = title, hint
        self.add_class("-going")
        field.focus()

    def _leave_input(self) -> None:
        self.remove_class("-going")
        self.query_one("#data-go", Input).clear()
        self.browser.row_list.focus()

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
            return
        self.browser.bring_up_to_date()
        self._draw_head(preview)
        self._draw_figures(subject)
        if self.focused is None:
            self.browser.row_list.focus()

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
            mend = "  Mend the data and press r, change what is made of it (m), or open other data (l)."
            parts.append(Content.styled(mend, "$text-muted"))
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
        if questions.linting_problem:
            why = visible(questions.linting_problem)
            return Content.styled(f"✗ the rows could not be linted: {why}", "$text-error")
        done = f" {questions.linted:.0%}" if questions.linted else ""
        return Content.styled(f"◌ the linter looks at every row …{done}", "$text-muted")
