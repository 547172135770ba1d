"""The conversation: who was asked what, what came back, and what is still on its way. No widgets, no threads.

It asks the engine and reads what streams back when it is polled, and has all of it written into a transcript as it
happens. It must never lose what was said: an answer that was stopped or failed keeps its text, and editing, asking
again and undoing only move in the conversation's tree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tui_tuner.chat.conversation import Answer, AnswerState, Conversation, Exchange
from tui_tuner.chat.sampling import GREEDY, Sampling
from tui_tuner.chat.transcript import Kept, Transcript
from tui_tuner.chat.voices import Voice
from tui_tuner.engine.protocol import Engine, JobHandle, JobStatus
from tui_tuner.engine.requests import ChatTogether, ChatTurn
from tui_tuner.engine.results import ChatReply, TokenSink
from tui_tuner.errors import TunerError
from tui_tuner.ui.widgets.chat_talk import Talk


@dataclass(frozen=True)
class Question:
    """What is asked, and in which way.

    Attributes:
        text: the question.
        voices: who is asked, in their order.
        reference, source: of a row of the data set, as `Exchange` has them.
    """

    text: str
    voices: Sequence[Voice]
    sampling: Sampling = GREEDY
    reference: str = ""
    source: str = ""


@dataclass
class _Pending:
    exchange: Exchange
    answer: Answer
    handle: JobHandle
    sink: TokenSink
    at: int | None = None  # its place in the results of a job for several


_LETTING_GO = 0.3
"""Seconds that a new conversation waits for the last lines of the old one; they are written anyhow."""


class ChatSession(Talk):
    """A conversation with one or more voices.

    Args:
        engine: answers `ChatTurn` requests.
        home: the folder in which a new transcript is made; None keeps none.

    Attributes:
        memory: whether a voice is told what was asked and answered before.
        system: a system message before what a voice is sent; empty for none.
        plain: whether the bare text is sent, without a chat template.
        together: whether columns answer a token of each in turn, else one after the other.
    """

    def __init__(self, engine: Engine, home: Callable[[], Path] | None = None, *, memory: bool = True) -> None:
        super().__init__(home)
        self.memory = memory
        self.system = ""
        self.plain = False
        self.together = False
        self._engine = engine
        self._pending: list[_Pending] = []

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._pending)

    # -- asking -------------------------------------------------------------------------------------------------

    def ask(self, question: Question, after: int | None = None) -> Exchange:
        """Asks every voice in turn; the answers come by polling.

        Args:
            after: the number of the exchange that it follows; the present one unless given.

        Raises:
            TunerError: an answer is still on its way (code "chat-busy"), or there is no question.
        """
        self._idle()
        if not question.text.strip():
            raise TunerError("there is no question", code="no-question", fix="type one first")
        parent = self.conversation.at if after is None else after
        exchange = self._exchange(question, parent, self.system, self.memory, self.plain)
        return self._send(exchange)

    def again(self, number: int, sampling: Sampling, voices: Sequence[Voice]) -> Exchange:
        """Asks an exchange's question once more beside it, with its own system message and manner.

        Raises:
            TunerError: an answer is still on its way, or there is no such exchange.
        """
        self._idle()
        old = self.exchange(number)
        question = Question(old.question, voices, sampling, old.reference, old.source)
        return self._send(self._exchange(question, old.parent, old.system, old.memory, old.plain))

    def _exchange(self, question: Question, parent: int, system: str, memory: bool, plain: bool) -> Exchange:
        return Exchange(
            self.conversation.next_number, parent, question.text, [Answer(voice) for voice in question.voices], system,
            question.sampling, memory, plain, question.reference, question.source, asked=time.time(),
        )  # fmt: skip

    def _send(self, exchange: Exchange) -> Exchange:
        talk = self.conversation
        turns = [
            ChatTurn(
                answer.voice,
                talk.messages(
                    answer.voice,
                    exchange.question,
                    system=exchange.system,
                    memory=exchange.memory,
                    after=exchange.parent,
                ),
                exchange.sampling,
                plain=exchange.plain,
            )
            for answer in exchange.answers
        ]
        talk.add(exchange)
        self._undone.clear()
        self._record(lambda transcript: transcript.asked(exchange))
        if self.together and len(turns) > 1:
            handle = self._engine.submit(ChatTogether(tuple(turns)))
            places = zip(exchange.answers, turns, range(len(turns)), strict=True)
            self._pending += [_Pending(exchange, answer, handle, turn.sink, at) for answer, turn, at in places]
            return exchange
        for answer, turn in zip(exchange.answers, turns, strict=True):
            self._pending.append(_Pending(exchange, answer, self._engine.submit(turn), turn.sink))
        return exchange

    # -- what comes back ------------------------------------------------------------------------------------------

    def poll(self) -> list[Answer]:
        """Takes in what has come since the last call; returns the answers that changed."""
        changed: list[Answer] = []
        for pending in list(self._pending):
            # Looked at before the text is taken, so that nothing written in between is missed.
            status = pending.handle.status
            before = (pending.answer.text, pending.answer.state)
            pending.answer.text += pending.sink.take()
            if status.ended:
                self._settle(pending)
                self._pending.remove(pending)
            elif status is JobStatus.RUNNING:
                pending.answer.state = AnswerState.RUNNING
            if before != (pending.answer.text, pending.answer.state):
                changed.append(pending.answer)
                self._record(lambda transcript, exchange=pending.exchange: transcript.said(exchange))  # type: ignore[misc]
        return changed

    def stop(self) -> None:
        """Asks for everything on its way to be stopped; what was said stays."""
        for pending in self._pending:
            pending.handle.control.stop()

    def clear(self) -> None:
        """Stops, and begins a new conversation; the old one is in its transcript."""
        self._leave()
        self.conversation, self.title = Conversation(), ""

    def reopen(self, kept: Kept) -> None:
        """Stops, and goes on with a conversation that was kept, in its own transcript.

        Raises:
            TunerError: it is going on elsewhere, or its file cannot be written.
        """
        transcript = Transcript.resume(kept)
        self._leave()
        self.conversation, self.title, self._transcript = kept.conversation, kept.title, transcript

    def _leave(self) -> None:
        """Stops; what was said by now is kept."""
        self.stop()
        self.poll()
        for pending in self._pending:
            pending.answer.state = AnswerState.STOPPED
            self._record(lambda transcript, exchange=pending.exchange: transcript.said(exchange))  # type: ignore[misc]
        self._pending.clear()
        self._undone.clear()
        self.close(_LETTING_GO)

    @staticmethod
    def _settle(pending: _Pending) -> None:
        answer, handle = pending.answer, pending.handle
        result: object = handle.result
        if pending.at is not None:
            result = result[pending.at] if isinstance(result, list) and pending.at < len(result) else None
        error = result if isinstance(result, TunerError) else handle.error
        if error is not None or handle.status is JobStatus.FAILED:
            answer.state = AnswerState.FAILED
            answer.problem = error.sentence() if error is not None else "The answer failed."
            return
        if isinstance(result, ChatReply):
            answer.reply = result
            answer.text = result.text or answer.text
        stopped = handle.status is JobStatus.STOPPED or (answer.reply is not None and answer.reply.finish == "stopped")
        answer.state = AnswerState.STOPPED if stopped else AnswerState.DONE


def next_seed(sampling: Sampling, seed: int | None = None) -> Sampling:
    """The settings with the seed after theirs, or a given one."""
    return replace(sampling, seed=(sampling.seed + 1) % 2**32 if seed is None else seed)
