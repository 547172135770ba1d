"""The room of the chat screen where one talks: asking, asking again, editing, undoing, branches, and what is typed."""

from __future__ import annotations

import random

from textual.timer import Timer
from textual.widgets import TextArea

from tui_tuner.chat.conversation import Exchange
from tui_tuner.errors import TunerError
from tui_tuner.ui.chatcommands import Wish, parse
from tui_tuner.ui.screens.chatroom import ChatRoom
from tui_tuner.ui.widgets.chat_input import ChatInput
from tui_tuner.ui.widgets.chat_offers import ChatOffers, Offer
from tui_tuner.ui.widgets.chat_session import Question, next_seed

_REST = 0.3
"""Seconds without a key after which what is typed is counted."""


class ChatTalk(ChatRoom):
    """Asks, and moves in what was said."""

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
        self._show_new(exchange)

    def _show_new(self, exchange: Exchange) -> None:
        """Shows what was just asked: at the end, or on a branch of its own."""
        branched = self.after is not None or len(self.session.siblings(exchange.number)) > 1
        self.after = None
        self._title_input()
        if branched:
            self.redraw()
            self.log_widget.find(exchange.number)
        else:
            self.log_widget.add(exchange, self.waiting)
        self.watch_answers()

    def action_stop(self) -> None:
        self.session.stop()

    def do_stop(self, _rest: str) -> None:
        self.action_stop()

    # -- once more, otherwise -------------------------------------------------------------------------------------

    def do_again(self, rest: str) -> None:
        """Asks the present question again, with the next seed or a given one."""
        exchange = self.session.exchange()
        seed = self.sampling.changed("seed", rest).seed if rest else None
        last = max((each.sampling.seed for each in self.session.siblings()), default=0)
        sampling = next_seed(self.sampling if seed is not None else self.sampling.changed("seed", str(last)), seed)
        self._show_new(self.session.again(exchange.number, sampling, self.speakers.voices))
        if sampling.greedy:
            self.say("Greedy answers do not depend on the seed: /set temperature 0.7 has another one drawn.")

    def action_again(self) -> None:
        self.do_again("")

    def do_edit(self, rest: str) -> None:
        """Puts a question into the input; sent, it begins a branch in its place."""
        exchange = self.session.exchange(_number(rest))
        self.input.put(exchange.question)
        self.input.focus()
        self.after = exchange.parent
        if exchange.reference:
            self.row_asked = exchange.question, exchange.reference, exchange.source
        self._title_input(f"Question {exchange.number}, edited: enter asks it in its place, empty leaves it")

    def action_edit(self) -> None:
        self.do_edit("")

    def leave_edit(self) -> None:
        """The next question follows the last one again."""
        self.after = None
        self._title_input()

    def _title_input(self, title: str = "") -> None:
        self.input.border_title = title or "You"

    def do_undo(self, _rest: str) -> None:
        """Takes the last exchange back; its question is offered in the input."""
        last = self.session.undo()
        if not self.input.text:
            self.input.put(last.question)
        self.moved()

    def do_redo(self, _rest: str) -> None:
        back = self.session.redo()
        if self.input.full == back.question:
            self.input.put("")
        self.moved()

    def do_branch(self, rest: str) -> None:
        """Goes to the next branch, or on from an exchange by its number."""
        if rest:
            self.session.go(_number(rest))
        else:
            self.session.branch()
        self.moved()

    def do_clear(self, _rest: str) -> None:
        self.session.clear()
        self.log_widget.clear()
        self.leave_edit()
        self.draw_head()

    def moved(self) -> None:
        """Another place of the conversation is shown."""
        if self.after is not None:
            self.leave_edit()
        self.redraw()
        if self.session.exchanges:
            self.log_widget.find(self.session.exchange().number)

    def after_edit(self, _rest: str) -> list[Offer]:
        return [(str(each.number), each.question) for each in reversed(self.session.exchanges)]

    def after_branch(self, _rest: str) -> list[Offer]:
        return [(str(each.number), each.question) for each in reversed(self.session.conversation.exchanges.values())]


def _number(rest: str) -> int:
    """The number of an exchange as somebody typed it; 0 for none.

    Raises:
        TunerError: it is none.
    """
    if not rest:
        return 0
    if not rest.isdecimal() or int(rest) == 0:
        raise TunerError(
            f"{rest} is no exchange's number",
            code="no-such-turn",
            fix="the numbers stand before the questions",
            usage=True,
        )
    return int(rest)
