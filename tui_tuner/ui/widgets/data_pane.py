"""A titled, scrolling pane of text that is drawn for its width. It keeps nothing but what it was last given to draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.css.styles import RulesMap
from textual.geometry import Size
from textual.style import Style
from textual.widget import Widget

from tui_tuner.ui.text import visible

Drawing = Callable[[int], Content]
"""Makes the content for a width in cells."""


class _Drawn(Widget):
    """The text itself: as high as what is drawn for the width it is given."""

    DEFAULT_CSS = "_Drawn { width: 1fr; height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._drawing: Drawing = lambda _width: Content("")
        self._cached: tuple[int, Content] | None = None

    def draw(self, drawing: Drawing) -> None:
        self._drawing = drawing
        self._cached = None
        self.refresh(layout=True)

    def content_for(self, width: int) -> Content:
        if self._cached is None or self._cached[0] != width:
            self._cached = (width, self._drawing(max(width, 1)))
        return self._cached[1]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self.content_for(width).get_height(cast(RulesMap, self.styles), width)

    def render(self) -> Content:
        return self.content_for(self.content_size.width)


class TextPane(VerticalScroll, can_focus=True):
    """Text that scrolls with the arrow keys when it has the focus."""

    DEFAULT_CSS = """
    TextPane { scrollbar-size-vertical: 1; border-subtitle-color: $text-muted; }
    """

    def __init__(self, title: str = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=f"pane {classes or ''}")
        self.border_title = Content(title)
        self._text = _Drawn()

    def compose(self) -> ComposeResult:
        yield self._text

    def draw(self, drawing: Drawing, *, keep_place: bool = False) -> None:
        """Shows what `drawing` makes, from its top unless the place is to be kept."""
        self._text.draw(drawing)
        if not keep_place:
            self.scroll_home(animate=False)

    @property
    def plain(self) -> str:
        """What the pane shows, as plain text."""
        return self._text.content_for(max(self.scrollable_content_region.width, 1)).plain


def lines(parts: Iterable[Content | str]) -> Content:
    """The parts below one another."""
    return Content("\n").join(list(parts))


def wrap(text: str, width: int) -> list[str]:
    """`text` (already visible, one line) broken at blanks into lines of at most `width` cells; long words are cut."""
    out: list[str] = []
    line = ""
    for word in text.split(" "):
        while cell_len(word) > width > 0:
            room = width - (cell_len(line) + 1 if line else 0)
            if room < 1:
                out.append(line)
                line, room = "", width
            head = _head(word, room)
            out.append(f"{line} {head}" if line else head)
            line, word = "", word[len(head) :]
        if not line:
            line = word
        elif cell_len(line) + 1 + cell_len(word) <= width:
            line = f"{line} {word}"
        else:
            out.append(line)
            line = word
    out.append(line)
    return out


def _head(word: str, cells: int) -> str:
    """The longest start of a word that fits, but never less than one character."""
    used = 0
    for at, character in enumerate(word):
        used += cell_len(character)
        if used > cells:
            return word[: max(at, 1)]
    return word


def pairs(rows: Sequence[tuple[str, str | Content]], width: int, label: int = 0, style: str | Style = "") -> Content:
    """Labels and values below one another; values that are strings wrap under themselves.

    Args:
        rows: (label, value); an empty label starts a blank line when the value is empty too.
        width: cells in all.
        label: cells of the label column; as wide as the longest label when 0.
        style: of string values.
    """
    label = label or max((cell_len(name) for name, _ in rows), default=0) + 2
    out: list[Content] = []
    for name, value in rows:
        head = (name.ljust(label), "$text-muted")
        if isinstance(value, Content):
            out.append(Content.assemble(head, value))
            continue
        first, *rest = wrap(visible(value), max(width - label, 8))
        out.append(Content.assemble(head, (first, style)))
        out.extend(Content.assemble(" " * label, (more, style)) for more in rest)
    return lines(out)


def notice(glyph: str, text: str, style: str, width: int) -> Content:
    """A sentence behind a sign, wrapped under itself. The sign carries the meaning where colour cannot."""
    first, *rest = wrap(visible(text), max(width - 2, 8))
    parts = [Content.assemble((f"{glyph} ", style), first), *(Content(f"  {more}") for more in rest)]
    return lines(parts)
