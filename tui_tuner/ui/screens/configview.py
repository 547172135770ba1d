"""What the Config screen shows: the list of keys, what is told of the selected one, and the head.

Keys, ranges, defaults and help come from `config.describe`, what is right from the model, the text from
`config_document`. Nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.widgets import Input, Static

from tui_tuner.config.model import Experiment
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


class ConfigViewScreen(SweepWorkScreen, FileWorkScreen, ForecastWorkScreen):
    """A screen that shows a configuration as a form."""

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

    def _list(self, show: Shown) -> None:
        self._show = show
        self._fill()

    def to_list(self) -> None:
        self.remove_class("-file", "-typing")
        self.query_one(Entry).close()
        self.query_one(RowList).focus()

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
