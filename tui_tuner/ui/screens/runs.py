"""All runs as a table: state, progress, result. Enter opens one; single keys resume it, judge it or talk to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import DataTable, Static
from textual.widgets.data_table import RowDoesNotExist

from tui_tuner.runs.state import RunState
from tui_tuner.ui import format as fmt
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.reading import RESUMABLE
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.status import ACTIVE, RUN_STATES
from tui_tuner.ui.text import clip, clip_middle, inert

if TYPE_CHECKING:
    from tui_tuner.runs.catalogue import RunSummary
    from tui_tuner.runs.folder import RunFolder
    from tui_tuner.runs.queue import RunQueue

_COLUMNS = (("state", "State", 13), ("run", "Run", 28), ("steps", "Steps", 15), ("best", "Val. loss", 9),
            ("created", "Created", 12), ("verdict", "Verdict", 20), ("model", "Model", 24))  # fmt: skip
_MARGINS = 4
"""Cells beside the lines about the selected run."""


class RunsScreen(WorkbenchScreen):
    """The table of runs; read anew once a second, in a thread."""

    MODE = "runs"
    BINDINGS = bindings("runs")
    CSS_PATH = "runs.tcss"
    EMPTY = (
        "No runs yet.\n\nPress 0 to go home and start the quickstart,\nor f5 to start the experiment that is set up."
    )
    INTRO = (
        "Every run of the runs folder, newest first. A run is a folder that holds everything about it; an interrupted "
        "or stopped one goes on exactly where it was."
    )

    def __init__(self) -> None:
        super().__init__()
        self._runs: dict[str, RunSummary] = {}
        self._rows: dict[str, tuple[object, ...]] = {}

    def compose_body(self) -> ComposeResult:
        table: DataTable[Content] = DataTable(id="runs", cursor_type="row", zebra_stripes=False)
        yield table
        yield Static(self.empty_text, id="empty", classes="empty")
        yield Static(id="detail")

    def on_mount(self) -> None:
        self._table.focus()
        self._lay_out()
        self._look()
        self.set_interval(1.0, self._look)

    def on_resize(self) -> None:
        self._lay_out()

    @property
    def _table(self) -> DataTable[Content]:
        return self.query_one(DataTable)

    def _lay_out(self) -> None:
        """Chooses the columns that fit, and fills them again."""
        room = self.size.width - 4
        columns = []
        for key, label, width in _COLUMNS:
            if room < width + 2:
                continue
            columns.append((key, label, width))
            room -= width + 2
        wide = min(12, room)
        spare = {"run": wide, "verdict": room - wide}
        table = self._table
        cursor = self._current_key()
        table.clear(columns=True)
        for key, label, width in columns:
            table.add_column(label, key=key, width=width + (spare.get(key, 0)))
        self._rows.clear()
        self._show(list(self._runs.values()), cursor)

    def on_engine_changed(self) -> None:
        self._show(list(self._runs.values()))
        self._look()

    # -- reading ------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        if self.is_current and self.is_mounted:
            self.run_worker(self._read, thread=True, exit_on_error=False, exclusive=True, group="runs")

    def _read(self) -> None:
        from tui_tuner.runs.catalogue import list_runs

        try:
            runs = list_runs(self.tuner.runs_dir)
            self.call_later(self._show, runs)
        except Exception as error:
            self.call_later(self.tuner.report, error)

    def _show(self, runs: list[RunSummary], cursor: str | None = None) -> None:
        """Brings the table up to date; cells are only touched where something changed."""
        table = self._table
        self._runs = {run.run: run for run in runs}
        table.display = bool(runs)
        self.query_one("#empty").display = not runs
        self.query_one("#detail").display = bool(runs)
        if list(self._rows) != list(self._runs):
            cursor = cursor or self._current_key()
            table.clear()
            self._rows.clear()
        columns = [str(column.key.value) for column in table.ordered_columns]
        for run in runs:
            cells = self._cells(run)
            version = tuple(cells[key].plain for key in columns)
            if run.run not in self._rows:
                table.add_row(*(cells[key] for key in columns), key=run.run)
            elif self._rows[run.run] != version:
                for key in columns:
                    table.update_cell(run.run, key, cells[key])
            self._rows[run.run] = version
        if cursor is not None:
            try:
                table.move_cursor(row=table.get_row_index(cursor), animate=False)
            except RowDoesNotExist:
                pass
        self._tell()

    def _cells(self, run: RunSummary) -> dict[str, Content]:
        sign, style = RUN_STATES[run.state]
        steps = f"{run.step:,}/{run.steps:,}" if run.steps else fmt.DASH
        widths = {str(column.key.value): column.width for column in self._table.ordered_columns}
        return {
            "state": Content.styled(f"{sign} {self._word(run)}", style),
            "run": inert(clip_middle(run.run, widths.get("run", 30))),
            "steps": Content(f"{steps:>9}{fmt.percent(run.step, run.steps):>6}" if run.steps else steps.rjust(9)),
            "best": Content(fmt.number(run.best).rjust(7)),
            "verdict": inert(clip(run.verdict or fmt.DASH, widths.get("verdict", 20))),
            "created": Content(fmt.ago(run.created)),
            "model": inert(clip_middle(run.model, 24), "$text-muted"),
        }

    def _word(self, run: RunSummary) -> str:
        """The state, and of one that waits in the queue its place."""
        place = self.tuner.desk.place(run.run)
        return f"queued {place}" if place is not None and run.state is RunState.QUEUED else run.state.value

    # -- the run under the cursor -------------------------------------------------------------------------------

    def _current_key(self) -> str | None:
        table = self._table
        if not table.row_count or not table.is_valid_row_index(table.cursor_row):
            return None
        return table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value

    @property
    def _current(self) -> RunSummary | None:
        return self._runs.get(self._current_key() or "")

    def on_data_table_row_highlighted(self) -> None:
        self._tell()

    def on_data_table_row_selected(self) -> None:
        self.action_open()

    def _tell(self) -> None:
        """Says in one line what can be done with the run under the cursor, and in one below it what came of it."""
        run = self._current
        if run is not None:
            detail = self.query_one("#detail", Static)
            width = detail.content_size.width or self.size.width - _MARGINS
            todo = self._todo(run)
            name = clip_middle(run.run, max(_COLUMNS[1][2], width - len(todo) - 2))
            first = clip(f"{name}  {todo}", width)
            detail.update(
                Content.assemble(
                    (first[: len(name)], "bold"), (first[len(name) :], "$text-muted"), "\n",
                    inert(clip(run.problem or run.verdict or "", width)),
                )
            )  # fmt: skip
        self.refresh_bars()

    def _todo(self, run: RunSummary) -> str:
        """What can be done with a run, in a clause."""
        desk = self.tuner.desk
        place = desk.place(run.run)
        if place is None:
            return _NEXT.get(run.state, "")
        if run.state in ACTIVE[1:]:
            return f"{_NEXT[run.state]} · {desk.told()}"
        at = f"place {place} of {len(desk.entries)} in the queue"
        if desk.paused or desk.asks:
            return f"{at}, {'paused' if desk.paused else 'which asks'} · p goes on"
        return f"{at} · - + move it · x takes it out"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        run = self._current if self.is_mounted else None
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
            return run is not None and bool(run.sweep)
        if action in ("benchmark", "chat") and queued and run is not None and run.state is RunState.QUEUED:
            return False  # there is no result yet, and the keys of the queue want the room
        if action in ("open", "benchmark", "chat", "reuse"):
            return run is not None
        return True

    def _select(self, mode: str) -> None:
        folder = self._folder()
        if folder is not None:
            self.tuner.select_run(folder)
            self.tuner.go(mode)

    def _folder(self) -> RunFolder | None:
        from tui_tuner.runs.folder import RunFolder

        run = self._current
        return None if run is None else RunFolder.open(run.path)

    def action_open(self) -> None:
        self._select("train")

    def action_benchmark(self) -> None:
        self._select("benchmark")

    def action_chat(self) -> None:
        self._select("chat")

    def action_resume(self) -> None:
        folder = self._folder()
        if folder is not None:
            self.tuner.resume_run(folder)

    def action_queue(self) -> None:
        self.tuner.desk.toggle()

    def action_sooner(self) -> None:
        self._in_queue(lambda queue, run: queue.move(run, "up"))

    def action_later(self) -> None:
        self._in_queue(lambda queue, run: queue.move(run, "down"))

    def action_remove(self) -> None:
        """Takes the run out of the queue, and says where its folder is when it never began."""
        self._in_queue(lambda queue, run: queue.remove(run))

    def action_enqueue(self) -> None:
        folder = self._folder()
        if folder is not None:
            self.tuner.desk.change(lambda queue: queue.add(folder))

    def _in_queue(self, act: Callable[[RunQueue, str], object]) -> None:
        run = self._current
        if run is not None:
            self.tuner.desk.change(lambda queue: act(queue, run.run))
            self._look()

    def action_sweep(self) -> None:
        """Shows the sweep of the run under the cursor; its figures are computed in a thread."""
        from tui_tuner.ui.reportview import ReportView

        run = self._current
        if run is not None and run.sweep:
            self.app.push_screen(ReportView(partial(_sweep_text, run.sweep, self.tuner.runs_dir)))

    def action_reuse(self) -> None:
        """Makes the run's configuration the experiment to edit and start."""
        from tui_tuner.config.toml import load_experiment

        folder = self._folder()
        if folder is not None:
            self.tuner.set_experiment(load_experiment(folder.config), base=folder.path)
            self.tuner.go("config")


def _sweep_text(sweep: str, runs_dir: Path) -> tuple[str, str]:
    """The comparison of a sweep's runs as Markdown, and the sweep's id."""
    from tui_tuner.evaluation.sweeps import find_sweep, sweep_document, sweep_markdown

    return sweep_markdown(sweep_document(find_sweep(sweep, runs_dir))), sweep


_NEXT = {
    RunState.QUEUED: "was set up and never started · a puts it into the queue",
    RunState.RUNNING: "enter watches it",
    RunState.PAUSED: "enter opens it, space there goes on",
    RunState.STOPPED: "r resumes it exactly where it was stopped",
    RunState.INTERRUPTED: "ended without saying so · r resumes it",
    RunState.FAILED: "enter shows what went wrong",
    RunState.FINISHED: "enter shows the result · b its rows · c chats",
}
