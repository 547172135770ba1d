"""The dialog that writes what was measured into a file: which form, and where. It never writes over a file unasked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from textual.widgets import Input

from tui_tuner.errors import TunerError
from tui_tuner.evaluation.export import FORMATS, Format, write_export
from tui_tuner.ui.formdialog import FormDialog
from tui_tuner.ui.typedpath import typed_path

_ABOUT: dict[Format, str] = {
    "md": "Markdown   tables, definitions, the rows that moved most",
    "html": "HTML       one page with charts and tables, for any browser",
    "csv": "CSV        a line per row, with both answers and scores",
    "json": "JSON       everything, as `tui-tuner report --json`",
}


class ExportDialog(FormDialog[Path, Format]):
    """Writes a document. Returns where, or None when nothing was written.

    Args:
        document: makes what is to be written; called in a thread.
        stem: the file's name without its ending, which follows the form.
        folder: where it goes unless another place is typed.
    """

    def __init__(self, document: Callable[[], Mapping[str, Any]], stem: str, folder: Path) -> None:
        super().__init__("Export", {form: _ABOUT[form] for form in FORMATS}, folder, "export")
        self._document, self._stem = document, stem
        self._refused = ""
        """What was typed and is taken; entering it once more replaces what is there."""

    def named(self, form: Format, before: Format, typed: str) -> str:
        """The file's ending follows the form."""
        return f"{typed.removesuffix(f'.{before}')}.{form}" if typed else f"{self._stem}.{form}"

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.value.strip() != self._refused:
            self._refused = ""

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        if not text:
            self.say("Type where it shall be written.", wrong=True)
            return
        path, form, replace = typed_path(text, self.folder), self.form, text == self._refused
        self.say("◌ writing …")
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
            self.say("There is such a file already. Enter once more replaces it.", wrong=True)
        else:
            self.say(error.sentence(), wrong=True)
