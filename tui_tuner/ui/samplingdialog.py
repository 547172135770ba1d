"""How the next answer is drawn: the named sets, and every setting with its bounds.

It only asks. What is typed is checked while it is typed, by the same rules as `/set`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.chat.sampling import GREEDY, Own, Sampling, named_set, set_names
from tui_tuner.errors import TunerError
from tui_tuner.ui.text import inert, visible
from tui_tuner.ui.widgets.words import Hint

ABOUT = {
    "temperature": "0 is greedy: the likeliest token",
    "top_p": "likeliest up to this share; 1 all",
    "top_k": "this many likeliest; 0 all",
    "min_p": "share of the likeliest's; 0 all",
    "repetition_penalty": "above 1 repeats less; 1 is none",
    "max_tokens": "where an answer is cut off",
    "seed": "of the drawing",
    "stop": "texts that end it; | parts them",
}
"""What each setting does, in a few words."""


def written(sampling: Sampling, name: str) -> str:
    """A setting as a person writes it."""
    if name == "stop":
        return "|".join(text.replace("\n", "\\n") for text in sampling.stop)
    return f"{getattr(sampling, name):.10g}"


def about_set(name: str, own: Own) -> str:
    """What a set is, in a few words."""
    try:
        return " · ".join(named_set(name, GREEDY, own).told()) or "always the likeliest token; for comparing"
    except TunerError as error:
        return f"✗ {visible(error.message)}"


class SamplingDialog(ModalScreen[Sampling | None]):
    """Asks for the settings. Returns them, or None when nothing shall change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back"),
        Binding("down", "app.focus_next", "Next"),
        Binding("up", "app.focus_previous", "Before"),
    ]
    DEFAULT_CSS = """
    SamplingDialog Horizontal { height: 1; }
    SamplingDialog .label { width: 20; }
    SamplingDialog .about { width: 1fr; color: $text-muted; padding-left: 2; }
    SamplingDialog .about, SamplingDialog #sampling-said { text-wrap: nowrap; text-overflow: ellipsis; }
    SamplingDialog Input { width: 16; border: none; height: 1; padding: 0 1; background: $panel; }
    SamplingDialog #sampling-said { height: 1; margin-top: 1; }
    """

    def __init__(self, now: Sampling, own: Own) -> None:
        super().__init__()
        self._now, self._own = now, own

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = "Sampling"
        with box:
            options = [
                Option(
                    Content.assemble((f"{visible(name):<18}", "bold"), (about_set(name, self._own), "$text-muted")),
                    id=name,
                )
                for name in set_names(self._own)
            ]
            yield OptionList(*options, markup=False, id="sampling-sets", compact=True)
            for name, about in ABOUT.items():
                with Horizontal():
                    yield Static(name.replace("_", " "), classes="label")
                    yield Input(written(self._now, name), id=f"sampling-{name}", compact=True)
                    yield Static(about, classes="about")
            yield Static(id="sampling-said", markup=False)
            yield Hint("enter takes a set, or all settings   tab ↑ ↓ next   esc go back")

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._read()

    def _read(self) -> Sampling | None:
        """The settings as typed; None, and why, while one of them is not right."""
        said, made = self.query_one("#sampling-said", Static), self._now
        for name in (each.name for each in fields(Sampling)):
            try:
                made = made.changed(name, self.query_one(f"#sampling-{name}", Input).value)
            except TunerError as error:
                self._complain(error)
                return None
        said.update(
            Content.assemble(("✓ ", "bold $text-success"), (" · ".join(made.told()) or "greedy", "$text-muted"))
        )
        return made

    def _complain(self, error: TunerError) -> None:
        said = self.query_one("#sampling-said", Static)
        text = TunerError(error.message, fix=error.fix).sentence()  # which begins with the place
        said.update(Content.assemble(("✗ ", "bold $text-error"), inert(text, "$text-error")))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        made = self._read()
        if made is not None:
            self.dismiss(made)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        try:
            self.dismiss(named_set(event.option_id or "greedy", self._read() or self._now, self._own))
        except TunerError as error:
            self._complain(error)

    def action_cancel(self) -> None:
        self.dismiss(None)
