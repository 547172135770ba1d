"""The dialog that hands a run's adapter on: in which form, and where to. Nothing that is there is written over."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.ui.text import clip_middle, visible

_ABOUT = {
    "mlx": "mlx    as mlx-lm takes it with --adapter-path",
    "peft": "peft   as PEFT and transformers take it",
    "gguf": "gguf   merged, one file in float16; llama, mistral and mixtral only",
}
_FORMS = tuple(_ABOUT)


class HandOn(NamedTuple):
    """A form of `tui-tuner export`, and the place."""

    form: str
    target: Path


class HandOnDialog(ModalScreen[HandOn | None]):
    """Asks for form and place. Returns them, or None.

    Args:
        run: the run's name.
        folder: where it goes unless another place is typed.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back"),
        Binding("down", "choose(1)", "Next form"),
        Binding("up", "choose(-1)", "Form before"),
    ]
    DEFAULT_CSS = """
    HandOnDialog Input { margin-top: 1; width: 1fr; border: none; height: 1; padding: 0 1; background: $panel; }
    HandOnDialog #handon-said { margin-top: 1; height: auto; min-height: 2; }
    """

    def __init__(self, run: str, folder: Path) -> None:
        super().__init__()
        self._run, self._folder, self._form = run, folder, "mlx"

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = Content(f"Export the adapter of {visible(self._run)}")
        with box:
            choices = OptionList(*(Option(_ABOUT[form], id=form) for form in _FORMS), markup=False)
            choices.can_focus = False  # the field keeps the focus; up and down choose
            yield choices
            yield Input(id="handon-target", compact=True)
            yield Static(id="handon-said")
            yield Static(Content("↑ ↓ form   enter writes it   esc back"), classes="hint")

    def on_mount(self) -> None:
        self._take("mlx")
        self.query_one(Input).focus()

    def action_choose(self, step: int) -> None:
        self._take(_FORMS[(_FORMS.index(self._form) + step) % len(_FORMS)])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._take(_FORMS[event.option_index])

    def _take(self, form: str) -> None:
        """Chooses a form; a place that nobody typed follows."""
        field = self.query_one(Input)
        own = field.value.strip() not in ("", self._place)
        self._form = form
        self.query_one(OptionList).highlighted = _FORMS.index(form)
        if not own:
            field.value = self._place
            field.cursor_position = len(field.value)
        self._say(f"In {clip_middle(self._folder, 70)}, unless the line above names another place.")

    @property
    def _place(self) -> str:
        return f"{self._run}.gguf" if self._form == "gguf" else f"{self._run}-{self._form}"

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        target = self._folder / Path(text).expanduser()
        if not text:
            self._say("Type where it shall be written.", wrong=True)
        elif self._form == "gguf" and target.suffix != ".gguf":
            self._say("A GGUF file ends in .gguf.", wrong=True)
        elif target.exists():
            self._say("There is something in that place already: type another name.", wrong=True)
        else:
            self.dismiss(HandOn(self._form, target))

    def _say(self, text: str, *, wrong: bool = False) -> None:
        sign = ("▲ ", "bold $text-warning") if wrong else ""
        self.query_one("#handon-said", Static).update(Content.assemble(sign, Content(visible(text))))

    def action_cancel(self) -> None:
        self.dismiss(None)
