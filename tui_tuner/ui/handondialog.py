"""The dialog that hands a run's adapter on: in which form, and where to. Nothing that is there is written over."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from textual.widgets import Input

from tui_tuner.ui.formdialog import FormDialog
from tui_tuner.ui.text import visible
from tui_tuner.ui.typedpath import is_there, typed_path

_ABOUT = {
    "mlx": "mlx    as mlx-lm takes it with --adapter-path",
    "peft": "peft   as PEFT and transformers take it",
    "gguf": "gguf   merged, one file in float16; llama, mistral and mixtral only",
}


class HandOn(NamedTuple):
    """A form of `tui-tuner export`, and the place."""

    form: str
    target: Path


class HandOnDialog(FormDialog[HandOn, str]):
    """Asks for form and place. Returns them, or None.

    Args:
        run: the run's name.
        folder: where it goes unless another place is typed.
    """

    def __init__(self, run: str, folder: Path) -> None:
        super().__init__(f"Export the adapter of {visible(run)}", _ABOUT, folder, "handon")
        self._run = run

    def named(self, form: str, before: str, typed: str) -> str:
        """A place that nobody typed follows the form."""
        return self._place(form) if typed in ("", self._place(before)) else typed

    def _place(self, form: str) -> str:
        return f"{self._run}.gguf" if form == "gguf" else f"{self._run}-{form}"

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        target = typed_path(text, self.folder)
        if not text:
            self.say("Type where it shall be written.", wrong=True)
        elif self.form == "gguf" and target.suffix != ".gguf":
            self.say("A GGUF file ends in .gguf.", wrong=True)
        elif is_there(target):
            self.say("There is something in that place already: type another name.", wrong=True)
        else:
            self.dismiss(HandOn(self.form, target))
