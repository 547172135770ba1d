"""Greedy answers for many prompts, in batches, with rows coming out as they finish. Called on the MLX thread only.

Prompts go in as token ids (a string would get a second BOS), longest first, so that a batch holds prompts of like
length. In float32 the answers equal those of one-by-one generation, which a test proves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tui_tuner.runs.control import JobControl


@dataclass(frozen=True)
class Answer:
    """One generated answer: the prompt's index, its text and token ids without the stop token, and how it ended.

    `finish` is `stop` (the model ended its turn) or `length` (the cap was reached).
    """

    index: int
    text: str
    tokens: list[int]
    finish: str


def greedy_answers(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    *,
    max_tokens: int,
    batch_size: int,
    control: JobControl,
    between: Callable[[int], None] | None = None,
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
    """
    from mlx_lm.generate import BatchGenerator

    generator = BatchGenerator(
        model,
        stop_tokens=[[token] for token in tokenizer.eos_token_ids],
        completion_batch_size=batch_size,
        prefill_batch_size=batch_size,
    )
    try:
        order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
        uids = generator.insert([list(prompts[i]) for i in order], [max_tokens] * len(order))
        index_of = dict(zip(uids, order, strict=True))
        collected: dict[int, list[int]] = {uid: [] for uid in uids}
        made = 0
        while responses := generator.next_generated():
            made += len(responses)
            for response in responses:
                if response.finish_reason != "stop":
                    collected[response.uid].append(int(response.token))
                if response.finish_reason is not None:
                    tokens = collected.pop(response.uid)
                    yield Answer(index_of[response.uid], tokenizer.decode(tokens), tokens, response.finish_reason)
            if between is not None:
                between(made)
                continue
            control.wait_while_paused()
            control.check()
    finally:
        generator.close()
