"""The dialog that writes what was measured into a file: which form, and where. It never writes over a file unasked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.export import FORMATS, Format, write_export
from tui_tuner.ui.text import clip_middle, inert, visible

_ABOUT: dict[Format, str] = {
    "md": "Markdown   tables, definitions, the rows that moved most",
    "html": "HTML       one page with charts and tables, for any browser",
    "csv": "CSV        a line per row, with both answers and scores",
    "json": "JSON       everything, as `tui-tuner report --json`",
}


class ExportDialog(ModalScreen[Path | None]):
    """Writes a document. Returns where, or None when nothing was written.

    Args:
        document: makes what is to be written; called in a thread.
        stem: the file's name without its ending, which follows the form.
        folder: where it goes unless another place is typed.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back"),
        Binding("down", "choose(1)", "Next form"),
        Binding("up", "choose(-1)", "Form before"),
    ]
    DEFAULT_CSS = """
    ExportDialog Input { margin-top: 1; width: 1fr; border: none; height: 1; padding: 0 1; background: $panel; }
    ExportDialog #export-said { margin-top: 1; height: auto; min-height: 2; }
    """

    def __init__(self, document: Callable[[], Mapping[str, Any]], stem: str, folder: Path) -> None:
        super().__init__()
        self._document, self._stem, self._folder = document, stem, folder
        self._form: Format = "md"
        self._refused = ""
        """What was typed and is taken; entering it once more replaces what is there."""

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = "Export"
        with box:
            choices = OptionList(*(Option(_ABOUT[form], id=form) for form in FORMATS), markup=False)
            choices.can_focus = False  # the field keeps the focus; up and down choose
            yield choices
            yield Input(id="export-path", compact=True)
            yield Static(id="export-said")
            yield Static(Content("↑ ↓ form   enter writes it   esc go back"), classes="hint")

    def on_mount(self) -> None:
        self._take("md")
        self.query_one(Input).focus()

    def action_choose(self, step: int) -> None:
        self._take(FORMATS[(FORMATS.index(self._form) + step) % len(FORMATS)])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._take(FORMATS[event.option_index])

    def _take(self, form: Format) -> None:
        """Chooses a form, and lets the file's ending follow."""
        field = self.query_one(Input)
        before, self._form = self._form, form
        self.query_one(OptionList).highlighted = FORMATS.index(form)
        typed = field.value.strip()
        own = typed.removesuffix(f".{before}") if typed.endswith(f".{before}") else typed
        field.value = f"{own}.{form}" if typed else f"{self._stem}.{form}"
        field.cursor_position = len(field.value)
        self._say(f"In {clip_middle(self._folder, 70)}, unless the line above names another place.")

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.value.strip() != self._refused:
            self._refused = ""

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        if not text:
            self._say("Type where it shall be written.", wrong=True)
            return
        path, form, replace = self._folder / Path(text).expanduser(), self._form, text == self._refused
        self._say("◌ writing …")
        self.run_worker(
            lambda: self._write(text, path, form, replace),
            thread=True,
            exit_on_error=False,
            exclusive=True,
            group="export",
        )

    def _write(self, text: str, path: Path, form: Format, replace: bool) -> None:
        """In a thread: a long benchmark, or a slow disk, must not hold up the screen."""
        try:
            written = write_export(path, self._document(), form, replace=replace)
        except TunerError as error:
            self.app.call_later(self._refuse, text, error)
        except Exception as error:
            self.app.call_later(self._refuse, text, TunerError(f"cannot be written: {error}", where=str(path)))
        else:
            self.app.call_later(self._done, written)

    def _done(self, path: Path) -> None:
        if self.is_current:
            self.dismiss(path)

    def _refuse(self, text: str, error: TunerError) -> None:
        if not self.is_current:
            return
        if error.code == "exists":
            self._refused = text
            self._say("There is such a file already. Enter once more replaces it.", wrong=True)
        else:
            self._say(error.sentence(), wrong=True)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        content = inert(text, "$text-muted")
        if wrong:
            content = Content.assemble(("▲ ", "bold $text-warning"), visible(text))
        self.query_one("#export-said", Static).update(content)

    def action_cancel(self) -> None:
        self.dismiss(None)
