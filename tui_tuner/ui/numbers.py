"""The numbers of a run, as tiles show them. Pure functions of a view; what a run does not tell is a dash, never 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tui_tuner.runs.columns import number
from tui_tuner.ui import format as fmt
from tui_tuner.ui.widgets.tiles import Tile

if TYPE_CHECKING:
    from tui_tuner.runs.view import RunView

NEAR_LIMIT = 0.9
"""Share of the memory limit from which on a run is near it."""


@dataclass(frozen=True)
class Padding:
    """What is known of a run's padding: shares from 0 to 1, NaN where unknown.

    Attributes:
        now: of the batches since the last report.
        stock: of all batches, if mlx-lm made them.
        fast: of all batches, if the fast mode made them.
        saved: how many positions mlx-lm's batches compute for one that this run's do; 1 in stock mode.
    """

    now: float
    stock: float
    fast: float
    saved: float

    @classmethod
    def of(cls, view: RunView) -> Padding:
        """Reads it from the plan and the last report."""
        plan = view.plan or {}
        own, stock, fast = (
            math.nan if (share := number(plan.get(f"{name}padding_fraction"))) is None else share
            for name in ("", "stock_", "fast_")
        )
        saved = (1 - own) / (1 - stock) if own < 1 and stock < 1 else math.nan
        return cls(view.train.last("padding_fraction"), stock, fast, saved)


def tiles_of(view: RunView) -> list[Tile]:
    """The numbers of a run, in threes that belong together: what it learns, how fast it is, what it takes."""
    train, validation = view.train, view.validation
    last_validation, padding = validation.last("loss"), Padding.of(view)
    return [
        Tile("train loss", fmt.number(train.last("loss")), train.column("loss")),
        Tile(
            "val. loss",
            fmt.number(last_validation),
            validation.column("loss"),
            _beside(last_validation, view.best_validation),
        ),
        Tile("grad. norm", fmt.number(train.last("grad_norm"), 3), train.column("grad_norm")),
        Tile("tokens/s", fmt.count(train.last("tokens_per_second")), train.column("tokens_per_second")),
        Tile(
            "padding",
            fmt.share(padding.now),
            train.column("padding_fraction"),
            "" if math.isnan(padding.stock) else f"mlx-lm {fmt.share(padding.stock)}",
        ),
        Tile("saved", _times(padding.saved), None, _saving(view, padding)),
        Tile("learn. rate", fmt.rate(train.last("learning_rate")), train.column("learning_rate")),
        _memory(view),
        Tile("epoch", _epochs(view)),
    ]


def tiles_of_log(view: RunView) -> list[Tile]:
    """The numbers of a log: without those that it never tells."""
    told = [tile for tile in tiles_of(view) if tile.history is not None and np.isfinite(tile.history).any()]
    return told or [tile for tile in tiles_of(view) if tile.label in ("train loss", "val. loss", "tokens/s")]


def _memory(view: RunView) -> Tile:
    peak, limit = view.train.last("peak_memory"), view.memory_limit
    history = view.train.column("peak_memory")
    if not limit or math.isnan(peak):
        return Tile("memory", fmt.size(peak), history)
    near = peak >= NEAR_LIMIT * limit
    value = fmt.size_of(peak, limit)
    style = "$text-warning" if near else ""
    return Tile("memory", value, history, "▲" if near else "", style, peak / limit, fmt.size(peak))


def _beside(last: float, best: float | None) -> str:
    """What stands beside the last validation loss: that it is the best one, or what that was."""
    if best is None or math.isnan(last):
        return ""
    return "best" if last <= best else f"best {fmt.number(best)}"


def _times(saved: float) -> str:
    return fmt.DASH if math.isnan(saved) else f"{saved:.2f}×"


def _saving(view: RunView, padding: Padding) -> str:
    """What the saving is a saving of; in stock mode, what the fast mode would save."""
    if math.isnan(padding.saved):
        return ""
    if (view.plan or {}).get("mode") != "stock" or math.isnan(padding.fast):
        return "mlx-lm computes"
    return f"fast mode {_times((1 - padding.fast) / (1 - padding.stock))}"


def _epochs(view: RunView) -> str:
    """How many times the run has gone through its rows, of how many."""
    size = number((view.plan or {}).get("batches_per_epoch"))
    if size is None or size < 1:
        return fmt.DASH
    most = view.steps / size
    places = 2 if most < 10 else 1 if most < 100 else 0
    return f"{view.step / size:.{places}f}" + (f" of {most:.{places}f}" if view.steps else "")
