"""The model's exponentials made of plain arithmetic, for pre-training on a processor.

mlx computes `exp` on x86 one number at a time, about fifty times slower than a product, and a small model spends most
of its step there. Inside `quick_exponentials()` phi3's gate and attention use the same functions made of products and
sums, exact to about 1e-7; outside, nothing is changed. It must never be used but to pre-train: what evaluates,
fine-tunes or talks runs mlx-lm's own code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["quick_cross_entropy", "quick_exponentials"]

_TAYLOR = tuple(math.log(2) ** n / math.factorial(n) for n in range(7))
_ONE_BITS, _MANTISSA = 127, 23


def _exp(x: Any) -> Any:
    """e to the x: two to the nearest whole power by its bits, times a polynomial for the rest of at most a half."""
    import mlx.core as mx

    power = mx.clip(x * math.log2(math.e), -126.0, 126.0)
    whole = mx.round(power)
    rest = power - whole
    series = rest * _TAYLOR[-1] + _TAYLOR[-2]
    for term in _TAYLOR[-3::-1]:
        series = series * rest + term
    bits = (whole.astype(mx.int32) + _ONE_BITS) * (1 << _MANTISSA)
    return series * bits.view(mx.float32)


def _functions() -> tuple[Any, Any]:
    """(gate, softmax over the last axis), each with its derivative."""
    import mlx.core as mx

    def gate_of(g: Any, x: Any) -> Any:
        return g * x / (1.0 + _exp(-g))

    def gate_vjp(primals: Any, cotangent: Any, _: Any) -> Any:
        g, x = primals
        sigmoid = 1.0 / (1.0 + _exp(-g))
        silu = g * sigmoid
        return cotangent * x * (sigmoid + silu * (1.0 - sigmoid)), cotangent * silu

    def softmax_of(x: Any) -> Any:
        powers = _exp(x - x.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def softmax_vjp(_: Any, cotangent: Any, output: Any) -> Any:
        return output * (cotangent - (cotangent * output).sum(axis=-1, keepdims=True))

    gate, softmax = mx.custom_function(gate_of), mx.custom_function(softmax_of)
    gate.vjp(gate_vjp)
    softmax.vjp(softmax_vjp)
    return gate, softmax


@contextmanager
def quick_exponentials() -> Iterator[None]:
    """While open, mlx-lm's phi3 computes its gate and its attention with the functions above."""
    import mlx.core as mx
    from mlx_lm.models import phi3

    gate, softmax = _functions()

    def attention(queries: Any, keys: Any, values: Any, cache: Any, scale: float, mask: Any, **_: Any) -> Any:
        width = queries.shape[2]
        later = mx.triu(mx.full((width, width), -1e9), k=1)
        return softmax((queries * scale) @ mx.swapaxes(keys, -1, -2) + later) @ values

    names: dict[str, Any] = {"swiglu": gate, "scaled_dot_product_attention": attention}
    before = {name: getattr(phi3, name) for name in names}
    try:
        for name, function in names.items():
            setattr(phi3, name, function)
        yield
    finally:
        for name, function in before.items():
            setattr(phi3, name, function)


def quick_cross_entropy(logits: Any, targets: Any) -> Any:
    """Negative log-likelihood of each target, in nats: logits (n, vocabulary), targets (n,)."""
    import mlx.core as mx

    def losses_of(scores: Any, wanted: Any) -> Any:
        top = scores.max(axis=-1, keepdims=True)
        total = mx.log(_exp(scores - top).sum(axis=-1))
        return total + top[:, 0] - mx.take_along_axis(scores, wanted[:, None], axis=-1)[:, 0]

    def losses_vjp(primals: Any, cotangent: Any, _: Any) -> Any:
        scores, wanted = primals
        powers = _exp(scores - scores.max(axis=-1, keepdims=True))
        shares = powers / powers.sum(axis=-1, keepdims=True)
        hit = mx.arange(scores.shape[-1])[None, :] == wanted[:, None]
        return (shares - hit) * cotangent[:, None], mx.zeros_like(wanted)

    losses = mx.custom_function(losses_of)
    losses.vjp(losses_vjp)
    return losses(logits, targets)
