"""The table of all variants made of a model: what each lost and gained, so that one can be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.models_tables import variant_line, variant_said, variants_header
from tui_tuner.ui.widgets.words import Hint

_TERMS = (
    "perplexity: before → after, on the same rows; KL: nats per token away from the original; same: share of places "
    "with the same likeliest token."
)


class VariantsView(ModalScreen[str | None]):
    """Shows variants. Returns the path of the one that is chosen, or None.

    Args:
        name: of the model they were made of.
        variants: as `convert --json` lists them.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,v", "cancel", "Back")]
    DEFAULT_CSS = """
    VariantsView #variants-said { height: auto; min-height: 3; }
    """

    def __init__(self, name: str, variants: Sequence[dict[str, Any]]) -> None:
        super().__init__()
        self._of, self._variants = name, list(variants)

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = Content(f"Variants of {visible(self._of)}")
        with box:
            listed = RowList(id="variants")
            listed.remove_class("pane")
            listed.styles.height = len(self._variants) + 1
            yield listed
            yield Static(id="variants-said")
            yield Static(Content.styled(_TERMS, "$text-muted"))
            yield Hint("↑ ↓ look   enter goes to it in the list   esc back")

    def on_mount(self) -> None:
        listed = self.query_one(RowList)
        listed.show(
            len(self._variants),
            lambda at, width: variant_line(self._variants[at], width),
            header=variants_header,
            cursor=max(len(self._variants) - 1, 0),
        )
        listed.focus()
        self._say(listed.cursor)

    def on_row_list_highlighted(self, event: RowList.Highlighted) -> None:
        self._say(event.index)

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        self.dismiss(str(self._variants[event.index]["path"]))

    def _say(self, at: int) -> None:
        self.query_one("#variants-said", Static).update(Content(variant_said(self._variants[at])))

    def action_cancel(self) -> None:
        self.dismiss(None)
