"""The conversation on screen, drawn line by line: what an update costs depends on what is new and what is in sight.

It draws what a `Conversation` holds and decides nothing; `chat_view` says what it offers. All text is made inert where
rows are made of it. It must never hold a widget per answer, and never ask for a layout because an answer has grown.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import ClassVar, get_args

from rich.cells import cell_len
from textual.content import Content
from textual.geometry import Offset, Region, Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.timer import Timer
from textual.visual import Visual
from textual.widget import Widget

from tui_tuner.chat.conversation import Answer, Conversation, Exchange
from tui_tuner.ui.widgets.chat_answer import Column
from tui_tuner.ui.widgets.chat_exchange import Block
from tui_tuner.ui.widgets.chat_rows import Ink, Tone
from tui_tuner.ui.widgets.chat_view import LogView

PREFIX = "chat-log--"
CATCH_UP = 0.03
"""Seconds between two portions of a text that came at once."""
_MOST_STRIPS = 600


class ChatLog(ScrollView, can_focus=True):
    """All exchanges; it stays at the end while an answer is written, unless somebody scrolled away."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {PREFIX + tone for tone in get_args(Tone)}
    DEFAULT_CSS = """
    ChatLog {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        & .chat-log--text { color: $foreground; }
        & .chat-log--muted { color: $text-muted; }
        & .chat-log--strong { color: $text-primary; }
        & .chat-log--code { color: $foreground; background: $panel; }
        & .chat-log--head { color: $text-primary; }
        & .chat-log--link { color: $text-primary; }
        & .chat-log--first { color: $text-secondary; }
        & .chat-log--second { color: $text-accent; }
        & .chat-log--third { color: $text-primary; }
        & .chat-log--fourth { color: $text-success; }
        & .chat-log--warning { color: $text-warning; }
        & .chat-log--error { color: $text-error; }
        & .chat-log--good { color: $text-success; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="pane")
        self._talk: Conversation | None = None
        self._view = LogView()
        self._greeting = Content("")
        self._hello: list[Strip] = []
        self._blocks: list[Block] = []
        self._starts: list[int] = []
        self._ends = 0
        self._strips: dict[int, Strip] = {}  # lines as they were drawn last, borders and all
        self._bar = (0, 0)
        self._ink = Ink(self, PREFIX)
        self._catching_up: Timer | None = None

    # -- what it offers -----------------------------------------------------------------------------------------

    def hello(self, content: Content) -> None:
        """What stands there while nothing was said."""
        self._greeting = content
        if not self._blocks:
            self._measure()

    def show(self, talk: Conversation, view: LogView | None = None) -> None:
        """Shows the present branch of a conversation; keeps what stands already as far as it is the same."""
        path = talk.path()
        at_end = self._at_end or [block.exchange for block in self._blocks] != path
        known = {id(block.exchange): block for block in self._blocks}
        self._talk, self._view = talk, self._view if view is None else view
        self._blocks = [known.get(id(exchange)) or Block(exchange, self._ink) for exchange in path]
        self._lay()
        if at_end:
            self._go_to_end()

    def add(self, exchange: Exchange, waiting: str = "") -> None:
        """Shows a new exchange and goes to its end."""
        self._blocks.append(Block(exchange, self._ink))
        for column in self._blocks[-1].columns:
            column.waiting = waiting
        self._lay()
        self._go_to_end()

    def draw(self, answers: Sequence[Answer], waiting: str = "") -> None:
        """Redraws these answers, as far as they have changed."""
        if not answers:
            return
        changed = {id(answer) for answer in answers}
        first: int | None = None
        for number, block in enumerate(self._blocks):
            columns = [column for column in block.columns if id(column.answer) in changed]
            if not columns:
                continue
            for column in columns:
                column.waiting = waiting
            line = self._starts[number] + block.grow(columns)
            first = line if first is None else min(first, line)
        if first is not None:
            self._changed_from(first)

    def find(self, number: int) -> None:
        """Goes to the exchange of this number, if it is on the branch."""
        for start, block in zip(self._starts, self._blocks, strict=True):
            if block.exchange.number == number:
                self.scroll_to(y=start, animate=False, force=True)

    def clear(self) -> None:
        """Back to the beginning."""
        self._blocks = []
        self._lay()

    # -- measures -----------------------------------------------------------------------------------------------

    @property
    def _at_end(self) -> bool:
        return self.scroll_y >= self.max_scroll_y - 1

    @property
    def _room(self) -> int:
        return self.scrollable_content_region.width

    def _branch(self, exchange: Exchange) -> tuple[int, int]:
        if self._talk is None or exchange.number not in self._talk.exchanges:
            return 1, 1
        there = [other.number for other in self._talk.children(exchange.parent)]
        return there.index(exchange.number) + 1, len(there)

    def _lay(self) -> None:
        """Sets what needs it for the present width and view, and measures."""
        if self._room < 1:
            return
        for block in self._blocks:
            block.lay(self._room, self._view, self._branch(block.exchange))
        self._measure()

    def _measure(self) -> None:
        self._strips.clear()
        if self._blocks:
            self._add_up()
        else:
            style = self.visual_style
            self._hello = Visual.to_strips(self, self._greeting, max(self._room, 1), None, style)
            self._starts, self._ends = [], len(self._hello)
        self._grow_to(self._ends)
        self.refresh()
        self._catch_up()

    def _add_up(self) -> None:
        self._starts, total = [], 0
        for block in self._blocks:
            self._starts.append(total)
            total += block.height
        self._ends = total - 1  # without the blank line below the last

    def _grow_to(self, height: int) -> None:
        """A new height, without a layout: nothing but the scroll bar, which is always there, depends on it."""
        size = Size(self._room, height)
        if size == self.virtual_size:
            return
        self.set_reactive(Widget.virtual_size, size)
        self._draw_bar()
        if self.scroll_y > self.max_scroll_y:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)

    def _draw_bar(self) -> None:
        """Tells the scroll bar what is new, if one could see it: a bar costs as much as half a screen of text."""
        height, window = max(self.virtual_size.height, 1), self.scrollable_content_region.height
        look = (round(window * self.scroll_y / height), round(window * window / height))
        if look != self._bar:
            self._bar = look
            self.vertical_scrollbar.window_virtual_size = height
            self.vertical_scrollbar.position = self.scroll_y

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        self._draw_bar()
        if round(old_value) != round(new_value):
            self.refresh(self.size.region)

    def _changed_from(self, first: int) -> None:
        """Lines from this one on look otherwise."""
        at_end, ended = self._at_end, self._ends
        self._add_up()
        for line in [line for line in self._strips if first <= line < max(ended, self._ends)]:
            del self._strips[line]
        self._grow_to(self._ends)
        if at_end and self.max_scroll_y > self.scroll_y:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)
        else:
            self._refresh_lines(first, max(ended, self._ends))
        self._catch_up()

    def _refresh_lines(self, first: int, end: int) -> None:
        scrolled, size = int(self.scroll_y), self.scrollable_content_region.size
        top, bottom = max(first - scrolled, 0), min(end - scrolled, size.height)
        if top < bottom:
            self.refresh(Region(0, top, size.width, bottom - top))

    def _go_to_end(self) -> None:
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)

    def _catch_up(self) -> None:
        """Sets the rest of texts that came at once, a portion at a time."""
        behind = any(block.behind for block in self._blocks)
        if behind and self._catching_up is None:
            self._catching_up = self.set_interval(CATCH_UP, self._next_portion)
        elif not behind and self._catching_up is not None:
            self._catching_up.stop()
            self._catching_up = None

    def _next_portion(self) -> None:
        for block in self._blocks:
            if block.behind:
                behind: list[Column] = [column for column in block.columns if column.behind]
                self.draw([column.answer for column in behind], behind[0].waiting)
                return
        self._catch_up()

    # -- what Textual asks --------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        at_end = self._at_end
        self._lay()
        if at_end and self._blocks:
            self._go_to_end()

    def notify_style_update(self) -> None:
        """Colours have changed: with the theme, or with the focus."""
        super().notify_style_update()
        self._strips.clear()
        if self._ink.renewed():
            for block in self._blocks:
                block.forget()
            if self.is_mounted:
                self._lay()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Part of the widget. A line that was drawn before is handed out again, wherever it stands by now."""
        width, top = self.region.width, self.gutter.top
        inside = range(top, top + self.scrollable_content_region.height)
        scrolled, selection = int(self.scroll_y), self.text_selection
        strips: list[Strip] = []
        for y in crop.line_range:
            at = scrolled + y - top
            strip = self._strips.get(at) if y in inside and selection is None else None
            if strip is None:
                self._styles_cache.set_dirty(Region(0, y, width, 1))
                strip = super().render_lines(Region(0, y, width, 1))[0]
                if y in inside and selection is None:
                    if len(self._strips) >= _MOST_STRIPS:
                        self._strips.clear()
                    self._strips[at] = strip
            strips.append(strip)
        left, right = crop.column_span
        return strips if (left, right) == (0, width) else [strip.crop(left, right) for strip in strips]

    def render_line(self, y: int) -> Strip:
        """One line of the viewport; with where it stands, for selecting by mouse."""
        at = int(self.scroll_y) + y
        strip, selection = self._drawn(at), self.text_selection
        span = None if selection is None else selection.get_span(at)
        return (strip if span is None else self._selected(strip, span)).apply_offsets(0, at)

    def _drawn(self, at: int) -> Strip:
        room, style = self._room, self.visual_style.rich_style
        if not self._blocks:
            strip = self._hello[at] if at < len(self._hello) else Strip.blank(room, style)
            return strip.adjust_cell_length(room, style)
        if at >= self._ends:
            return Strip.blank(room, style)
        number = bisect_right(self._starts, at) - 1
        return Strip(self._blocks[number].line(at - self._starts[number]), room)

    def _selected(self, strip: Strip, span: tuple[int, int]) -> Strip:
        text = strip.text
        start, end = span
        a, b = cell_len(text[:start]), strip.cell_length if end < 0 else cell_len(text[:end])
        style = self.screen.get_component_rich_style("screen--selection")
        before, inside, after = (strip.crop(0, a), strip.crop(a, b), strip.crop(b))
        return Strip.join([before, inside.apply_style(style), after])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What was selected by mouse, as it stands."""
        return selection.extract("\n".join(self._text_lines())), "\n"

    def _text_lines(self) -> Iterator[str]:
        for at in range(self._ends):
            yield self._drawn(at).text.rstrip()

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def at(self, offset: Offset) -> int:
        """The line of the log at a place of the widget."""
        return int(self.scroll_y) + offset.y - self.gutter.top
