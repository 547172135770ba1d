"""The model: what it is, what it is made of, and what the adapter would train in it.

Everything shown comes from one `DescribeModel` on the engine's side lane; weights are never loaded for it.
"""

from __future__ import annotations

from functools import partial

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from tui_tuner.engine.requests import DescribeModel
from tui_tuner.engine.results import ModelFacts
from tui_tuner.paths import resolve_model
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets import models_facts as facts_of
from tui_tuner.ui.widgets.config_subject import Subject, Subjects
from tui_tuner.ui.widgets.data_lookup import Lookup
from tui_tuner.ui.widgets.data_pane import TextPane, lines, notice
from tui_tuner.ui.widgets.data_zoom import unzoom, zoom


class ModelsScreen(WorkbenchScreen):
    """Shows the model of the experiment, or of the run being looked at."""

    MODE = "models"
    EMPTY = "There is no model to look at yet.\n\nChoose a preset on Home (0), or open a run (7)."
    INTRO = (
        "What the model folder says of itself: sizes, special tokens, chat template, and the modules of a layer that "
        "an adapter can train. A filled circle marks what the experiment trains. Tab goes from pane to pane."
    )
    CSS_PATH = "models.tcss"
    AUTO_FOCUS = "#models-sizes"
    BINDINGS = bindings("models")

    def __init__(self) -> None:
        super().__init__()
        self._subjects = Subjects()
        self._lookup = Lookup()
        self._at = 0
        self._subject: Subject | None = None
        self._shown: object = None

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, classes="empty", id="models-empty", markup=False)
        yield Static("", id="models-head", markup=False)
        with Horizontal(id="models-panes"):
            with Vertical(id="models-left"):
                yield TextPane("Model", id="models-sizes")
                yield TextPane("Special tokens", id="models-tokens")
            with Vertical(id="models-right"):
                yield TextPane("Modules of a layer", id="models-modules")
                yield TextPane("Chat template", id="models-template")

    # -- hooks --------------------------------------------------------------------------------------------------

    def on_run_changed(self, view: object) -> None:
        self._look()

    def on_experiment_changed(self) -> None:
        self._look()

    def on_engine_changed(self) -> None:
        self._look()

    # -- actions ------------------------------------------------------------------------------------------------

    def action_zoom(self) -> None:
        """Gives the focused pane all the room, and back."""
        if not unzoom(self):
            focused = self.focused
            target = focused if isinstance(focused, TextPane) else self.query_one("#models-template", TextPane)
            target.focus()
            zoom(self, target)

    def go_back(self) -> bool:
        return unzoom(self) or super().go_back()

    def action_subject(self) -> None:
        self._at += 1
        self._look()

    def action_again(self) -> None:
        self._shown = None
        self._look(again=True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "subject":
            return len(self._subjects.found(self.tuner.state)) > 1
        if action in ("again", "zoom"):
            return self._subject is not None
        return super().check_action(action, parameters)

    # -- what is shown ------------------------------------------------------------------------------------------

    def _look(self, *, again: bool = False) -> None:
        found = self._subjects.found(self.tuner.state)
        self._subject = found[self._at % len(found)] if found else None
        subject = self._subject
        self.set_class(subject is None, "-empty")
        if subject is None:
            text = self._subjects.problem or self.EMPTY
            self.query_one("#models-empty", Static).update(Content(visible(text, lines=True)))
            return
        path = subject.experiment.model.path
        try:
            path = resolve_model(path, subject.base)
        except Exception as error:
            self._say(notice("✗", str(error), "bold $text-error", self._room), facts=False)
            return
        self._lookup.ask(self.tuner.engine, path, DescribeModel(path), again=again)
        self._show(subject)

    @property
    def _room(self) -> int:
        return max(self.size.width - 4, 20)

    def _say(self, content: Content, *, facts: bool) -> None:
        self.query_one("#models-head", Static).update(content)
        self.set_class(not facts, "-nothing")

    def _show(self, subject: Subject) -> None:
        source = f"run {subject.title}" if subject.is_run else f"experiment {subject.title}"
        path = visible(subject.experiment.model.path)
        name = Content.assemble((path, "bold"), (f"   {visible(source)}", "$text-muted"))
        if self._lookup.problem:
            problem = notice("✗", self._lookup.problem, "bold $text-error", self._room)
            hint = Content.styled("  Mend model.path and press r to read it again.", "$text-muted")
            self._say(lines([name, Content(""), problem, hint]), facts=False)
            return
        facts = self._lookup.result
        if not isinstance(facts, ModelFacts):
            waiting = Content.styled("◌ reading the model's configuration …", "$text-muted")
            self._say(lines([name, Content(""), waiting]), facts=False)
            return
        self._say(
            lines([facts_of.headline(facts, subject.experiment.model.path), facts_of.problems(facts, self._room)]),
            facts=True,
        )
        self.query_one("#models-sizes").border_subtitle = Content(clip(f"of the {source}", 40))
        if self._shown == (facts, subject):
            return
        self._shown = (facts, subject)
        adapter = subject.experiment.adapter
        self.query_one("#models-sizes", TextPane).draw(partial(facts_of.sizes, facts))
        self.query_one("#models-tokens", TextPane).draw(partial(facts_of.special_tokens, facts))
        modules = self.query_one("#models-modules", TextPane)
        modules.draw(partial(facts_of.modules, facts, adapter))
        modules.border_subtitle = Content(f"{len(facts.modules)} linear, outputs × inputs") if facts.modules else ""
        self.query_one("#models-template", TextPane).draw(partial(facts_of.template, facts))
        if self.focused is None:
            modules.focus()
