"""What dialogs that write into a file have in common: which form, and where. They write nothing themselves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.ui.text import clip_middle, visible
from tui_tuner.ui.widgets.words import Hint

Result = TypeVar("Result")
Form = TypeVar("Form", bound=str)


class FormDialog(ModalScreen[Result | None], Generic[Result, Form]):
    """Asks for a form and a place; escape gives None.

    Args:
        title: of the dialog; text that is inert.
        about: the forms, each with its words; the first is taken.
        folder: where it goes unless another place is typed.
        name: begins the names of its parts.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back"),
        Binding("down", "choose(1)", "Next form"),
        Binding("up", "choose(-1)", "Form before"),
    ]
    DEFAULT_CSS = """
    FormDialog Input { margin-top: 1; width: 1fr; border: none; height: 1; padding: 0 1; background: $panel; }
    FormDialog .said { margin-top: 1; height: auto; min-height: 2; }
    """

    def __init__(self, title: str, about: Mapping[Form, str], folder: Path, name: str) -> None:
        super().__init__()
        self._title, self._about, self.folder, self._name = title, about, folder, name
        self.form: Form = next(iter(about))

    def named(self, form: Form, before: Form, typed: str) -> str:
        """What stands in the line for the place when a form is chosen.

        Args:
            before: the form until now.
            typed: what stands there; empty at first.
        """
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = Content(self._title)
        with box:
            choices = OptionList(*(Option(words, id=form) for form, words in self._about.items()), markup=False)
            choices.can_focus = False  # the field keeps the focus; up and down choose
            yield choices
            yield Input(id=f"{self._name}-path", compact=True)
            yield Static(id=f"{self._name}-said", classes="said")
            yield Hint("↑ ↓ form   enter writes it   esc go back")

    def on_mount(self) -> None:
        self._take(self.form)
        self.query_one(Input).focus()

    def action_choose(self, step: int) -> None:
        forms = list(self._about)
        self._take(forms[(forms.index(self.form) + step) % len(forms)])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._take(list(self._about)[event.option_index])

    def action_cancel(self) -> None:
        self.dismiss(None)

    def say(self, text: str, *, wrong: bool = False) -> None:
        """A sentence below the line; the text is made inert."""
        sign = ("▲ ", "bold $text-warning") if wrong else ""
        words = visible(text) if wrong else (visible(text), "$text-muted")
        self.query_one(f"#{self._name}-said", Static).update(Content.assemble(sign, words))

    def _take(self, form: Form) -> None:
        field = self.query_one(Input)
        before, self.form = self.form, form
        self.query_one(OptionList).highlighted = list(self._about).index(form)
        field.value = self.named(form, before, field.value.strip())
        field.cursor_position = len(field.value)
        self.say(f"In {clip_middle(self.folder, 70)}, unless the line above names another place.")
