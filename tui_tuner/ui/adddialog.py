"""The dialog that adds a model or an adapter to a run's table: which one, with which adapter, under which name.

It only asks; whether the model can be had is found out by the engine, which says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.paths import safe_name
from tui_tuner.ui.text import clip_middle, visible
from tui_tuner.ui.typedpath import dropped
from tui_tuner.ui.widgets.words import Hint

TAKEN = ("before", "after", "summary", "verdict", "checkpoints")
"""Names that belong to the run itself."""


_FIELDS = {
    "model": "a model: a folder, owner/name of the Hub, or RUN:STEP",
    "adapter": "an adapter's folder on it (may be empty)",
    "label": "what to call the result",
}


class Subject(NamedTuple):
    """What is to be measured: a model or a run's checkpoint, perhaps an adapter's folder, and the result's name."""

    target: str
    adapter: str
    label: str


class AddDialog(ModalScreen[Subject | None]):
    """Asks what shall answer the run's test rows, too. Returns it, or None.

    Args:
        offered: what is at hand: (target, label) of each.
        known: labels that there are; taking one of them measures it anew.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back"),
        Binding("down", "choose(1)", "Next"),
        Binding("up", "choose(-1)", "Before"),
    ]
    DEFAULT_CSS = """
    AddDialog Input { margin-top: 1; width: 1fr; border: none; height: 1; padding: 0 1; background: $panel; }
    AddDialog #add-said { margin-top: 1; height: auto; min-height: 2; }
    """

    def __init__(self, offered: Sequence[tuple[str, str]], known: Sequence[str]) -> None:
        super().__init__()
        self._offered, self._known = list(offered), set(known)
        self._own_label = True
        """Whether the name follows the model, because nobody typed another."""

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = "Add a model or an adapter"
        with box:
            yield Static(Content("It answers the test rows of this run, and stands beside before and after."))
            choices = OptionList(*(Option(clip_middle(label, 60)) for _, label in self._offered), markup=False)
            choices.can_focus = False  # the fields keep the focus; up and down choose
            choices.display = bool(self._offered)
            yield choices
            for name, hint in _FIELDS.items():
                yield Input(placeholder=hint, id=f"add-{name}", compact=True)
            yield Static(id="add-said")
            yield Hint("↑ ↓ at hand   tab next field   enter measures   esc back")

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = None
        self.query_one("#add-model", Input).focus()
        self._say("")

    def action_choose(self, step: int) -> None:
        if self._offered:
            listed = self.query_one(OptionList)
            at = listed.highlighted
            self._take((0 if step > 0 else len(self._offered) - 1) if at is None else (at + step) % len(self._offered))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._take(event.option_index)

    def _take(self, at: int) -> None:
        self.query_one(OptionList).highlighted = at
        self.query_one("#add-model", Input).value = self._offered[at][0]
        self.query_one("#add-adapter", Input).value = ""
        self._own_label = True
        self.query_one("#add-label", Input).value = self._offered[at][1]

    def on_input_changed(self, event: Input.Changed) -> None:
        field = self.query_one("#add-label", Input)
        if event.input is field:
            self._own_label = self._own_label and field.value == self._following
        elif self._own_label:
            field.value = self._following
        self._say("")

    @property
    def _following(self) -> str:
        """The name that follows from model and adapter."""
        target, adapter, _ = self._typed
        for offered, label in self._offered:
            if offered == target and not adapter:
                return label
        text = adapter or target
        head, colon, which = text.rpartition(":")
        place = (head if colon and head else text).rstrip("/")
        name = place.rpartition("/")[2] + (f"-{which}" if colon and head else "")
        return safe_name(name) if name else ""

    @property
    def _typed(self) -> Subject:
        values = [self.query_one(f"#add-{name}", Input).value.strip() for name in ("model", "adapter", "label")]
        return Subject(dropped(values[0]), dropped(values[1]), values[2])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        target, adapter, label = self._typed
        if not target:
            self._say("Name a model first.", wrong=True)
            self.query_one("#add-model", Input).focus()
        elif not label or safe_name(label) in TAKEN:
            what = f"“{visible(label)}” belongs to the run itself" if label else "The result needs a name"
            self._say(f"{what}: call it something else.", wrong=True)
            self.query_one("#add-label", Input).focus()
        else:
            self.dismiss(Subject(target, adapter, safe_name(label)))

    def _say(self, text: str, *, wrong: bool = False) -> None:
        label = self._typed.label
        if not text and label and safe_name(label) in self._known:
            text = f"There is a result {visible(label)} already; measuring another model under its name replaces it."
        sign = ("▲ ", "bold $text-warning") if wrong else ""
        self.query_one("#add-said", Static).update(Content.assemble(sign, Content(text)))

    def action_cancel(self) -> None:
        self.dismiss(None)
