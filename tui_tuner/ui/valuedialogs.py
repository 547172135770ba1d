"""Dialogs for values that a line is too short for: texts and lists in several lines, and words to tick.

They only ask. What is typed is checked while it is typed; whoever opened the dialog makes the change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import SelectionList, Static, TextArea
from textual.widgets.selection_list import Selection

from tui_tuner.errors import TunerError
from tui_tuner.ui.text import inert
from tui_tuner.ui.widgets.config_edit import refusal
from tui_tuner.ui.widgets.config_editor import one_to_one
from tui_tuner.ui.widgets.words import Hint


@dataclass(frozen=True)
class Written:
    """What was typed, and whether it is TOML."""

    text: str
    toml: bool


class LongDialog(ModalScreen[Written | None]):
    """Asks for a text or a list in several lines. Returns what was typed, or None.

    Args:
        title: the key.
        about: what it is for.
        lines: the value with an item a line; None where it cannot be written so.
        toml: the value as TOML.
        check: called with what is typed; returns what it works out to, raises TunerError for what cannot be.
        switch: writes what is typed in the other form; None where it is not right yet, or cannot be written so.
        items: whether a line is an item; else the whole is one text.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back"),
        Binding("ctrl+s", "keep", "Keep"),
        Binding("ctrl+t", "form", "As TOML"),
    ]
    DEFAULT_CSS = """
    LongDialog TextArea { height: 1fr; min-height: 4; border: round $border-blurred; padding: 0 1; }
    LongDialog TextArea { border-title-color: $text-muted; }
    LongDialog TextArea:focus { border: round $border; border-title-color: $text-primary; }
    LongDialog #long-about { height: auto; max-height: 4; color: $text-muted; }
    LongDialog #long-said { height: auto; min-height: 1; max-height: 4; }
    """

    def __init__(
        self,
        title: str,
        about: str,
        lines: str | None,
        toml: str,
        check: Callable[[Written], str],
        switch: Callable[[Written], Written | None],
        *,
        items: bool = True,
    ) -> None:
        super().__init__()
        self._title, self._about, self._check, self._switch, self._items = title, about, check, switch, items
        self._lines = lines
        self._toml_text = toml
        self._toml = lines is None

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = Content(self._title)
        with box:
            yield Static(inert(self._about), id="long-about")
            yield _Text(self._toml_text if self._lines is None else self._lines, soft_wrap=True, tab_behavior="focus")
            yield Static(id="long-said", markup=False)
            yield Hint(id="long-hint")

    def on_mount(self) -> None:
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)
        self._tell()

    def on_text_area_changed(self) -> None:
        self._tell()

    @property
    def written(self) -> Written:
        """What is typed."""
        return Written(self.query_one(TextArea).text, self._toml)

    def _tell(self) -> bool:
        said = self.query_one("#long-said", Static)
        how = "TOML" if self._toml else "an item a line" if self._items else "text"
        self.query_one(TextArea).border_title = how
        other = "as lines" if self._toml else "as TOML"
        self.query_one("#long-hint", Hint).tell(f"^s keep   ^t {other}   esc go back")
        try:
            meaning = self._check(self.written)
        except TunerError as error:
            said.update(Content.assemble(("✗ ", "bold $text-error"), inert(refusal(error), "$text-error")))
            return False
        said.update(Content.assemble(("✓ ", "bold $text-success"), inert(meaning or "^s keeps it", "$text-muted")))
        return True

    def action_form(self) -> None:
        """Writes what stands there as TOML, or with an item a line."""
        other = self._switch(self.written)
        if other is not None:
            self._toml = other.toml
            self.query_one(TextArea).load_text(other.text)
            self._tell()

    def action_keep(self) -> None:
        if self._tell():
            self.dismiss(self.written)

    def action_cancel(self) -> None:
        self.dismiss(None)


class _Text(TextArea):
    """A text area in which nothing is hidden."""

    def get_line(self, line_index: int) -> Text:
        text = super().get_line(line_index)
        text.plain = one_to_one(text.plain)
        return text


class Ticks(SelectionList[str]):
    """Words with a box each, which is empty where a word is not ticked: Textual's own differ in colour alone."""

    def render_line(self, y: int) -> Strip:
        """A word and its box."""
        strip = super().render_line(y)
        at = int(self.scroll_offset.y) + y
        if at >= self.option_count or self.get_option_at_index(at).value in self.selected:
            return strip
        left, mark, *rest = strip
        return Strip([left, Segment(" " * len(mark.text), mark.style), *rest])


class WordsDialog(ModalScreen[list[str] | None]):
    """Asks which words of a list. Returns them in the list's order, or None.

    Args:
        title: the key.
        about: what it is for.
        words: all there are.
        chosen: those that are ticked.
        check: called with the ticked ones; returns what it works out to, raises TunerError for what cannot be.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back"), Binding("ctrl+s", "keep", "Keep")]
    DEFAULT_CSS = """
    WordsDialog SelectionList {
        height: auto; max-height: 14; border: none; background: $surface; margin-top: 1; padding: 0;
    }
    WordsDialog #words-said { height: auto; min-height: 1; margin-top: 1; }
    """

    def __init__(
        self, title: str, about: str, words: Sequence[str], chosen: Sequence[str], check: Callable[[list[str]], str]
    ) -> None:
        super().__init__()
        self._title, self._about, self._check = title, about, check
        self._words = [*words, *(word for word in chosen if word not in words)]
        self._chosen = list(chosen)

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = Content(self._title)
        with box:
            yield Static(inert(self._about, "$text-muted"))
            yield Ticks(*(Selection(inert(word), word, word in self._chosen) for word in self._words), compact=True)
            yield Static(id="words-said", markup=False)
            yield Hint("space ticks   ^s keep   esc go back")

    def on_mount(self) -> None:
        self.query_one(SelectionList).focus()
        self._tell()

    def on_selection_list_selected_changed(self) -> None:
        self._tell()

    @property
    def chosen(self) -> list[str]:
        """The ticked words: those that were there in their order, then new ones."""
        ticked = set(self.query_one(SelectionList).selected)
        kept = [word for word in self._chosen if word in ticked]
        return [*kept, *(word for word in self._words if word in ticked and word not in kept)]

    def _tell(self) -> bool:
        said = self.query_one("#words-said", Static)
        try:
            meaning = self._check(self.chosen)
        except TunerError as error:
            said.update(Content.assemble(("✗ ", "bold $text-error"), inert(refusal(error), "$text-error")))
            return False
        said.update(Content.assemble(("✓ ", "bold $text-success"), inert(meaning or "^s keeps it", "$text-muted")))
        return True

    def action_keep(self) -> None:
        if self._tell():
            self.dismiss(self.chosen)

    def action_cancel(self) -> None:
        self.dismiss(None)
