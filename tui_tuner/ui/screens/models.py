"""Models: which there are, what they are, whether they fit this machine, and what can be made of them.

Here are the keys; what is shown is in `modelsview`.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Static

from tui_tuner.engine.results import ListedModel
from tui_tuner.paths import EMBEDDED, resolve_data
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.screens.modelsview import ModelsViewScreen, is_of
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane
from tui_tuner.ui.widgets.data_zoom import unzoom, zoom


class ModelsScreen(ModelsViewScreen):
    """Lists the models, and shows the one that is selected."""

    MODE = "models"
    EMPTY = (
        "There is no model on this machine.\n\nPress g to download one, put one into the folder of models, "
        "or name one in a preset."
    )
    INTRO = (
        "Every model of this machine, and those that presets and runs name. Run and train say whether it fits: ✓ fits, "
        "▲ tight, ✗ too large for the memory there is. A filled circle marks the experiment's or the run's. Tab goes "
        "from pane to pane."
    )
    CSS_PATH = "models.tcss"
    AUTO_FOCUS = "#models-list"
    BINDINGS = bindings("models")

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, classes="empty", id="models-empty", markup=False)
        with Container(id="models-panes"):
            yield RowList("Models", id="models-list")
            with Container(id="models-right"):
                yield TextPane("Model", id="models-sizes")
                yield TextPane("Modules and template", id="models-modules")
        yield Static("", id="models-doing", markup=False)

    # -- hooks --------------------------------------------------------------------------------------------------

    def on_row_list_highlighted(self, event: RowList.Highlighted) -> None:
        row = self._rows[event.index] if event.index < len(self._rows) else None
        if isinstance(row, ListedModel):
            self._path = row.path
            self._inspect()
            self.refresh_bars()

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        self.query_one("#models-sizes").focus()

    # -- what others ask ----------------------------------------------------------------------------------------

    def data_for(self, model: ListedModel) -> str:
        """The prepared rows of the run being looked at, or the experiment's source where it needs no templates."""
        run, subject = self.tuner.state.run, self._subjects.of_run(self.tuner.state)
        if run is not None and subject is not None and is_of(subject, model) and (run.data / "test.jsonl").is_file():
            return str(run.data)
        subject = self._subject_of(run=False)
        if subject is None or not is_of(subject, model):
            return ""
        data = subject.experiment.data
        if data.source.startswith(EMBEDDED):
            return data.source
        return "" if data.prompt or data.completion else resolve_data(data.source, subject.base)

    # -- actions ------------------------------------------------------------------------------------------------

    def action_zoom(self) -> None:
        """Gives the focused pane all the room, and back."""
        if not unzoom(self):
            focused = self.focused
            target = focused if isinstance(focused, TextPane | RowList) else self.query_one("#models-sizes", TextPane)
            target.focus()
            zoom(self, target)

    def go_back(self) -> bool:
        return unzoom(self) or super().go_back()

    def action_subject(self) -> None:
        """Goes to the experiment's model, and to the run's."""
        self._at += 1
        self._path = ""
        self._look()

    def action_again(self) -> None:
        self.listed_anew()

    def action_use(self) -> None:
        """Makes the selected model the experiment's."""
        model, state = self.selected, self.tuner.state
        if model is None or state.experiment is None:
            return
        made = state.experiment.model_copy(deep=True)
        made.model.path = model.path
        self.tuner.set_experiment(made, preset=state.preset, base=state.base, edited=True)
        self.tuner.notice(f"The experiment now trains {visible(model.name)}.")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if not self.is_mounted:
            return super().check_action(action, parameters)
        if action == "subject":
            return len(self._found) > 1
        if action == "zoom":
            return bool(self._rows)
        if action == "use":
            experiment, model = self._subject_of(run=False), self.selected
            return experiment is not None and model is not None and not is_of(experiment, model)
        return super().check_action(action, parameters)
