"""Changes that are offered, each with what it brings and costs: one is taken, or all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.ui.text import inert, visible
from tui_tuner.ui.widgets.words import Hint


@dataclass(frozen=True)
class Offer:
    """A change.

    Attributes:
        what: what is said or done, in a sentence.
        price: what it costs, or why; may be empty.
        overrides: `key=value` texts that make it; empty for what only a person can decide.
        sign: a sign and its style before it.
    """

    what: str
    price: str
    overrides: tuple[str, ...]
    sign: tuple[str, str] = ("·", "$text-muted")


class OfferDialog(ModalScreen[list[str] | None]):
    """Lists offers. Returns the overrides of the one that is taken, or of all, or None.

    Args:
        title: what they are about.
        text: what they add up to.
        offers: in the order in which they would be taken.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back"), Binding("a", "every", "All")]

    def __init__(self, title: str, text: str, offers: Sequence[Offer]) -> None:
        super().__init__()
        self._title, self._text, self._offers = title, text, offers

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = Content(self._title)
        with box:
            yield Static(inert(self._text, lines=True))
            yield OptionList(*(Option(_drawn(offer)) for offer in self._offers), markup=False)
            yield Hint("↑ ↓ choose   enter takes it   a takes all   esc go back")

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._take(self._offers[event.option_index : event.option_index + 1])

    def action_every(self) -> None:
        self._take(self._offers)

    def _take(self, offers: Sequence[Offer]) -> None:
        overrides = [text for offer in offers for text in offer.overrides]
        if overrides:
            self.dismiss(overrides)
        else:
            self.notify("Nothing here can be done with a key: it is yours to decide.", markup=False)

    def action_cancel(self) -> None:
        self.dismiss(None)


def _drawn(offer: Offer) -> Content:
    change = ", ".join(offer.overrides) or "yours to decide"
    parts: list[Content | str | tuple[str, str]] = [(f"{offer.sign[0]} ", offer.sign[1]), visible(offer.what)]
    if offer.price:
        parts.append((f"\n  {visible(offer.price)}", "$text-muted"))
    parts += [("\n  → ", "$text-accent"), (visible(change), "bold" if offer.overrides else "$text-muted")]
    return Content.assemble(*parts)
