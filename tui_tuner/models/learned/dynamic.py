"""More bits for the modules that the outputs feel most, by mlx-lm's measure. Called on the MLX thread.

A module's sensitivity is how much the KL divergence from the unquantized model would fall, to first order, if it had
the higher bits: the gradient of the divergence times the difference of both roundings, per million weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tui_tuner.models.learned.planning import high_modules, target_of, with_high
from tui_tuner.models.quantize import Plan, apply, plan


class Rows:
    """Rows one at a time, as mlx-lm's loops over arrays of samples take them, with a look at whether to go on.

    One at a time there is no padding, which would be learned from as if it were text.
    """

    def __init__(
        self, rows: Sequence[Sequence[int]], tell: Callable[[int, int], None], check: Callable[[], None]
    ) -> None:
        self._rows, self._tell, self._check = rows, tell, check

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: slice) -> Any:
        import mlx.core as mx

        self._check()
        self._tell(at.start, len(self._rows))
        return mx.array([list(self._rows[at.start])])


def learn_dynamic(
    base: Any,
    tree: Any,
    made: Plan,
    rows: Sequence[Sequence[int]],
    tell: Callable[[str, int, int], None],
    check: Callable[[], None],
) -> Plan:
    """Measures, chooses and quantizes; returns the plan that this has become.

    Args:
        base: the unquantized model, which is not changed.
        tree: a module tree of one's own on its arrays, which is quantized.
        made: the forecast.
        rows: token ids.
    """
    from mlx_lm.quant.dynamic_quant import estimate_sensitivities

    scheme = made.scheme
    low, learned = scheme.quantize, scheme.learned
    assert low is not None and learned is not None
    high = learned.high(low.bits)
    felt = dict(
        estimate_sensitivities(
            base,
            Rows(rows, lambda done, total: tell("rows looked at", done, total), check),
            low.bits,
            low.group_size,
            high,
            low.group_size,
            batch_size=1,
        )
    )
    plain = plan(tree, scheme)
    chosen = high_modules(plain, felt, low, high, target_of(plain, low, learned))
    found = with_high(tree, scheme, chosen, high)
    apply(tree, found, tell=lambda done, total, path: tell("modules", done, total), check=check)
    note = f"{len(chosen)} of {len(found.parts)} modules have {high} bits, the others {low.bits}"
    return replace(found, notes=[note, *found.notes], memory=made.memory)
