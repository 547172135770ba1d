"""Keys, wheel and mouse of a chart: they move its viewport and its crosshair, nothing else.

Kept apart from drawing so that either can be read alone. Everything that the mouse does can be done by keys. This
module must never paint, and never touches the data beyond asking where the points are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui_tuner.ui.charts.marks import Mark
from tui_tuner.ui.charts.paint import Plot
from tui_tuner.ui.charts.series import Floats, Series
from tui_tuner.ui.charts.viewport import Viewport

SMOOTHING_STEPS = (0.0, 0.6, 0.9, 0.97)
WHEEL_ZOOM = 1.25


class Steerable(Widget, can_focus=True):
    """The part of a chart that a person steers: view, crosshair, log axis and smoothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign", "zoom(2.0)", "Zoom in", key_display="+", id="chart.zoom-in",
                tooltip="Show half as much of x, keeping the tail or the crosshair in view"),
        Binding("minus", "zoom(0.5)", "Zoom out", key_display="-", id="chart.zoom-out",
                tooltip="Show twice as much of x"),
        Binding("left", "pan(-0.25)", "Pan left", show=False, id="chart.pan-left",
                tooltip="Move the view a quarter to the left"),
        Binding("right", "pan(0.25)", "Pan right", show=False, id="chart.pan-right",
                tooltip="Move the view a quarter to the right; at the end it follows the tail again"),
        Binding("0", "reset_view", "Whole run", id="chart.reset", tooltip="Show everything and follow the tail"),
        Binding("comma", "move_cursor(-1)", "Cursor left", key_display=",", show=False, id="chart.cursor-left",
                tooltip="Move the crosshair to the point before"),
        Binding("full_stop", "move_cursor(1)", "Cursor right", key_display=".", show=False, id="chart.cursor-right",
                tooltip="Move the crosshair to the next point"),
        Binding("left_square_bracket", "jump_mark(-1)", "Mark before", key_display="[", show=False,
                id="chart.mark-left", tooltip="Move the crosshair to the mark before and say what happened there"),
        Binding("right_square_bracket", "jump_mark(1)", "Mark after", key_display="]", show=False,
                id="chart.mark-right", tooltip="Move the crosshair to the next mark"),
        Binding("escape", "clear_cursor", "No crosshair", show=False, id="chart.cursor-off",
                tooltip="Take the crosshair away"),
        Binding("l", "toggle_log", "Log", id="chart.log", tooltip="Switch the y axis between linear and logarithmic"),
        Binding("s", "cycle_smoothing", "Smooth", id="chart.smooth",
                tooltip="Step through smoothing weights: off, 0.6, 0.9, 0.97"),
        Binding("f", "toggle_follow", "Follow", show=False, id="chart.follow",
                tooltip="Follow the newest points, or hold the view where it is"),
    ]  # fmt: skip
    ALLOW_SELECT = False

    log_y: reactive[bool] = reactive(False)
    """Whether the y axis is logarithmic; values that are not above zero become gaps."""
    smoothing: reactive[float] = reactive(0.0)
    """Weight of the moving average drawn in front, 0 (off) to below 1."""
    cursor: reactive[float | None] = reactive(None)
    """Where the crosshair stands on x, or None. Set it to keep several charts in step."""

    class CursorMoved(Message, namespace="line_chart"):
        """The person moved the crosshair, or took it away (``x`` None). Setting ``cursor`` in code posts nothing."""

        def __init__(self, chart: Steerable, x: float | None) -> None:
            super().__init__()
            self.chart = chart
            self.x = x

        @property
        def control(self) -> Steerable:
            return self.chart

    def __init__(
        self, *, name: str | None = None, id: str | None = None, classes: str | None = None, disabled: bool = False
    ) -> None:
        super().__init__(name=name, id=id, classes=classes, disabled=disabled)
        self.viewport = Viewport()
        self.plot = Plot(0, 0, 0, 0, (0.0, 1.0))
        self._hovering = False

    @property
    def series(self) -> Sequence[Series]:
        """The curves, in the order in which they were first set."""
        raise NotImplementedError

    @property
    def markers(self) -> tuple[Mark, ...]:
        """The marks on the x axis."""
        raise NotImplementedError

    def validate_smoothing(self, weight: float) -> float:
        return min(max(weight, 0.0), 0.9999)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape is left to the screen while there is no crosshair."""
        return self.cursor is not None if action == "clear_cursor" else True

    def action_zoom(self, factor: float) -> None:
        self._zoom(factor, self.cursor)

    def action_pan(self, share: float) -> None:
        self.viewport.pan(share)
        self.refresh()

    def action_reset_view(self) -> None:
        self.viewport.reset()
        self.refresh()

    def action_toggle_follow(self) -> None:
        self.viewport.toggle_follow()
        self.refresh()

    def action_toggle_log(self) -> None:
        self.log_y = not self.log_y

    def action_cycle_smoothing(self) -> None:
        higher = [step for step in SMOOTHING_STEPS if step > self.smoothing + 1e-9]
        self.smoothing = higher[0] if higher else SMOOTHING_STEPS[0]

    def action_clear_cursor(self) -> None:
        self._place(None)

    def action_move_cursor(self, direction: int) -> None:
        """To the next point of any series that is at least one cell away; to the last one visible at first."""
        found = (self._step(one.x, direction) for one in self.series if len(one.x))
        goals = [goal for goal in found if goal is not None]
        if goals:
            self._move_to(max(goals) if self.cursor is None or direction < 0 else min(goals))

    def action_jump_mark(self, direction: int) -> None:
        """To the mark before or behind the crosshair; without one, to the last or the first that is visible."""
        low, high = self.viewport.window if self.cursor is None else (self.viewport.low, self.viewport.high)
        places = sorted({mark.x for mark in self.markers if low <= mark.x <= high})
        if self.cursor is not None:
            places = [x for x in places if (x - self.cursor) * direction > 0]
        if places:
            self._move_to(places[0] if direction > 0 else places[-1])

    def _move_to(self, goal: float) -> None:
        self._hovering = False
        self.viewport.reveal(goal)
        self._place(goal)
        self.refresh()

    def _step(self, x: Floats, direction: int) -> float | None:
        """The point of one series that the crosshair may move to."""
        low, high = self.viewport.window
        if self.cursor is None:
            last = int(np.searchsorted(x, high, "right")) - 1
            return float(x[last]) if last >= 0 and x[last] >= low else None
        reach = self.plot.cell_span() * 0.999
        if direction > 0:
            ahead = x[np.searchsorted(x, self.cursor, "right") :]
            at = min(int(np.searchsorted(ahead, self.cursor + reach)), len(ahead) - 1)
            return float(ahead[at]) if len(ahead) else None
        behind = x[: np.searchsorted(x, self.cursor, "left")]
        at = int(np.searchsorted(behind, self.cursor - reach, "right")) - 1
        return float(behind[max(at, 0)]) if len(behind) else None

    def _zoom(self, factor: float, anchor: float | None) -> None:
        low, high = self.viewport.window
        self.viewport.zoom(factor, anchor if anchor is not None and low <= anchor <= high else None)
        self.refresh()

    def _place(self, x: float | None) -> None:
        if x != self.cursor:
            self.cursor = x
            self.post_message(self.CursorMoved(self, x))

    def _x_under(self, event: events.MouseEvent) -> float | None:
        """The x under the mouse, or None beside the plot."""
        offset = event.get_content_offset(self)
        plot = self.plot
        if offset is None or not plot.width:
            return None
        inside = plot.left <= offset.x < plot.left + plot.width and plot.top <= offset.y < plot.top + plot.height
        return plot.x_at(offset.x) if inside else None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        under = self._x_under(event)
        if under is None:
            self._leave()
            return
        nearest = [float(one.x[_nearest(one.x, under)]) for one in self.series if len(one.x)]
        nearest += [mark.x for mark in self.markers if abs(mark.x - under) <= self.plot.cell_span() * 0.6]
        if nearest:
            self._hovering = True
            self._place(min(nearest, key=lambda x: abs(x - under)))

    def on_leave(self, event: events.Leave) -> None:
        self._leave()

    def _leave(self) -> None:
        """A crosshair that the mouse brought goes with it; one that keys set stays."""
        if self._hovering:
            self._hovering = False
            self._place(None)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, WHEEL_ZOOM)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        if self.viewport.zoomed:
            self._wheel(event, 1 / WHEEL_ZOOM)

    def _wheel(self, event: events.MouseEvent, factor: float) -> None:
        """Zoom around the mouse; with shift, pan. At the tail the view keeps following it."""
        event.stop()
        event.prevent_default()
        if event.shift:
            self.action_pan(0.1 if factor < 1 else -0.1)
            return
        self._zoom(factor, self._x_under(event))


def _nearest(x: Floats, at: float) -> int:
    """Index of the value closest to ``at`` in a sorted, non-empty array."""
    index = int(np.searchsorted(x, at))
    if index == 0:
        return 0
    if index == len(x) or at - x[index - 1] <= x[index] - at:
        return index - 1
    return index
