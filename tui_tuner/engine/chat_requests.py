"""What a chat asks of the engine. Plain data: importable, and creatable on any thread, without mlx."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from tui_tuner.chat.sampling import GREEDY, Sampling
from tui_tuner.chat.voices import Voice
from tui_tuner.engine.lanes import Lane
from tui_tuner.engine.results import TokenSink


@dataclass(frozen=True)
class ChatTurn:
    """One answer to a conversation, streamed into `sink`. Result: `ChatReply`.

    Attributes:
        voice: who answers.
        messages: the conversation so far, the last one the user's: dicts of `role` and `content`.
        plain: the bare text goes in, without the chat template; for a model without one it does anyway, and the reply
            says so.
    """

    voice: Voice
    messages: list[dict[str, str]]
    sampling: Sampling = GREEDY
    sink: TokenSink = field(default_factory=TokenSink)
    plain: bool = False
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return "chat"

    @property
    def voices(self) -> list[Voice]:
        return [self.voice]

    @property
    def sinks(self) -> list[TokenSink]:
        return [self.sink]


@dataclass(frozen=True)
class ChatTogether:
    """Several answers, a token of each in turn. Result: for each turn its `ChatReply`, or the `TunerError` it met.

    It is one job: a stop ends all of them. Voices of one base take turns by the token, those of another base come after
    them, since one base is in memory at a time.
    """

    turns: tuple[ChatTurn, ...]
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return "chat"

    @property
    def voices(self) -> list[Voice]:
        return [turn.voice for turn in self.turns]

    @property
    def sinks(self) -> list[TokenSink]:
        return [turn.sink for turn in self.turns]


@dataclass(frozen=True)
class LookInside:
    """How probable each token of an answer is to a voice, and what it would rather have said. Result: `Inside`.

    Serves an answer of the voice's own as well as any other text, such as the reference of a row.

    Attributes:
        voice, messages, plain: as for `ChatTurn`; the answer is not among the messages.
        text: the answer.
        tokens: its token ids where they are known, as a `ChatReply` has them; then the text is not looked at.
        top: how many alternatives at each place.
    """

    voice: Voice
    messages: list[dict[str, str]]
    text: str
    tokens: tuple[int, ...] = ()
    top: int = 8
    plain: bool = False
    lane: ClassVar[Lane] = "mlx"

    @property
    def title(self) -> str:
        return "look inside an answer"

    @property
    def voices(self) -> list[Voice]:
        return [self.voice]

    @property
    def sinks(self) -> list[TokenSink]:
        return []


@dataclass(frozen=True)
class CountTokens:
    """How much of a voice's context a conversation takes, before it is sent. Result: `ContextUse`.

    Attributes:
        voice, messages, plain: as for `ChatTurn`.
    """

    voice: Voice
    messages: list[dict[str, str]]
    plain: bool = False
    lane: ClassVar[Lane] = "side"

    @property
    def title(self) -> str:
        return "count tokens"


Chatting = ChatTurn | ChatTogether | LookInside
"""Requests that a run in training lets in between two of its steps."""
