"""Did it help? The verdict on two results, their rows, and what else was measured of a run.

Figures come from the run's events and files. Long files are read in a thread; what takes a model is asked of the
engine. Nothing is measured or judged here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from tui_tuner.evaluation.stored import AFTER, BEFORE
from tui_tuner.runs.folder import RunFolder
from tui_tuner.runs.view import RunView
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.comparedialog import CompareDialog
from tui_tuner.ui.exportdialog import ExportDialog
from tui_tuner.ui.reportview import ReportView
from tui_tuner.ui.screens.measuring import MeasuringScreen
from tui_tuner.ui.widgets import benchmark_losses
from tui_tuner.ui.widgets import benchmark_words as words
from tui_tuner.ui.widgets.benchmark_answers import AnswersPane
from tui_tuner.ui.widgets.benchmark_cases import CasesPane, Documents, Kind, dead
from tui_tuner.ui.widgets.benchmark_checkpoints import CheckpointsPane
from tui_tuner.ui.widgets.benchmark_jobs import LossesAsked
from tui_tuner.ui.widgets.benchmark_store import BenchmarkStore, Reading, Side
from tui_tuner.ui.widgets.benchmark_verdict import VerdictPane
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane, notice
from tui_tuner.ui.widgets.data_zoom import unzoom, zoom

TABS = {
    "verdict": "Verdict", "results": "Results", "rows": "Rows",
    "behaviour": "Behaviour", "canaries": "Canaries", "checkpoints": "Checkpoints",
}  # fmt: skip
_OF_ROWS = ("order", "filter", "search", "compare", "row")


class BenchmarkScreen(MeasuringScreen):
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

    def __init__(self) -> None:
        super().__init__()
        self._store = BenchmarkStore()
        self._tab = "verdict"
        self._losses: LossesAsked | None = None
        """Set while the selected row is shown by its tokens' losses."""

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, classes="empty", id="benchmark-empty", markup=False)
        yield Static("", id="benchmark-tabs", markup=False)
        yield Static("", id="benchmark-doing", markup=False)
        yield Input(id="benchmark-search", compact=True)
        yield VerdictPane(id="benchmark-verdict")
        yield AnswersPane(id="benchmark-answers")
        yield CasesPane("behaviour", id="benchmark-behaviour")
        yield CasesPane("canaries", id="benchmark-canaries")
        yield CheckpointsPane(id="benchmark-checkpoints")

    def on_mount(self) -> None:
        super().on_mount()
        self._show_tab(self._tab)

    @property
    def tab(self) -> str:
        return self._tab

    @property
    def checkpoint(self) -> int | None:
        return self.query_one(CheckpointsPane).step

    @property
    def results(self) -> list[str]:
        return self._store.whole

    @property
    def verdict(self) -> VerdictPane:
        return self.query_one(VerdictPane)

    @property
    def answers(self) -> AnswersPane:
        return self.query_one(AnswersPane)

    @property
    def metric(self) -> str:
        """The metric that was chosen."""
        names, at = self._store.metrics, self.verdict.metrics.cursor
        return names[at] if at < len(names) else ""

    # -- hooks --------------------------------------------------------------------------------------------------

    def on_run_changed(self, view: RunView | None) -> None:
        store, run = self._store, self.tuner.state.run
        new = store.look(run, view)
        empty = run is None or view is None or store.board.empty
        self.set_class(empty, "-empty")
        if empty:
            self.query_one("#benchmark-empty", Static).update(
                Content(words.why_empty(self.tuner.state, view, self.resumes))
            )
            return
        self._fetch()
        if new:
            self._draw()

    def on_engine_changed(self) -> None:
        super().on_engine_changed()
        if self._losses is not None:
            self._draw_row()

    def on_resize(self, event: events.Resize) -> None:
        if not self.has_class("-empty"):
            self._draw()

    # -- actions ------------------------------------------------------------------------------------------------

    def action_tab(self, step: int) -> None:
        names = list(TABS)
        self._show_tab(names[(names.index(self._tab) + step) % len(names)])

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
        field.focus()

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

    def action_pick(self) -> None:
        run = self.tuner.state.run

        def picked(sides: tuple[Side, Side] | None) -> None:
            if sides is not None:
                self._compare(*sides)

        self.app.push_screen(CompareDialog(self.tuner.runs_dir, run.path if run is not None else None), picked)

    def action_export(self) -> None:
        run = self.tuner.state.run

        def written(path: Path | None) -> None:
            if path is not None:
                self.tuner.notice(f"Written to {path}")

        if run is not None:
            self.app.push_screen(ExportDialog(self._store.document, f"{run.name}-benchmark", Path.cwd()), written)

    def action_report(self) -> None:
        run = self.tuner.state.run
        if run is not None:
            self.app.push_screen(ReportView(partial(_report, run, self._store)))

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

    # -- what is compared ---------------------------------------------------------------------------------------

    def _compare_with(self, label: str) -> None:
        """Makes a result of this run the second side; what is the second already becomes the first."""
        run, (first, second) = self.tuner.state.run, self._store.sides
        if run is None or first is None or second is None:
            return
        chosen = Side(run.path, label)
        self._compare(*((second, first) if chosen == second else (first, chosen)))

    def _compare(self, first: Side, second: Side) -> None:
        self._store.compare(first, second)
        self._fetch()
        self._draw()

    def _fetch(self) -> None:
        """Reads the answers: at once when there is little to do, in a thread when there is much."""
        store = self._store
        read = store.due()
        if read is None:
            return
        if not store.large:
            self._take(store.ticket, read())
            return
        self.run_worker(
            partial(self._fetch_aside, store.ticket, read), thread=True, exit_on_error=False, group="answers"
        )

    def _fetch_aside(self, ticket: object, read: Callable[[], Reading]) -> None:
        reading = read()
        self.app.call_from_thread(self._take, ticket, reading)

    def _take(self, ticket: object, reading: Reading) -> None:
        if self._store.take(ticket, reading):
            self._draw()
            self.refresh_bars()
            if self.focused is None:
                self._main.focus()

    # -- what is shown ------------------------------------------------------------------------------------------

    @property
    def _main(self) -> Widget:
        """The list of the present tab."""
        lists: dict[str, Widget] = {
            "rows": self.answers.listed, "results": self.verdict.results, "behaviour": self._cases("behaviour").main,
            "canaries": self._cases("canaries").main, "checkpoints": self.query_one(CheckpointsPane).main,
        }  # fmt: skip
        return lists.get(self._tab, self.verdict.metrics)

    def _cases(self, kind: Kind) -> CasesPane:
        return self.query_one(f"#benchmark-{kind}", CasesPane)

    @property
    def _rows_shown(self) -> bool:
        return bool(self.answers.display)

    @property
    def _has_adapter(self) -> bool:
        run = self.tuner.state.run
        return run is not None and (run.adapters / "adapters.safetensors").is_file()

    def _show_tab(self, name: str) -> None:
        unzoom(self)
        self._tab = name
        for tab in TABS:
            self.set_class(tab == name, f"-{tab}")
        self._draw_tabs()
        self.call_after_refresh(self._main.focus)
        self.refresh_bars()

    def _draw_tabs(self) -> None:
        gone = dead(self._documents(self._store.board.canaries))
        parts = []
        for name, title in TABS.items():
            mark = " ✗" if name == "canaries" and gone else ""
            style = "reverse" if name == self._tab else "bold $text-error" if mark else "$text-muted"
            parts.append((f" {title}{mark} ", style))
        self.query_one("#benchmark-tabs", Static).update(Content.assemble(*parts))

    def _draw(self) -> None:
        self._draw_tabs()
        store = self._store
        self.verdict.show(store, words.remark(store, self.tuner.state.follower, self.size.width))
        self._fill()
        for kind, found in (("behaviour", store.board.behaviour), ("canaries", store.board.canaries)):
            pane = self._cases("behaviour" if kind == "behaviour" else "canaries")
            pane.show(self._documents(found), self._measured_names(found), partial(words.nothing, kind))
        self.query_one(CheckpointsPane).show(store.board.checkpoints, partial(words.nothing, "checkpoints"))

    def _measured_names(self, found: Mapping[str, object]) -> tuple[str, str]:
        """The two results whose tests are shown: those compared where they were tested, else before and after."""
        first, second = self._store.labels
        return (first, second) if second in found else (BEFORE, AFTER)

    def _documents(self, found: Mapping[str, dict[str, Any]]) -> Documents:
        first, second = self._measured_names(found)
        return found.get(first), found.get(second)

    def _fill(self, cursor: int | None = None) -> None:
        self.answers.show(self._store, self.metric, cursor)
        self._draw_row()

    def _draw_row(self) -> None:
        answers, run = self.answers, self.tuner.state.run
        row = answers.row
        if self._losses is None or row is None or run is None:
            answers.show_row()
            return
        found = self._losses.of(self.tuner.engine, run.path, row)
        if isinstance(found, str):
            sign = "✗" if self._losses.failed() else "◌"
            answers.show_row(lambda width: notice(sign, found, "bold", width), "loss per token")
        else:
            answers.show_row(lambda width: benchmark_losses.drawing(found, row.prompt, width), "loss per token")

    def _leave_search(self) -> None:
        self.remove_class("-searching")
        self._main.focus()


def _report(run: RunFolder, store: BenchmarkStore) -> tuple[str, str]:
    """The report's text and where it is: the run's own file, or else what would be exported."""
    if run.report.is_file():
        return run.report.read_text(encoding="utf-8", errors="replace"), str(run.report)
    from tui_tuner.evaluation.export import rendered

    return rendered(store.document(), "md"), "not written yet: e writes it"
