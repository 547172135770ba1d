"""Wheel and mouse of a chart: they do what its keys do, and no more."""

from __future__ import annotations

import numpy as np
from textual import events

from tui_tuner.ui.charts.interaction import Steerable
from tui_tuner.ui.charts.series import Floats

WHEEL_ZOOM = 1.25


class Pointed(Steerable):
    """A chart that the mouse steers, too."""

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
