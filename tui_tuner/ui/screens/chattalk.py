"""The room of the chat screen where one talks: what is typed, and asking it."""

from __future__ import annotations

import random

from textual.timer import Timer
from textual.widgets import TextArea

from tui_tuner.errors import TunerError
from tui_tuner.ui.chatcommands import Wish, parse
from tui_tuner.ui.screens.chatmoves import ChatMoves
from tui_tuner.ui.widgets.chat_input import ChatInput
from tui_tuner.ui.widgets.chat_offers import ChatOffers, Offer
from tui_tuner.ui.widgets.chat_session import Question

_REST = 0.3
"""Seconds without a key after which what is typed is counted."""


class ChatTalk(ChatMoves):
    """Takes what is typed, and asks."""

    def __init__(self) -> None:
        super().__init__()
        self._counting: Timer | None = None

    # -- what is typed --------------------------------------------------------------------------------------------

    def on_chat_input_sent(self, event: ChatInput.Sent) -> None:
        self.attempt(lambda: self.take(event.text))

    def on_chat_offers_taken(self, event: ChatOffers.Taken) -> None:
        if not event.run:
            self.input.put(event.text)
            return
        self.attempt(lambda: self.take(event.text))

    def take(self, text: str) -> None:
        """Does what a text that was sent says: a command, or a question."""
        meant = parse(text)
        if isinstance(meant, Wish):
            self.input.sent(text)
            self.obey_name(meant.command.name, meant.rest)
        else:
            self.ask(meant, text)

    def on_text_area_changed(self, _event: TextArea.Changed) -> None:
        typed = self.input.text
        self.query_one(ChatOffers).look(typed if len(typed) < 200 else "")
        if self.after is not None and not typed:
            self.leave_edit()
        if self._counting is not None:
            self._counting.stop()
        self._counting = self.set_timer(_REST, self.count)
        self.draw_limits()
        self.refresh_bars()

    def words_after(self, wish: Wish) -> list[Offer]:
        """What may follow a command, as the list offers it."""
        finder = getattr(self, f"after_{wish.command.name}", None)
        typed = wish.rest.rpartition(" ")[2].rpartition(",")[2].casefold()
        found: list[Offer] = finder(wish.rest) if finder is not None else []
        return [(word, about) for word, about in found if word.casefold().startswith(typed) and word != wish.rest]

    # -- asking ---------------------------------------------------------------------------------------------------

    def ask(self, text: str, typed: str = "") -> None:
        """Asks everybody who is to answer. What was typed stays in the input when it cannot be asked."""
        voices = self.speakers.voices
        if not voices:
            self.say(self.EMPTY.replace("\n\n", " "), grave=True)
            return
        if self.view_of_log.blind:
            random.SystemRandom().shuffle(voices)
        reference, source = "", ""
        if self.row_asked is not None and self.row_asked[0] == text:
            reference, source = self.row_asked[1:]
        use = self.use()
        if use.exact and use.context and use.tokens >= use.context:
            raise TunerError(
                f"the conversation would take {use.tokens:,} tokens and the model's context holds {use.context:,}",
                code="context-full",
                fix="shorten it, or make room with /undo, /clear or /memory",
            )
        question = Question(text, voices, self.sampling, reference, source)
        exchange = self.session.ask(question, self.after)
        self.input.sent(typed or text)
        self.row_asked = None
        self.show_new(exchange)

    def do_stop(self, _rest: str) -> None:
        """Stops what is on its way; what was said stays."""
        self.session.stop()
