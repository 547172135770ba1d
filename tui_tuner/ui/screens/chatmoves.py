"""The room of the chat screen where one moves in what was said: asking again, editing, undoing, branches, clearing.

Nothing is taken away: each of them only goes to another place of the conversation.
"""

from __future__ import annotations

from tui_tuner.chat.conversation import Exchange
from tui_tuner.errors import TunerError
from tui_tuner.ui.screens.chatroom import ChatRoom
from tui_tuner.ui.widgets.chat_offers import Offer
from tui_tuner.ui.widgets.chat_session import next_seed


class ChatMoves(ChatRoom):
    """Moves in what was said."""

    def show_new(self, exchange: Exchange) -> None:
        """Shows what was just asked: at the end, or on a branch of its own."""
        branched = self.after is not None or len(self.session.siblings(exchange.number)) > 1
        self.after = None
        self.title_input()
        if branched:
            self.redraw()
            self.log_widget.find(exchange.number)
        else:
            self.log_widget.add(exchange, self.waiting)
        self.watch_answers()

    # -- once more, otherwise -------------------------------------------------------------------------------------

    def do_again(self, rest: str) -> None:
        """Asks the present question again, with the next seed or a given one."""
        exchange = self.session.exchange()
        seed = self.sampling.changed("seed", rest).seed if rest else None
        last = max((each.sampling.seed for each in self.session.siblings()), default=0)
        sampling = next_seed(self.sampling if seed is not None else self.sampling.changed("seed", str(last)), seed)
        self.show_new(self.session.again(exchange.number, sampling, self.speakers.voices))
        if sampling.greedy:
            self.say("Greedy answers do not depend on the seed: /set temperature 0.7 has another one drawn.")

    def do_edit(self, rest: str) -> None:
        """Puts a question into the input; sent, it begins a branch in its place."""
        exchange = self.session.exchange(_number(rest))
        self.input.put(exchange.question)
        self.set_focus(self.input)
        self.after = exchange.parent
        if exchange.reference:
            self.row_asked = exchange.question, exchange.reference, exchange.source
        self.title_input(f"Question {exchange.number}, edited: enter asks it in its place, empty leaves it")

    def leave_edit(self) -> None:
        """The next question follows the last one again."""
        self.after = None
        self.title_input()

    def title_input(self, title: str = "") -> None:
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
