"""Optimizers and learning-rate schedules, from mlx's own, named and computed as mlx-lm does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tui_tuner.config import TrainSection
from tui_tuner.errors import TunerError
from tui_tuner.runs.rates import RateWish


class Rate:
    """The learning rate, and the one way to change it while a run goes on.

    A constant rate is simply replaced. A schedule goes on in proportion: it is multiplied by a factor that lives in
    an array, because a compiled step would otherwise keep the factor it was traced with.

    Attributes:
        state: a tree of arrays that the compiled step must take as input; empty for a constant rate.
    """

    def __init__(self, value: float | Callable[[Any], Any]) -> None:
        import mlx.core as mx

        self._value = value
        self.state: dict[str, Any] = {"factor": mx.array(1.0)} if callable(value) else {}

    def for_optimizer(self) -> Any:
        """What mlx's optimizers take as their learning rate: a number, or a function of the update's number."""
        if not callable(self._value):
            return self._value
        schedule = self._value
        return lambda step: schedule(step) * self.state["factor"]

    @property
    def factor(self) -> float:
        """What the schedule is multiplied by; 1 for a constant rate."""
        return float(self.state["factor"].item()) if self.state else 1.0

    def set_factor(self, factor: float) -> None:
        """Goes back to a factor that was saved."""
        import mlx.core as mx

        if self.state:
            self.state["factor"] = mx.array(factor)

    def in_force(self, optimizer: Any) -> float:
        """The rate as it is now: of a schedule that of the last update, as it would be with all wishes since then."""
        return self._planned(optimizer) * self.factor if self.state else float(optimizer.learning_rate.item())

    def take(self, optimizer: Any, wish: Any) -> tuple[float, float]:
        """Grants a wish for another rate, as a request carries it; returns the rate before and the new one.

        Raises:
            TunerError: `bad-rate`, when the wish is none, or when the schedule stands at zero, which no factor changes.
        """
        asked, present = RateWish.read(wish), self.in_force(optimizer)
        if self.state and present <= 0:
            raise TunerError(
                "the schedule stands at a rate of 0, which no factor changes",
                code="bad-rate",
                where="the learning rate",
                fix="ask again after the next update",
            )
        value = asked.rate(present)
        self.change(optimizer, value)
        return present, value

    def change(self, optimizer: Any, value: float) -> None:
        """Makes `value` the rate from the next update on; twice is the same as once, and of two the last one counts."""
        if not self.state:
            optimizer.learning_rate = value
            return
        planned = self._planned(optimizer)
        self.set_factor(value / planned if planned > 0 else self.factor)

    def _planned(self, optimizer: Any) -> float:
        """What the schedule alone gave the last update; the state of the optimizer has it with the factor of then."""
        import mlx.core as mx

        if not callable(self._value):
            return float(self._value)
        last = max(int(optimizer.step.item()) - 1, 0)
        return float(mx.array(self._value(mx.array(last, mx.uint64))).item())


def build_schedule(train: TrainSection) -> Any:
    """The learning rate: a number, or a function of the update's number (0-based) that mlx can trace.

    Warm-up rises linearly from 0 over `warmup` updates; `cosine` and `linear` then fall to 0 over the rest.
    """
    import mlx.optimizers as opt

    updates = max(train.iters // train.grad_accumulation, 1)
    rate = train.learning_rate
    left = max(updates - train.warmup, 1)
    if train.schedule == "cosine":
        main: Any = opt.schedulers.cosine_decay(rate, left)
    elif train.schedule == "linear":
        main = opt.schedulers.linear_schedule(rate, 0.0, left)
    elif train.warmup:
        main = opt.schedulers.linear_schedule(rate, rate, left)
    else:
        return rate
    if train.warmup:
        # The boundary is warmup + 1, as in mlx-lm's build_schedule: the last warm-up update has the full rate.
        rise = opt.schedulers.linear_schedule(0.0, rate, train.warmup)
        return opt.schedulers.join_schedules([rise, main], [train.warmup + 1])
    return main


def build_optimizer(train: TrainSection) -> tuple[Any, Rate]:
    """The optimizer of a configuration, not yet initialised, and its learning rate."""
    import mlx.optimizers as opt

    classes = {"adam": opt.Adam, "adamw": opt.AdamW, "muon": opt.Muon, "sgd": opt.SGD, "adafactor": opt.Adafactor}
    options: dict[str, Any] = {}
    if train.weight_decay and train.optimizer in {"adamw", "muon", "sgd"}:
        options["weight_decay"] = train.weight_decay
    rate = Rate(build_schedule(train))
    return classes[train.optimizer](learning_rate=rate.for_optimizer(), **options), rate
