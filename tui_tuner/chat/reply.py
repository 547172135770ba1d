"""A finished or stopped answer, as plain data that any thread may hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ChatReply:
    """One finished (or stopped) answer.

    Attributes:
        text: the answer as decoded so far, without the stop token.
        prompt_tokens: tokens of the rendered conversation.
        tokens: tokens generated, the stop token not counted.
        tokens_per_second: generation speed without the prompt's processing; 0 for a single token.
        finish: why it ended: `stop` (the model ended its turn, or a stop text came), `length` (the token cap, or
            the end of the model's context), `stopped` (asked to stop).
        time_to_first_token: seconds from the request's start in the worker to the first token.
        reused: of the prompt's tokens, how many had been read before and were not read again.
        context: how many tokens the model's context holds; 0 where the model does not say.
        memory: bytes that mlx held at the end of the answer.
        token_ids: the answer's tokens, the stop token not among them.
        plain: whether the bare text went in, because the model has no chat template or by choice.
    """

    text: str
    prompt_tokens: int
    tokens: int
    tokens_per_second: float
    finish: str
    time_to_first_token: float
    reused: int = 0
    context: int = 0
    memory: int = 0
    token_ids: list[int] = field(default_factory=list)
    plain: bool = False

    def as_json(self) -> dict[str, Any]:
        """The document that `chat --prompt --json` prints."""
        return {
            "text": self.text,
            "prompt_tokens": self.prompt_tokens,
            "tokens": self.tokens,
            "tokens_per_second": self.tokens_per_second,
            "finish": self.finish,
            "time_to_first_token": self.time_to_first_token,
            "reused": self.reused,
            "context": self.context,
            "memory": self.memory,
            "plain": self.plain,
        }
