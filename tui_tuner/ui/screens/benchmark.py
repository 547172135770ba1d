"""Did it help? The verdict on two results, their rows, and what else was measured of a run.

Here are the keys; what they lead to is in `measuring`, `comparing` and `benchmarkview`. Nothing is measured or judged
here.
"""

from __future__ import annotations

from dataclasses import replace

from textual.app import ComposeResult
from textual.widgets import Input, Static

from tui_tuner.ui.actions import bindings
from tui_tuner.ui.screens.benchmarkview import TABS
from tui_tuner.ui.screens.comparing import ComparingScreen
from tui_tuner.ui.widgets import benchmark_words as words
from tui_tuner.ui.widgets.benchmark_answers import AnswersPane
from tui_tuner.ui.widgets.benchmark_cases import CasesPane
from tui_tuner.ui.widgets.benchmark_checkpoints import CheckpointsPane
from tui_tuner.ui.widgets.benchmark_jobs import LossesAsked
from tui_tuner.ui.widgets.benchmark_verdict import VerdictPane
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane
from tui_tuner.ui.widgets.data_zoom import unzoom, zoom
from tui_tuner.ui.widgets.words import Words

_OF_ROWS = ("order", "filter", "search", "compare", "row")


class BenchmarkScreen(ComparingScreen):
    """Shows the benchmark of the run being looked at."""

    MODE = "benchmark"
    EMPTY = words.NO_RUN
    INTRO = (
        "Each metric before and after with its 95 % interval, the difference, and whether it is more than luck; v "
        "leads to the rows, which can be ordered by what they gained or lost, and filtered. The metric under the "
        "cursor is the one that rows are ordered by."
    )
    CSS_PATH = "benchmark.tcss"
    AUTO_FOCUS = "#benchmark-metrics"
    BINDINGS = bindings("benchmark")

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, classes="empty", id="benchmark-empty", markup=False)
        yield Words(id="benchmark-tabs")
        yield Static("", id="benchmark-doing", markup=False)
        yield Input(id="benchmark-search", compact=True)
        yield VerdictPane(id="benchmark-verdict")
        yield AnswersPane(id="benchmark-answers")
        yield CasesPane("behaviour", id="benchmark-behaviour")
        yield CasesPane("canaries", id="benchmark-canaries")
        yield CheckpointsPane(id="benchmark-checkpoints")

    def on_mount(self) -> None:
        self._show_tab(self._tab)

    # -- actions ------------------------------------------------------------------------------------------------

    def action_tab(self, step: int) -> None:
        names = list(TABS)
        self._show_tab(names[(names.index(self._tab) + step) % len(names)])

    def on_words_pressed(self, event: Words.Pressed) -> None:
        self._show_tab(list(TABS)[event.part])

    def action_order(self) -> None:
        self.answers.step_order()
        self._fill(cursor=0)

    def action_filter(self) -> None:
        self.answers.step_filter()
        self._fill(cursor=0)

    def action_split(self) -> None:
        self.answers.step_split(self._store.reading.pairs.splits)
        self._fill(cursor=0)

    def action_search(self) -> None:
        field = self.query_one("#benchmark-search", Input)
        field.border_title, field.placeholder = "Search", "a text in prompt, reference or answer; nothing for all rows"
        field.value = self.answers.choice.text
        self.add_class("-searching")
        self.set_focus(field)  # at once: keys that came with this one are for it

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.answers.choice = replace(self.answers.choice, text=event.value.strip())
        self._leave_search()
        self._fill(cursor=0)

    def action_metric(self) -> None:
        metrics = self.verdict.metrics
        metrics.cursor = (metrics.cursor + 1) % max(metrics.count, 1)

    def action_compare(self) -> None:
        self.answers.against_reference = not self.answers.against_reference
        self._draw_row()

    def action_losses(self) -> None:
        """Shows the row by the losses of its tokens, or its answers again."""
        self._losses = LossesAsked() if self._losses is None else None
        self._draw_row()

    def action_row(self, step: int) -> None:
        self.answers.listed.cursor += step

    def action_zoom(self) -> None:
        if not unzoom(self):
            focused = self.focused
            zoom(self, focused if isinstance(focused, RowList | TextPane) else self._main)

    def go_back(self) -> bool:
        if self.has_class("-searching"):
            self._leave_search()
            return True
        if unzoom(self):
            return True
        choice = self.answers.choice
        if self._tab != "rows" and not self._store.usual and not self.has_class("-empty"):
            self._store.compare_usual()
            self._fetch()
            self._draw()
            return True
        if self._tab == "rows" and choice.told:
            self.answers.choice = replace(choice, filter="all", split="", text="")
            self._fill(cursor=0)
            return True
        return super().go_back()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if not self.is_mounted:
            return super().check_action(action, parameters)
        if action == "split":
            return len(self._store.reading.pairs.splits) > 1 and self._rows_shown
        if action == "metric":
            return bool(self._store.metrics) and (self._rows_shown or self._tab in ("verdict", "results"))
        if action == "losses":
            return self._rows_shown and self.answers.row is not None and self._has_adapter
        if action in _OF_ROWS:
            return self._rows_shown and bool(self._store.reading.pairs.rows)
        if action == "pick":
            return self.tuner.state.run is not None
        if action in ("tab", "zoom", "export", "report"):
            return not self.has_class("-empty")
        return super().check_action(action, parameters)

    def on_row_list_highlighted(self, event: RowList.Highlighted) -> None:
        if event.row_list is self.answers.listed:
            self._draw_row()
        elif isinstance(event.row_list.parent, CasesPane):
            event.row_list.parent.show_entry()
        elif event.row_list is self.verdict.metrics:
            self.verdict.show_metric(self._store)
            self._fill(cursor=0)

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        answers = self.answers
        if event.row_list is answers.listed:
            answers.pane.focus()
            zoom(self, answers.pane)
        elif event.row_list is self.verdict.metrics:
            self._show_tab("rows")
        elif isinstance(event.row_list.parent, CasesPane):
            event.row_list.parent.pane.focus()
            zoom(self, event.row_list.parent.pane)
        elif event.row_list is self.verdict.results:
            self._compare_with(list(self._store.board.results)[event.index])

    def _leave_search(self) -> None:
        self.remove_class("-searching")
        self._main.focus()
