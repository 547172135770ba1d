"""One of many: a list that narrows while one types, or what was typed itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.ui.text import clip, clip_middle, inert, visible
from tui_tuner.ui.widgets.words import Hint

_NAME = 30


@dataclass(frozen=True)
class Item:
    """Something to pick.

    Attributes:
        id: what the dialog returns.
        name: what it is called.
        about: a few words beside it.
        kind: the heading that it stands under.
    """

    id: str
    name: str
    about: str = ""
    kind: str = ""


class PickDialog(ModalScreen[str | None]):
    """Asks for one of the items. Returns its id, what was typed where that is allowed and nothing fits, or None.

    Args:
        title: what is picked.
        text: what will become of it.
        items: in their order; those of a kind stand together.
        placeholder: for the line; empty where only items can be picked.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back")]
    DEFAULT_CSS = """
    PickDialog Input { border: none; height: 1; padding: 0 1; background: $panel; margin-top: 1; }
    PickDialog .dialog OptionList { height: auto; max-height: 14; }
    """

    def __init__(self, title: str, text: str, items: Sequence[Item], placeholder: str = "") -> None:
        super().__init__()
        self._title, self._text, self._items, self._placeholder = title, text, items, placeholder

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = Content(self._title)
        with box:
            yield Static(inert(self._text, "$text-muted"))
            yield Input(placeholder=self._placeholder or "part of a name", id="pick", compact=True)
            yield OptionList(id="picks", markup=False)
            yield Hint("type to narrow   ↑ ↓ choose   enter takes it   esc go back")

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._fill("")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._fill(event.value)

    def _fill(self, typed: str) -> None:
        words = typed.casefold().split()
        listed = self.query_one("#picks", OptionList)
        options: list[Option | None] = []
        kind = ""
        for item in self._items:
            if not all(word in f"{item.name} {item.about}".casefold() for word in words):
                continue
            if item.kind != kind:
                kind = item.kind
                options.append(Option(Content.styled(kind.upper(), "bold $text-muted"), disabled=True))
            name = clip_middle(item.name, _NAME).ljust(_NAME)
            options.append(Option(Content.assemble(name, "  ", (clip(item.about, 56), "$text-muted")), id=item.id))
        if not options and self._placeholder and typed.strip():
            options.append(Option(Content.assemble("the file ", (visible(typed.strip()), "bold")), id=typed.strip()))
        elif not options:
            options.append(
                Option(Content.styled("None is called that; take letters back.", "$text-muted"), disabled=True)
            )
        listed.clear_options().add_options(options)
        listed.action_first()

    def on_key(self, event: events.Key) -> None:
        """Up and down move in the list while one types."""
        listed = self.query_one("#picks", OptionList)
        if event.key in ("up", "down") and self.query_one(Input).has_focus:
            event.stop()
            event.prevent_default()
            (listed.action_cursor_up if event.key == "up" else listed.action_cursor_down)()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        listed = self.query_one("#picks", OptionList)
        at = listed.highlighted
        if at is not None and listed.option_count:
            self.dismiss(listed.get_option_at_index(at).id)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_id)

    def action_cancel(self) -> None:
        self.dismiss(None)
