"""The conversation: who was asked what, what came back, and what is still on its way. No widgets, no threads.

It asks the engine and reads what streams back when it is polled. It must never lose what was said: an answer that was
stopped or failed keeps its text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tui_tuner.engine.protocol import Engine, JobHandle, JobStatus
from tui_tuner.engine.requests import ChatTurn
from tui_tuner.engine.results import ChatReply, TokenSink
from tui_tuner.errors import TunerError


class AnswerState(StrEnum):
    """How far an answer is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class Voice:
    """Who answers: a model, alone or with an adapter.

    Attributes:
        model: the model's folder or hub name.
        adapter: the adapter's folder, or None for the base.
        label: what the answer is headed by.
        template: as `model.chat_template` has it.
    """

    model: str
    adapter: Path | None
    label: str
    template: str = "auto"

    @property
    def name(self) -> str:
        return "base" if self.adapter is None else "adapter"


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
        return self.state in (AnswerState.DONE, AnswerState.STOPPED, AnswerState.FAILED)


@dataclass(eq=False)
class Exchange:
    """A question and the answers to it, one per voice asked."""

    question: str
    answers: list[Answer] = field(default_factory=list)


@dataclass
class _Pending:
    answer: Answer
    handle: JobHandle
    sink: TokenSink


class ChatSession:
    """A conversation with one or two voices.

    Args:
        engine: answers `ChatTurn` requests.

    Attributes:
        exchanges: what was said, oldest first.
        memory: whether a voice is told what it was asked and answered before.
        system: a system message before what a voice is sent; empty for none.
    """

    def __init__(self, engine: Engine, *, memory: bool = True) -> None:
        self.exchanges: list[Exchange] = []
        self.memory = memory
        self.system = ""
        self._engine = engine
        self._pending: list[_Pending] = []

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._pending)

    def messages(self, voice: Voice, question: str) -> list[dict[str, str]]:
        """What `voice` is sent: with memory, its own earlier questions and answers too (those that have words)."""
        out: list[dict[str, str]] = [{"role": "system", "content": self.system}] if self.system else []
        for exchange in self.exchanges if self.memory else []:
            for answer in exchange.answers:
                if answer.voice == voice and answer.text.strip() and answer.state is not AnswerState.FAILED:
                    out.append({"role": "user", "content": exchange.question})
                    out.append({"role": "assistant", "content": answer.text})
        return [*out, {"role": "user", "content": question}]

    def ask(
        self, question: str, voices: list[Voice], *, max_tokens: int = 256, temperature: float = 0.0, seed: int = 0
    ) -> Exchange:
        """Asks every voice in turn; the answers come by polling.

        Raises:
            TunerError: an answer is still on its way (code "chat-busy"), or there is no question.
        """
        if self.busy:
            raise TunerError("an answer is still on its way", code="chat-busy", fix="wait for it or stop it")
        if not question.strip():
            raise TunerError("there is no question", code="no-question", fix="type one first")
        exchange = Exchange(question)
        turns = [
            ChatTurn(
                voice.model,
                voice.adapter,
                self.messages(voice, question),
                max_tokens,
                temperature,
                seed,
                TokenSink(),
                voice.template,
            )
            for voice in voices
        ]
        for voice, turn in zip(voices, turns, strict=True):
            answer = Answer(voice)
            exchange.answers.append(answer)
            self._pending.append(_Pending(answer, self._engine.submit(turn), turn.sink))
        self.exchanges.append(exchange)
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
        self.exchanges.clear()

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
