"""Views of runs with losses as a test says, and the advice that is given on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tui_tuner.config import Experiment
from tui_tuner.runs import RunView
from tui_tuner.training.advice import Advice

Pairs = list[tuple[float, float]]


def experiment(**sections: dict[str, Any]) -> Experiment:
    return Experiment.model_validate({"model": {"path": "m"}, "data": {"source": "d"}, **sections})


def run(
    train: Any = (),
    validation: Any = (),
    *,
    steps: int = 1000,
    every: int = 1,
    tokens: float = 5000,
    columns: dict[str, Any] | None = None,
) -> RunView:
    """A view of a run.

    Args:
        train: losses, one every `every` steps, or (step, loss) pairs.
        validation: (step, loss) pairs.
        tokens: how many each validation counted.
        columns: further values of the training reports, by name: one for all, or one each.
    """
    view = RunView()
    names = {"name": "a", "seed": 1, "model": "m", "data": "d", "method": "lora", "resumed": False, "from_step": 0}
    view.extend([{"t": 0.0, "type": "run_started", "steps": steps, **names}])
    for index, value in enumerate(train):
        step, loss = value if isinstance(value, tuple) else ((index + 1) * every, float(value))
        more = {k: float(v if np.ndim(v) == 0 else v[index]) for k, v in (columns or {}).items()}
        view.extend([{"t": float(step), "type": "train", "step": step, "loss": loss, **more}])
    for step, loss in validation:
        view.extend([{"t": float(step), "type": "validation", "step": step, "loss": float(loss), "tokens": tokens}])
    return view


def codes(found: list[Advice]) -> list[str]:
    return [advice.code for advice in found]


def one(found: list[Advice], code: str) -> Advice:
    assert codes(found) == [code], found
    return found[0]


def noisy(base: Any, sigma: float, seed: int = 0) -> Any:
    base = np.asarray(base, dtype=float)
    return base * np.exp(np.random.default_rng(seed).normal(0, sigma, len(base)))
