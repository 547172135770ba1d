"""The data exactly as the model will see it: counts and lengths, the list of rows, and one row in its three forms.

What is asked of the engine is in `data_questions`, what is listed in `data_browser`, what is shown in `dataview`; here
are the keys. For a run, its own prepared rows are read, not the source they once came from.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from tui_tuner.ui.actions import bindings
from tui_tuner.ui.screens.sourcework import SourceWorkScreen
from tui_tuner.ui.widgets.data_browser import DataBrowser
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane
from tui_tuner.ui.widgets.data_source import SourcePane
from tui_tuner.ui.widgets.data_zoom import unzoom, zoom


class DataScreen(SourceWorkScreen):
    """Shows the data of the experiment, or of the run being looked at."""

    MODE = "data"
    EMPTY = (
        "There is no data to look at yet.\n\nPress l to open data of your own; a file can be dropped here, too.\n"
        "Or choose a preset or the quickstart on Home (0), or open a run (7)."
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
        self._asked: Callable[[str], None] = lambda text: None

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, classes="empty", id="data-empty", markup=False)
        yield Static("", id="data-head", markup=False)
        yield Input(id="data-go", compact=True)
        with Horizontal(id="data-panes"):
            yield SourcePane(id="data-source")
            yield DataBrowser(self._questions, id="data-browser")
            yield TextPane("Figures", id="data-figures")

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
        back = self.source.has_focus and self._questions.preview is not None
        self._show_view("" if back else "-source")

    def action_problems(self) -> None:
        """From the rows to the problems, and from them (or the rows of one of them) back to all rows."""
        self.browser.toggle_problems()

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
        if action == "halt":
            return self._questions.linting
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

    def _enter_input(self, title: str, hint: str, asked: Callable[[str], None]) -> None:
        """Asks for a line of text and hands it on."""
        self._asked = asked
        field = self.query_one("#data-go", Input)
        field.border_title, field.placeholder = title, hint
        self.add_class("-going")
        self.set_focus(field)  # at once: keys that came with this one are for it

    def _leave_input(self) -> None:
        self.remove_class("-going")
        self.query_one("#data-go", Input).clear()
        self.browser.row_list.focus()
