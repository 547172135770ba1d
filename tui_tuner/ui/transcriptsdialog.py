"""The conversations that were kept: those of the run first, all others after them; searched, opened, exported, deleted.

It lists and asks. Texts are searched a little at a time, so that the screen goes on while many files are read; deleting
is asked for, and is the only thing here that takes anything away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_tuner.chat.library import ChatSummary, Hit, delete, search
from tui_tuner.errors import TunerError
from tui_tuner.ui.format import ago
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.text import clip, clip_middle, inert, visible
from tui_tuner.ui.widgets.words import Hint

_MOST_HITS = 100
_SLICE, _PAUSE = 0.015, 0.03
"""Seconds of searching at a time, and between two portions."""


@dataclass(frozen=True)
class Chosen:
    """What is to be done with a conversation.

    Attributes:
        what: "open" to go on with it, "export" to write it as Markdown.
        exchange: where to go in it; 0 for where one was.
    """

    what: Literal["open", "export"]
    chat: ChatSummary
    exchange: int = 0


class TranscriptsDialog(ModalScreen[Chosen | None]):
    """Asks for one of the conversations. Returns what is to be done with it, or None.

    Args:
        chats: gives those that there are, the ones that went on last first.
        run: the run being looked at, whose come first; empty for none.
        now: seconds since the epoch.
        words: what is searched for at the beginning.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back"),
        Binding("ctrl+e", "export", "Export", priority=True),
        Binding("ctrl+x", "delete", "Delete", priority=True),
    ]
    DEFAULT_CSS = """
    TranscriptsDialog Input { border: none; height: 1; padding: 0 1; background: $panel; }
    TranscriptsDialog .dialog OptionList { scrollbar-size-vertical: 1; }
    TranscriptsDialog #chats-said { height: 1; color: $text-muted; }
    """

    def __init__(self, chats: Callable[[], Sequence[ChatSummary]], run: str, now: float, words: str = "") -> None:
        super().__init__()
        self._list, self._run, self._now, self._words = chats, run, now, words
        self._chats: list[ChatSummary] = []
        self._rows: list[tuple[ChatSummary, int]] = []
        self._hits: Iterator[Hit] | None = None
        self._found = 0
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = "Conversations"
        with box:
            yield Input(self._words, placeholder="words in a title, a question or an answer", id="chats-words",
                        compact=True)  # fmt: skip
            choices = OptionList(id="chats-list", markup=False)
            choices.can_focus = False  # the line keeps the focus; up and down choose
            yield choices
            yield Static(id="chats-said", markup=False)
            yield Hint("↑ ↓ choose   enter goes on with it   ^e export   ^x delete   esc back")  # fmt: skip

    def on_mount(self) -> None:
        self._timer = self.set_interval(_PAUSE, self._search_on, pause=True)
        self.query_one(Input).focus()
        self._read()

    def _read(self) -> None:
        chats = self._list()
        of_run = [chat for chat in chats if self._run and chat.run == self._run]
        self._chats = [*of_run, *(chat for chat in chats if chat not in of_run)]
        self._fill()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._fill()

    # -- the list -------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Lists the conversations, or begins to list where the words stand."""
        words = self.query_one(Input).value
        listed = self.query_one(OptionList).clear_options()
        self._rows, self._found = [], 0
        self._hits = search(words, self._chats) if words.split() else None
        if self._hits is None:
            self._list_all(listed)
        if self._timer is not None:
            (self._timer.pause if self._hits is None else self._timer.resume)()
        self._say()

    def _list_all(self, listed: OptionList) -> None:
        heading = None
        options: list[Option] = []
        for chat in self._chats:
            if self._heading(chat) != heading:
                heading = self._heading(chat)
                options.append(Option(Content.styled(heading, "bold $text-muted"), disabled=True))
                self._rows.append((chat, -1))
            options.append(Option(self._line(chat)))
            self._rows.append((chat, 0))
        listed.add_options(options)
        listed.action_first()

    def _heading(self, chat: ChatSummary) -> str:
        if self._run and chat.run == self._run:
            return f"OF THE RUN {visible(self._run)}"
        return "ALL OTHERS" if self._run else "CONVERSATIONS"

    def _line(self, chat: ChatSummary) -> Content:
        room = max(self.app.size.width * 94 // 100, 60)
        wide = min(room, 112) - 10
        about = [ago(chat.changed, self._now)] if chat.changed else []
        about += [f"{chat.exchanges:,} asked"] if chat.exchanges else []
        votes = len(chat.ballots)
        about += [f"{votes:,} {'vote' if votes == 1 else 'votes'}"] if votes else []
        about += [clip_middle(chat.run, 24)] if chat.run and chat.run != self._run and wide > 80 else []
        end = f"✗ {chat.problem}" if chat.problem and not chat.exchanges else " · ".join(about)
        end = clip(end, wide // 2)
        title = clip(chat.title, max(wide - len(end) - 2, 10))
        return Content.assemble(
            (title, "bold" if chat.named else ""), " " * max(2, wide - Content(title).cell_length - len(end)),
            (end, "$text-error" if chat.problem and not chat.exchanges else "$text-muted"),
        )  # fmt: skip

    def _search_on(self) -> None:
        """Searches on for a moment."""
        if self._hits is None:
            return
        until = time.monotonic() + _SLICE
        listed = self.query_one(OptionList)
        first = not self._rows
        while time.monotonic() < until and self._found < _MOST_HITS:
            hit = next(self._hits, None)
            if hit is None:
                self._hits = None
                break
            self._found += 1
            self._rows.append((hit.chat, hit.exchange))
            listed.add_option(Option(self._hit_line(hit)))
        if first and self._rows:
            listed.action_first()
        if self._found >= _MOST_HITS:
            self._hits = None
        if self._hits is None and self._timer is not None:
            self._timer.pause()
        self._say()

    def _hit_line(self, hit: Hit) -> Content:
        before, word = hit.excerpt[: hit.at], hit.excerpt[hit.at : hit.at + hit.length]
        where = clip(hit.chat.title, 28)
        number = f"{hit.exchange}" if hit.exchange else "title"
        return Content.assemble(
            (f"{where:<28} {number:>5}  ", "$text-muted"),
            visible(before), (visible(word), "bold underline $text-primary"),
            visible(hit.excerpt[hit.at + hit.length :]),
        )  # fmt: skip

    def _say(self) -> None:
        if self._hits is not None:
            text = f"searching … {self._found} found"
        elif self.query_one(Input).value.split():
            more = " at least; give more words" if self._found >= _MOST_HITS else ""
            text = f"{self._found} found{more}" if self._found else "These words stand in no conversation."
        elif self._chats:
            text = f"{len(self._chats):,} conversations"
        else:
            text = "Nothing was kept yet: conversations are, as soon as something is asked."
        self.query_one("#chats-said", Static).update(inert(text))

    # -- what is done with one --------------------------------------------------------------------------------------

    @property
    def _selected(self) -> tuple[ChatSummary, int] | None:
        at = self.query_one(OptionList).highlighted
        return self._rows[at] if at is not None and at < len(self._rows) and self._rows[at][1] >= 0 else None

    def on_key(self, event: events.Key) -> None:
        """Up and down move in the list while the line has the focus."""
        if event.key in ("up", "down", "pageup", "pagedown"):
            event.stop()
            event.prevent_default()
            listed = self.query_one(OptionList)
            move = {"up": "cursor_up", "down": "cursor_down", "pageup": "page_up", "pagedown": "page_down"}[event.key]
            getattr(listed, f"action_{move}")()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._selected is not None:
            self.dismiss(Chosen("open", *self._selected))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if self._selected is not None:
            self.dismiss(Chosen("open", *self._selected))

    def action_export(self) -> None:
        if self._selected is not None:
            self.dismiss(Chosen("export", self._selected[0]))

    def action_delete(self) -> None:
        if self._selected is None:
            return
        chat = self._selected[0]
        choices = [
            ("delete", "Delete it for good", f"{chat.exchanges:,} questions, their answers and votes."),
            ("keep", "Keep it", "Nothing changes."),
        ]

        def answered(answer: str | None) -> None:
            if answer == "delete":
                try:
                    delete(chat.path)
                except TunerError as error:
                    self.query_one("#chats-said", Static).update(
                        Content.assemble(("✗ ", "bold $text-error"), inert(error.sentence(), "$text-error"))
                    )
                    return
                self._read()

        self.app.push_screen(Question("Delete a conversation", clip(chat.title, 200), choices), answered)

    def action_cancel(self) -> None:
        self.dismiss(None)
