"""How much of what one model says another one keeps, measured on rows: for quantized and for fused models.

For every counted position of every row the models' distributions over the vocabulary are compared. With p the
reference's and q the other's: the mean of KL(p ‖ q), the share of positions where both have the same likeliest token,
and the loss of each. Of a fused model it is also told how much of the fine-tune it keeps, which is how far it moved
along the way that the adapter moved the base:

    kept = ⟨z_f − z_b, z_a − z_b⟩ / ⟨z_a − z_b, z_a − z_b⟩

where z are logits less their mean over the vocabulary (a constant in all logits changes nothing that a model says), of
the fused model f, the base b, and the base with its adapter a, and the products are summed over vocabulary, positions
and rows. 1 is all of it, 0 is none; noise that does not point along the fine-tune is left to KL and agreement to show.

Called on the MLX thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tui_tuner.data.examples import Example
from tui_tuner.errors import TunerError

_LONGEST = 1024
"""Tokens of a row that are looked at; a proof needs many rows more than long ones."""
_MOST = 709.0
"""Nats; e to more than this is no float any more."""


@dataclass(frozen=True)
class Agreement:
    """One model against a reference.

    Attributes:
        tokens: positions that were compared, over all rows.
        rows: rows they are from.
        kl: mean KL divergence of the model from the reference, in nats per token.
        top1: share of positions with the same likeliest token.
        reference_loss, loss: mean negative log-likelihood, in nats per token.
    """

    tokens: int
    rows: int
    kl: float
    top1: float
    reference_loss: float
    loss: float

    @property
    def perplexity(self) -> tuple[float, float]:
        """Of the reference and of the model."""
        return _exp(self.reference_loss), _exp(self.loss)


def _exp(loss: float) -> float:
    """e to the loss; of a model that is broken it may be more than a float can hold."""
    return math.exp(loss) if loss < _MOST else math.inf


@dataclass(frozen=True)
class Proof:
    """A fused model against base and adapter.

    Attributes:
        agreement: the fused model against base with adapter.
        base_loss: the base's loss without the adapter, in nats per token.
        base_kl: mean KL divergence of the base from base with adapter: what there is to be kept.
        kept: share of the fine-tune that is kept; None where the adapter changes nothing.
    """

    agreement: Agreement
    base_loss: float
    base_kl: float
    kept: float | None

    @property
    def holds(self) -> bool:
        """Whether the fused model may stand for base with adapter.

        99 % to 101 % of the fine-tune kept, no more than 1 % of the divergence that the fine-tune made left over, and
        the same likeliest token in 99 of 100 places.
        """
        if self.kept is None:
            return self.agreement.kl < 1e-6
        close = self.agreement.kl <= 0.01 * self.base_kl or self.agreement.kl < 1e-6
        return 0.99 <= self.kept <= 1.01 and close and self.agreement.top1 >= 0.99

    def as_json(self) -> dict[str, Any]:
        """As `fuse --json` gives it."""
        return {
            "kept": self.kept,
            "kl": self.agreement.kl,
            "base_kl": self.base_kl,
            "top1_agreement": self.agreement.top1,
            "loss": {"base": self.base_loss, "adapter": self.agreement.reference_loss, "fused": self.agreement.loss},
            "tokens": self.agreement.tokens,
            "rows": self.agreement.rows,
            "holds": self.holds,
        }


class _Sums:
    """Sums over positions; float64 in Python, because a proof adds up very many small numbers."""

    def __init__(self) -> None:
        self.tokens = self.rows = self.same = 0
        self.kl = self.reference = self.loss = 0.0
        self.base = self.base_kl = self.along = self.length = 0.0

    def agreement(self) -> Agreement:
        if not self.tokens:
            raise TunerError(
                "no row has a token to compare the models on", code="no-rows", fix="give rows with answers"
            )
        n = self.tokens
        return Agreement(n, self.rows, max(self.kl / n, 0.0), self.same / n, self.reference / n, self.loss / n)


def agreement(
    reference: Any,
    model: Any,
    examples: Sequence[Example],
    *,
    tell: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[], None] = lambda: None,
) -> Agreement:
    """Compares a model with a reference over the same vocabulary.

    Args:
        reference, model: module trees in evaluation mode.
        examples: tokenised rows; positions from their offsets on are counted.
        tell: called with rows done and rows in all.
        check: called between rows; it may raise to end the work.

    Raises:
        TunerError: no position is counted (code "no-rows").
    """
    sums = _Sums()
    for number, example in enumerate(examples):
        check()
        if (row := _row(example)) is not None:
            _add(sums, _logits(reference, row), _logits(model, row), row.targets)
        tell(number + 1, len(examples))
    return sums.agreement()


def proof(
    base: Any,
    adapted: Any,
    fused: Any,
    examples: Sequence[Example],
    *,
    tell: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[], None] = lambda: None,
) -> Proof:
    """Compares a fused model with base and adapter; arguments and errors as of `agreement`."""
    sums = _Sums()
    for number, example in enumerate(examples):
        check()
        if (row := _row(example)) is not None:
            wanted, had = _logits(adapted, row), _logits(fused, row)
            _add(sums, wanted, had, row.targets)
            _add_base(sums, _logits(base, row), wanted, had, row.targets)
        tell(number + 1, len(examples))
    whole = sums.agreement()
    kept = sums.along / sums.length if sums.length > 0 else None
    return Proof(whole, sums.base / whole.tokens, max(sums.base_kl / whole.tokens, 0.0), kept)


@dataclass(frozen=True)
class _Row:
    inputs: list[int]
    first: int
    targets: list[int]


def _row(example: Example) -> _Row | None:
    """Inputs and counted targets of a row; None where nothing is counted."""
    tokens = example.tokens[:_LONGEST]
    first = max(example.offset, 1)
    return _Row(tokens[:-1], first - 1, tokens[first:]) if len(tokens) > first else None


def _logits(model: Any, row: _Row) -> Any:
    """Logits of the counted positions in float32: (positions, vocabulary)."""
    import mlx.core as mx

    return model(mx.array([row.inputs]))[0, row.first :].astype(mx.float32)


def _add(sums: _Sums, wanted: Any, had: Any, targets: list[int]) -> None:
    import mlx.core as mx

    p, q = _log_probabilities(wanted), _log_probabilities(had)
    at = mx.array(targets)[:, None]
    kl = mx.sum(mx.exp(p) * (p - q))
    same = mx.sum(mx.argmax(p, axis=-1) == mx.argmax(q, axis=-1))
    losses = [-mx.sum(mx.take_along_axis(each, at, axis=-1)) for each in (p, q)]
    mx.eval(kl, same, losses)
    sums.tokens += len(targets)
    sums.rows += 1
    sums.kl += float(kl.item())
    sums.same += int(same.item())
    sums.reference += float(losses[0].item())
    sums.loss += float(losses[1].item())


def _add_base(sums: _Sums, base: Any, wanted: Any, had: Any, targets: list[int]) -> None:
    import mlx.core as mx

    way = _centred(wanted) - _centred(base)
    moved = _centred(had) - _centred(base)
    p, q = _log_probabilities(wanted), _log_probabilities(base)
    found = (
        mx.sum(way * moved),
        mx.sum(way * way),
        mx.sum(mx.exp(p) * (p - q)),
        -mx.sum(mx.take_along_axis(q, mx.array(targets)[:, None], axis=-1)),
    )
    mx.eval(found)
    along, length, kl, loss = (float(value.item()) for value in found)
    sums.along += along
    sums.length += length
    sums.base_kl += kl
    sums.base += loss


def _log_probabilities(logits: Any) -> Any:
    import mlx.core as mx

    return logits - mx.logsumexp(logits, axis=-1, keepdims=True)


def _centred(logits: Any) -> Any:
    import mlx.core as mx

    return logits - mx.mean(logits, axis=-1, keepdims=True)
