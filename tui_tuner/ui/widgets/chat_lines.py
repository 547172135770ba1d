"""Lines that grow at their end, drawn one by one, of which only those in sight and new cost anything.

A line that was drawn is handed out again as it is, border and all, wherever it stands by now. It knows nothing of what
the lines say, and must never ask for a layout because there are more of them: only the scroll bar, which is always
there, depends on how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

_MOST_STRIPS = 600
_AHEAD = 8
"""Most blank lines that are left below the end when growing lines have reached the bottom: until these are full as well
nothing moves, and only what is new is drawn."""


class GrowingLines(ScrollView, can_focus=True):
    """A widget of lines; whoever has some says how many (`set_count`) and draws one (`drawn`)."""

    DEFAULT_CSS = """
    GrowingLines {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
    }
    """

    def __init__(self, *, id: str | None = None, classes: str = "pane") -> None:
        super().__init__(id=id, classes=classes)
        self._count = 0
        self._strips: dict[int, Strip] = {}  # lines as they were drawn last, borders and all
        self._bar = (0, 0)
        self._ahead = 0  # blank lines below the end
        self.followed = True  # whether the end was in sight before the widget's size changed

    def drawn(self, at: int) -> Strip:
        """One line, from 0, as wide as `room`."""
        raise NotImplementedError

    @property
    def room(self) -> int:
        """Cells of a line."""
        return self.scrollable_content_region.width

    @property
    def at_end(self) -> bool:
        """Whether the last line is in sight, or all but."""
        return self.scroll_y >= min(self._beyond, self.max_scroll_y) - 1

    @property
    def _beyond(self) -> int:
        """How many lines are above the window when the last one is at its bottom."""
        return max(self._count - self.scrollable_content_region.height, 0)

    def set_count(self, count: int) -> None:
        """All lines are new."""
        self._ahead = 0
        self._strips.clear()
        used = max(count, self._count) - int(self.scroll_y)
        self._resize(count)
        self.followed = self.at_end
        size = self.scrollable_content_region.size
        if used > 0:  # what was blank and is blank stays as it is
            self.refresh(Region(0, 0, size.width, min(used, size.height)))

    def changed_from(self, first: int, count: int, *, more: bool = False) -> None:
        """Lines from this one on look otherwise; if the end was in sight, it stays so.

        Args:
            more: whether there will be more of them: room is made for some at a time.
        """
        at_end, end = self.at_end, max(count, self._count)
        for line in [line for line in self._strips if first <= line < end]:
            del self._strips[line]
        self._ahead = min(max(self._ahead - (count - self._count), 0), _AHEAD)
        self._resize(count)
        if at_end and self._beyond > self.scroll_y:
            self._ahead = min(self.scrollable_content_region.height // 4, _AHEAD) if more else 0
            self._resize(count)
            self.go_to_end()
            return
        scrolled, size = int(self.scroll_y), self.scrollable_content_region.size
        top, bottom = max(first - scrolled, 0), min(end - scrolled, size.height)
        if top < bottom:
            self.refresh(Region(0, top, size.width, bottom - top))

    def go_to_end(self) -> None:
        """Scrolls to the last line."""
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        self.followed = True

    def bring(self, first: int, last: int) -> None:
        """Scrolls as little as it takes to have these lines in sight."""
        height = self.scrollable_content_region.height
        if first < self.scroll_y:
            self.scroll_to(y=first, animate=False, force=True)
        elif last >= self.scroll_y + height:
            self.scroll_to(y=last - height + 1, animate=False, force=True)

    def _resize(self, count: int) -> None:
        self._count = count
        size = Size(self.room, count + self._ahead)
        if size == self.virtual_size:
            return
        self.set_reactive(Widget.virtual_size, size)
        self._draw_bar()
        if self.scroll_y > self.max_scroll_y:
            self.go_to_end()

    def _draw_bar(self) -> None:
        """Tells the scroll bar what is new, if one could see it: a bar costs as much as half a screen of text."""
        height, window = max(self.virtual_size.height, 1), self.scrollable_content_region.height
        look = (round(window * self.scroll_y / height), min(round(window * window / height), window))
        if look != self._bar:
            self._bar = look
            self.vertical_scrollbar.window_virtual_size = height
            self.vertical_scrollbar.position = self.scroll_y

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        self._draw_bar()
        self.followed = self.at_end
        if round(old_value) != round(new_value):
            self.refresh(self.size.region)

    # -- drawing ------------------------------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        """Colours have changed: with the theme, or with the focus."""
        super().notify_style_update()
        self._strips.clear()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Part of the widget, line by line."""
        width, top = self.region.width, self.gutter.top
        inside = range(top, top + self.scrollable_content_region.height)
        scrolled, keep = int(self.scroll_y), self.text_selection is None
        strips = {y: self._strips.get(scrolled + y - top) if keep and y in inside else None for y in crop.line_range}
        # A request for the border and its colours costs more than a line: lines that follow each other are one request.
        for first, last in _stretches([y for y, strip in strips.items() if strip is None]):
            stretch = Region(0, first, width, last - first)
            self._styles_cache.set_dirty(stretch)
            for y, strip in zip(stretch.line_range, super().render_lines(stretch), strict=True):
                strips[y] = strip
                if keep and y in inside:
                    if len(self._strips) >= _MOST_STRIPS:
                        self._strips.clear()
                    self._strips[scrolled + y - top] = strip
        drawn = [strip for strip in strips.values() if strip is not None]
        left, right = crop.column_span
        return drawn if (left, right) == (0, width) else [strip.crop(left, right) for strip in drawn]

    def render_line(self, y: int) -> Strip:
        """One line of the viewport; with where it stands, for selecting by mouse."""
        at = int(self.scroll_y) + y
        strip, selection = self.drawn(at), self.text_selection
        span = None if selection is None else selection.get_span(at)
        return (strip if span is None else self._selected(strip, span)).apply_offsets(0, at)

    def _selected(self, strip: Strip, span: tuple[int, int]) -> Strip:
        text, (start, end) = strip.text, span
        a, b = cell_len(text[:start]), strip.cell_length if end < 0 else cell_len(text[:end])
        style = self.screen.get_component_rich_style("screen--selection")
        return Strip.join([strip.crop(0, a), strip.crop(a, b).apply_style(style), strip.crop(b)])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What was selected by mouse, as it stands."""
        return selection.extract("\n".join(self.drawn(at).text.rstrip() for at in range(self._count))), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()


def _stretches(lines: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where lines that follow each other begin and end; the end is one past the last."""
    begun = 0
    for at, line in enumerate(lines):
        if at + 1 == len(lines) or lines[at + 1] != line + 1:
            yield lines[begun], line + 1
            begun = at + 1
