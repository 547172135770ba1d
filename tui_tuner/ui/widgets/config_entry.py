"""A line to type a value into, below the list: checked while it is typed, and nothing changes before it is right.

It asks and shows; whoever opened it checks and makes the change.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from tui_tuner.errors import TunerError
from tui_tuner.ui.text import inert, visible
from tui_tuner.ui.widgets.config_edit import refusal


class Entry(Vertical):
    """The line; it is there only while something is typed."""

    DEFAULT_CSS = """
    Entry { display: none; height: auto; border: round $border; border-title-color: $text-primary; padding: 0 1; }
    Entry.-open { display: block; }
    Entry Input { border: none; height: 1; padding: 0; background: $panel; }
    Entry #entry-said { height: auto; min-height: 1; max-height: 3; }
    """

    class Given(Message):
        """A value was typed that is right, and enter was pressed."""

        def __init__(self, key: str, text: str) -> None:
            super().__init__()
            self.key, self.text = key, text

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key = ""
        self._check: Callable[[str], str] = lambda text: ""

    def compose(self) -> ComposeResult:
        yield Input(id="entry-value", compact=True)
        yield Static(id="entry-said", markup=False)

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    def ask(self, key: str, wanted: str, value: str, check: Callable[[str], str]) -> None:
        """Opens for a key.

        Args:
            wanted: what it takes, in words.
            value: how it stands.
            check: called with what is typed; returns what it works out to, raises TunerError for what cannot be.
        """
        self._key, self._check = key, check
        self.border_title = Content(key)
        self.border_subtitle = Content(visible(wanted))
        self.add_class("-open")
        line = self.query_one(Input)
        line.value = value
        line.focus()
        line.action_select_all()
        self._tell(value)

    def close(self) -> None:
        self.remove_class("-open")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self._tell(event.value)

    def _tell(self, text: str) -> bool:
        said = self.query_one("#entry-said", Static)
        try:
            meaning = self._check(text)
        except TunerError as error:
            said.update(Content.assemble(("✗ ", "bold $text-error"), inert(refusal(error), "$text-error")))
            return False
        said.update(Content.assemble(("✓ ", "bold $text-success"), inert(meaning or "enter sets it", "$text-muted")))
        return True

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._tell(event.value):
            self.close()
            self.post_message(self.Given(self._key, event.value))
