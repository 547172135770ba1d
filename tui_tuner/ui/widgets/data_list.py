"""A list of rows with one selected, drawn line by line: thousands of rows cost no more than those on screen.

It knows nothing of what a row is: whoever shows rows gives a count and a function that draws one. It must never hold a
widget per row, and never show selection by colour alone (the selected row carries a bar).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

GUTTER = 2
"""Cells at the left of every row that say whether it is the selected one."""

Draw = Callable[[int, int], Content]
"""Draws row `index` for a width in cells."""


def cell(content: Content | str, width: int, *, right: bool = False, style: str = "") -> Content:
    """One table cell of exactly `width` terminal cells: cut with an ellipsis, or filled with blanks."""
    if isinstance(content, str):
        content = Content.styled(content, style)
    if width <= 0:
        return Content("")
    length = cell_len(content.plain)
    if length > width:
        return content.truncate(width, ellipsis=True)
    return content.pad_left(width - length) if right else content.pad_right(width - length)


class RowList(ScrollView, can_focus=True):
    """A scrolling list with a cursor and, optionally, a header line that stays."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"row-list--header", "row-list--cursor", "row-list--cursor-blurred"}
    DEFAULT_CSS = """
    RowList {
        height: 1fr;
        scrollbar-size-vertical: 1;
        overflow-x: hidden;
        border-subtitle-color: $text-muted;
        & .row-list--header { color: $text-muted; text-style: bold; }
        & .row-list--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
        & .row-list--cursor-blurred {
            background: $block-cursor-blurred-background; color: $block-cursor-blurred-foreground;
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Previous", show=False),
        Binding("down", "move(1)", "Next", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "edge(-1)", "First", show=False),
        Binding("end", "edge(1)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]
    cursor: reactive[int] = reactive(0, init=False)

    class Highlighted(Message):
        """The cursor came to rest on a row."""

        def __init__(self, row_list: RowList, index: int) -> None:
            super().__init__()
            self.row_list = row_list
            self.index = index

        @property
        def control(self) -> RowList:
            return self.row_list

    class Chosen(Highlighted):
        """Enter, or a click on the row under the cursor."""

    def __init__(self, title: str = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=f"pane {classes or ''}")
        self.border_title = Content(title)
        self._count = 0
        self._draw: Draw | None = None
        self._header: Callable[[int], Content] | None = None
        self._skip: frozenset[int] = frozenset()

    @property
    def count(self) -> int:
        """How many rows the list holds."""
        return self._count

    def show(
        self,
        count: int,
        draw: Draw,
        *,
        header: Callable[[int], Content] | None = None,
        skip: frozenset[int] = frozenset(),
        cursor: int | None = None,
    ) -> None:
        """Shows `count` rows drawn by `draw`.

        Args:
            header: draws the line that stays at the top.
            skip: rows that the cursor passes over, such as headings.
            cursor: the row to select; the present one is kept (as far as it exists) when left out.
        """
        self._count, self._draw, self._header, self._skip = count, draw, header, skip
        self.set_reactive(RowList.cursor, self.validate_cursor(self.cursor if cursor is None else cursor))
        self._measure()
        self._reveal()
        self.refresh()

    def validate_cursor(self, value: int) -> int:
        """Keeps the cursor on a row that can be selected, searching onwards in the direction of the move."""
        if self._count == 0:
            return 0
        value = min(max(value, 0), self._count - 1)
        step = -1 if value < self.cursor else 1
        for direction in (step, -step):
            at = value
            while 0 <= at < self._count and at in self._skip:
                at += direction
            if 0 <= at < self._count:
                return at
        return value

    def watch_cursor(self) -> None:
        self._reveal()
        self.refresh()
        if self._count:
            self.post_message(self.Highlighted(self, self.cursor))

    def action_move(self, step: int) -> None:
        self.cursor += step

    def action_page(self, direction: int) -> None:
        self.cursor += direction * max(1, self.scrollable_content_region.height - self._top - 1)

    def action_edge(self, direction: int) -> None:
        self.cursor = 0 if direction < 0 else self._count - 1

    def action_choose(self) -> None:
        if self._count:
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        index = event.y - self.gutter.top + int(self.scroll_offset.y) - self._top
        if event.y - self.gutter.top < self._top or not 0 <= index < self._count or index in self._skip:
            return
        if index == self.cursor:
            self.action_choose()
        self.cursor = index

    def on_resize(self) -> None:
        self._measure()
        self._reveal()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    @property
    def _top(self) -> int:
        """Lines that the header takes."""
        return 1 if self._header is not None else 0

    def _measure(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, self._count + self._top)

    def _reveal(self) -> None:
        height = self.scrollable_content_region.height - self._top
        if height <= 0:
            return
        # A heading just above the cursor comes into view with it.
        first = self.cursor
        while first > 0 and first - 1 in self._skip:
            first -= 1
        offset = int(self.scroll_offset.y)
        # Forced: a list that has just grown has no scroll bar yet, and would not be scrolled without one.
        if first < offset:
            self.scroll_to(y=first, animate=False, force=True)
        elif self.cursor >= offset + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, force=True)

    def render_line(self, y: int) -> Strip:
        """One line of the viewport."""
        width = self.scrollable_content_region.width
        room = width - GUTTER
        if room <= 0 or self._draw is None:
            return Strip.blank(width, self.visual_style.rich_style)
        if y < self._top and self._header is not None:
            return self._line(self._header(room), " ", "row-list--header")
        index = int(self.scroll_offset.y) + y - self._top
        if index >= self._count:
            return Strip.blank(width, self.visual_style.rich_style)
        if index != self.cursor:
            return self._line(self._draw(index, room), " ", "")
        return self._line(
            self._draw(index, room), "▌", "row-list--cursor" if self.has_focus else "row-list--cursor-blurred"
        )

    def _line(self, content: Content, mark: str, component: str) -> Strip:
        width = self.scrollable_content_region.width
        style = self.get_visual_style(component) if component else self.visual_style
        room = width - GUTTER
        strips = Visual.to_strips(self, cell(content, room), room, 1, style, apply_selection=False)
        gutter = Segment(mark.ljust(GUTTER), style.rich_style)
        return Strip([gutter, *(strips[0] if strips else [])]).adjust_cell_length(width, style.rich_style)
