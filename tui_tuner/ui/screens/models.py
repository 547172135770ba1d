"""Models: which there are, what they are, whether they fit this machine, and what can be made of them.

The list and what is shown of a model come from the engine's side lane; weights are never loaded for it, and nothing is
downloaded by looking.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

from tui_tuner.engine.model_requests import AskDevice, InspectModel, ListModels
from tui_tuner.engine.results import ListedModel, ModelDetails
from tui_tuner.paths import EMBEDDED, resolve_data, resolve_model
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.screens.hubwork import HubWorkScreen
from tui_tuner.ui.screens.modelwork import callable_by
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets import models_facts as facts_of
from tui_tuner.ui.widgets.config_subject import Subject, Subjects
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_lookup import Lookup
from tui_tuner.ui.widgets.data_pane import TextPane
from tui_tuner.ui.widgets.data_zoom import unzoom, zoom
from tui_tuner.ui.widgets.models_list import Row, drawn, header, rows_of


class ModelsScreen(HubWorkScreen):
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

    def __init__(self) -> None:
        super().__init__()
        self._subjects = Subjects()
        self._listing, self._device, self._asking = Lookup(), Lookup(), Lookup()
        self._rows: list[Row] = []
        self._at = 0
        self._path = ""
        """The selected model; empty for the subject's."""
        self._known: dict[str, ModelDetails | str] = {}
        """What was found of each model that was looked at, or why nothing was."""
        self._shown: object = None

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, classes="empty", id="models-empty", markup=False)
        with Container(id="models-panes"):
            yield RowList("Models", id="models-list")
            with Container(id="models-right"):
                yield TextPane("Model", id="models-sizes")
                yield TextPane("Modules and template", id="models-modules")
        yield Static("", id="models-doing", markup=False)

    # -- hooks --------------------------------------------------------------------------------------------------

    def on_run_changed(self, view: object) -> None:
        self._look()

    def on_experiment_changed(self) -> None:
        self._look()

    def on_engine_changed(self) -> None:
        super().on_engine_changed()
        self._look()

    def on_row_list_highlighted(self, event: RowList.Highlighted) -> None:
        row = self._rows[event.index] if event.index < len(self._rows) else None
        if isinstance(row, ListedModel):
            self._path = row.path
            self._inspect()
            self.refresh_bars()

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        self.query_one("#models-sizes").focus()

    # -- what others ask ----------------------------------------------------------------------------------------

    @property
    def selected(self) -> ListedModel | None:
        listed = self.query_one("#models-list", RowList)
        row = self._rows[listed.cursor] if listed.cursor < len(self._rows) else None
        return row if isinstance(row, ListedModel) else None

    @property
    def details(self) -> ModelDetails | None:
        model = self.selected
        found = self._known.get(model.path) if model is not None else None
        return found if isinstance(found, ModelDetails) else None

    @property
    def usable(self) -> int:
        found = self._device.result
        return found if isinstance(found, int) else 0

    def data_for(self, model: ListedModel) -> str:
        """The prepared rows of the run being looked at, or the experiment's source where it needs no templates."""
        run, subject = self.tuner.state.run, self._subjects.of_run(self.tuner.state)
        if run is not None and subject is not None and _is(subject, model) and (run.data / "test.jsonl").is_file():
            return str(run.data)
        subject = self._subject_of(run=False)
        if subject is None or not _is(subject, model):
            return ""
        data = subject.experiment.data
        if data.source.startswith(EMBEDDED):
            return data.source
        return "" if data.prompt or data.completion else resolve_data(data.source, subject.base)

    def name_of(self, path: str) -> str:
        names = (row.name for row in self._rows if isinstance(row, ListedModel) and callable_by(row) == path)
        return next(names, path)

    def listed_anew(self, select: str = "") -> None:
        self._path = select or self._path
        self._known.clear()
        self._look(again=True)

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
            return experiment is not None and model is not None and not _is(experiment, model)
        return super().check_action(action, parameters)

    # -- what is shown ------------------------------------------------------------------------------------------

    @property
    def _found(self) -> list[Subject]:
        return self._subjects.found(self.tuner.state)

    def _subject_of(self, *, run: bool) -> Subject | None:
        return next((subject for subject in self._found if subject.is_run == run), None)

    def _look(self, *, again: bool = False) -> None:
        """Asks for the list when somebody names another model, and shows it when it has come."""
        named = tuple((_words(subject), subject.experiment.model.path, subject.base) for subject in self._found)
        self._device.ask(self.tuner.engine, "device", AskDevice())
        if again or not self._listing.asked(named):
            self._listing.ask(self.tuner.engine, named, ListModels(self.tuner.runs_dir, named), again=again)
        found = self._listing.result
        self._show(found if isinstance(found, list) else None)

    def _show(self, found: list[ListedModel] | None) -> None:
        if found is None and self._rows and not self._listing.problem:
            self._inspect()  # the old list stays until the new one is there
            return
        self.set_class(not found, "-empty")
        if not found:
            text = self._listing.problem or (self.EMPTY if found is not None else "◌ looking which models there are …")
            self.query_one("#models-empty", Static).update(Content(visible(text, lines=True)))
            return
        rows = rows_of(found)
        listed = self.query_one("#models-list", RowList)
        at = self._place_of(rows)
        state = (found, self.usable, [subject.experiment.model.path for subject in self._found])
        if state != self._shown or at != listed.cursor:
            self._shown = state
            self._rows = rows
            skip = frozenset(at for at, row in enumerate(rows) if isinstance(row, str))
            listed.show(len(rows), self._row, header=header, skip=skip, cursor=at)
            listed.border_subtitle = Content(f"{len(found)}")
        self._inspect()

    def _row(self, at: int, width: int) -> Content:
        row = self._rows[at]
        mark = isinstance(row, ListedModel) and any(_is(subject, row) for subject in self._found)
        return drawn(row, self.usable, "named" if mark else "", width)

    def _place_of(self, rows: list[Row]) -> int:
        """The line of the selected model: the one that was selected, else the subject's, else the first."""
        models = {row.path: at for at, row in enumerate(rows) if isinstance(row, ListedModel)}
        if self._path in models:
            return models[self._path]
        subjects = self._found
        if subjects:
            subject = subjects[self._at % len(subjects)]
            for at, row in enumerate(rows):
                if isinstance(row, ListedModel) and _is(subject, row):
                    return at
        return min(models.values(), default=0)

    def _inspect(self) -> None:
        """Shows the selected model; asks for it first when it was not looked at before."""
        model = self.selected
        if model is None:
            return
        if model.source != "absent" and model.path not in self._known:
            self._asking.ask(self.tuner.engine, model.path, InspectModel(callable_by(model)))
            if isinstance(self._asking.result, ModelDetails):
                self._known[model.path] = self._asking.result
            elif self._asking.problem:
                self._known[model.path] = self._asking.problem
            if not self._asking.waiting:
                self._asking.forget()
        self._draw(model, self._known.get(model.path, ""))

    def _draw(self, model: ListedModel, details: ModelDetails | str) -> None:
        left, right = self.query_one("#models-sizes", TextPane), self.query_one("#models-modules", TextPane)
        left.border_title = Content(clip(visible(model.name), 40))
        subject = next((one for one in self._ordered if _is(one, model)), None)
        left.border_subtitle = Content(clip(f"of the {_words(subject)}", 40)) if subject is not None else ""
        if isinstance(details, str):
            left.draw(partial(facts_of.unknown, model, details), keep_place=True)
            right.draw(lambda width: Content(""))
            return
        adapter = subject.experiment.adapter if subject is not None else None
        left.draw(partial(facts_of.details, model, details, self.usable), keep_place=True)
        right.draw(partial(facts_of.inside, details.inspection, adapter), keep_place=True)
        count = len(details.inspection.facts.modules)
        right.border_subtitle = Content(f"{count} linear, outputs × inputs") if count else ""

    @property
    def _ordered(self) -> list[Subject]:
        """The subjects, the one that is being looked at first."""
        subjects = self._found
        at = self._at % len(subjects) if subjects else 0
        return subjects[at:] + subjects[:at]


def _words(subject: Subject) -> str:
    return f"run {subject.title}" if subject.is_run else f"experiment {subject.title}"


def _is(subject: Subject, model: ListedModel) -> bool:
    """Whether a model is the one that an experiment names."""
    path = subject.experiment.model.path
    if path == model.path:
        return True
    try:
        resolved = Path(resolve_model(path, subject.base))
        return resolved.is_absolute() and bool(model.folder) and str(resolved.resolve()) == model.folder
    except Exception:  # no such embedded model, no such folder: then it is none of those that there are
        return False
