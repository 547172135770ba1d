"""Every setting of the experiment as a form: its value, what it means here, and the TOML beside it, both to be edited.

It shows, and passes wishes on. Keys, ranges, defaults and help come from `config.describe`, what is right from the
model, the text from `config_document`. A run's own configuration is shown and never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from tui_tuner.config.model import Experiment
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.format import count
from tui_tuner.ui.screens.filework import FileWorkScreen
from tui_tuner.ui.screens.forecastwork import ForecastWorkScreen
from tui_tuner.ui.screens.sweepwork import SweepWorkScreen
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets import config_rows
from tui_tuner.ui.widgets.config_editor import TomlEditor
from tui_tuner.ui.widgets.config_entry import Entry
from tui_tuner.ui.widgets.config_facts import Facts, FactsFinder
from tui_tuner.ui.widgets.config_means import wrongs
from tui_tuner.ui.widgets.config_rows import Setting, Shown
from tui_tuner.ui.widgets.config_subject import Subject, Subjects
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane, lines

_TITLES: dict[Shown, str] = {
    "basic": "for a first run",
    "all": "all keys",
    "changed": "differ from the default",
    "compared": "differ from",
}


class FormList(RowList):
    """The list of keys; left, right and space change the value of the selected one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "screen.step(-1)", "Value before", show=False),
        Binding("right,space", "screen.step(1)", "Next value", show=False),
        Binding("delete,backspace", "screen.reset", "Reset", show=False),
    ]


class ConfigScreen(SweepWorkScreen, FileWorkScreen, ForecastWorkScreen):
    """Shows and edits the experiment being set up, or shows that of the run being looked at."""

    MODE = "config"
    EMPTY = "There is no experiment to look at yet.\n\nChoose a preset on Home (0), or open a run (7)."
    INTRO = (
        "The settings of the experiment; ● marks what differs from the default, ◆ what differs from the preset, ✗ what "
        "this model cannot do. enter edits the selected one, ← → step through values, and the pane below says what it "
        "means here. b lists all of them. The TOML beside it is the same experiment: edit either."
    )
    CSS_PATH = "config.tcss"
    AUTO_FOCUS = "RowList"
    BINDINGS = bindings("config")

    def __init__(self) -> None:
        super().__init__()
        self._subjects = Subjects()
        self._at = 0
        self._subject: Subject | None = None
        self._rows: list[Setting] = []
        self._show: Shown = "basic"
        self._compared: tuple[str, Experiment] | None = None
        self._finder = FactsFinder()
        self._facts = Facts()
        self._problems: dict[str, str] = {}

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, classes="empty", id="config-empty", markup=False)
        yield Static("", id="config-head", markup=False)
        search = Input(placeholder="part of a key, a value, or of its help", id="config-search", compact=True)
        search.border_title = "Search"
        yield search
        with Horizontal(id="config-panes"):
            with Vertical(id="config-left"):
                yield FormList("Settings", id="config-rows")
                yield Entry(id="config-entry")
                yield TextPane("About this key", id="config-about")
                yield TextPane("What it takes", id="config-forecast")
            with Vertical(id="config-right"):
                yield TomlEditor(id="config-file")
                with VerticalScroll(id="config-said"):
                    yield Static("", markup=False)

    # -- hooks --------------------------------------------------------------------------------------------------

    def on_run_changed(self, view: object) -> None:
        self._look()

    def on_experiment_changed(self) -> None:
        self._look()

    def on_engine_changed(self) -> None:
        self.look_at_forecast()
        if self._subject is not None and self._learn():
            self._fill()
            self.forecast_soon()

    def on_resize(self, event: events.Resize) -> None:
        if self._subject is not None:
            self._draw_head()

    # -- what the form works on ---------------------------------------------------------------------------------

    @property
    def subject(self) -> Subject | None:
        return self._subject

    @property
    def selected(self) -> Setting | None:
        at = self.query_one(RowList).cursor
        return self._rows[at] if at < len(self._rows) else None

    @property
    def facts(self) -> Facts:
        return self._facts

    @property
    def compared(self) -> tuple[str, Experiment] | None:
        """What the experiment is compared with: what was chosen, else the preset or run that it came from."""
        if self._compared is not None:
            return self._compared
        state = self.tuner.state
        if self._subject is None or self._subject.is_run or state.origin is None:
            return None
        return (f"preset {state.preset.name}" if state.preset is not None else "what it came from"), state.origin

    # -- actions ------------------------------------------------------------------------------------------------

    def action_search(self) -> None:
        self.add_class("-searching")
        self.query_one("#config-search", Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "config-search":
            self._fill()

    def on_input_submitted(self, _event: Input.Submitted) -> None:
        self.to_list()

    def action_all(self) -> None:
        """Lists all keys, or those for a first run."""
        self._list("basic" if self._show == "all" else "all")

    def action_changed_only(self) -> None:
        """Steps through what differs from the default, what differs from the preset, and everything again."""
        order: list[Shown] = ["changed", "compared"] if self.compared is not None else ["changed"]
        at = order.index(self._show) + 1 if self._show in order else 0
        self._list(order[at] if at < len(order) else "all")

    def _list(self, show: Shown) -> None:
        self._show = show
        self._fill()

    def action_next(self, wanted: Literal["differs", "problem"]) -> None:
        """Goes to the next key that differs, or that is wrong."""
        rows = self.query_one(RowList)
        at = config_rows.next_row(self._rows, rows.cursor, wanted)
        if at is None:
            what = "is wrong, as far as the form can tell" if wanted == "problem" else "differs"
            self.tuner.notice(f"No key {what}.")
        else:
            rows.cursor = at
            rows.focus()

    def to_list(self) -> None:
        self.remove_class("-file", "-typing")
        self.query_one(Entry).close()
        self.query_one(RowList).focus()

    def action_subject(self) -> None:
        self._at += 1
        self._look()

    def go_back(self) -> bool:
        search = self.query_one("#config-search", Input)
        if self.query_one(Entry).is_open or self.has_class("-file"):
            self.to_list()
            return True
        if self.has_class("-searching"):
            self.remove_class("-searching")
            row = self.selected
            if self._show == "basic" and row is not None and row.info is not None and not row.info.basic:
                self._show = "all"  # what was found shall not go out of sight
            search.clear()
            self.to_list()
            return True
        if self._compared is not None:
            self._compared = None
            self._list("basic")
            return True
        return super().go_back()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "subject":
            return len(self._subjects.found(self.tuner.state)) > 1
        if action in ("search", "changed_only", "file", "all", "next", "edit", "save", "compare", "hand_on", "measure"):
            return self._subject is not None
        if action in ("step", "edit_long", "reset", "reset_more", "fit", "advice", "sweep"):
            return self._subject is not None and not self._subject.is_run
        if action == "undo":
            return self.tuner.history.can_undo or self.text_is_wrong
        if action == "redo":
            return self.tuner.history.can_redo
        return super().check_action(action, parameters)

    def on_row_list_highlighted(self, _event: RowList.Highlighted) -> None:
        self._explain()

    def on_row_list_chosen(self, _event: RowList.Chosen) -> None:
        self.action_edit()

    # -- what is shown ------------------------------------------------------------------------------------------

    def _look(self) -> None:
        found = self._subjects.found(self.tuner.state)
        subject = found[self._at % len(found)] if found else None
        self.set_class(subject is None, "-empty")
        if subject is None:
            self._subject = None
            text = self._subjects.problem or self.EMPTY
            self.query_one("#config-empty", Static).update(Content(visible(text, lines=True)))
            return
        if subject == self._subject and self.document.experiment == subject.experiment:
            self._draw_head()
            return
        self._subject = subject
        if self.write_down(subject):
            self._compared = None
        self._learn()
        self._fill()
        self._draw_head()
        self.show_file()
        self.forecast_soon()
        if self.focused is None:
            self.query_one(RowList).focus()

    def compare_with(self, title: str, experiment: Experiment) -> None:
        self._compared = title, experiment
        self._list("compared")

    def _learn(self) -> bool:
        """Takes over what has become known of model and data; whether anything did."""
        subject = self._subject
        if subject is None:
            return False
        engine = self.tuner.engine
        self._finder.ask(engine, subject.experiment, subject.base)
        before = self._facts, self._problems
        self._facts = self._finder.facts(engine, subject.experiment, subject.base)
        self._problems = wrongs(subject.experiment, self._facts)
        return before != (self._facts, self._problems)

    def _fill(self) -> None:
        """Fills the list with what search and view leave."""
        if self._subject is None:
            return
        search = self.query_one("#config-search", Input).value
        before = self.selected
        compared = self.compared
        self._rows = config_rows.settings(
            self._subject.experiment, search=search, show=self._show, problems=self._problems,
            other=compared[1] if compared is not None else None,
        )  # fmt: skip
        rows, side_by_side = self.query_one(RowList), self._show == "compared"
        rows.show(
            len(self._rows), lambda at, width: config_rows.line(self._rows[at], width, compare=side_by_side),
            skip=config_rows.headings(self._rows), cursor=_place_of(before, self._rows, search),
        )  # fmt: skip
        title = _TITLES[self._show] if not search else "found"
        against = f" {compared[0]}" if side_by_side and compared is not None else ""
        many = config_rows.count_of(self._rows)
        keys = f"{count(many)} key{'s' if many != 1 else ''}"
        rows.border_subtitle = Content(visible(f"{keys}, {title}{against}"))
        self._explain()

    def _explain(self) -> None:
        pane = self.query_one("#config-about", TextPane)
        row, subject, compared = self.selected, self._subject, self.compared
        if row is None or subject is None:
            pane.draw(lambda _width: Content.styled(self._none_listed(), "$text-muted"))
            return
        against, facts = (compared[0] if compared is not None else ""), self._facts
        pane.draw(
            lambda width: config_rows.about(
                row, subject.experiment, facts, width, against=against, editable=not subject.is_run
            )
        )
        self.mark_file()
        editor = self.query_one(TomlEditor)
        line = self.document.line_of(row.key)
        if line is not None and not editor.has_focus:
            editor.reveal(line)

    def _none_listed(self) -> str:
        if self.query_one("#config-search", Input).value:
            return "No key has these words; escape shows all again."
        return "Nothing differs; c goes on to everything."

    def _draw_head(self) -> None:
        subject, state = self._subject, self.tuner.state
        if subject is None:
            return
        changed = sum(row.changed and not (row.info is None or row.info.required)
                      for row in config_rows.settings(subject.experiment))  # fmt: skip
        name = Content.assemble((visible(subject.title), "bold $text-primary"))
        if subject.is_run:
            origin = "the configuration of this run, which does not change; enter loads a copy to edit"
        elif state.preset is not None:
            origin = f"from preset {state.preset.name}"
            if state.overrides:
                origin += f" with --set {' '.join(state.overrides)}"
            origin += ", changed" if state.edited else ""
        else:
            origin = "not from a preset"
        about = Content.styled(visible(f"{origin} · {changed} keys differ from the default"), "$text-muted")
        first = Content.assemble(name, "  ", about)
        self.query_one("#config-head", Static).update(lines([first, self._next_step(subject)]))

    def _next_step(self, subject: Subject) -> Content:
        """What one would do here now."""
        if self._problems and not subject.is_run:
            many = len(self._problems)
            what = "a value" if many == 1 else f"{many} values"
            return Content.assemble(("✗ ", "bold $text-error"), f"{what} will not do; w goes there")
        running = self.tuner.jobs.running()
        if running is not None and not subject.is_run:
            text = "This is the next experiment: the run that is going keeps its own. f5 queues it."
        elif subject.is_run:
            text = "s shows the experiment being set up" if self.check_action("subject", ()) else ""
        else:
            text = "enter edits · ← → step · u takes back · l loads · p saves · f5 starts"
            text += " · y its sweep" if self.carries_sweep() else ""
        return Content.styled(text, "$text-muted")


def _place_of(before: Setting | None, rows: Sequence[Setting], search: str) -> int:
    """Where to put the cursor: on the key whose name is searched for, else where it was, else at the top."""
    wanted = search.strip().casefold()
    for at, row in enumerate(rows):
        if wanted and row.info is not None and row.info.name.startswith(wanted):
            return at
    if before is not None and before.info is not None:
        for at, row in enumerate(rows):
            if row.info is not None and row.info.key == before.info.key:
                return at
    return 0
