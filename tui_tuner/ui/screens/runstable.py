"""The table of runs: read anew once a second in a thread, found by the query, and drawn where something changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import DataTable, Static
from textual.widgets.data_table import RowDoesNotExist

from tui_tuner.errors import TunerError
from tui_tuner.runs.state import RunState
from tui_tuner.ui.screens.runswork import RunsWorkScreen
from tui_tuner.ui.status import ACTIVE
from tui_tuner.ui.text import clip, clip_middle, inert

if TYPE_CHECKING:
    from tui_tuner.runs.catalogue import RunSummary
    from tui_tuner.ui.runslist import Line

_NAME = 28
"""Cells that the name of the run below the table has at least."""
_MARGINS = 4
"""Cells beside the lines about the selected run."""
_NEXT = {
    RunState.QUEUED: "was set up and never started · a puts it into the queue",
    RunState.RUNNING: "enter watches it",
    RunState.PAUSED: "enter opens it, space there goes on",
    RunState.STOPPED: "r resumes it exactly where it was stopped",
    RunState.INTERRUPTED: "ended without saying so · r resumes it",
    RunState.FAILED: "enter shows what went wrong",
    RunState.FINISHED: "enter shows the result · b its rows · c chats",
}


class RunTable(DataTable[Content]):
    """The table, in which home and end go to the first and the last run, as in every other list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home,ctrl+home", "scroll_top", "First", show=False),
        Binding("end,ctrl+end", "scroll_bottom", "Last", show=False),
    ]


class RunsTableScreen(RunsWorkScreen):
    """A screen with the table of runs, and what is told of the one under the cursor."""

    def __init__(self) -> None:
        super().__init__()
        self._all: list[RunSummary] = []
        self._lines: dict[str, Line] = {}
        self._drawn: dict[str, tuple[object, ...]] = {}
        self._query, self._sort = "", 0
        self._folded: set[str] = set()
        self._grouped = True

    def on_mount(self) -> None:
        self._table.focus()
        self._lay_out()
        self.look()
        self.set_interval(1.0, self._look)

    def on_resize(self) -> None:
        self._lay_out()

    @property
    def _table(self) -> DataTable[Content]:
        return self.query_one(DataTable)

    def _lay_out(self) -> None:
        """Chooses the columns that fit, and fills them again."""
        from tui_tuner.ui.runslist import fitting

        table = self._table
        cursor = self._current_key()
        table.clear(columns=True)
        for key, label, width in fitting(self.size.width - 4):
            table.add_column(label, key=key, width=width)
        self._drawn.clear()
        self._show(self._all, cursor)

    def on_engine_changed(self) -> None:
        self._show(self._all)
        self._look()

    def look(self) -> None:
        """Shows what is known, and has the runs read anew."""
        self._show(self._all)
        self._look()

    def _look(self) -> None:
        if self.is_current and self.is_mounted:
            self.run_worker(self._read, thread=True, exit_on_error=False, exclusive=True, group="runs")

    def _read(self) -> None:
        from textual.worker import get_current_worker

        from tui_tuner.runs.catalogue import list_runs

        worker = get_current_worker()
        try:
            runs = list_runs(self.tuner.runs_dir)
            if not worker.is_cancelled:  # a newer look knows more, and may have been quicker
                self.call_later(self._show, runs)
        except Exception as error:
            self.call_later(self.tuner.report, error)

    def _show(self, runs: list[RunSummary], cursor: str | None = None) -> None:
        """Brings the table up to date; cells are only touched where something changed."""
        from tui_tuner.ui.runslist import arranged, cells_of

        self._all = runs
        self.marked &= {run.run for run in runs}
        lines = arranged(self._found(runs), self._folded, grouped=self._grouped)
        table = self._table
        row = 0
        self._lines = {line.key: line for line in lines}
        table.display = bool(runs)
        self.query_one("#empty").display = not runs
        self.query_one("#detail").display = bool(runs)
        if list(self._drawn) != list(self._lines):
            cursor = cursor or self._current_key()
            row = table.cursor_row
            table.clear()
            self._drawn.clear()
        widths = {str(column.key.value): column.width for column in table.ordered_columns}
        for line in lines:
            place = self.tuner.desk.place(line.run.run) if line.run is not None else None
            cells = cells_of(
                line, widths, marked=line.key in self.marked, folded=line.sweep in self._folded, place=place
            )
            version = tuple(cells[key].plain for key in widths)
            if line.key not in self._drawn:
                table.add_row(*(cells[key] for key in widths), key=line.key)
            elif self._drawn[line.key] != version:
                for key in widths:
                    table.update_cell(line.key, key, cells[key])
            self._drawn[line.key] = version
        if cursor is not None:
            try:
                table.move_cursor(row=table.get_row_index(cursor), animate=False)
            except RowDoesNotExist:  # it is gone: the cursor stays where it was, not at the top
                table.move_cursor(row=min(row, table.row_count - 1), animate=False)
        self._tell()

    def _found(self, runs: list[RunSummary]) -> list[RunSummary]:
        """The runs that the query finds, in its order; what is wrong with it is said below it."""
        from tui_tuner.runs.query import parse_query
        from tui_tuner.ui.runslist import SORTS

        said = self.query_one("#found", Static)
        try:
            query = parse_query(f"{self._query} {SORTS[self._sort]}")
        except TunerError as error:
            said.update(Content.assemble(("✗ ", "bold $text-error"), inert(error.sentence(), "$text-error")))
            said.display = True
            query = parse_query(SORTS[self._sort])
            return query.find(runs)
        found = query.find(runs)
        parts = [f"{len(found)} of {len(runs)} runs"] if self._query.strip() or len(found) < len(runs) else []
        parts += [f"sorted by {SORTS[self._sort].removeprefix('sort:').removeprefix('-')}"] if self._sort else []
        parts += [f"{len(self.marked)} marked"] if self.marked else []
        hidden = sum(run.labels.archived for run in runs) if not query.archived else 0
        parts += [f"{hidden} archived"] if hidden else []
        said.update(Content.styled(" · ".join(parts), "$text-muted"))
        said.display = bool(parts) and bool(runs)
        return found

    def _current_key(self) -> str | None:
        table = self._table
        if not table.row_count or not table.is_valid_row_index(table.cursor_row):
            return None
        return table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value

    @property
    def current(self) -> RunSummary | None:
        line = self._lines.get(self._current_key() or "")
        return line.run if line is not None else None

    @property
    def _sweep(self) -> str:
        """The sweep under the cursor, or that of the run there; empty for none."""
        line = self._lines.get(self._current_key() or "") if self.is_mounted else None
        if line is None:
            return ""
        return line.sweep or (line.run.sweep if line.run is not None else "")

    @property
    def chosen(self) -> list[RunSummary]:
        run = self.current
        marked = [each for each in self._all if each.run in self.marked]
        return marked or ([run] if run is not None else [])

    def _tell(self) -> None:
        """Says in one line what can be done with the run under the cursor, and in one below it what came of it."""
        run = self.current
        detail = self.query_one("#detail", Static)
        width = detail.content_size.width or self.size.width - _MARGINS
        if run is not None:
            todo = self._todo(run)
            why = run.reason if run.state is RunState.FAILED else ""
            name = clip_middle(run.run, max(_NAME, width - len(todo) - 2))
            first = clip(f"{name}  {todo}", width)
            note = f"{run.labels.note} · " if run.labels.note else ""
            detail.update(
                Content.assemble(
                    (first[: len(name)], "bold"), (first[len(name) :], "$text-muted"), "\n",
                    inert(clip(note + (run.problem or run.verdict or why), width)),
                )
            )  # fmt: skip
        else:
            line = self._lines.get(self._current_key() or "")
            told = "enter folds and unfolds it · w ranks its runs" if line is not None else ""
            detail.update(Content.styled(told or "No run is what was asked for; esc empties the query.", "$text-muted"))
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
