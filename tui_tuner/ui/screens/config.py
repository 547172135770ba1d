"""Every setting of the experiment: its value, whether it is the default, what it means here, and how to change it.

It only shows. Keys, ranges, defaults and help come from `config.describe`, the text from `config.toml`.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from tui_tuner.config.toml import dump_experiment
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.format import count
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets import config_rows
from tui_tuner.ui.widgets.config_rows import Setting
from tui_tuner.ui.widgets.config_subject import Subject, Subjects
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane, lines


class ConfigScreen(WorkbenchScreen):
    """Shows the experiment being set up, or that of the run being looked at."""

    MODE = "config"
    EMPTY = "There is no experiment to look at yet.\n\nChoose a preset on Home (0), or open a run (7)."
    INTRO = (
        "Every key of the experiment with its value; ● marks what differs from the default. The pane below explains "
        "the selected key. To change one, start with --set key=value, or edit the preset and load it again."
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
        self._changed_only = False
        self._toml = ""

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, classes="empty", id="config-empty", markup=False)
        yield Static("", id="config-head", markup=False)
        search = Input(placeholder="part of a key, a value, or of its help", id="config-search", compact=True)
        search.border_title = "Search"
        yield search
        with Horizontal(id="config-panes"):
            with Vertical(id="config-left"):
                yield RowList("Settings", id="config-rows")
                yield TextPane("About this key", id="config-about")
            yield TextPane("config.toml", id="config-file")

    # -- hooks --------------------------------------------------------------------------------------------------

    def on_run_changed(self, view: object) -> None:
        self._look()

    def on_experiment_changed(self) -> None:
        self._look()

    def on_resize(self, event: events.Resize) -> None:
        if self._subject is not None:
            self._draw_head(self._subject)

    # -- actions ------------------------------------------------------------------------------------------------

    def action_search(self) -> None:
        self.add_class("-searching")
        self.query_one("#config-search", Input).focus()

    def on_input_changed(self, _event: Input.Changed) -> None:
        self._fill()

    def on_input_submitted(self, _event: Input.Submitted) -> None:
        self.query_one(RowList).focus()

    def action_changed_only(self) -> None:
        self._changed_only = not self._changed_only
        self._fill()

    def action_file(self) -> None:
        """Shows the file alone on narrow screens, and puts the focus on it on wide ones."""
        self.toggle_class("-file")
        (self.query_one("#config-file") if self.has_class("-file") else self.query_one(RowList)).focus()

    def action_subject(self) -> None:
        self._at += 1
        self._look()

    def go_back(self) -> bool:
        search = self.query_one("#config-search", Input)
        if self.has_class("-searching"):
            self.remove_class("-searching")
            search.clear()
            self.query_one(RowList).focus()
            return True
        if self.has_class("-file"):
            self.action_file()
            return True
        return super().go_back()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "subject":
            return len(self._subjects.found(self.tuner.state)) > 1
        if action in ("search", "changed_only", "file"):
            return self._subject is not None
        return super().check_action(action, parameters)

    def on_row_list_highlighted(self, _event: RowList.Highlighted) -> None:
        self._explain()

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
        if subject == self._subject:
            return
        self._subject = subject
        self._fill()
        self._draw_head(subject)
        self._toml = dump_experiment(subject.experiment)
        self._show_file()
        if self.focused is None:
            self.query_one(RowList).focus()

    def _fill(self) -> None:
        """Fills the list with what the search leaves."""
        if self._subject is None:
            return
        search = self.query_one("#config-search", Input).value
        before = self._selected
        self._rows = config_rows.settings(self._subject.experiment, search=search, changed_only=self._changed_only)
        rows = self.query_one(RowList)
        rows.show(
            len(self._rows), lambda at, width: config_rows.line(self._rows[at], width),
            skip=config_rows.headings(self._rows), cursor=_place_of(before, self._rows, search),
        )  # fmt: skip
        keys = sum(row.info is not None for row in self._rows)
        what = " that differ from the default" if self._changed_only else ""
        rows.border_subtitle = Content(f"{count(keys)} keys{what}")
        self._explain()

    @property
    def _selected(self) -> Setting | None:
        at = self.query_one(RowList).cursor
        return self._rows[at] if at < len(self._rows) else None

    def _explain(self) -> None:
        pane = self.query_one("#config-about", TextPane)
        row, subject = self._selected, self._subject
        if row is None or subject is None:
            pane.draw(lambda _width: Content.styled("No key has these words; escape shows all again.", "$text-muted"))
            return
        pane.draw(lambda width: config_rows.about(row, subject.experiment, self._known_rows(), width))
        self._show_file()

    def _show_file(self) -> None:
        """Shows the file with the selected key marked and in sight."""
        pane, row = self.query_one("#config-file", TextPane), self._selected
        content, at = config_rows.toml(self._toml, row.info.key if row is not None and row.info is not None else "")
        pane.draw(lambda _width: content, keep_place=True)
        if at >= 0:
            pane.scroll_to(y=max(at - pane.size.height // 2, 0), animate=False)

    def _known_rows(self) -> int | None:
        """Training rows, where the configuration alone says how many there are."""
        data = self._subject.experiment.data if self._subject is not None else None
        return data.train * max(len(data.prompt), 1) if data is not None and data.train else None

    def _draw_head(self, subject: Subject) -> None:
        state = self.tuner.state
        changed = sum(row.changed and row.info is not None and not row.info.required
                      for row in config_rows.settings(subject.experiment))  # fmt: skip
        name = Content.assemble((visible(subject.title), "bold $text-primary"))
        if subject.is_run:
            origin = "the configuration of this run; u on Runs (7) loads it to edit"
        elif state.preset is not None:
            origin = f"from preset {state.preset.name}"
            if state.overrides:
                origin += f" with --set {' '.join(state.overrides)}"
        else:
            origin = "not from a preset"
        about = Content.styled(visible(f"{origin} · {changed} keys differ from the default"), "$text-muted")
        how = "change it with --set key=value at the start, or in the preset's file"
        first = Content.assemble(name, "  ", about)
        self.query_one("#config-head", Static).update(lines([first, Content.styled(how, "$text-muted")]))


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
