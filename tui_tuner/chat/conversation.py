"""A conversation as a tree: what was asked, who answered what, and the branch one is on. Plain data, no mlx, no files.

Nothing that was said goes away: editing, asking again and undoing only move to another place of the tree. The one who
follows it, to keep it in a file or to show it, looks at the exchanges themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tui_tuner.chat.reply import ChatReply
from tui_tuner.chat.sampling import GREEDY, Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.errors import TunerError


class AnswerState(StrEnum):
    """How far an answer is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (AnswerState.DONE, AnswerState.STOPPED, AnswerState.FAILED)


@dataclass(eq=False)
class Answer:
    """One answer, as far as it has come."""

    voice: Voice
    text: str = ""
    state: AnswerState = AnswerState.WAITING
    reply: ChatReply | None = None
    problem: str = ""

    @property
    def ended(self) -> bool:
        return self.state.ended

    @property
    def usable(self) -> bool:
        """Whether it has words that a conversation can go on from."""
        return bool(self.text.strip()) and self.state is not AnswerState.FAILED


@dataclass(eq=False)
class Exchange:
    """A question and the answers to it, one per voice asked.

    Attributes:
        number: its own in the conversation, from 1.
        parent: the number of the exchange before it; 0 at the beginning.
        system: the system message in force; empty for none.
        memory: whether the voices were told what came before.
        plain: whether the bare text went in, without a chat template.
        reference: what a row of the data set has as its answer; empty when the question is no row.
        source: where the row is, such as `test 12`.
        vote: the column, from 0, that was found better; -1 for neither; None while nobody has said.
        blind: whether the vote was given without knowing who answered.
        asked: seconds since the epoch.
    """

    number: int
    parent: int
    question: str
    answers: list[Answer]
    system: str = ""
    sampling: Sampling = GREEDY
    memory: bool = True
    plain: bool = False
    reference: str = ""
    source: str = ""
    vote: int | None = None
    blind: bool = False
    asked: float = 0.0

    @property
    def ended(self) -> bool:
        return all(answer.ended for answer in self.answers)


@dataclass(eq=False)
class Conversation:
    """A tree of exchanges and the place in it.

    Attributes:
        exchanges: all of them, by number, in the order they were asked.
        at: the number of the exchange that the next question follows; 0 for the beginning.
    """

    exchanges: dict[int, Exchange] = field(default_factory=dict)
    at: int = 0

    def path(self, end: int | None = None) -> list[Exchange]:
        """The exchanges from the beginning to one, which is the present one unless another is named."""
        out: list[Exchange] = []
        number = self.at if end is None else end
        while number:
            exchange = self.exchanges[number]
            out.append(exchange)
            number = exchange.parent
        return out[::-1]

    def children(self, number: int) -> list[Exchange]:
        """What was asked right after an exchange, oldest first; after 0, what conversations began with."""
        return [exchange for exchange in self.exchanges.values() if exchange.parent == number]

    def add(self, exchange: Exchange) -> Exchange:
        """Puts an exchange behind its parent and goes there.

        Raises:
            TunerError: its number is taken, or its parent is not there.
        """
        if exchange.number in self.exchanges or exchange.number < 1:
            raise TunerError(f"there is an exchange {exchange.number} already", code="transcript-damaged")
        if exchange.parent and exchange.parent not in self.exchanges:
            raise TunerError(f"there is no exchange {exchange.parent} to follow", code="transcript-damaged")
        self.exchanges[exchange.number] = exchange
        self.at = exchange.number
        return exchange

    @property
    def next_number(self) -> int:
        return max(self.exchanges, default=0) + 1

    def go(self, number: int) -> None:
        """Goes to an exchange, 0 for the beginning.

        Raises:
            TunerError: there is none of this number.
        """
        if number and number not in self.exchanges:
            raise TunerError(
                f"there is no exchange {number}",
                code="no-such-turn",
                fix="the numbers stand before the questions",
                usage=True,
            )
        self.at = number

    def messages(
        self, voice: Voice, question: str, *, system: str = "", memory: bool = True, after: int | None = None
    ) -> list[dict[str, str]]:
        """What a voice is sent.

        Of each earlier exchange it gets its own answer; where it was not asked, the first one that has words: who is
        brought in later knows what was said. An exchange without such an answer is left out.

        Args:
            question: the new one, which comes last.
            memory: False leaves out all that came before.
            after: the number of the exchange that the question follows, the present one unless given.

        Returns:
            Dicts of `role` and `content`.
        """
        out = [{"role": "system", "content": system}] if system else []
        for exchange in self.path(after) if memory else []:
            said = [answer for answer in exchange.answers if answer.usable]
            own = [answer for answer in said if answer.voice == voice]
            for answer in (own or said)[:1]:
                out.append({"role": "user", "content": exchange.question})
                out.append({"role": "assistant", "content": answer.text})
        return [*out, {"role": "user", "content": question}]
