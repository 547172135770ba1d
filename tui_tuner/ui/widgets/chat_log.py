"""The conversation on screen: its present branch, an exchange below the other.

It draws what a `Conversation` holds and decides nothing; `chat_view` says what it offers. All text is made inert where
rows are made of it. It must never hold a widget per answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar, get_args

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.strip import Strip
from textual.timer import Timer
from textual.visual import Visual

from tui_tuner.chat.conversation import Answer, Conversation, Exchange
from tui_tuner.ui.widgets.chat_answer import Column
from tui_tuner.ui.widgets.chat_exchange import Block
from tui_tuner.ui.widgets.chat_inside import PEEK
from tui_tuner.ui.widgets.chat_lines import GrowingLines
from tui_tuner.ui.widgets.chat_rows import Ink, Tone
from tui_tuner.ui.widgets.chat_view import LogView

PREFIX = "chat-log--"
CATCH_UP = 0.03
"""Seconds between two portions of a text that came at once."""


class ChatLog(GrowingLines):
    """All exchanges; it stays at the end while an answer is written, unless somebody scrolled away."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {PREFIX + tone for tone in get_args(Tone)}
    DEFAULT_CSS = """
    ChatLog {
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
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "Previous token", show=False),
        Binding("right", "step(1)", "Next token", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._talk: Conversation | None = None
        self._view = LogView()
        self._greeting = Content("")
        self._hello: list[Strip] = []
        self._blocks: list[Block] = []
        self._starts: list[int] = []
        self._ink = Ink(self, PREFIX)
        self._catching_up: Timer | None = None
        self._looked: tuple[Column, int] | None = None

    # -- what it offers -----------------------------------------------------------------------------------------

    def hello(self, content: Content) -> None:
        """What stands there while nothing was said."""
        self._greeting = content
        if not self._blocks:
            self._lay()

    def show(self, talk: Conversation, view: LogView | None = None) -> None:
        """Shows the present branch of a conversation; keeps what stands already as far as it is the same."""
        path = talk.path()
        at_end = self.at_end or [block.exchange for block in self._blocks] != path
        known = {id(block.exchange): block for block in self._blocks}
        self._talk, self._view = talk, self._view if view is None else view
        self._blocks = [known.get(id(exchange)) or Block(exchange, self._ink) for exchange in path]
        self._lay()
        if at_end:
            self.go_to_end()

    def add(self, exchange: Exchange, waiting: str = "") -> None:
        """Shows a new exchange and goes to its end."""
        block = Block(exchange, self._ink)
        self._blocks.append(block)
        for column in block.columns:
            column.waiting = waiting
        if len(self._blocks) == 1:
            self._lay()  # the greeting goes
        elif self.room > 0:
            block.lay(self.room, self._view, _branch(self._talk, exchange))
            self.changed_from(self._count, self._add_up(), more=True)
            self._catch_up()
        self.go_to_end()

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
            grown = block.grow(columns)
            if grown is not None:
                line = self._starts[number] + grown
                first = line if first is None else min(first, line)
        if first is not None:
            more = any(not column.answer.ended for column in self._blocks[-1].columns)
            self.changed_from(first, self._add_up(), more=more)
            self._catch_up()

    def find(self, number: int) -> None:
        """Goes to the exchange of this number, if it is on the branch."""
        for start, block in zip(self._starts, self._blocks, strict=True):
            if block.exchange.number == number:
                self.scroll_to(y=start, animate=False, force=True)

    def clear(self) -> None:
        """Back to the beginning."""
        self._blocks = []
        self._lay()

    # -- looking inside -----------------------------------------------------------------------------------------

    @property
    def looked(self) -> tuple[Answer, int] | None:
        """The answer and the number of its token that the cursor is on."""
        return None if self._looked is None else (self._looked[0].answer, self._looked[1])

    def step(self, by: int) -> None:
        """Moves the cursor by so many tokens, over all answers that one looks inside; begins in the last exchange."""
        columns = [column for block in self._blocks for column in block.columns if column.tokens]
        if not columns:
            return
        if self._looked is None or self._looked[0] not in columns:
            last = next(block for block in reversed(self._blocks) if any(column.tokens for column in block.columns))
            self._point(next(column for column in last.columns if column.tokens), 0)
            return
        column, token = self._looked
        at, token = columns.index(column), token + by
        while token < 0 and at > 0:
            at -= 1
            token += len(columns[at].tokens or ())
        while token >= len(columns[at].tokens or ()) and at < len(columns) - 1:
            token -= len(columns[at].tokens or ())
            at += 1
        self._point(columns[at], min(max(token, 0), len(columns[at].tokens or ()) - 1))

    def leave(self) -> None:
        """Takes the cursor away."""
        if self._looked is not None:
            self._point(self._looked[0], None)

    def action_step(self, by: int) -> None:
        self.step(by)

    def _point(self, column: Column, token: int | None) -> None:
        moved = [column] if self._looked is None else [self._looked[0], column]
        for each in moved:
            if each.tokens is not None:
                each.tokens.point(None)
        self._looked = None if token is None else (column, token)
        if column.tokens is not None:
            column.tokens.point(token)
        starts = [self._starts[n] for n, block in enumerate(self._blocks) if any(c in block.columns for c in moved)]
        if starts:
            self.changed_from(min(starts), self._add_up())
        for start, block in zip(self._starts, self._blocks, strict=True):
            if token is not None and column.tokens is not None and column in block.columns:
                line = start + block.place(column)[0] + 1 + column.tokens.row_of(token)
                self.bring(line, line + PEEK)

    def on_click(self, event: events.Click) -> None:
        at = event.y - self.gutter.top + int(self.scroll_y)
        if not self._blocks or not 0 <= at < self._count:
            return
        number = bisect_right(self._starts, at) - 1
        found = self._blocks[number].token_at(at - self._starts[number], event.x - self.gutter.left)
        if found is not None:
            self._point(*found)

    # -- drawing ------------------------------------------------------------------------------------------------

    def _lay(self) -> None:
        """Sets what needs it for the present width and view."""
        if self.room < 1:
            return
        for block in self._blocks:
            block.lay(self.room, self._view, _branch(self._talk, block.exchange))
        if self._looked is not None:
            column, token = self._looked
            if column.tokens is None:
                self._looked = None
            else:
                column.tokens.point(token)
        if not self._blocks:
            self._hello = Visual.to_strips(self, self._greeting, self.room, None, self.visual_style)
        self.set_count(self._add_up())
        self._catch_up()

    def _add_up(self) -> int:
        """Where the exchanges begin; how many lines there are in all, without a blank one below the last."""
        self._starts, total = [], 0
        for block in self._blocks:
            self._starts.append(total)
            total += block.height
        return total - 1 if self._blocks else len(self._hello)

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
            behind = [column for column in block.columns if column.behind]
            if behind:
                self.draw([column.answer for column in behind], behind[0].waiting)
                return
        self._catch_up()

    def on_resize(self) -> None:
        followed = self.followed
        self._lay()
        if followed and self._blocks:
            self.go_to_end()

    def notify_style_update(self) -> None:
        """Colours have changed: with the theme, or with the focus."""
        super().notify_style_update()
        self.call_next(self._recolour)  # this is told before the styles of the parts are those of the new theme

    def _recolour(self) -> None:
        if self._ink.renewed():
            for block in self._blocks:
                block.forget()
            if self.is_mounted:
                self._lay()
                self._strips.clear()
                self.refresh()

    def drawn(self, at: int) -> Strip:
        """One line of the conversation, or of the greeting."""
        style = self.visual_style.rich_style
        if at >= self._count:
            return Strip.blank(self.room, style)
        if not self._blocks:
            return self._hello[at].adjust_cell_length(self.room, style)
        number = bisect_right(self._starts, at) - 1
        return Strip(self._blocks[number].line(at - self._starts[number]), self.room)


def _branch(talk: Conversation | None, exchange: Exchange) -> tuple[int, int]:
    """Which of how many questions at its place an exchange is."""
    if talk is None or exchange.number not in talk.exchanges:
        return 1, 1
    there = [other.number for other in talk.children(exchange.parent)]
    return there.index(exchange.number) + 1, len(there)
