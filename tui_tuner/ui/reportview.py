"""The report of a run on the screen, with the place of its file. It only shows text."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from tui_tuner.ui.text import clip_middle, visible
from tui_tuner.ui.widgets.data_pane import TextPane, lines

_LONGEST = 200_000
"""Characters that are shown; a file has all of them."""


class ReportView(ModalScreen[None]):
    """Shows a report.

    Args:
        make: gives the text and what to say of where it is; called in a thread.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,r,q", "close", "Back")]
    DEFAULT_CSS = """
    ReportView { align: left top; background: $background; }
    ReportView > #report { width: 1fr; height: 1fr; padding: 0; }
    ReportView TextPane { width: 1fr; height: 1fr; }
    """

    def __init__(self, make: Callable[[], tuple[str, str]]) -> None:
        super().__init__()
        self._make = make

    def compose(self) -> ComposeResult:
        with Vertical(id="report"):
            yield TextPane("Report")

    def on_mount(self) -> None:
        pane = self.query_one(TextPane)
        pane.focus()
        pane.draw(lambda _width: Content.styled("◌ reading the report …", "$text-muted"))
        self.run_worker(self._read, thread=True, exit_on_error=False, group="report")

    def _read(self) -> None:
        try:
            text, where = self._make()
        except Exception as error:
            text, where = f"There is no report: {error}", ""
        self.app.call_later(self._show, text, where)

    def _show(self, text: str, where: str) -> None:
        if not self.is_attached:  # it was left meanwhile
            return
        pane = self.query_one(TextPane)
        pane.border_subtitle = Content(clip_middle(where, max(self.size.width - 20, 20)) + "   esc goes back")
        pane.draw(lambda width: drawn(text[:_LONGEST], width))

    def action_close(self) -> None:
        self.dismiss(None)


def drawn(text: str, width: int) -> Content:
    """Markdown as it stands, headings bold, everything else as text; long lines are wrapped, tables are not."""
    out: list[Content] = []
    for line in visible(text, lines=True).split("\n"):
        if line.startswith("#"):
            out.append(Content.styled(line, "bold $text-primary"))
        elif line.startswith("|"):
            out.append(Content(line))
        else:
            style = "$text-muted" if line.startswith("    ") else ""
            out += Content.styled(line, style).wrap(max(width, 12)) if line else [Content("")]
    return lines(out)
