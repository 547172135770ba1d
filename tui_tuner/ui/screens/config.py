"""Every setting of the experiment as a form: its value, what it means here, and the TOML beside it, both to be edited.

Here are the keys, which pass wishes on; what is shown is in `configview`. A run's own configuration is shown and never
changed.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Input, Static

from tui_tuner.ui.actions import bindings
from tui_tuner.ui.screens.configview import ConfigViewScreen
from tui_tuner.ui.widgets import config_rows
from tui_tuner.ui.widgets.config_editor import TomlEditor
from tui_tuner.ui.widgets.config_entry import Entry
from tui_tuner.ui.widgets.config_rows import Shown
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane


class FormList(RowList):
    """The list of keys; left, right and space change the value of the selected one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "screen.step(-1)", "Value before", show=False),
        Binding("right,space", "screen.step(1)", "Next value", show=False),
        Binding("delete,backspace", "screen.reset", "Reset", show=False),
    ]


class ConfigScreen(ConfigViewScreen):
    """Shows and edits the experiment being set up, or shows that of the run being looked at."""

    MODE = "config"
    EMPTY = (
        "There is no experiment to look at yet.\n\nPress l to load a preset, a run's configuration or a file,\n"
        "or 0 to go home to the presets and the quickstart."
    )
    INTRO = (
        "The settings of the experiment; ● marks what differs from the default, ◆ what differs from the preset, ✗ what "
        "this model cannot do. enter edits the selected one, ← → step through values, and the pane below says what it "
        "means here. b lists all of them. The TOML beside it is the same experiment: edit either."
    )
    CSS_PATH = "config.tcss"
    AUTO_FOCUS = "RowList"
    BINDINGS = bindings("config")

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

    # -- actions ------------------------------------------------------------------------------------------------

    def action_search(self) -> None:
        self.add_class("-searching")
        self.set_focus(self.query_one("#config-search", Input))  # at once: keys that came with this one are for it

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
        if action in (
            "search",
            "changed_only",
            "file",
            "all",
            "next",
            "edit",
            "save",
            "compare",
            "hand_on",
            "measure",
            "forecast",
        ):
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
