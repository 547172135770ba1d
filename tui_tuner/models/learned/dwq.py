"""DWQ, distilled weight quantization: scales and offsets are trained until the outputs are the unquantized model's.

mlx-lm's own loop does it; it is told of progress and stopped where it asks for the teacher's outputs. Only scales and
offsets are trained. Whether that was any good is measured on rows kept back from it, and it is taken back if not.
Called on the MLX thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.models.learned.planning import LONGEST
from tui_tuner.models.quantize import Plan, apply

_BATCH = 4
_KEPT_BACK = 32
"""Rows at most that are not trained on, to see whether training helped; one in ten where there are fewer."""


def learn_dwq(
    base: Any,
    tree: Any,
    made: Plan,
    rows: Sequence[Sequence[int]],
    tell: Callable[[str, int, int], None],
    check: Callable[[], None],
) -> Plan:
    """Quantizes a module tree of one's own and trains it; returns the plan with what happened noted.

    Args:
        base: the unquantized model, which is not changed.
        rows: token ids.

    Raises:
        TunerError: there are fewer than two rows (code "no-calibration").
    """
    import mlx.core as mx

    if len(rows) < 2:
        raise TunerError("DWQ needs two rows at least", code="no-calibration", fix="give more with --data")
    learned = made.scheme.learned
    assert learned is not None
    apply(tree, made, tell=lambda done, total, path: tell("modules", done, total), check=check)
    batch = min(_BATCH, len(rows) // 2)
    back = max(batch, min(_KEPT_BACK, len(rows) // 10))
    held, train = rows[:back], rows[back:]
    if learned.iterations is not None:
        train = [train[at % len(train)] for at in range(learned.iterations * batch)]
    before, plain = _distance(base, tree, held, check), _sides(tree)
    _train(base, tree, train, held, batch, learned.rate, tell, check)
    after = _distance(base, tree, held, check)
    if after < before:
        note = f"KL {before:.3g} → {after:.3g} nats per token on {back} rows that were not learned from"
    else:
        tree.update(plain)
        mx.eval(tree.parameters())
        note = (
            f"training made it no better (KL {before:.3g} → {after:.3g} nats per token on {back} rows that were not "
            f"learned from), so it was taken back; try another --learning-rate or more --iterations"
        )
    return replace(made, notes=[note, *made.notes])


def _train(
    base: Any,
    tree: Any,
    train: Sequence[Sequence[int]],
    held: Sequence[Sequence[int]],
    batch: int,
    rate: float,
    tell: Callable[[str, int, int], None],
    check: Callable[[], None],
) -> None:
    import mlx.core as mx
    import numpy as np
    from mlx.optimizers import Adam
    from mlx.utils import tree_flatten
    from mlx_lm.quant.dwq import dwq_quantize

    def target(tokens: Any, at: int, split: str) -> Any:
        check()
        if split == "train":
            tell("steps", at, len(train) // batch)
        return base(tokens)

    tree.freeze()
    dtype = next(value.dtype for name, value in tree_flatten(tree.parameters()) if name.endswith(".scales"))
    state = np.random.get_state()
    try:
        dwq_quantize(
            tree,
            target,
            Adam(learning_rate=rate, bias_correction=True),
            [(list(row), 0) for row in train],
            [(list(row), 0) for row in held],
            batch_size=batch,
            max_seq_length=LONGEST + 1,
            seed=0,
            dtype=dtype,
        )
    finally:
        np.random.set_state(state)
    tree.freeze()
    tree.eval()
    mx.eval(tree.parameters())


def _sides(tree: Any) -> Any:
    """Scales and offsets as they are, as a tree of parameters."""
    from mlx.utils import tree_flatten, tree_unflatten

    return tree_unflatten(
        [(name, value) for name, value in tree_flatten(tree.parameters()) if name.endswith((".scales", ".biases"))]
    )


def _distance(base: Any, tree: Any, rows: Sequence[Sequence[int]], check: Callable[[], None]) -> float:
    """Mean KL divergence of the tree from the base, in nats per token."""
    import mlx.core as mx
    from mlx_lm.tuner.losses import kl_div_loss

    total, tokens = 0.0, 0
    for row in rows:
        check()
        inputs = mx.array([list(row[:-1])])
        losses = kl_div_loss(tree(inputs).astype(mx.float32), base(inputs).astype(mx.float32))
        total += float(losses.sum().item())
        tokens += losses.size
    return total / tokens
