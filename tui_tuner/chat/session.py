"""One answer to a conversation, streamed token by token. Called on the MLX thread only.

The conversation is rendered by the same function as training rows, and goes in as token ids.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import Any

from tui_tuner.chat.reply import ChatReply
from tui_tuner.chat.sampling import Sampling
from tui_tuner.data.examples import conversation_tokens
from tui_tuner.errors import TunerError
from tui_tuner.runs.control import JobControl


def answer(
    model: Any,
    tokenizer: Any,
    messages: list[dict[str, str]],
    *,
    sampling: Sampling,
    write: Callable[[str], None],
    control: JobControl,
) -> ChatReply:
    """Streams the assistant's turn into `write`; a stop keeps what was said.

    Raises:
        TunerError: when the template refuses the conversation or it is longer than the model's context.
    """
    import mlx.core as mx
    from mlx_lm.generate import stream_generate
    from mlx_lm.sample_utils import make_sampler

    started = time.perf_counter()
    prompt = conversation_tokens(messages, tokenizer)
    max_tokens = min(sampling.max_tokens, _room(model, len(prompt)))
    mx.random.seed(sampling.seed)
    parts: list[str] = []
    count, rate, first, finish = 0, 0.0, 0.0, "stop"
    stream = stream_generate(
        model, tokenizer, prompt, max_tokens=max_tokens, sampler=make_sampler(temp=sampling.temperature)
    )
    with contextlib.closing(stream):
        for response in stream:
            if not count:
                first = time.perf_counter() - started
            ended = response.finish_reason
            count = response.generation_tokens - (1 if ended == "stop" else 0)
            rate = response.generation_tps if count > 1 else 0.0  # one token has no interval to measure
            if response.text:
                parts.append(response.text)
                write(response.text)
            if ended:
                finish = ended
                break
            if control.stop_requested:
                finish = "stopped"
                break
    return ChatReply("".join(parts), len(prompt), count, rate, finish, first)


def _room(model: Any, prompt: int) -> int:
    """How many tokens the model's context has left after a prompt of so many."""
    limit = getattr(getattr(model, "args", None), "max_position_embeddings", None)
    if not isinstance(limit, int):
        return sys.maxsize
    if prompt >= limit:
        raise TunerError(
            f"the conversation takes {prompt} tokens and the model's context holds {limit}",
            code="context-full",
            fix="clear the conversation or shorten it",
        )
    return limit - prompt
