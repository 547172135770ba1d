"""All runs as a table: single keys find, sort, group, mark, open, resume, judge, note and compare them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from textual.app import ComposeResult
from textual.widgets import Input, Static

from tui_tuner.runs.state import RunState
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.reading import RESUMABLE
from tui_tuner.ui.screens.runstable import RunsTableScreen, RunTable


class RunsScreen(RunsTableScreen):
    """The table of runs; read anew once a second, in a thread."""

    MODE = "runs"
    BINDINGS = bindings("runs")
    CSS_PATH = "runs.tcss"
    AUTO_FOCUS = "DataTable"
    EMPTY = (
        "No runs yet.\n\nPress 0 to go home and start the quickstart,\nor f5 to start the experiment that is set up."
    )
    INTRO = (
        "Every run of the runs folder, newest first. A run is a folder that holds everything about it; an interrupted "
        "or stopped one goes on exactly where it was. / finds runs by words and figures."
    )

    def compose_body(self) -> ComposeResult:
        yield Input(placeholder="state:finished lr>=1e-4 model:phi -tag:failed sort:best", id="find", compact=True)
        yield Static(id="found", markup=False)
        yield RunTable(id="runs", cursor_type="row", zebra_stripes=False)
        yield Static(self.empty_text, id="empty", classes="empty")
        yield Static(id="detail")

    # -- finding and ordering -----------------------------------------------------------------------------------

    def action_find(self) -> None:
        line = self.query_one("#find", Input)
        line.add_class("-open")
        self.set_focus(line)  # at once: keys that came with this one are for the line

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._query = event.value
        self._show(self._all)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._leave_query()

    def _leave_query(self) -> None:
        line = self.query_one("#find", Input)
        line.set_class(bool(line.value.strip()), "-open")
        self._table.focus()

    def go_back(self) -> bool:
        """Escape leaves the query, then empties it, then goes home."""
        line = self.query_one("#find", Input)
        if self.focused is line:
            self._leave_query()
            return True
        if line.value:
            line.value = ""
            self._leave_query()
            return True
        return super().go_back()

    def action_sort(self) -> None:
        from tui_tuner.ui.runslist import SORTS

        self._sort = (self._sort + 1) % len(SORTS)
        self._show(self._all)

    def action_group(self) -> None:
        """Folds or unfolds the sweep under the cursor; elsewhere groups all sweeps, or none."""
        line = self._lines.get(self._current_key() or "")
        if line is not None and line.sweep:
            self._folded ^= {line.sweep}
            self._show(self._all, f"sweep {line.sweep}")
            return
        self._grouped = not self._grouped
        self._show(self._all)

    # -- the run under the cursor -------------------------------------------------------------------------------

    def on_data_table_row_highlighted(self) -> None:
        self._tell()

    def on_data_table_row_selected(self) -> None:
        line = self._lines.get(self._current_key() or "")
        if line is not None and line.run is None:
            self.action_group()
            return
        self.action_open()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        run = self.current if self.is_mounted else None
        if action == "resume":
            return run is not None and run.state in RESUMABLE
        desk = self.tuner.desk
        queued = run is not None and desk.place(run.run) is not None
        if action == "queue":
            return bool(desk.entries) or desk.paused
        if action in ("sooner", "later", "remove"):
            return queued and run is not None and run.state not in (RunState.RUNNING, RunState.PAUSED)
        if action == "enqueue":
            return run is not None and not queued and run.state in (*RESUMABLE, RunState.QUEUED)
        if action == "sweep":
            return bool(self._sweep)
        if action in ("benchmark", "chat") and queued and run is not None and run.state is RunState.QUEUED:
            return False  # there is no result yet, and the keys of the queue want the room
        if action in ("open", "benchmark", "chat", "reuse"):
            return run is not None
        if action in ("find", "sort"):
            return bool(self._all)
        if action == "group":
            return any(each.sweep for each in self._all)
        return super().check_action(action, parameters)

    def _select(self, mode: str) -> None:
        folder = self.folder()
        if folder is not None:
            self.tuner.select_run(folder)
            self.tuner.go(mode)

    def action_open(self) -> None:
        self._select("train")

    def action_benchmark(self) -> None:
        self._select("benchmark")

    def action_chat(self) -> None:
        self._select("chat")

    def action_resume(self) -> None:
        folder = self.folder()
        if folder is not None:
            self.tuner.resume_run(folder)

    def action_sweep(self) -> None:
        """Shows the sweep under the cursor, or that of the run there; its figures are computed in a thread."""
        from tui_tuner.ui.reportview import ReportView

        if self._sweep:
            self.app.push_screen(
                ReportView(partial(_sweep_text, self._sweep, self.tuner.runs_dir, self.size.width - 4))
            )

    def action_reuse(self) -> None:
        """Makes the run's configuration the experiment to edit and start."""
        folder = self.folder()
        if folder is not None:
            self.tuner.load_run(folder)
            self.tuner.go("config")


def _sweep_text(sweep: str, runs_dir: Path, width: int) -> tuple[str, str]:
    """The comparison of a sweep's runs as Markdown with a table of this width, and the sweep's id."""
    from tui_tuner.evaluation.sweeps import find_sweep, sweep_document, sweep_markdown

    return sweep_markdown(sweep_document(find_sweep(sweep, runs_dir)), width), sweep
