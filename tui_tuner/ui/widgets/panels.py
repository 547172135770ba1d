"""The figures of a run as small charts side by side, for windows with room: learning rate, gradient, pace, memory,
padding. They have the axis and the zoom of the loss.

Each is drawn against what it is to be compared with: memory against the machine's limit, padding against mlx-lm's
batches. A figure that a run does not tell is said to be untold; nothing is drawn in its place.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.content import Content

from tui_tuner.ui import format as fmt
from tui_tuner.ui.charts.marks import Level
from tui_tuner.ui.charts.units import Unit
from tui_tuner.ui.charts.viewport import Viewport
from tui_tuner.ui.numbers import NEAR_LIMIT, Padding
from tui_tuner.ui.widgets.losschart import MetricChart

if TYPE_CHECKING:
    from tui_tuner.runs.view import RunView

PATIENCE = 8.0
"""Seconds between two drawings while nobody is at the keyboard."""
_IN_SIGHT = 0.25
"""Share of its limit from which on a curve is drawn against it; a smaller one would be a flat line."""


SMOOTHING = 0.9
"""Weight of the average in front of figures that jump; without it a long run would be a block of ink."""


@dataclass(frozen=True)
class Panel:
    """A column of the train events, its name, how its values are written, and whether they jump from one to the next
    (and so are smoothed)."""

    column: str
    title: str
    unit: Unit
    jumps: bool


PANELS = (
    Panel("learning_rate", "learning rate", "rate", jumps=False),
    Panel("grad_norm", "gradient norm", "plain", jumps=True),
    Panel("tokens_per_second", "tokens/s", "plain", jumps=True),
    Panel("peak_memory", "peak memory", "bytes", jumps=False),
    Panel("padding_fraction", "padding", "percent", jumps=True),
)


class Panels(Horizontal):
    """The charts. Whoever shows them says so with `show`, and only when they are to be seen."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key: object = None
        self._drawn = -math.inf

    def compose(self) -> ComposeResult:
        for panel in PANELS:
            with Container(classes="pane"):
                weight = SMOOTHING if panel.jumps else 0.0
                yield MetricChart(panel.title, panel.unit, smoothing=weight, id=f"metric-{panel.column}")

    def start_over(self) -> None:
        """Forgets the curves, for another run."""
        self._key, self._drawn = None, -math.inf
        for chart in self.query(MetricChart):
            chart.clear_series()

    def point_at(self, step: float | None) -> None:
        """Puts every chart's crosshair on a step, or takes it away."""
        for chart in self.query(MetricChart):
            chart.cursor = step

    def look_at(self, frame: Viewport) -> None:
        """Shows the part of the steps that the loss shows."""
        for chart in self.query(MetricChart):
            chart.viewport.mirror(frame)
            chart.refresh()

    def show(self, view: RunView, frame: Viewport, *, all_of_them: bool = True, hurry: bool = True) -> None:
        """Takes over what is new in a view.

        Args:
            view: the run.
            frame: the view of the loss, whose x axis the charts share.
            all_of_them: whether a figure that the run never told keeps its place.
            hurry: whether to do so at once; else no more often than every eight seconds, for these are the dearest to
                draw and the last to be looked at.
        """
        key = (view.train.version, view.started, view.plan, frame.low, frame.high)
        now = time.monotonic()
        if key == self._key or not (hurry or now - self._drawn >= PATIENCE):
            return
        self._key, self._drawn = key, now
        steps = view.train.column("step")
        for panel in PANELS:
            chart = self.query_one(f"#metric-{panel.column}", MetricChart)
            values = view.train.column(panel.column)
            told = not len(values) or bool(np.isfinite(values).any())
            box = chart.parent
            assert isinstance(box, Container)
            box.display = told or all_of_them
            chart.empty_text = "no points yet" if told else "this run does not tell it"
            chart.set_series(chart.curve, steps, values)
            levels, note = _compared(panel.column, view)
            chart.set_levels(levels)
            box.border_subtitle = Content(note)
        self.look_at(frame)


def _compared(column: str, view: RunView) -> tuple[list[Level], str]:
    """What a column is compared with: lines in its chart, and a few words for the frame."""
    if column == "peak_memory" and view.memory_limit:
        peak, limit = view.train.last(column), view.memory_limit
        if math.isnan(peak):
            return [], ""
        sign = "▲ " if peak >= NEAR_LIMIT * limit else ""
        line = Level(limit, f"limit {fmt.size(limit)}", wanted=peak >= _IN_SIGHT * limit)
        return [line], f"{sign}{fmt.share(peak / limit)} of {fmt.size(limit)}"
    if column == "padding_fraction":
        padding = Padding.of(view)
        if math.isnan(padding.stock):
            return [], ""
        label = f"mlx-lm's batches {fmt.share(padding.stock)}"
        saved = "" if math.isnan(padding.saved) else f"saved {padding.saved:.2f}×"
        return [Level(padding.stock, label)] if (view.plan or {}).get("mode") != "stock" else [], saved
    return [], ""
