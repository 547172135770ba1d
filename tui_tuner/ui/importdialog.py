"""What becomes of each key of another tool's configuration, before it is taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_tuner.config.describe import in_toml
from tui_tuner.ui.text import inert, visible
from tui_tuner.ui.widgets.data_pane import TextPane, lines, notice, wrap
from tui_tuner.ui.widgets.words import Hint

if TYPE_CHECKING:
    from tui_tuner.config.interchange import Entry, Imported

_SIGNS = {
    "mapped": ("=", "$text-success"),
    "changed": ("~", "$text-accent"),
    "default": ("+", "$text-muted"),
    "not mapped": ("✗", "$text-error"),
}


class ImportDialog(ModalScreen[bool | None]):
    """Shows the report. Returns whether the experiment shall be taken over.

    Args:
        found: the file, brought over.
        fills: whether there is an experiment whose model and data stand in for what the file does not name.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back"),
        Binding("enter", "take", "Take over", priority=True),
    ]
    DEFAULT_CSS = """
    ImportDialog TextPane { height: 1fr; }
    ImportDialog #import-said { height: auto; }
    """

    def __init__(self, found: Imported, fills: bool) -> None:
        super().__init__()
        self._found, self._fills = found, fills

    @property
    def _lacks(self) -> bool:
        return bool(self._found.missing) and not self._fills

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = Content(f"From {self._found.dialect}")
        with box:
            yield TextPane("What becomes of each key", id="import-report")
            yield Static(self._told(), id="import-said")
            keys = "esc go back" if self._lacks else "enter takes it over   esc go back"
            yield Hint(f"↑ ↓ scroll   {keys}")

    def on_mount(self) -> None:
        pane = self.query_one(TextPane)
        pane.draw(lambda width: report(self._found, width))
        pane.focus()

    def _told(self) -> Content:
        missing = " and ".join(self._found.missing)
        many = len(self._found.warnings)
        read = f"{many} to look at (!). " if many else ""
        if self._lacks:
            return inert(f"{read}It does not say {missing}: load a preset first, whose own are then taken.")
        takes = f"{missing} stays as it is now, as the file does not say it." if missing else ""
        return inert(f"{read}{takes}", "$text-muted")

    def action_take(self) -> None:
        if not self._lacks:
            self.dismiss(True)

    def action_cancel(self) -> None:
        self.dismiss(None)


def report(found: Imported, width: int) -> Content:
    """Every key with what became of it."""
    out = [notice("·", note, "$text-muted", width) for note in found.notes]
    for entry in found.entries:
        out += _entry(entry, width)
    return lines(out)


def _entry(entry: Entry, width: int) -> list[Content]:
    sign, style = ("!", "bold $text-warning") if entry.warning else _SIGNS[entry.fate]
    value = "null" if entry.value is None else in_toml(entry.value)
    became = f" → {entry.ours} = {in_toml(entry.becomes)}" if entry.ours else ""
    first = notice(sign, f"{entry.key} = {value}{became}", style, width)
    notes = wrap(visible(entry.note), max(width - 4, 8)) if entry.note else []
    return [first, *(Content.styled(f"    {part}", "$text-muted") for part in notes)]
