"""Which two results are compared: chosen, read, and handed on as a report or an export.

Long files are read in a thread, and what comes late is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from textual import events
from textual.content import Content
from textual.widgets import Static

from tui_tuner.runs.folder import RunFolder
from tui_tuner.runs.view import RunView
from tui_tuner.ui.comparedialog import CompareDialog
from tui_tuner.ui.exportdialog import ExportDialog
from tui_tuner.ui.reportview import ReportView
from tui_tuner.ui.screens.benchmarkview import BenchmarkViewScreen
from tui_tuner.ui.widgets import benchmark_words as words
from tui_tuner.ui.widgets.benchmark_store import BenchmarkStore, Reading, Side


def _report(run: RunFolder, store: BenchmarkStore) -> tuple[str, str]:
    """The report's text and where it is: the run's own file, or else what would be exported."""
    if run.report.is_file():
        return run.report.read_text(encoding="utf-8", errors="replace"), str(run.report)
    from tui_tuner.evaluation.export import rendered

    return rendered(store.document(), "md"), "not written yet: e writes it"


class ComparingScreen(BenchmarkViewScreen):
    """A screen on which two results of runs are compared."""

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
        try:
            reading = read()
        except Exception as error:
            reading = Reading(problem=f"The answers cannot be read: {error}")
            self.app.call_from_thread(self.tuner.report, error)
        self.app.call_from_thread(self._take, ticket, reading)

    def _take(self, ticket: object, reading: Reading) -> None:
        if self._store.take(ticket, reading):
            self._draw()
            self.refresh_bars()
            if self.focused is None:
                self._main.focus()
