"""The keys of a chart: they move its viewport and its crosshair, nothing else.

Kept apart from drawing so that either can be read alone; the mouse is in `mouse`. This module must never paint, and
never touches the data beyond asking where the points are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui_tuner.ui.charts.marks import Mark
from tui_tuner.ui.charts.paint import Plot
from tui_tuner.ui.charts.series import Floats, Series
from tui_tuner.ui.charts.viewport import Viewport

SMOOTHING_STEPS = (0.0, 0.6, 0.9, 0.97)


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

    class ViewMoved(Message, namespace="line_chart"):
        """The person shows another part of x. Changing the viewport in code posts nothing."""

        def __init__(self, chart: Steerable) -> None:
            super().__init__()
            self.chart = chart

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
        self._view_moved()

    def action_reset_view(self) -> None:
        self.viewport.reset()
        self._view_moved()

    def action_toggle_follow(self) -> None:
        self.viewport.toggle_follow()
        self._view_moved()

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
        self._view_moved()

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
        self._view_moved()

    def _view_moved(self) -> None:
        self.refresh()
        self.post_message(self.ViewMoved(self))

    def _place(self, x: float | None) -> None:
        if x != self.cursor:
            self.cursor = x
            self.post_message(self.CursorMoved(self, x))
