"""Under which name an experiment is saved as a preset, and what that would take away.

It only asks. Nobody's preset is written over unasked: what would go is said while the name is typed, and enter asks
once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui_tuner.config.saving import Standing, offer_name, preset_path, standing
from tui_tuner.errors import TunerError
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.text import inert
from tui_tuner.ui.widgets.config_edit import refusal
from tui_tuner.ui.widgets.words import Hint


@dataclass(frozen=True)
class Save:
    """What is wished.

    Attributes:
        name: the preset's name, or the path of its file.
        title: the first line of its comment; may be empty.
        replace: whether what is there may be written over.
    """

    name: str
    title: str
    replace: bool


class SaveDialog(ModalScreen[Save | None]):
    """Asks for name and title. Returns the wish, or None.

    Args:
        name: offered first.
        title: offered first.
        text: what would be written, to tell what of an old preset would go.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back")]
    DEFAULT_CSS = """
    SaveDialog Input { border: none; height: 1; padding: 0 1; background: $panel; }
    SaveDialog .label { color: $text-muted; margin-top: 1; }
    SaveDialog #save-said { height: auto; min-height: 2; margin-top: 1; }
    """

    def __init__(self, name: str, title: str, text: str) -> None:
        super().__init__()
        self._name, self._title, self._text = name, title, text

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = "Save as preset"
        with box:
            yield Static("Name, or the path of a .toml file", classes="label")
            yield Input(self._name, id="save-name", compact=True)
            yield Static("Title, the first line of its comment", classes="label")
            yield Input(self._title, id="save-title", compact=True)
            yield Static(id="save-said", markup=False)
            yield Hint("tab next field   enter saves   esc go back")

    def on_mount(self) -> None:
        line = self.query_one("#save-name", Input)
        line.focus()
        line.action_select_all()
        self._tell()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._tell()

    @property
    def _typed(self) -> str:
        return self.query_one("#save-name", Input).value.strip()

    def _tell(self) -> Standing | TunerError | None:
        """Shows where it would go and what would go with it."""
        said = self.query_one("#save-said", Static)
        try:
            path, there = preset_path(self._typed), standing(self._typed, self._text)
        except TunerError as error:
            said.update(Content.assemble(("✗ ", "bold $text-error"), inert(refusal(error), "$text-error")))
            return error
        if there is None:
            said.update(Content.assemble(("✓ ", "bold $text-success"), inert(str(path), "$text-muted")))
        else:
            text = f"{there.sentence[:1].upper()}{there.sentence[1:]}."
            said.update(Content.assemble(("▲ ", "bold $text-warning"), inert(text)))
        return there

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        there = self._tell()
        if isinstance(there, TunerError):
            return
        title = self.query_one("#save-title", Input).value.strip()
        if there is None:
            self.dismiss(Save(self._typed, title, False))
            return
        self._ask(there, title)

    def _ask(self, there: Standing, title: str) -> None:
        """Asks whether to write over what is there, and offers another name first."""
        name = self._typed
        other = offer_name(there.path.stem)
        choices = [
            ("other", f"Save it as {other}", "What is there stays as it is."),
            (
                "replace",
                f"Save it as {there.path.stem} all the same",
                f"{there.sentence[:1].upper()}{there.sentence[1:]}.",
            ),
            ("no", "Go back", "Saves nothing."),
        ]

        def answered(answer: str | None) -> None:
            if answer == "other":
                self.dismiss(Save(other, title, False))
            elif answer == "replace":
                self.dismiss(Save(name, title, True))

        question = "There is a preset of that name." if there.hidden else "There is a preset already."
        self.app.push_screen(Question("Save as preset", question, choices), answered)

    def action_cancel(self) -> None:
        self.dismiss(None)
