"""The experiment as stock mlx-lm takes it: its YAML, what stock does otherwise, and the command, to copy or write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui_tuner.atomic import write_atomic
from tui_tuner.errors import TunerError
from tui_tuner.ui.text import inert, visible
from tui_tuner.ui.typedpath import is_there, typed_path
from tui_tuner.ui.widgets.data_pane import TextPane, lines, notice
from tui_tuner.ui.widgets.words import Hint

if TYPE_CHECKING:
    from tui_tuner.config.interchange import StockFile


class StockDialog(ModalScreen[None]):
    """Shows file and command; writes the file where a person says.

    Args:
        stock: the file.
        folder: where it goes unless another path is typed.
        name: the file's name.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back"),
        Binding("ctrl+y", "copy", "Copy the command"),
        Binding("ctrl+t", "copy_file", "Copy the file"),
    ]
    DEFAULT_CSS = """
    StockDialog Input { border: none; height: 1; padding: 0 1; background: $panel; }
    StockDialog TextPane { height: 1fr; }
    StockDialog #stock-command { height: auto; margin-top: 1; }
    StockDialog #stock-said { height: auto; min-height: 1; }
    """

    def __init__(self, stock: StockFile, folder: Path, name: str) -> None:
        super().__init__()
        self._stock, self._folder, self._file = stock, folder, name
        self._asked = ""

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = "For stock mlx-lm"
        with box:
            yield TextPane("YAML", id="stock-file")
            yield Static(id="stock-command", markup=False)
            yield Input(str(self._folder / self._file), id="stock-path", compact=True)
            yield Static(id="stock-said", markup=False)
            yield Hint("enter writes it   ^y copies the command   ^t the file   esc back")

    def on_mount(self) -> None:
        equal = self._stock.equal
        text = "Stock mlx-lm trains to the same losses with it." if equal else "Stock mlx-lm does some of it otherwise:"

        def draw(width: int) -> Content:
            sign, style = ("✓", "bold $text-success") if equal else ("▲", "bold $text-warning")
            yaml = "\n".join(line for line in self._stock.text.split("\n") if not line.startswith("#"))
            told = [notice("·", line, "$text-muted", width) for line in self._stock.told]
            return lines([notice(sign, text, style, width), *told, "", visible(yaml, lines=True)])

        self.query_one(TextPane).draw(draw)
        self.query_one(Input).focus()
        self._tell_command()

    @property
    def _path(self) -> Path:
        return typed_path(self.query_one(Input).value.strip(), self._folder)

    @property
    def command(self) -> str:
        """The command that trains with the file."""
        from tui_tuner.config.interchange import lora_command

        return str(lora_command(self._path))

    def _tell_command(self) -> None:
        said = Content.assemble(("$ ", "$text-muted"), inert(self.command, "bold"))
        self.query_one("#stock-command", Static).update(said)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._asked = ""
        self._tell_command()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        said = self.query_one("#stock-said", Static)
        path = self._path
        if is_there(path) and self._asked != str(path):
            self._asked = str(path)
            said.update(
                Content.assemble(("▲ ", "bold $text-warning"), "It is there already; enter again writes over it.")
            )
            return
        try:
            write_atomic(path, self._stock.text)
        except TunerError as error:
            said.update(Content.assemble(("✗ ", "bold $text-error"), inert(error.sentence())))
            return
        said.update(Content.assemble(("✓ ", "bold $text-success"), inert(f"Written: {path}")))

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.command)
        self.notify("The command is in the clipboard, where the terminal allows it.", markup=False)

    def action_copy_file(self) -> None:
        self.app.copy_to_clipboard(self._stock.text)
        self.notify("The file is in the clipboard, where the terminal allows it.", markup=False)

    def action_cancel(self) -> None:
        self.dismiss(None)
