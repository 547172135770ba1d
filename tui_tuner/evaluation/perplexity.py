"""What a model gives the right answers: the cross-entropy of every row of a test set. Called on the MLX thread only.

Rows are rendered and masked by the same function as in training, and every row counts with each of its tokens, however
they are batched: a batch is padded on the right, where a causal model does not look, and what is added up for a row are
its own tokens alone. It must never train a row, nor leave the model in another mode than it found it in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_tuner.data.examples import TOGETHER, Example, tokenise_many
from tui_tuner.data.prepare import Row
from tui_tuner.errors import TunerError
from tui_tuner.runs.control import JobControl

_CELLS = 64_000_000
"""The most logits of one batch; 256 MB of them in float32."""

Losses = tuple[NDArray[np.float64], NDArray[np.int64]]


def row_losses(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    *,
    mask_prompt: bool = True,
    max_length: int | None = None,
    batch_size: int = 8,
    control: JobControl | None = None,
    tell: Callable[[int], None] | None = None,
) -> Losses:
    """Cross-entropies of the rows, with whatever adapter the model has.

    Args:
        model: a module tree; is evaluated without dropout.
        tokenizer: mlx-lm's wrapper, with a chat template where rows are conversations.
        rows: as prepared.
        mask_prompt: count the answer's tokens and the one that ends it, or else all but the first.
        max_length: rows are cut there, as in training; None leaves them whole.
        batch_size: the most rows computed at once; long ones take fewer. The result does not depend on it.
        control: looked at between batches; a stop raises `StopRequested`.
        tell: called with the number of rows done.

    Returns:
        (n,) summed cross-entropies in nats, and (n,) numbers of counted tokens, 0 where cutting left none. Loss and
        perplexity over the set are those of `metrics.loss_scores`.

    Raises:
        TunerError: a row cannot be rendered, `mask_prompt` for rows of plain text, or no token that counts at all.
    """
    examples = _examples(rows, tokenizer, mask_prompt)
    ends = [len(example.tokens) if max_length is None else min(len(example.tokens), max_length) for example in examples]
    # The first token has nothing that predicts it.
    starts = [max(example.offset, 1) for example in examples]
    counts = np.array([max(end - start, 0) for start, end in zip(starts, ends, strict=True)], np.int64)
    sums = np.zeros(len(examples))
    if len(examples) and not counts.any():
        raise TunerError(
            "no row has a token of the answer within the longest row",
            code="no-trainable-tokens",
            where=f"{len(examples):,} test rows",
            fix="raise train.max_seq_length",
        )
    todo = [row for row in range(len(examples)) if counts[row]]
    done = len(examples) - len(todo)
    with _evaluating(model):
        for batch in _batches(todo, ends, batch_size, _logits_of_a_token(model) if todo else 1):
            if control is not None:
                control.wait_while_paused()
                control.check()
            found = _batch(model, [examples[row].tokens[: ends[row]] for row in batch])
            for line, row in enumerate(batch):
                # Position p predicts token p + 1.
                sums[row] = found[line, starts[row] - 1 : ends[row] - 1].sum(dtype=np.float64)
            done += len(batch)
            if tell is not None:
                tell(done)
    return sums, counts


def _examples(rows: Sequence[Row], tokenizer: Any, mask_prompt: bool) -> list[Example]:
    found: list[Example] = []
    for start in range(0, len(rows), TOGETHER):
        for example in tokenise_many(rows[start : start + TOGETHER], tokenizer, mask_prompt=mask_prompt):
            if isinstance(example, TunerError):
                where = example.where or f"test row {len(found) + 1}"
                raise TunerError(example.message, code=example.code, where=where, fix=example.fix) from example
            found.append(example)
    return found


def _logits_of_a_token(model: Any) -> int:
    import mlx.core as mx

    return int(model(mx.array([[0]])).shape[-1])  # known without computing any


def _batches(todo: Sequence[int], ends: Sequence[int], batch_size: int, vocabulary: int) -> Iterator[list[int]]:
    """Rows of like length together, longest first, so that what cannot fit shows at once."""
    order = sorted(todo, key=lambda row: (-ends[row], row))
    start = 0
    while start < len(order):
        size = max(1, min(batch_size, _CELLS // (ends[order[start]] * vocabulary)))
        yield order[start : start + size]
        start += size


def _batch(model: Any, tokens: Sequence[list[int]]) -> NDArray[np.float32]:
    """Cross-entropy of each next token, (rows, width − 1)."""
    import mlx.core as mx

    width = max(len(row) for row in tokens)
    padded = np.zeros((len(tokens), width), np.int32)
    for line, row in enumerate(tokens):
        padded[line, : len(row)] = row
    inputs = mx.array(padded)
    logits = model(inputs[:, :-1]).astype(mx.float32)
    targets = inputs[:, 1:]
    said = mx.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    losses = mx.logsumexp(logits, axis=-1) - said
    return np.array(losses)


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """The model without dropout for as long as this lasts."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module._set_training_mode(True)  # of this module alone, not of those below
