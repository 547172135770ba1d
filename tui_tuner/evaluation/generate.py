"""Answers for many prompts, in batches, with rows coming out as they finish. Called on the MLX thread only.

Prompts go in as token ids (a string would get a second BOS), longest first, so that a batch holds prompts of like
length; what all of them begin with is computed once. A greedy answer of a model in float32 must be the one that
`mlx_lm.generate` gives for the prompt alone: where two tokens are so close that the rounding of a batch could decide
between them, the row is answered again, alone. Sampled answers depend on their own seed and on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tui_tuner.runs.control import JobControl

TIE = 2e-4
"""Log-probabilities of float32 models that differ by less are taken for equal. Batches were seen to differ from single
rows by up to a ninth of it, on four architectures with random weights."""

SHARED_AT_LEAST = 8
"""Tokens that all prompts must have in common for their beginning to be computed apart."""

_PREFILL = 2048


@dataclass(frozen=True)
class Answer:
    """One generated answer: the prompt's index, its text and token ids without the stop token, and how it ended.

    `finish` is `stop` (the model ended its turn) or `length` (the cap was reached).
    """

    index: int
    text: str
    tokens: list[int]
    finish: str


@dataclass(frozen=True)
class Drawing:
    """How an answer is drawn: at a temperature above 0, by a seed of its own."""

    temperature: float
    seed: int


def greedy_answers(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    *,
    max_tokens: int,
    batch_size: int,
    control: JobControl,
    between: Callable[[int], None] | None = None,
    drawings: Sequence[Drawing | None] | None = None,
) -> Iterator[Answer]:
    """Yields an answer for each prompt, in the order in which they finish.

    Args:
        model: a module tree in evaluation mode.
        tokenizer: mlx-lm's wrapper; its `eos_token_ids` end an answer.
        prompts: token ids; none may be empty.
        max_tokens: cap on the tokens of one answer.
        batch_size: prompts answered at once.
        control: looked at between tokens; a stop raises `StopRequested` out of the iteration.
        between: called between tokens with how many were made so far, all answers together, in place of the look
            at the control: for who must not be held up by a pause.
        drawings: for each prompt how its answer is drawn, None for greedy; without it all are greedy.
    """
    if not prompts:
        return
    work = _Work(model, tokenizer, prompts, max_tokens, batch_size, drawings or [None] * len(prompts))
    for made, answers in work.steps():
        yield from answers
        if between is not None:
            between(made)
            continue
        control.wait_while_paused()
        control.check()


def in_float32(model: Any) -> bool:
    """Whether a model computes in single precision throughout, quantized weights or not."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    kinds = {array.dtype for _, array in tree_flatten(model.parameters()) if mx.issubdtype(array.dtype, mx.floating)}
    return kinds == {mx.float32}


def common_prefix(prompts: Sequence[list[int]]) -> int:
    """How many tokens all prompts begin with alike, at least one of each left over."""
    first, last = min(prompts), max(prompts)  # what these two share, all that lie between them share
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return min(same, min(map(len, prompts)) - 1)


def text_of(tokenizer: Any, tokens: Sequence[int]) -> str:
    """The text of an answer as mlx-lm streams it, which for some tokenizers begins without the blank of `decode`."""
    detokenizer = getattr(tokenizer, "detokenizer", None)
    if detokenizer is None:
        return str(tokenizer.decode(list(tokens)))
    for token in tokens:
        detokenizer.add_token(token)
    detokenizer.finalize()
    return str(detokenizer.text)


class _Work:
    """The prompts that are open, being answered, or to be answered alone."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        prompts: Sequence[list[int]],
        max_tokens: int,
        batch_size: int,
        drawings: Sequence[Drawing | None],
    ) -> None:
        self._model, self._tokenizer, self._prompts = model, tokenizer, prompts
        self._max_tokens, self._batch_size = max_tokens, batch_size
        self._drawings = drawings
        self._greedy = not any(drawings)
        self._exact = in_float32(model)
        self._made = 0

    def steps(self) -> Iterator[tuple[int, list[Answer]]]:
        """After every token: how many were made so far, and the answers that ended with it."""
        order = sorted(range(len(self._prompts)), key=lambda i: (-len(self._prompts[i]), i))
        if self._batch_size == 1 or len(order) == 1 or not _batchable(self._model):
            yield from self._one_by_one(order)
            return
        doubtful: list[int] = []
        yield from self._together(order, doubtful)
        yield from self._one_by_one(doubtful)

    def _together(self, order: list[int], doubtful: list[int]) -> Iterator[tuple[int, list[Answer]]]:
        from mlx_lm.generate import BatchGenerator

        generator = BatchGenerator(
            self._model,
            stop_tokens=[[token] for token in self._tokenizer.eos_token_ids],
            completion_batch_size=self._batch_size,
            prefill_batch_size=self._batch_size,
            prefill_step_size=_PREFILL,
        )
        try:
            prefix, cache = self._shared(generator.stream)
            collected: dict[int, tuple[int, list[int]]] = {}
            while order or collected:
                # Several at a time: every arrival copies the cache of those that are at it.
                free = self._batch_size - len(collected)
                if order and (not collected or free >= max(1, self._batch_size // 4)):
                    some, order = order[:free], order[free:]
                    for uid, index in zip(self._insert(generator, some, prefix, cache), some, strict=True):
                        collected[uid] = (index, [])
                try:
                    responses = generator.next_generated()
                except ValueError:
                    # Some architectures cannot mask rows of unlike length, and say so by shapes that do not fit.
                    doubtful += [*(index for index, _ in collected.values()), *order]
                    return
                self._made += len(responses)
                ties = self._ties(responses)
                if ties:
                    generator.remove([uid for uid in ties if uid in collected])
                yield self._made, list(self._taken(responses, ties, collected, doubtful))
        finally:
            generator.close()

    def _taken(
        self, responses: list[Any], ties: set[int], collected: dict[int, tuple[int, list[int]]], doubtful: list[int]
    ) -> Iterator[Answer]:
        for response in responses:
            index, tokens = collected[response.uid]
            if response.uid in ties:
                doubtful.append(index)
                del collected[response.uid]
                continue
            if response.finish_reason != "stop":
                tokens.append(int(response.token))
            if response.finish_reason is not None:
                del collected[response.uid]
                yield Answer(index, text_of(self._tokenizer, tokens), tokens, response.finish_reason)

    def _insert(self, generator: Any, some: list[int], prefix: list[int], cache: Any) -> list[int]:
        """Hands prompts to the generator; each begins behind what all have in common."""
        options: dict[str, Any] = {}
        if prefix:
            options = {"caches": [cache] * len(some), "all_tokens": [list(prefix) for _ in some]}
        if not self._greedy:
            options["samplers"] = [_sampler(self._drawings[index]) for index in some]
        rest = [list(self._prompts[index][len(prefix) :]) for index in some]
        uids: list[int] = generator.insert(rest, [self._max_tokens] * len(some), **options)
        return uids

    def _shared(self, stream: Any) -> tuple[list[int], Any]:
        """The tokens that all prompts begin with, and the cache that a model has after them."""
        import mlx.core as mx
        from mlx_lm.models.cache import make_prompt_cache

        count = common_prefix(self._prompts)
        if count < SHARED_AT_LEAST:
            return [], None
        prefix = list(self._prompts[0][:count])
        cache = make_prompt_cache(self._model)
        with mx.stream(stream):
            for start in range(0, count, _PREFILL):
                self._model(mx.array([prefix[start : start + _PREFILL]]), cache=cache)
                mx.eval([entry.state for entry in cache])
        return prefix, cache

    def _ties(self, responses: list[Any]) -> set[int]:
        """The rows whose last token was chosen by less than rounding can be trusted with."""
        import mlx.core as mx

        if not (self._exact and self._greedy and responses):
            return set()
        logprobs = mx.stack([response.logprobs for response in responses])
        near = mx.sum(logprobs > logprobs.max(axis=-1, keepdims=True) - TIE, axis=-1).tolist()
        return {response.uid for response, count in zip(responses, near, strict=True) if count > 1}

    def _one_by_one(self, order: Sequence[int]) -> Iterator[tuple[int, list[Answer]]]:
        """What mlx-lm's own `generate` does, prompt after prompt."""
        import mlx.core as mx
        from mlx_lm.generate import generate_step

        ends = set(self._tokenizer.eos_token_ids)
        for index in order:
            drawing, tokens, finish = self._drawings[index], list[int](), "length"
            prompt = mx.array(self._prompts[index])
            options = {"sampler": _sampler(drawing)} if drawing is not None else {}
            steps = generate_step(prompt, self._model, max_tokens=self._max_tokens, **options)
            try:
                for token, _ in steps:
                    if token in ends:
                        finish = "stop"
                        break
                    tokens.append(int(token))
                    self._made += 1
                    yield self._made, []
            finally:
                steps.close()
            yield self._made, [Answer(index, text_of(self._tokenizer, tokens), tokens, finish)]


def _batchable(model: Any) -> bool:
    """Whether all caches of a model can hold rows of unlike length; a few architectures' cannot."""
    from mlx_lm.models.cache import make_prompt_cache

    def able(cache: Any) -> bool:
        return all(map(able, cache.caches)) if hasattr(cache, "caches") else hasattr(cache, "merge")

    return all(map(able, make_prompt_cache(model)))


def _sampler(drawing: Drawing | None) -> Callable[[Any], Any]:
    """Chooses the next token of one row. A drawing has its own random key and leaves mlx's alone."""
    import mlx.core as mx

    if drawing is None:
        return lambda logprobs: mx.argmax(logprobs, axis=-1)
    key, scale = mx.random.key(drawing.seed), 1 / drawing.temperature

    def draw(logprobs: Any) -> Any:
        nonlocal key
        key, now = mx.random.split(key)
        return mx.random.categorical(logprobs * scale, key=now)

    return draw
