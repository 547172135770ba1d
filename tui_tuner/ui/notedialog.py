"""The dialog for what one notes of a run: its tags and a line of text. It only asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui_tuner.errors import TunerError
from tui_tuner.runs.labels import Labels
from tui_tuner.ui.text import clip_middle, inert, visible
from tui_tuner.ui.widgets.words import Hint


@dataclass(frozen=True)
class Note:
    """What is to be noted, in the place of what was."""

    tags: tuple[str, ...]
    text: str


class NoteDialog(ModalScreen[Note | None]):
    """Asks for tags and note of a run. Returns them, or None when nothing shall change.

    Args:
        name: the run's.
        labels: what is noted now.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back")]
    DEFAULT_CSS = """
    NoteDialog Input { border: none; height: 1; padding: 0 1; background: $panel; }
    NoteDialog .label { color: $text-muted; margin-top: 1; }
    NoteDialog #note-said { height: auto; min-height: 1; margin-top: 1; }
    """

    def __init__(self, name: str, labels: Labels) -> None:
        super().__init__()
        self._name, self._labels = name, labels

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = inert(clip_middle(self._name, 50))
        with box:
            yield Static("Tags, words apart by blanks", classes="label")
            yield Input(" ".join(self._labels.tags), placeholder="keep baseline", id="note-tags", compact=True)
            yield Static("Note", classes="label")
            # A field shows what it holds as it is, and a note may have come with somebody else's run.
            note = visible(self._labels.note)
            yield Input(note, placeholder="what is worth remembering of it", id="note-text", compact=True)
            yield Static(id="note-said", markup=False)
            yield Hint("tab next field   enter keeps it   esc go back")

    def on_mount(self) -> None:
        self.query_one("#note-tags", Input).focus()

    def _wished(self) -> Note:
        """What the fields say.

        Raises:
            TunerError: a tag or note cannot be.
        """
        labels = Labels().tagged(self.query_one("#note-tags", Input).value.replace("#", " ").split())
        return Note(labels.tags, labels.noted(self.query_one("#note-text", Input).value).note)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        said = self.query_one("#note-said", Static)
        try:
            self._wished()
        except TunerError as error:
            said.update(Content.assemble(("✗ ", "bold $text-error"), inert(error.sentence(), "$text-error")))
        else:
            said.update("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            self.dismiss(self._wished())
        except TunerError:
            return  # it stands below the fields

    def action_cancel(self) -> None:
        self.dismiss(None)
