"""The dialog for another learning rate: the present one, quick choices, a field, and what the wish would come to.

It only asks. The answer is the wish as a request carries it; whoever opened the dialog sends it.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.errors import TunerError
from tui_tuner.runs.rates import RateWish
from tui_tuner.ui import format as fmt
from tui_tuner.ui.rates import QUICK, RateFacts, now_content, preview
from tui_tuner.ui.text import inert
from tui_tuner.ui.widgets.words import Hint

_LOOK = 0.5
"""Seconds between looks at the run, which goes on behind the dialog."""


class RateDialog(ModalScreen[float | str | None]):
    """Asks for another learning rate. Returns a rate, a factor such as "x0.5", or None when nothing shall change.

    Args:
        facts: gives the rate as it is now; asked again and again.
    """

    BINDINGS = [  # noqa: RUF012
        ("escape", "cancel", "Back"),
        ("down", "quick(1)", "Next choice"),
        ("up", "quick(-1)", "Previous choice"),
    ]
    DEFAULT_CSS = """
    RateDialog Input { margin-top: 1; width: 1fr; border: none; height: 1; padding: 0 1; background: $panel; }
    RateDialog #rate-preview { margin-top: 1; min-height: 2; height: auto; }
    RateDialog.-scheduled #rate-preview { min-height: 5; }
    """

    def __init__(self, facts: Callable[[], RateFacts]) -> None:
        super().__init__()
        self._facts = facts
        self._shown: RateFacts | None = None

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = "Learning rate"
        with box:
            yield Static(id="rate-now")
            yield Input(placeholder="a rate such as 5e-6, or a factor such as x0.5 or /2", id="rate-wish", compact=True)
            choices = OptionList(*(Option("", id=wish) for wish, _ in QUICK), markup=False, id="rate-quick")
            choices.can_focus = False  # the field keeps the focus; up and down choose
            yield choices
            yield Static(id="rate-preview")
            yield Hint("↑ ↓ choose   enter sets it   esc go back")

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = None
        self.query_one(Input).focus()
        self._look()
        self.set_interval(_LOOK, self._look)

    def _look(self) -> None:
        """Takes over what is new of the run."""
        facts = self._facts()
        if facts == self._shown:
            return
        self._shown = facts
        self.set_class(facts.scheduled, "-scheduled")
        self.query_one("#rate-now", Static).update(now_content(facts))
        choices = self.query_one(OptionList)
        for wish, name in QUICK:
            try:
                becomes = fmt.rate(RateWish.parse(wish).rate(facts.present or 0.0))
            except TunerError:
                becomes = fmt.DASH
            line = Content.assemble((f"{name:<9}", "bold"), (f"{wish.replace('x', '×'):<6}", "$text-muted"), becomes)
            choices.replace_option_prompt(wish, line)
        self._tell()

    def _tell(self) -> None:
        """Says what the wish in the field would come to, or what is wrong with it."""
        text, facts = self.query_one(Input).value, self._shown
        if not text.strip() or facts is None:
            content = Content.styled("Type a rate or a factor, or choose one with ↑ and ↓.", "$text-muted")
        else:
            try:
                content = preview(facts, RateWish.parse(text))
            except TunerError as error:
                content = Content.assemble(("✗ ", "bold $text-error"), inert(error.sentence(), "$text-error"))
        self.query_one("#rate-preview", Static).update(content)

    def on_input_changed(self) -> None:
        self._tell()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        facts = self._shown
        try:
            wish = RateWish.parse(event.value)
            if facts is not None:
                preview(facts, wish)
        except TunerError:
            self._tell()  # it says what is wrong
            return
        self.dismiss(wish.value)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click on a choice puts it into the field."""
        event.stop()
        self._choose(event.option_index)

    def action_quick(self, by: int) -> None:
        at = self.query_one(OptionList).highlighted
        self._choose(0 if at is None and by > 0 else (((at or 0) + by) % len(QUICK)))

    def _choose(self, at: int) -> None:
        self.query_one(OptionList).highlighted = at
        field = self.query_one(Input)
        field.value = QUICK[at][0]
        field.cursor_position = len(field.value)

    def action_cancel(self) -> None:
        self.dismiss(None)
