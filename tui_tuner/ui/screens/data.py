"""The data exactly as the model will see it: counts and lengths, the list of rows, and one row in its three forms.

Everything shown comes from one `PreviewData` on the engine's side lane. For a run, its own prepared rows are read, not
the source they once came from.
"""

from __future__ import annotations

from functools import partial

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from tui_tuner.config.data_section import DataSection
from tui_tuner.config.model import Experiment
from tui_tuner.engine.requests import PreviewData
from tui_tuner.engine.results import DataPreview, PreviewRow
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.format import count
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets import data_row, data_summary
from tui_tuner.ui.widgets.config_subject import Subject, Subjects
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_lookup import Lookup
from tui_tuner.ui.widgets.data_pane import TextPane, lines, notice
from tui_tuner.ui.widgets.data_zoom import unzoom, zoom

_FORM_NAMES = {"record": "Record", "conversation": "Conversation", "tokens": "Tokens"}


class DataScreen(WorkbenchScreen):
    """Shows the data of the experiment, or of the run being looked at."""

    MODE = "data"
    EMPTY = "There is no data to look at yet.\n\nChoose a preset on Home (0), or open a run (7)."
    INTRO = (
        "What the model will really see. A row has three forms: the record as prepared, the conversation as the chat "
        "template writes it, and its tokens. Bold underlined tokens are trained on; dim ones are only context."
    )
    CSS_PATH = "data.tcss"
    AUTO_FOCUS = "RowList"
    BINDINGS = bindings("data")

    def __init__(self) -> None:
        super().__init__()
        self._subjects = Subjects()
        self._lookup = Lookup()
        self._at = 0
        self._subject: Subject | None = None
        self._preview: DataPreview | None = None
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

    def go_back(self) -> bool:
        if self.has_class("-going"):
            self._leave_input()
            return True
        return unzoom(self) or super().go_back()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "subject":
            return len(self._subjects.found(self.tuner.state)) > 1
        if action in ("form", "row", "go_to", "zoom"):
            return self._preview is not None
        if action == "again":
            return self._subject is not None
        return super().check_action(action, parameters)

    def on_row_list_highlighted(self, _event: RowList.Highlighted) -> None:
        self._draw_row()

    def on_row_list_chosen(self, _event: RowList.Chosen) -> None:
        self.query_one("#data-row").focus()
        zoom(self, self.query_one("#data-row"))

    # -- what is shown ------------------------------------------------------------------------------------------

    @property
    def row(self) -> PreviewRow | None:
        """The selected row."""
        at = self.query_one(RowList).cursor
        return self._preview.rows[at] if self._preview is not None and at < len(self._preview.rows) else None

    def _leave_input(self) -> None:
        self.remove_class("-going")
        self.query_one("#data-go", Input).clear()
        self.query_one(RowList).focus()

    def _find(self, text: str) -> int:
        """The position of `[split] row` in the list; rows count from 0 within their split."""
        *split, number = text.split() or [""]
        rows = self._preview.rows if self._preview is not None else []
        current = self.row
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
        if result is self._preview:
            return
        self._preview = result
        self._draw_head(result)
        rows = self.query_one(RowList)
        rows.show(
            len(result.rows), lambda at, width: data_summary.row_line(result.rows[at], width),
            header=data_summary.row_header, cursor=0,
        )  # fmt: skip
        total = sum(result.counts.values())
        some = f"the first {count(len(result.rows))} of {count(total)}" if total > len(result.rows) else ""
        rows.border_subtitle = Content(some)
        if self.focused is None:
            rows.focus()
        self._draw_row()

    def _draw_head(self, preview: DataPreview) -> None:
        width = max(self.size.width - 4, 20)
        subject = self._subject
        context = subject.experiment.train.max_seq_length if subject is not None else 0
        parts = [data_summary.counts(preview, width), data_summary.lengths(preview, context, width)]
        if preview.notes:
            parts.append(data_summary.notes(preview, width, most=1 if self.size.height < 34 else 6))
        self.query_one("#data-head", Static).update(lines(parts))

    def _draw_row(self) -> None:
        pane = self.query_one("#data-row", TextPane)
        row = self.row
        if row is None:
            pane.draw(lambda _width: Content.styled("There are no rows.", "$text-muted"))
            return
        form = data_row.FORMS[self._form]
        forms = [(f" {name} ", "reverse" if key == form else "") for key, name in _FORM_NAMES.items()]
        pane.border_title = Content.assemble(f"{visible(row.split)} {row.index} ", *forms)
        pane.border_subtitle = data_row.legend() if form == "tokens" else Content("")
        summary = Content.styled(data_row.summary(row), "$text-muted")
        pane.draw(lambda width: lines([summary, Content(""), partial(data_row.draw, row, form)(width)]))
