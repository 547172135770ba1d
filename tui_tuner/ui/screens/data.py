"""The data exactly as the model will see it: counts and lengths, the list of rows, and one row in its three forms.

Everything shown comes from one `PreviewData` on the engine's side lane. For a run, its own prepared rows are read, not
the source they once came from.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from tui_tuner.config.data_section import DataSection
from tui_tuner.config.describe import in_toml
from tui_tuner.config.model import Experiment
from tui_tuner.config.overrides import with_overrides
from tui_tuner.engine.requests import PreviewData, ScanData
from tui_tuner.engine.results import DataPreview, PreviewRow
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.format import count
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets import data_problems, data_row, data_summary
from tui_tuner.ui.widgets.config_subject import Subject, Subjects
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_lookup import Lookup
from tui_tuner.ui.widgets.data_pane import TextPane, lines, notice
from tui_tuner.ui.widgets.data_zoom import unzoom, zoom

if TYPE_CHECKING:
    from tui_tuner.data.findings import Problem
    from tui_tuner.engine.dataset import DataFacts

_LISTED = 200
"""Rows of a problem that are shown in full."""
_FORM_NAMES = {"record": "Record", "conversation": "Conversation", "tokens": "Tokens"}


class DataScreen(WorkbenchScreen):
    """Shows the data of the experiment, or of the run being looked at."""

    MODE = "data"
    EMPTY = "There is no data to look at yet.\n\nChoose a preset on Home (0), or open a run (7)."
    INTRO = (
        "What the model will really see. A row has three forms: the record as prepared, the conversation as the chat "
        "template writes it, and its tokens. Bold underlined tokens are trained on; dim ones are only context. "
        "Meanwhile the linter looks at every row; o lists what it found."
    )
    CSS_PATH = "data.tcss"
    AUTO_FOCUS = "RowList"
    BINDINGS = bindings("data")

    def __init__(self) -> None:
        super().__init__()
        self._subjects = Subjects()
        self._lookup = Lookup()
        self._linting = Lookup()
        self._hit = Lookup()
        self._only: Problem | None = None
        self._listing = False
        self._at = 0
        self._subject: Subject | None = None
        self._preview: DataPreview | None = None
        self._linted: object = None
        self._form = 2

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, classes="empty", id="data-empty", markup=False)
        yield Static("", id="data-head", markup=False)
        go = Input(placeholder="row, or split and row: 12, valid 3", id="data-go", compact=True)
        go.border_title = "Go to row"
        yield go
        with Horizontal(id="data-panes"):
            yield RowList("Rows", id="data-rows")
            yield TextPane("Tokens", id="data-row")

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
        if self._preview is not None:
            self._draw_head(self._preview)

    # -- actions ------------------------------------------------------------------------------------------------

    def action_form(self, step: int) -> None:
        self._form = (self._form + step) % len(data_row.FORMS)
        self._draw_row()

    def action_row(self, step: int) -> None:
        self.query_one(RowList).cursor += step

    def action_go_to(self) -> None:
        self.add_class("-going")
        self.query_one("#data-go", Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._leave_input()
        try:
            self.query_one(RowList).cursor = self._find(event.value)
        except ValueError as error:
            self.tuner.notice(str(error), "warning")

    def action_zoom(self) -> None:
        if not unzoom(self):
            target = self.query_one(RowList) if isinstance(self.focused, RowList) else self.query_one("#data-row")
            zoom(self, target)

    def action_subject(self) -> None:
        self._at += 1
        self._look()

    def action_again(self) -> None:
        self._look(again=True)

    def action_problems(self) -> None:
        """From the rows to the problems, and from them (or the rows of one of them) back to all rows."""
        self._listing, self._only = not self._listing and self._only is None, None
        self._fill()

    def action_fix(self) -> None:
        """Puts the selected problem's fix or setting into the experiment, or takes the fix out again."""
        problem, subject = self.problem, self._subject
        if problem is None or subject is None or subject.is_run:
            return
        fixes = list(subject.experiment.data.fixes)
        if problem.step:
            kept = [fix for fix in fixes if fix != problem.step]
            changes: dict[str, object] = {"data.fixes": kept if problem.step in fixes else [*fixes, problem.step]}
        else:
            changes = dict(problem.change)
        told = [f"{key}={in_toml(value)}" for key, value in changes.items()]
        changed = with_overrides(subject.experiment, told)
        state = self.tuner.state
        self.tuner.set_experiment(changed, preset=state.preset, base=state.base, edited=True)
        self.tuner.notice(f"{', '.join(told)}: the file stays as it is, and the rows are read again.")

    def go_back(self) -> bool:
        if self.has_class("-going"):
            self._leave_input()
            return True
        if unzoom(self):
            return True
        if self._only is not None or self._listing:
            self._listing, self._only = self._only is not None, None
            self._fill()
            return True
        return super().go_back()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "subject":
            return len(self._subjects.found(self.tuner.state)) > 1
        if action == "problems":
            return self._facts is not None
        if action == "fix":
            problem = self.problem
            mine = self._subject is not None and not self._subject.is_run
            return mine and problem is not None and bool(problem.step or problem.change)
        if action in ("form", "go_to"):
            return self._preview is not None and not self._listing
        if action in ("row", "zoom"):
            return self._preview is not None
        if action == "again":
            return self._subject is not None
        return super().check_action(action, parameters)

    def on_row_list_highlighted(self, _event: RowList.Highlighted) -> None:
        self._draw_row()
        self.refresh_bars()

    def on_row_list_chosen(self, _event: RowList.Chosen) -> None:
        if self._listing:
            self._show_hits()
            return
        self.query_one("#data-row").focus()
        zoom(self, self.query_one("#data-row"))

    # -- what is shown ------------------------------------------------------------------------------------------

    @property
    def row(self) -> PreviewRow | None:
        """The selected row."""
        rows = self._rows
        at = self.query_one(RowList).cursor
        return rows[at] if not self._listing and at < len(rows) else None

    @property
    def problem(self) -> Problem | None:
        """The selected problem, while problems are listed."""
        facts = self._facts
        if not self._listing or facts is None or not self.is_mounted:
            return None
        at = self.query_one(RowList).cursor
        return facts.report.problems[at] if at < len(facts.report.problems) else None

    @property
    def _facts(self) -> DataFacts | None:
        """What the linter found, once it is through."""
        found = self._linting.result
        return found if found is not None and hasattr(found, "report") else None  # type: ignore[return-value]

    @property
    def _rows(self) -> list[PreviewRow]:
        """The rows that are listed: the first of all, or those of one problem."""
        if self._only is not None:
            found = self._hit.result
            return found.rows if isinstance(found, DataPreview) else []
        return self._preview.rows if self._preview is not None else []

    def _leave_input(self) -> None:
        self.remove_class("-going")
        self.query_one("#data-go", Input).clear()
        self.query_one(RowList).focus()

    def _find(self, text: str) -> int:
        """The position of `[split] row` in the list; rows count from 0 within their split."""
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

    def _look(self, *, again: bool = False) -> None:
        found = self._subjects.found(self.tuner.state)
        self._subject = subject = found[self._at % len(found)] if found else None
        self.set_class(subject is None, "-empty")
        if subject is None:
            text = self._subjects.problem or self.EMPTY
            self.query_one("#data-empty", Static).update(Content(visible(text, lines=True)))
            return
        experiment = self._as_prepared(subject)
        key = (
            experiment.data.model_dump_json(), experiment.model.path, experiment.run.seed,
            experiment.train.max_seq_length, subject.base,
        )  # fmt: skip
        self._lookup.ask(self.tuner.engine, key, PreviewData(experiment, subject.base), again=again)
        if self._lookup.result is not None:
            # Batches tell of padding, and whether there are too few rows for one.
            batches = experiment.train.batch_size, experiment.train.mode
            self._linting.ask(self.tuner.engine, (key, batches), ScanData(experiment, subject.base), again=again)
        self._show(subject)

    def _as_prepared(self, subject: Subject) -> Experiment:
        """The experiment, or for a run the same with its own prepared rows as the source."""
        run = self.tuner.state.run
        if not subject.is_run or run is None or not (run.data / "train.jsonl").is_file():
            return subject.experiment
        data = DataSection(source=str(run.data), mask_prompt=subject.experiment.data.mask_prompt)
        return subject.experiment.model_copy(update={"data": data})

    def _show(self, subject: Subject) -> None:
        result = self._lookup.result
        head = self.query_one("#data-head", Static)
        self.set_class(not isinstance(result, DataPreview), "-nothing")
        if not isinstance(result, DataPreview):
            self._preview = None
            width = max(self.size.width - 8, 20)
            title = Content.styled(visible(subject.experiment.data.source), "bold")
            if self._lookup.problem:
                problem = notice("✗", self._lookup.problem, "bold $text-error", width)
                hint = Content.styled("  Mend the data or its keys and press r to read it again.", "$text-muted")
                head.update(lines([title, Content(""), problem, hint]))
            else:
                waiting = Content.styled("◌ reading the rows and counting their tokens …", "$text-muted")
                head.update(lines([title, Content(""), waiting]))
            return
        if result is not self._preview:
            self._preview = result
            self._listing, self._only = self._listing and self._facts is not None, None
            self._fill()
        elif self._linting.handle is not self._linted or self._only is not None:
            self._fill()
        self._draw_head(result)
        if self.focused is None:
            self.query_one(RowList).focus()

    def _fill(self) -> None:
        """Puts rows, problems, or the rows of one problem into the list."""
        preview = self._preview
        if preview is None:
            return
        self._linted = self._linting.handle if self._facts is not None else None
        listed = self.query_one(RowList)
        facts = self._facts
        if self._listing and facts is not None:
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
            rows = self._rows
            only = self._only
            listed.border_title = Content("Rows" if only is None else f"Rows: {visible(only.code)}")
            listed.show(
                len(rows), lambda at, width: data_summary.row_line(rows[at], width),
                header=data_summary.row_header, cursor=min(listed.cursor, max(len(rows) - 1, 0)),
            )  # fmt: skip
            total = sum(preview.counts.values()) if only is None else only.count
            some = f"the first {count(len(rows))} of {count(total)}" if total > len(rows) > 0 else ""
            listed.border_subtitle = Content(some)
        self._draw_row()
        self.refresh_bars()

    def _show_hits(self) -> None:
        """Lists the rows of the selected problem."""
        problem, subject = self.problem, self._subject
        if problem is None or subject is None:
            return
        if not problem.rows:
            self.tuner.notice("This problem is not one of single rows that could be shown.")
            return
        experiment, only = self._as_prepared(subject), problem.rows[:_LISTED]
        asked = PreviewData(experiment, subject.base, only=only)
        self._hit.ask(self.tuner.engine, (self._linting.handle, problem.code), asked)
        self._listing, self._only = False, problem
        self.query_one(RowList).cursor = 0
        self._fill()

    def _while_linting(self) -> None:
        if self.is_current and self._preview is not None and self._linting.waiting:
            self._draw_head(self._preview)

    def _draw_head(self, preview: DataPreview) -> None:
        width = max(self.size.width - 4, 20)
        subject = self._subject
        context = subject.experiment.train.max_seq_length if subject is not None else 0
        parts = [data_summary.counts(preview, width), data_summary.lengths(preview, context, width)]
        parts.append(self._linted_so_far())
        if preview.notes:
            parts.append(data_summary.notes(preview, width, most=1 if self.size.height < 34 else 6))
        self.query_one("#data-head", Static).update(lines(parts))

    def _linted_so_far(self) -> Content:
        """What the linter found, or how far it is."""
        facts = self._facts
        if facts is not None:
            return data_problems.summary(facts.report.problems)
        if self._linting.problem:
            return Content.styled(f"✗ the rows could not be linted: {visible(self._linting.problem)}", "$text-error")
        handle = self._linting.handle
        progress = handle.request.progress if handle is not None and isinstance(handle.request, ScanData) else None
        done = f" {progress.done / progress.total:.0%}" if progress is not None and progress.total else ""
        return Content.styled(f"◌ the linter looks at every row …{done}", "$text-muted")

    def _draw_row(self) -> None:
        pane = self.query_one("#data-row", TextPane)
        problem = self.problem
        if problem is not None:
            self._draw_problem(pane, problem)
            return
        row = self.row
        if row is None:
            waiting = self._only is not None and self._hit.waiting
            text = "◌ reading these rows …" if waiting else "There are no rows."
            text = "No problems were found in any row." if self._listing else text
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
        subject = self._subject
        mine = subject is not None and not subject.is_run
        applied = subject is not None and problem.step in subject.experiment.data.fixes
        pane.border_title = Content(visible(problem.code))
        pane.border_subtitle = Content("")
        pane.draw(lambda width: data_problems.about(problem, width, applied=applied, can_apply=mine))
