"""What the Models screen shows: the list of models, and what is known of the selected one.

The engine's side lane lists and inspects; this asks it once for each and draws. Weights are never loaded for it, and
nothing is downloaded by looking.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from textual.content import Content
from textual.widgets import Static

from tui_tuner.engine.model_requests import AskDevice, InspectModel, ListModels
from tui_tuner.engine.results import ListedModel, ModelDetails
from tui_tuner.paths import resolve_model
from tui_tuner.ui.screens.hubwork import HubWorkScreen
from tui_tuner.ui.screens.modelwork import callable_by
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets import models_facts as facts_of
from tui_tuner.ui.widgets.config_subject import Subject, Subjects
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_lookup import Lookup
from tui_tuner.ui.widgets.data_pane import TextPane
from tui_tuner.ui.widgets.models_list import Row, drawn, header, rows_of


def _words(subject: Subject) -> str:
    return f"run {subject.title}" if subject.is_run else f"experiment {subject.title}"


def is_of(subject: Subject, model: ListedModel) -> bool:
    """Whether a model is the one that an experiment names."""
    path = subject.experiment.model.path
    if path == model.path:
        return True
    try:
        resolved = Path(resolve_model(path, subject.base))
        return resolved.is_absolute() and bool(model.folder) and str(resolved.resolve()) == model.folder
    except Exception:  # no such embedded model, no such folder: then it is none of those that there are
        return False


class ModelsViewScreen(HubWorkScreen):
    """A screen that lists models and shows one of them."""

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

    def on_run_changed(self, view: object) -> None:
        self._look()

    def on_experiment_changed(self) -> None:
        self._look()

    def on_engine_changed(self) -> None:
        super().on_engine_changed()
        self._look()

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

    def name_of(self, path: str) -> str:
        names = (row.name for row in self._rows if isinstance(row, ListedModel) and callable_by(row) == path)
        return next(names, path)

    def listed_anew(self, select: str = "") -> None:
        self._path = select or self._path
        self._known.clear()
        self._look(again=True)

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
        mark = isinstance(row, ListedModel) and any(is_of(subject, row) for subject in self._found)
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
                if isinstance(row, ListedModel) and is_of(subject, row):
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
        subject = next((one for one in self._ordered if is_of(one, model)), None)
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
