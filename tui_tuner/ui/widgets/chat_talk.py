"""A conversation as it is gone through and kept: undone, redone, branched, and written into a transcript as it happens.

What asks and answers is `chat_session`. Going back never takes anything away.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tui_tuner.chat.conversation import Conversation, Exchange
from tui_tuner.chat.transcript import Transcript
from tui_tuner.errors import TunerError


class Talk:
    """A conversation, the place in it, and its transcript.

    Args:
        home: the folder in which a new transcript is made; None keeps none.

    Attributes:
        conversation: what was said.
        title: what a person called it; empty when nobody did.
    """

    def __init__(self, home: Callable[[], Path] | None) -> None:
        self.conversation = Conversation()
        self.title = ""
        self._home = home
        self._transcript: Transcript | None = None
        self._undone: list[int] = []

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        raise NotImplementedError

    @property
    def exchanges(self) -> list[Exchange]:
        """What was said on the present branch, oldest first."""
        return self.conversation.path()

    def _idle(self) -> None:
        if self.busy:
            raise TunerError("an answer is still on its way", code="chat-busy", fix="wait for it or stop it")

    # -- moving in what was said ----------------------------------------------------------------------------------

    def exchange(self, number: int = 0) -> Exchange:
        """An exchange by its number, the present one for 0.

        Raises:
            TunerError: there is none (code "no-such-turn").
        """
        found = self.conversation.exchanges.get(number or self.conversation.at)
        if found is None:
            nothing = "nothing was said yet" if not number else f"there is no exchange {number}"
            fix = "ask something first" if not number else "the numbers stand before the questions"
            raise TunerError(nothing, code="no-such-turn", fix=fix, usage=True)
        return found

    def go(self, number: int) -> None:
        """Goes to an exchange, from which the conversation goes on; 0 is the beginning.

        Raises:
            TunerError: an answer is still on its way, or there is no such exchange.
        """
        self._idle()
        self.conversation.go(number)
        self._record(lambda transcript: transcript.moved(number))

    def undo(self) -> Exchange:
        """Takes the present exchange back, and returns it; it stays in the tree."""
        last = self.exchange()
        self.go(last.parent)
        self._undone.append(last.number)
        return last

    @property
    def undone(self) -> bool:
        """Whether there is something to redo."""
        return bool(self._undone) and self.conversation.exchanges[self._undone[-1]].parent == self.conversation.at

    def redo(self) -> Exchange:
        """Goes to the exchange that was taken back last.

        Raises:
            TunerError: there is none that follows here.
        """
        if not self.undone:
            raise TunerError("there is nothing to redo", code="no-such-turn", fix="/undo takes a question back")
        self.go(self._undone.pop())
        return self.exchange()

    def siblings(self, number: int = 0) -> list[Exchange]:
        """An exchange and what was asked in its place."""
        return self.conversation.children(self.exchange(number).parent)

    def branch(self) -> Exchange:
        """Goes to the next branch: that of the last exchange which was asked in more than one way, at its newest end.

        Raises:
            TunerError: there is only one, or an answer is still on its way.
        """
        for exchange in reversed(self.exchanges):
            beside = self.siblings(exchange.number)
            if len(beside) > 1:
                self.go(self._newest(beside[(beside.index(exchange) + 1) % len(beside)].number))
                return self.exchange()
        raise TunerError(
            "there is only one branch",
            code="no-such-turn",
            fix="/edit and /again make others, and /branch with a number goes on from there",
        )

    def _newest(self, number: int) -> int:
        """The end of the newest branch below an exchange."""
        while below := self.conversation.children(number):
            number = below[-1].number
        return number

    # -- the transcript -------------------------------------------------------------------------------------------

    @property
    def path(self) -> Path | None:
        """The transcript's file; None before there is one."""
        return self._transcript.path if self._transcript is not None else None

    @property
    def problem(self) -> str:
        """Why the transcript is not being written at present, as a sentence; empty when it is."""
        return self._transcript.problem if self._transcript is not None else ""

    def note_vote(self, exchange: Exchange) -> None:
        """The exchange got another vote."""
        self._record(lambda transcript: transcript.voted(exchange))

    def name(self, title: str) -> None:
        """Gives the conversation a name."""
        self.title = title
        self._record(lambda transcript: transcript.titled(title))

    def flush(self) -> None:
        """Has all that was said in the file."""
        self._record(lambda transcript: transcript.flush())

    def close(self, timeout: float = 2.0) -> None:
        """Lets go of the transcript; the next question begins another."""
        self._record(lambda transcript: transcript.close(timeout))
        self._transcript = None

    def _record(self, note: Callable[[Transcript], object]) -> None:
        if self._transcript is None and self._home is not None and self.conversation.exchanges:
            self._transcript = Transcript.create(self._home())
            if self.title:
                self._transcript.titled(self.title)
        if self._transcript is not None:
            note(self._transcript)
