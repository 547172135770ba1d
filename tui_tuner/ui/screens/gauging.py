"""A screen that shows a run's machine beside its loss: charts where there is room, tiles where there is not.

It looks at this machine only while the screen is to be seen, somebody asked for it, and the run goes on here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_tuner.runs.state import RunState
from tui_tuner.ui.charts import LineChart
from tui_tuner.ui.screens.steering import SteeringScreen
from tui_tuner.ui.status import ACTIVE
from tui_tuner.ui.widgets.losschart import LossChart
from tui_tuner.ui.widgets.machine import MachinePanel
from tui_tuner.ui.widgets.panels import Panels

if TYPE_CHECKING:
    from tui_tuner.machine.figures import Reading
    from tui_tuner.runs.view import RunView

MACHINE = ("", "steps", "time")
"""How the machine is shown: not at all, over the steps, over the time at work."""
ROOM = 30
"""Lines of a window from which on the machine's charts stand under the loss; below, its tiles stand for the run's."""


class GaugedScreen(SteeringScreen):
    """A screen with a `LossChart` (`loss`), `Panels` and a `MachinePanel`; class `-gauges` while tiles are due."""

    def __init__(self) -> None:
        super().__init__()
        self._machine = MACHINE[0]
        self.looks_at_machine = False
        """Whether the machine of this run is looked at now, though there may be no reading yet."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "machine":
            return self.view is not None and self.outside is None
        return super().check_action(action, parameters)

    def draw_machine(self, view: RunView, state: RunState) -> Reading | None:
        """Shows the machine if that is wanted, and looks at it only while it is; gives what is so now."""
        watch, follower = self.tuner.machine, self.tuner.state.follower
        wanted = bool(self._machine) and self.outside is None
        self.set_class(wanted and self.size.height >= ROOM, "-machine")
        self.set_class(wanted and not self.has_class("-machine"), "-gauges")
        pid = follower.pid if wanted and follower is not None else None
        watch.want(pid)
        self.looks_at_machine = pid is not None
        now = watch.reading
        if self.has_class("-machine"):
            hurry = self.tuner.pace.attended or state not in ACTIVE
            frame = self.query_one(LossChart).viewport
            by_steps, panel = self._machine == "steps", self.query_one(MachinePanel)
            panel.show(view, now, frame, by_steps=by_steps, looked_at=self.looks_at_machine, hurry=hurry)
        return now

    def on_screen_suspend(self) -> None:
        """Nobody looks at the machine from another screen."""
        self.tuner.machine.want(None)

    def on_line_chart_cursor_moved(self, event: LineChart.CursorMoved) -> None:
        """A crosshair on the loss stands in all other charts too."""
        if event.chart.id == "loss":
            self.query_one(Panels).point_at(event.x)
            self.query_one(MachinePanel).point_at(event.x)

    def on_line_chart_view_moved(self, event: LineChart.ViewMoved) -> None:
        """What part of the steps the loss shows, all other charts show too."""
        if event.chart.id == "loss":
            self.query_one(Panels).look_at(event.chart.viewport)
            self.query_one(MachinePanel).look_at(event.chart.viewport)

    def action_machine(self) -> None:
        """Shows the machine over steps, over time, not at all; in a small window its tiles, or the run's."""
        following = MACHINE[(MACHINE.index(self._machine) + 1) % len(MACHINE)]
        self._machine = "" if following == "time" and self.size.height < ROOM else following
        self.call_hook("run")
