"""How probable a model found each token of an answer, and what it would rather have said. On the MLX thread only.

One forward pass over prompt and answer, the answer in pieces so that a large vocabulary's logits fit. The model is
never changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tui_tuner.chat.prompt_cache import PromptCaches, read
from tui_tuner.errors import TunerError
from tui_tuner.runs.control import StopRequested

_PIECE = 64
"""Tokens of the answer whose logits are in memory at a time."""


@dataclass(frozen=True)
class Inside:
    """An answer, token by token.

    Attributes:
        pieces: the text of each token; together they are the answer, so that a token which only begins a character has
            none.
        losses: as many negative log-likelihoods, in nats.
        alternatives: for each token the likeliest ones at its place, best first, with their probabilities.
        rank: how many tokens were likelier at each place; 0 where the answer has the likeliest.
    """

    pieces: list[str] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    alternatives: list[list[tuple[str, float]]] = field(default_factory=list)
    rank: list[int] = field(default_factory=list)

    @property
    def mean(self) -> float | None:
        """Mean loss of a token, in nats; None without tokens."""
        return sum(self.losses) / len(self.losses) if self.losses else None

    @property
    def perplexity(self) -> float | None:
        """The exponential of the mean; infinite where that is beyond numbers."""
        if self.mean is None:
            return None
        return math.exp(self.mean) if self.mean < 700 else math.inf

    def as_json(self) -> list[dict[str, Any]]:
        """The tokens as a command prints them."""
        each = zip(self.pieces, self.losses, self.rank, self.alternatives, strict=True)
        return [
            {
                "text": text,
                "probability": math.exp(-loss),
                "loss": loss,
                "rank": rank,
                "alternatives": [{"text": other, "probability": share} for other, share in others],
            }
            for text, loss, rank, others in each
        ]


def look_inside(
    model: Any,
    tokenizer: Any,
    prompt: list[int],
    answer: list[int],
    *,
    top: int = 8,
    caches: PromptCaches | None = None,
    voice: Hashable = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Inside:
    """Losses, ranks and alternatives of an answer's tokens after a prompt.

    Args:
        model: a module tree in evaluation mode.
        prompt, answer: token ids; the prompt has at least one.
        top: how many alternatives.
        caches, voice: as for `Answering`; what was read for the answer need not be read again.
        stopped: is asked between pieces.

    Raises:
        StopRequested: it was stopped.
    """
    from mlx_lm.models.cache import make_prompt_cache

    if not answer:
        return Inside()
    whole = [*prompt, *answer]
    found = caches.take(voice, prompt) if caches is not None else None
    cache, done = found or (make_prompt_cache(model), 0)
    if not read(model, prompt[done:-1], cache, stopped)[1]:
        raise StopRequested("user")
    losses: list[float] = []
    ranks: list[int] = []
    likely: list[list[tuple[int, float]]] = []
    for start in range(len(prompt), len(whole), _PIECE):
        end = min(start + _PIECE, len(whole))
        lost, rank, best = _look(model, whole[start - 1 : end], cache, top)
        losses += lost
        ranks += rank
        likely += best
        if end < len(whole) and stopped():
            raise StopRequested("user")
    if caches is not None:
        caches.keep(voice, (whole[:-1], cache))
    told = _Texts(tokenizer)
    alternatives = [[(told(token), share) for token, share in place] for place in likely]
    return Inside(pieces_of(answer, tokenizer), losses, alternatives, ranks)


def _look(
    model: Any, tokens: list[int], cache: list[Any], top: int
) -> tuple[list[float], list[int], list[list[tuple[int, float]]]]:
    """Losses, ranks and the likeliest tokens at the places of all tokens but the first."""
    import mlx.core as mx

    ids = mx.array(tokens)
    logits = model(ids[None, :-1], cache=cache)[0].astype(mx.float32)
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    own = mx.take_along_axis(logprobs, ids[1:, None], axis=-1)
    rank = (logprobs > own).sum(axis=-1)
    count = min(top, logprobs.shape[-1])
    best = mx.argsort(-logprobs, axis=-1)[:, :count]
    share = mx.exp(mx.take_along_axis(logprobs, best, axis=-1))
    mx.eval(own, rank, best, share)
    places = zip(best.tolist(), share.tolist(), strict=True)
    return (-own[:, 0]).tolist(), rank.tolist(), [list(zip(*place, strict=True)) for place in places]


def answer_tokens(messages: Sequence[dict[str, str]], text: str, prompt: list[int], tokenizer: Any) -> list[int]:
    """Token ids of a text as the answer to a prompt: as the template sets it, else by themselves.

    Args:
        messages: what the prompt was made of; empty where no template was in use.
        prompt: its token ids.

    Raises:
        TunerError: the text holds what is no text.
    """
    # Here and not above: what is asked for is named before the first frame, which needs no numpy.
    from tui_tuner.chat.answering import check_text
    from tui_tuner.data.examples import tokenise

    check_text(text, "the answer")
    if messages:
        row: dict[str, Any] = {"messages": [*messages, {"role": "assistant", "content": text}]}
        try:
            whole = tokenise(row, tokenizer, mask_prompt=True).tokens
        except TunerError:  # a template that takes no answer here
            whole = []
        rest = whole[len(prompt) :]
        ends = [at for at, token in enumerate(rest) if token in tokenizer.eos_token_ids]
        rest = rest[: ends[0]] if ends else rest
        # A template may leave out part of an answer, such as its reasoning, or put something before it.
        if whole[: len(prompt)] == prompt and tokenizer.decode(rest).strip() == text.strip():
            return rest
    return list(tokenizer.encode(text, add_special_tokens=False))


def pieces_of(tokens: list[int], tokenizer: Any) -> list[str]:
    """The text that each token adds to those before it."""
    detokenizer, pieces = tokenizer.detokenizer, []
    for token in tokens:
        detokenizer.add_token(token)
        pieces.append(detokenizer.last_segment)
    detokenizer.finalize()
    if pieces:
        pieces[-1] += detokenizer.last_segment
    return pieces


class _Texts:
    """Texts of single tokens as they read within a text: many tokenizers drop the space that one begins with."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._anchor = list(tokenizer.encode("a", add_special_tokens=False))
        self._head = tokenizer.decode(self._anchor)
        self._known: dict[int, str] = {}

    def __call__(self, token: int) -> str:
        if token not in self._known:
            text = self._tokenizer.decode([*self._anchor, token])
            self._known[token] = text.removeprefix(self._head)
        return self._known[token]
