"""The room of the chat screen where answers are judged: votes, blind or not, words that differ, and a look inside."""

from __future__ import annotations

from dataclasses import replace

from tui_tuner.chat.conversation import Answer, Exchange
from tui_tuner.engine.protocol import JobHandle
from tui_tuner.engine.requests import LookInside
from tui_tuner.engine.results import Inside
from tui_tuner.errors import TunerError
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.screens.chatroom import LETTERS, ChatRoom
from tui_tuner.ui.widgets.chat_offers import Offer

NEITHER = ("same", "neither", "tie", "=")
_TOP = 8
"""Alternatives of a token that are asked for."""


class ChatJudge(ChatRoom):
    """Compares what was answered."""

    def __init__(self) -> None:
        super().__init__()
        self._inside = False
        self._looks: list[tuple[Answer, bool, JobHandle]] = []  # whose, whether at the reference, the job
        self._looked: set[tuple[int, bool]] = set()  # what was asked for, once

    # -- votes ----------------------------------------------------------------------------------------------------

    def do_vote(self, rest: str) -> None:
        """Takes a vote as it was typed, or asks."""
        exchange = self.session.exchange()
        if len(exchange.answers) < 2:
            raise TunerError(
                "there is only one answer", code="no-such-turn", fix="choose two columns or more with /adapter"
            )
        if not exchange.ended:
            raise TunerError("an answer is still on its way", code="chat-busy", fix="wait for it or stop it")
        if rest.lower() in NEITHER:
            self._voted(exchange, -1)
        elif rest:
            self._voted(exchange, exchange.answers.index(self.answer_of(exchange, rest)))
        else:
            self._ask_vote(exchange)

    def _ask_vote(self, exchange: Exchange) -> None:
        hidden = self.view_of_log.blind and exchange.vote is None
        choices = [
            (str(at), f"{LETTERS[at]} is better", "who it was is shown afterwards" if hidden else answer.voice.label)
            for at, answer in enumerate(exchange.answers)
        ]
        choices.append(("-1", "None of them is better", "counts as a draw"))

        def voted(answer: str | None) -> None:
            if answer:
                self._voted(exchange, int(answer))

        choices.append(("", "Go back", "no vote"))
        self.ask_in(Question("Vote", exchange.question[:200], choices), voted)

    def _voted(self, exchange: Exchange, vote: int) -> None:
        exchange.blind = self.view_of_log.blind and (exchange.vote is None or exchange.blind)
        exchange.vote = vote
        self.session.note_vote(exchange)
        self.redraw()
        self.tell_votes()

    def tell_votes(self) -> None:
        """Says how the votes stand; the room that keeps things knows."""
        raise NotImplementedError

    def after_vote(self, _rest: str) -> list[Offer]:
        exchange = self.session.exchange()
        hidden = self.view_of_log.blind and exchange.vote is None
        named = [(LETTERS[at], "" if hidden else each.voice.label) for at, each in enumerate(exchange.answers)]
        return [*named, ("same", "none of them is better")]

    # -- how answers are looked at --------------------------------------------------------------------------------

    def do_blind(self, _rest: str) -> None:
        """Hides who answers until there is a vote; from the next question on, the columns are shuffled."""
        self.view_of_log = replace(self.view_of_log, blind=not self.view_of_log.blind)
        self.say(
            "Blind: columns are shuffled from the next question on, and named once you have voted."
            if self.view_of_log.blind
            else "Columns are named again."
        )
        self.redraw()

    def do_diff(self, _rest: str) -> None:
        """Marks the words that differ."""
        self.view_of_log = replace(self.view_of_log, diff=not self.view_of_log.diff)
        if self.view_of_log.diff and all(len(each.answers) < 2 for each in self.session.exchanges):
            self.say("Words that differ are marked as soon as two columns answer: /adapter chooses them.")
        self.redraw()

    def do_markdown(self, _rest: str) -> None:
        """Shows the letters as they came, or Markdown set."""
        self.view_of_log = replace(self.view_of_log, raw=not self.view_of_log.raw)
        self.redraw()

    def do_reasoning(self, _rest: str) -> None:
        """Shows reasoning in full, or its first line."""
        self.view_of_log = replace(self.view_of_log, unfold=not self.view_of_log.unfold)
        self.redraw()

    # -- inside ---------------------------------------------------------------------------------------------------

    def do_inside(self, _rest: str) -> None:
        """Colours the tokens of the present answers by their probability, or takes the colours away."""
        self._inside = not self._inside
        if not self._inside:
            for _, _, handle in self._looks:
                handle.control.stop()
            self._looks.clear()
            self._looked.clear()
            self.view_of_log = replace(self.view_of_log, inside={}, references={})
            self.redraw()
            return
        self.session.exchange()
        self.look_inside()
        self.say("The colours say how likely each token was. After esc, ← and → go from token to token: what else was.")

    def look_inside(self) -> None:
        """Asks for what is not known yet of the present exchange, and takes what has come."""
        came = [look for look in self._looks if look[2].status.ended]
        if came:
            self._looks = [look for look in self._looks if look not in came]
            self._take_looks(came)
        exchanges = self.session.exchanges
        if not self._inside or not exchanges or not exchanges[-1].ended:
            return
        exchange = exchanges[-1]
        if self.view_of_log.blind and exchange.vote is None and len(exchange.answers) > 1:
            return  # how sure a model was would tell who it is
        for answer in exchange.answers:
            if answer.usable:
                tokens = tuple(answer.reply.token_ids) if answer.reply is not None else ()
                self._look_at(exchange, answer, answer.text, tokens)
            if exchange.reference:
                self._look_at(exchange, answer, exchange.reference, None)

    def _look_at(self, exchange: Exchange, answer: Answer, text: str, tokens: tuple[int, ...] | None) -> None:
        if (id(answer), tokens is None) in self._looked:
            return
        self._looked.add((id(answer), tokens is None))
        plain = exchange.plain or (answer.reply is not None and answer.reply.plain)
        messages = self.session.conversation.messages(
            answer.voice, exchange.question, system=exchange.system, memory=exchange.memory, after=exchange.parent
        )
        request = LookInside(answer.voice, messages, text, tokens or (), top=_TOP, plain=plain)
        self._looks.append((answer, tokens is None, self.tuner.engine.submit(request)))

    def _take_looks(self, came: list[tuple[Answer, bool, JobHandle]]) -> None:
        inside, references = dict(self.view_of_log.inside), dict(self.view_of_log.references)
        for answer, of_reference, handle in came:
            if isinstance(handle.result, Inside):
                (references if of_reference else inside)[answer] = handle.result
            elif handle.error is not None:
                self.say(handle.error.sentence(), grave=True)
        self.view_of_log = replace(self.view_of_log, inside=inside, references=references)
        self.redraw()
