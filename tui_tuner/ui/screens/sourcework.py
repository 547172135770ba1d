"""What can be done about the source from a screen: open another one, change what is made of it, apply a fix.

The experiment changes, never a file of the person's.
"""

from __future__ import annotations

from textual import events

from tui_tuner.config.model import Experiment
from tui_tuner.ui.mapping import MappingEditor, change
from tui_tuner.ui.recents import remember_source
from tui_tuner.ui.screens.dataview import DataViewScreen
from tui_tuner.ui.sourcedialog import SourceDialog

_TRIAL_MODEL = "embedded:phi3-tiny"
"""Shows data where no model was chosen yet."""


class SourceWorkScreen(DataViewScreen):
    """A screen on which the data of the experiment can be changed."""

    def action_open_source(self) -> None:
        self._ask_source("")

    def on_paste(self, event: events.Paste) -> None:
        """A file that is dropped on the terminal, or a path that is pasted, is opened."""
        event.stop()
        if event.text.strip():
            self._ask_source(event.text)

    def _ask_source(self, text: str) -> None:
        state = self.tuner.state
        current = state.experiment.data.source if state.experiment is not None else ""
        self.app.push_screen(SourceDialog(current, state.base, text), self._open_source)

    def _open_source(self, source: str | None) -> None:
        """Makes another source the experiment's; what was said of the old one's columns does not hold for it."""
        if source is None:
            return
        from tui_tuner.config.data_section import DataSection

        remember_source(source)
        state, self._at = self.tuner.state, 0
        before = state.experiment
        if before is not None and before.data.source == source:
            self._look(again=True)
            return
        if before is None:
            made = Experiment.model_validate({"model": {"path": _TRIAL_MODEL}, "data": {"source": source}})
            self.tuner.notice("It is shown with the embedded tiny model; a preset or --set names yours.")
        else:
            made = before.model_copy(update={"data": DataSection(source=source)})
        self.tuner.set_experiment(made, preset=state.preset, base=state.base, edited=True)

    def action_subject(self) -> None:
        self._at += 1
        self._look()

    def action_again(self) -> None:
        self._look(again=True)

    def action_halt(self) -> None:
        """Ends the linter; the rows stay."""
        self._questions.stop_linting()

    def action_fix(self) -> None:
        """Puts the selected problem's fix or setting into the experiment, or takes the fix out again."""
        problem, subject = self.browser.problem, self._subject
        if problem is None or subject is None or subject.is_run:
            return
        fixes = list(subject.experiment.data.fixes)
        if problem.step:
            kept = [fix for fix in fixes if fix != problem.step]
            changes: dict[str, object] = {"data.fixes": kept if problem.step in fixes else [*fixes, problem.step]}
        else:
            changes = dict(problem.change)
        told = change(self.tuner, subject.experiment, changes)
        self.tuner.notice(f"{told}: the file stays as it is, and the rows are read again.")

    def _edit(self, key: str) -> None:
        """Asks for another value of a line of the mapping."""
        subject, facts = self._subject, self._questions.source
        if key == "data.source":
            self._ask_source("")
        elif subject is not None and subject.is_run:
            self.tuner.notice("A run's data is as it was trained on. s leads to the experiment, whose data can change.")
        elif subject is not None and facts is not None:
            # Without rows the browser still has those of what was looked at before, whose columns are others.
            row = self.browser.row if self._questions.preview is not None else None
            MappingEditor(self.tuner, subject.experiment, facts, row.record if row is not None else {}).edit(key)
