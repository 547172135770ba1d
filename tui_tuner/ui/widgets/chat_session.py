"""The conversation: who was asked what, what came back, and what is still on its way. No widgets, no threads.

It asks the engine and reads what streams back when it is polled. It must never lose what was said: an answer that was
stopped or failed keeps its text.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from tui_tuner.chat.conversation import Answer, AnswerState, Conversation, Exchange
from tui_tuner.chat.sampling import Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.engine.protocol import Engine, JobHandle, JobStatus
from tui_tuner.engine.requests import ChatTurn
from tui_tuner.engine.results import ChatReply, TokenSink
from tui_tuner.errors import TunerError


@dataclass
class _Pending:
    answer: Answer
    handle: JobHandle
    sink: TokenSink


class ChatSession:
    """A conversation with one or more voices.

    Args:
        engine: answers `ChatTurn` requests.

    Attributes:
        conversation: what was said.
        memory: whether a voice is told what was asked and answered before.
        system: a system message before what a voice is sent; empty for none.
    """

    def __init__(self, engine: Engine, *, memory: bool = True) -> None:
        self.conversation = Conversation()
        self.memory = memory
        self.system = ""
        self._engine = engine
        self._pending: list[_Pending] = []

    @property
    def exchanges(self) -> list[Exchange]:
        """What was said on the present branch, oldest first."""
        return self.conversation.path()

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._pending)

    def ask(self, question: str, voices: list[Voice], sampling: Sampling | None = None) -> Exchange:
        """Asks every voice in turn; the answers come by polling.

        Raises:
            TunerError: an answer is still on its way (code "chat-busy"), or there is no question.
        """
        if self.busy:
            raise TunerError("an answer is still on its way", code="chat-busy", fix="wait for it or stop it")
        if not question.strip():
            raise TunerError("there is no question", code="no-question", fix="type one first")
        talk, sampling = self.conversation, sampling or Sampling()
        sent = [talk.messages(voice, question, system=self.system, memory=self.memory) for voice in voices]
        exchange = talk.add(
            Exchange(
                talk.next_number,
                talk.at,
                question,
                [Answer(voice) for voice in voices],
                self.system,
                sampling,
                self.memory,
                asked=time.time(),
            )
        )
        for answer, messages in zip(exchange.answers, sent, strict=True):
            turn = ChatTurn(answer.voice, messages, sampling)
            self._pending.append(_Pending(answer, self._engine.submit(turn), turn.sink))
        return exchange

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
        return changed

    def stop(self) -> None:
        """Asks for everything on its way to be stopped; what was said stays."""
        for pending in self._pending:
            pending.handle.control.stop()

    def clear(self) -> None:
        """Stops, and forgets everything."""
        self.stop()
        self._pending.clear()
        self.conversation = Conversation()

    @staticmethod
    def _settle(pending: _Pending) -> None:
        answer, handle = pending.answer, pending.handle
        if handle.status is JobStatus.FAILED:
            answer.state = AnswerState.FAILED
            answer.problem = handle.error.sentence() if handle.error is not None else "The answer failed."
            return
        if isinstance(handle.result, ChatReply):
            answer.reply = handle.result
            answer.text = handle.result.text or answer.text
        stopped = handle.status is JobStatus.STOPPED or (answer.reply is not None and answer.reply.finish == "stopped")
        answer.state = AnswerState.STOPPED if stopped else AnswerState.DONE
