"""Answers to conversations, token by token. Called on the MLX thread only.

A conversation is rendered by the same function as training rows, and goes in as token ids. An answer is a thing that
is advanced by one token at a time, so that several of them can take turns. It must never take a random number from
mlx's own generator, which a training run may be using: each answer has a key of its own, and draws with it what
`mlx_lm.generate --seed` draws.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from typing import Any

from tui_tuner.chat.prompt_cache import PromptCaches, copied, read
from tui_tuner.chat.reply import ChatReply
from tui_tuner.chat.sampling import Sampling
from tui_tuner.data.chatforms import has_template
from tui_tuner.data.examples import conversation_tokens, plain_tokens
from tui_tuner.data.rows import half_of_a_pair
from tui_tuner.errors import TunerError
from tui_tuner.runs.control import JobControl

_PENALISED = 20
"""How many tokens back a repetition penalty looks, as in mlx-lm."""


class Answering:
    """One answer on its way; `advance` it until it has ended, then `close` it.

    Args:
        model: a module tree in evaluation mode.
        tokenizer: mlx-lm's wrapper.
        messages: the conversation, dicts of `role` and `content`.
        write: gets the text as it comes.
        control: is asked after each token, and between pieces of a long prompt, whether to stop.
        plain: the bare text goes in; without a chat template it does anyway.
        context: how many tokens the model's context holds; 0 where it does not say.
        caches: what was read before, and where is kept what is read now; None keeps nothing.
        voice: whose reading it is: two that differ by a weight must differ in this.

    Raises:
        TunerError: the template refuses the conversation, or it is longer than the context.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        messages: Sequence[dict[str, str]],
        *,
        sampling: Sampling,
        write: Callable[[str], None],
        control: JobControl,
        plain: bool = False,
        context: int = 0,
        caches: PromptCaches | None = None,
        voice: Hashable = None,
    ) -> None:
        self._started = time.perf_counter()
        self._model, self._sampling, self._control = model, sampling, control
        self._plain, self._context = plain or not has_template(tokenizer), context
        self._caches, self._voice = caches, voice
        self._prompt = prompt_of(messages, tokenizer, plain=self._plain)
        self._most = min(sampling.max_tokens, _room(context, len(self._prompt)))
        self._ends = frozenset(tokenizer.eos_token_ids)
        self._said = _Said(tokenizer.detokenizer, sampling.stop, write)
        self._came: list[int] = []
        self._reused, self._reading = 0, (0, True)
        self._cache: list[Any] = []
        self._before: list[Any] | None = None
        self._stream: Any = None
        self._first = self._last = 0.0
        self._finish = ""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the conversation as the model is sent it."""
        return len(self._prompt)

    def advance(self) -> bool:
        """Brings the next token, the first time after reading the prompt; False once the answer has ended."""
        if self._stream is None and not self._begin():
            self._finish = "stopped"
            return False
        token, _ = next(self._stream)
        came = self._came
        came.append(token)
        self._last = time.perf_counter()
        if len(came) == 1:
            self._first = self._last
        if token in self._ends or self._said.add(token):
            self._finish = "stop"
        elif len(came) == self._most:
            self._finish = "length"
        elif self._control.stop_requested:
            self._finish = "stopped"
        else:
            return True
        self._said.end()
        return False

    def close(self) -> ChatReply:
        """Ends it where it is, keeps what was read, and tells what came."""
        import mlx.core as mx

        if self._stream is not None:
            self._stream.close()
            self._stream = None
        came, ended = self._came, bool(self._came) and self._came[-1] in self._ends
        self._said.end()
        tokens = self._said.tokens(came[:-1] if ended else came)
        self._keep()
        between = self._last - self._first
        return ChatReply(
            text=self._said.text,
            prompt_tokens=len(self._prompt),
            tokens=len(tokens),
            tokens_per_second=(len(came) - 1) / between if between > 0 else 0.0,
            finish=self._finish or "stopped",
            time_to_first_token=self._first - self._started if came else 0.0,
            reused=self._reused,
            context=self._context,
            memory=int(mx.get_active_memory()),
            token_ids=tokens,
            plain=self._plain,
        )

    def _begin(self) -> bool:
        """Reads what of the prompt was not read before; False when asked to stop meanwhile."""
        import mlx.core as mx
        from mlx_lm.generate import generate_step
        from mlx_lm.models.cache import make_prompt_cache

        prompt = self._prompt
        found = self._caches.take(self._voice, prompt) if self._caches is not None else None
        self._cache, self._reused = found or (make_prompt_cache(self._model), 0)
        rest = prompt[self._reused : -1]
        self._reading = read(self._model, rest, self._cache, lambda: self._control.stop_requested)
        if not self._reading[1]:
            return False
        self._before = copied(self._cache) if self._caches is not None else None
        self._stream = generate_step(
            mx.array(prompt[-1:]),
            self._model,
            max_tokens=self._most,
            sampler=drawing(self._sampling),
            logits_processors=_penalty(self._sampling, prompt[:-1]),
            prompt_cache=self._cache,
        )
        return True

    def _keep(self) -> None:
        """Keeps what was read. The token that came last has been read, too: mlx-lm is always one ahead."""
        if self._caches is None or not self._cache:
            return
        if not self._came:
            self._caches.keep(self._voice, (self._prompt[: self._reused + self._reading[0]], self._cache))
            return
        reads = [([*self._prompt, *self._came], self._cache)]
        if self._before is not None:
            reads.append((self._prompt[:-1], self._before))
        self._caches.keep(self._voice, *reads)


def answer(model: Any, tokenizer: Any, messages: Sequence[dict[str, str]], **options: Any) -> ChatReply:
    """One whole answer, or as much of it as came before a stop; the options are those of `Answering`.

    Raises:
        TunerError: as for `Answering`.
    """
    return take_turns([Answering(model, tokenizer, messages, **options)])[0]


def take_turns(answers: Sequence[Answering], ended: Callable[[int], None] = lambda _: None) -> list[ChatReply]:
    """Brings answers to their ends, a token of each in turn.

    Args:
        answers: of models that are in memory together.
        ended: told the number of an answer all of whose text was written.
    """
    replies: dict[int, ChatReply] = {}
    with ExitStack() as after:
        speaking = list(enumerate(answers))
        for number, answering in speaking:
            # Each generator of mlx-lm puts back the stream that it found: the one that began last has to end first.
            after.callback(_close_into, replies, number, answering)
        while speaking:
            going = []
            for number, answering in speaking:
                if answering.advance():
                    going.append((number, answering))
                else:
                    ended(number)
            speaking = going
    return [replies[number] for number in range(len(answers))]


def _close_into(replies: dict[int, ChatReply], number: int, answering: Answering) -> None:
    replies[number] = answering.close()


class _Said:
    """Tokens to text, and text to the reader: all but what could be the beginning of a stop text."""

    def __init__(self, detokenizer: Any, stops: Sequence[str], write: Callable[[str], None]) -> None:
        self._detokenizer, self._stops, self._write = detokenizer, stops, write
        self._parts: list[str] = []
        self._held = ""
        self._length = 0
        self._starts: list[int] = []
        self._over = self._cut = False

    def add(self, token: int) -> bool:
        """Takes the next token in; True when a stop text has ended the answer."""
        if self._stops:
            self._starts.append(self._length + len(self._held))
        self._detokenizer.add_token(token)
        if text := self._detokenizer.last_segment:
            self._pass(text)
        return self._cut

    def end(self) -> None:
        """Writes what was held back."""
        if self._over:
            return
        self._over = True
        if not self._cut:
            self._detokenizer.finalize()
            self._pass(self._detokenizer.last_segment)
            if not self._cut:
                self._say(self._held)

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def tokens(self, came: list[int]) -> list[int]:
        """Those of the tokens that the text is made of: not the ones of a stop text."""
        if not self._cut:
            return list(came)
        return [token for token, start in zip(came, self._starts, strict=False) if start < self._length]

    def _pass(self, text: str) -> None:
        if not self._stops:
            self._say(text)
            return
        held = self._held + text
        found = [at for stop in self._stops if (at := held.find(stop)) >= 0]
        self._cut = bool(found)
        sure = min(found) if found else len(held) - self._doubtful(held)
        self._held = "" if found else held[sure:]
        self._say(held[:sure])

    def _doubtful(self, text: str) -> int:
        """Length of the longest end of a text that a stop text begins with."""
        longest = min(max(map(len, self._stops)) - 1, len(text))
        ends = range(longest, 0, -1)
        return next((n for n in ends if any(stop.startswith(text[-n:]) for stop in self._stops)), 0)

    def _say(self, text: str) -> None:
        if text:
            self._parts.append(text)
            self._length += len(text)
            self._write(text)


def prompt_of(messages: Sequence[dict[str, str]], tokenizer: Any, *, plain: bool) -> list[int]:
    """Token ids of a conversation that waits for an answer.

    Args:
        plain: without the chat template: what was asked begins on a new line, and an answer goes on from its question.

    Raises:
        TunerError: the template refuses it, a message is no text, or there are no tokens.
    """
    for number, message in enumerate(messages, 1):
        check_text(message["content"], _place(message["role"], number, last=number == len(messages)))
    if not plain:
        return conversation_tokens(list(messages), tokenizer)
    text = ""
    for message in messages:
        text += ("\n" if text and message["role"] != "assistant" else "") + message["content"]
    return plain_tokens(text, tokenizer)


def check_text(text: str, where: str) -> None:
    """Refuses a text that no tokenizer takes, such as one of a command line that is not written in UTF-8.

    Raises:
        TunerError: it holds half of a surrogate pair (code "no-text").
    """
    at = half_of_a_pair(text)
    if at is None:
        return
    code = ord(text[at])
    if 0xDC80 <= code <= 0xDCFF:  # so Python keeps the bytes of arguments and file names that it cannot decode
        what, fix = f"a byte that is not UTF-8 (0x{code - 0xDC00:02X})", "write it in UTF-8"
    else:
        what, fix = f"half of a surrogate pair (\\u{code:04x})", "take it out, or write the whole character"
    raise TunerError(f"character {at + 1:,} is {what}, which is no text", code="no-text", where=where, fix=fix)


def _place(role: str, number: int, *, last: bool) -> str:
    """What a message of a conversation is called."""
    if role == "system":
        return "the system message"
    return "the question" if last and role == "user" else f"message {number} of the conversation ({role})"


def drawing(sampling: Sampling) -> Callable[[Any], Any] | None:
    """How the next token is chosen of (1, vocabulary) log-probabilities; None for the likeliest."""
    if sampling.greedy:
        return None
    import mlx.core as mx
    from mlx_lm.sample_utils import apply_min_p, apply_top_k, apply_top_p

    key = mx.random.key(sampling.seed)

    def draw(logprobs: Any) -> Any:
        nonlocal key
        if sampling.top_p < 1:
            logprobs = apply_top_p(logprobs, sampling.top_p)
        if sampling.min_p:
            logprobs = apply_min_p(logprobs, sampling.min_p)
        if 0 < sampling.top_k < logprobs.shape[-1]:
            logprobs = apply_top_k(logprobs, sampling.top_k)
        key, own = mx.random.split(key)
        return mx.random.categorical(logprobs * (1 / sampling.temperature), key=own)

    return draw


def _penalty(sampling: Sampling, before: list[int]) -> list[Callable[[Any, Any], Any]] | None:
    """mlx-lm's repetition penalty, told of the tokens before those that it is given."""
    if sampling.repetition_penalty == 1:
        return None
    import mlx.core as mx
    from mlx_lm.sample_utils import make_repetition_penalty

    inner = make_repetition_penalty(sampling.repetition_penalty, _PENALISED)
    earlier = mx.array(before[-_PENALISED:], mx.uint32)

    def penalise(tokens: Any, logits: Any) -> Any:
        return inner(mx.concatenate([earlier, tokens.astype(mx.uint32)]), logits)

    return [penalise]


def _room(context: int, prompt: int) -> int:
    """How many tokens a context has left after a prompt of so many."""
    if not context:
        return sys.maxsize
    if prompt >= context:
        raise TunerError(
            f"the conversation takes {prompt:,} tokens and the model's context holds {context:,}",
            code="context-full",
            fix="clear the conversation or shorten it",
        )
    return context - prompt
