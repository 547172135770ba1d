"""The charts of the train screen: our line chart fed from a run's view, with keys that leave the screen its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.binding import Binding, BindingType

from tui_tuner.ui.charts import LineChart
from tui_tuner.ui.charts.interaction import Steerable
from tui_tuner.ui.charts.units import Unit
from tui_tuner.ui.marks import marks_of

if TYPE_CHECKING:
    from tui_tuner.runs.view import RunView

_TAKEN = {"l", "s", "0"}
"""Keys of the chart that mean something else on the whole screen."""


def _bindings() -> list[BindingType]:
    """The chart's own keys, less those taken; `home` shows the whole run."""
    kept = [binding for binding in Steerable.BINDINGS if isinstance(binding, Binding) and binding.key not in _TAKEN]
    whole = Binding("home", "reset_view", "Whole run", id="chart.home", tooltip="Show everything and follow the tail")
    return [*kept, whole]


class LossChart(LineChart, inherit_bindings=False):
    """Train and validation loss in nats per token over the steps, with the best checkpoint marked."""

    BINDINGS = _bindings()

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("Loss", y_label="nats per token", empty_text="the curve begins with the first step", id=id)
        self._last = -1.0
        self._seen: object = None

    def start_over(self) -> None:
        """Forgets the curves, for another run."""
        self.clear_series()
        self._last, self._seen = -1.0, None

    def show(self, view: RunView) -> None:
        """Takes over what is new in a view."""
        seen: list[object] = [view.train.version, view.validation.version]
        for events in (view.checkpoints, view.interventions, view.skipped, view.controls):
            seen += [len(events), events[-1:]]
        if seen == self._seen:
            return
        self._seen = seen
        if view.train.last_step < self._last:
            # A resumed run replaced the end of the curve: what was smoothed before no longer holds.
            self.clear_series()
        self._last = view.train.last_step
        self.set_series("train", view.train.column("step"), view.train.column("loss"))
        self.set_series("validation", view.validation.column("step"), view.validation.column("loss"), smooth=False)
        self.set_markers(marks_of(view))


class MetricChart(LineChart):
    """A small chart of one column; it takes no focus, because the numbers are on the tiles too.

    Args:
        title: the curve's name, which the legend shows.
        unit: how values are written.
        smoothing: weight of the moving average in front, 0 for none.
    """

    def __init__(self, title: str, unit: Unit, *, smoothing: float = 0.0, id: str | None = None) -> None:
        super().__init__(unit=unit, smoothing=smoothing, id=id)
        self.curve = title
        self.can_focus = False
