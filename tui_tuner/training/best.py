"""Which checkpoint is the best so far, and when to give up waiting for a better one. Pure, and part of the position."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class Best:
    """The best few validations so far.

    Attributes:
        values: (value, step) of the best few, best first; lower is better, so a metric is kept as its negative.
        waited: validations in a row without a new best.
    """

    values: list[tuple[float, int]] = field(default_factory=list)
    waited: int = 0

    def add(self, value: float, step: int, keep: int) -> tuple[bool, bool]:
        """Takes in a validation; returns whether it is the best, and whether it is among the best `keep`.

        A value that is no number is never good. The same step counts once: a resumed run measures it again.
        """
        known = [v for v, s in self.values if s == step]
        if known:
            return self.values[0][1] == step, True
        if not math.isfinite(value):
            self.waited += 1
            return False, False
        best = not self.values or value < self.values[0][0]
        self.waited = 0 if best else self.waited + 1
        self.values = sorted([*self.values, (value, step)])[: max(keep, 1)]
        return best, any(s == step for _, s in self.values)

    @property
    def step(self) -> int | None:
        """The best step, None before there is one."""
        return self.values[0][1] if self.values else None

    def exhausted(self, patience: int) -> bool:
        """Whether `patience` (0: never) validations in a row brought nothing better."""
        return bool(patience) and self.waited >= patience
