"""Dialogs for one key of the data, and for a wording: prompt and answer as templates, with what a record becomes.

They only ask. What is typed is checked while it is typed, by those who will use it; whoever opened the dialog makes
the change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from tui_tuner.errors import TunerError
from tui_tuner.ui.text import inert, visible
from tui_tuner.ui.widgets.data_pane import lines
from tui_tuner.ui.widgets.words import Hint

Record = Mapping[str, Any]


def refusal(error: TunerError) -> Content:
    """An error as a line of a dialog."""
    return Content.assemble(("✗ ", "bold $text-error"), inert(error.sentence(), "$text-error"))


class ValueDialog(ModalScreen[str | None]):
    """Asks for the value of one key. Returns it as typed, or None.

    Args:
        key: what is set; the title.
        about: what it is for.
        value: how it stands.
        check: called with what is typed; returns what it would do, raises TunerError for what cannot be.
    """

    BINDINGS = [("escape", "cancel", "Back")]  # noqa: RUF012
    DEFAULT_CSS = """
    ValueDialog Input { margin-top: 1; border: none; height: 1; padding: 0 1; background: $panel; }
    ValueDialog #value-said { margin-top: 1; min-height: 2; height: auto; }
    """

    def __init__(self, key: str, about: str, value: str, check: Callable[[str], str]) -> None:
        super().__init__()
        self._key, self._about, self._value, self._check = key, about, value, check

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = self._key
        with box:
            yield Static(inert(self._about, "$text-muted"))
            yield Input(self._value, id="value", compact=True)
            yield Static(id="value-said")
            yield Hint("enter sets it   esc go back")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._tell(event.value)

    def _tell(self, text: str) -> bool:
        said = self.query_one("#value-said", Static)
        try:
            said.update(inert(self._check(text), "$text-muted"))
        except TunerError as error:
            said.update(refusal(error))
            return False
        return True

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._tell(event.value):
            self.dismiss(event.value)

    def action_cancel(self) -> None:
        self.dismiss(None)


@dataclass(frozen=True)
class Wording:
    """One way of asking and answering, as templates."""

    prompt: str
    answer: str


class WordingDialog(ModalScreen[Wording | None]):
    """Asks for the templates of prompt and answer. Returns them, both empty to take the wording out, or None.

    Args:
        title: which wording it is.
        wording: how it stands.
        records: what the templates are tried on; the first is shown first.
        columns: what can be named in braces.
    """

    BINDINGS = [  # noqa: RUF012
        ("escape", "cancel", "Back"),
        ("ctrl+s", "keep", "Keep"),
        ("ctrl+n", "next_record", "Next record"),
    ]
    DEFAULT_CSS = """
    WordingDialog TextArea, WordingDialog #wording-shown {
        border: round $border-blurred; border-title-color: $text-muted; padding: 0 1;
    }
    WordingDialog TextArea { height: 1fr; min-height: 3; max-height: 8; }
    WordingDialog TextArea:focus { border: round $border; border-title-color: $text-primary; }
    WordingDialog #wording-shown { height: 2fr; }
    WordingDialog #wording-shown:focus { border: round $border; border-title-color: $text-primary; }
    WordingDialog #wording-columns { height: auto; max-height: 2; color: $text-muted; }
    """

    def __init__(self, title: str, wording: Wording, records: Sequence[Record], columns: Sequence[str]) -> None:
        super().__init__()
        self._title, self._wording, self._records, self._columns = title, wording, records, columns
        self._at = 0

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = self._title
        with box:
            yield Static(inert("columns  " + "  ".join(f"{{{name}}}" for name in self._columns)), id="wording-columns")
            for name, text in (("prompt", self._wording.prompt), ("answer", self._wording.answer)):
                area = TextArea(text, id=f"wording-{name}", soft_wrap=True, tab_behavior="focus")
                area.border_title = name
                yield area
            with VerticalScroll(id="wording-shown"):
                yield Static(id="wording-preview")
            yield Hint("^s keep   tab next field   ^n next record   esc go back")

    def on_mount(self) -> None:
        self.query_one("#wording-prompt", TextArea).focus()
        self._tell()

    def on_text_area_changed(self) -> None:
        self._tell()

    @property
    def wording(self) -> Wording:
        """What is typed."""
        prompt, answer = (self.query_one(f"#wording-{name}", TextArea).text for name in ("prompt", "answer"))
        return Wording(prompt, answer)

    def _tell(self) -> bool:
        """Shows what a record becomes, or what is wrong; whether all is well."""
        wording, box = self.wording, self.query_one("#wording-shown")
        shown = self.query_one("#wording-preview", Static)
        many = len(self._records)
        box.border_title = f"what record {self._at + 1} of the first {many} becomes" if many else "what it becomes"
        if not wording.prompt.strip() and not wording.answer.strip():
            fresh = not self._wording.prompt and not self._wording.answer
            text = "Write both, with columns in braces." if fresh else "Both are empty: the wording is taken out."
            shown.update(Content.styled(text, "$text-muted"))
            return True
        try:
            prompt, answer = rendered(wording, self._records[self._at] if many else {}, self._columns)
        except TunerError as error:
            shown.update(refusal(error))
            return False
        asked = Content(visible(prompt, lines=True))
        said = Content.styled(visible(answer, lines=True), "bold $text-success")
        heads = [Content.styled(name, "$text-muted") for name in ("prompt", "answer")]
        shown.update(lines([heads[0], asked, heads[1], said]))
        return True

    def action_next_record(self) -> None:
        self._at = (self._at + 1) % max(len(self._records), 1)
        self._tell()

    def action_keep(self) -> None:
        if self._tell():
            self.dismiss(self.wording)

    def action_cancel(self) -> None:
        self.dismiss(None)


def rendered(wording: Wording, record: Record, columns: Sequence[str]) -> tuple[str, str]:
    """What a record becomes.

    Raises:
        TunerError: one of them is missing or malformed, or names a column that there is not.
    """
    from tui_tuner.data.template import Template, unknown_column

    out = []
    for name, text in (("prompt", wording.prompt), ("answer", wording.answer)):
        if not text.strip():
            raise TunerError(f"the template of the {name} is empty", fix="write it, or empty both")
        template = Template.parse(text)
        for path in sorted(template.fields):
            if path not in columns and path.split(".")[0] not in {column.split(".")[0] for column in columns}:
                raise unknown_column(path, list(columns), text)
        out.append(template.render(record))
    return out[0], out[1]
