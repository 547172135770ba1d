"""The experiment as TOML beside its form: typed, checked as it is typed, and kept in step with the form.

What is typed counts as soon as it is right; until then it is kept as it is, and says where it is wrong. No file is
written here.
"""

from __future__ import annotations

from pathlib import Path

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static, TextArea

from tui_tuner.config.toml import dump_experiment, read_text
from tui_tuner.errors import TunerError
from tui_tuner.ui.screens.formwork import FormWorkScreen
from tui_tuner.ui.text import inert
from tui_tuner.ui.widgets.config_document import Document, Wrong
from tui_tuner.ui.widgets.config_editor import TomlEditor
from tui_tuner.ui.widgets.config_subject import Subject


class TextWorkScreen(FormWorkScreen):
    """A screen with the text of what is set up on it."""

    def __init__(self) -> None:
        super().__init__()
        self.document = Document()
        self._made_of: object = None
        self._writing = 0
        self._told: Wrong | None = None

    @property
    def text_is_wrong(self) -> bool:
        return self.document.wrong is not None

    def action_undo(self) -> None:
        """Takes the last change back; a text that is wrong first goes back to what it said when it was right."""
        if self.document.wrong is not None:
            self.document.give_up()
            self.show_file()
        else:
            self.tuner.step_back()

    def action_redo(self) -> None:
        self.tuner.step_back(forth=True)

    def action_file(self) -> None:
        """Puts the cursor into the text; shows it alone on narrow screens."""
        if self.has_class("-file"):
            self.to_list()
        else:
            self.go_to_text(self.selected.key if self.selected is not None else "")

    def go_to_text(self, key: str) -> None:
        self.add_class("-file")
        self._writing += 1
        editor = self.query_one(TomlEditor)
        line = self.document.line_of(key) if key else None
        if key == "behaviour.cases" and not self.document.has(key):
            line = editor.document.line_count - 1
        if line is not None:
            editor.move_cursor((line, len(editor.document.get_line(line))))
        editor.focus()
        self.call_after_refresh(editor.centre)

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """What is typed into the text counts as soon as it is right."""
        if event.text_area.id != "config-file" or self.subject is None or self.subject.is_run:
            return
        document, state = self.document, self.tuner.state
        if document.write(event.text_area.text) and document.experiment is not None:
            self.tuner.set_experiment(
                document.experiment, preset=state.preset, base=state.base, edited=True, merge=f"text {self._writing}"
            )
        self.mark_file()

    # -- what is shown ------------------------------------------------------------------------------------------

    def write_down(self, subject: Subject) -> bool:
        """Brings the text to the experiment: the preset's own text with what was changed. Whether it begins anew."""
        state = self.tuner.state
        made_of = (subject.is_run, subject.title if subject.is_run else "", state.preset, state.base)
        if made_of == self._made_of and not subject.is_run:
            if self.document.follow(subject.experiment) and self.document.lost:
                self.tuner.notice("The text was written anew; its remarks could not be kept. u takes it back.")
            return False
        self._made_of = made_of
        if subject.is_run:
            plain = [line for line in dump_experiment(subject.experiment).split("\n") if not line.startswith("#")]
            self.document.begin(subject.experiment, "\n".join(plain).strip("\n") + "\n")
        else:
            self.document.begin(subject.experiment, _written(state.preset.path) if state.preset is not None else "")
        return True

    def show_file(self) -> None:
        """Shows the text, unless it is what the person is typing."""
        editor, subject = self.query_one(TomlEditor), self.subject
        editor.read_only = subject is None or subject.is_run
        editor.border_title = "config.toml of the run" if editor.read_only else "As TOML"
        editor.show(self.document.text)
        self.mark_file()
        line = self.document.line_of(self.selected.key) if self.selected is not None else None
        if line is not None and not editor.has_focus:
            self.call_after_refresh(editor.reveal, line)

    def mark_file(self) -> None:
        """Marks the selected key and wrong lines in the text, and says below what is wrong."""
        wrong, row = self.document.wrong, self.selected
        editor, said = self.query_one(TomlEditor), self.query_one("#config-said", VerticalScroll)
        line = self.document.line_of(row.key) if row is not None and self.document.has(row.key) else None
        editor.mark(line if line is not None else -1, wrong.lines if wrong is not None else ())
        self.set_class(wrong is not None, "-wrong")
        if wrong is not None and wrong != self._told:
            told = inert(f"{wrong.text} The experiment is what the text said before.", "$text-error")
            said.query_one(Static).update(Content.assemble(("✗ ", "bold $text-error"), told))
            said.scroll_home(animate=False)
        self._told = wrong


def _written(path: Path) -> str:
    """The preset's own text; empty where it cannot be read any more."""
    try:
        return read_text(path)
    except TunerError:
        return ""
