"""The machine under the loss: a line of what is so now, and charts of how it came about, over steps or over time.

Only what was measured has a chart. Over steps they have the axis, the zoom and the crosshair of the loss.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from tui_tuner.machine.figures import Reading
from tui_tuner.runs.view import RunView
from tui_tuner.ui import format as fmt
from tui_tuner.ui.charts.marks import Level
from tui_tuner.ui.charts.units import Unit
from tui_tuner.ui.charts.viewport import Viewport
from tui_tuner.ui.machine import head, over_steps, over_time, step_to_time
from tui_tuner.ui.widgets.losschart import MetricChart
from tui_tuner.ui.widgets.panels import PATIENCE

NARROWEST = 38
"""Columns that a chart needs."""
_QUICK = 1.0
"""Seconds between two drawings that only bring the axis up to date, while somebody is at the keys."""


@dataclass(frozen=True)
class Group:
    """A chart: its name, how its values are written, and its curves, each a figure and what it is called there.

    Attributes:
        limit: the figure that is the most there can be; NaN-free curves are drawn against it.
    """

    name: str
    title: str
    unit: Unit
    curves: tuple[tuple[str, str], ...]
    limit: str = ""


GROUPS = (
    Group("busy", "Busy", "percent", (("cpu", "processor"), ("process_cpu", "this run"), ("gpu", "GPU"))),
    Group(
        "memory",
        "Memory",
        "bytes",
        (("memory", "in use"), ("process_memory", "this run"), ("swap", "swap")),
        "memory_total",
    ),
    Group(
        "device",
        "GPU and mlx",
        "bytes",
        (("gpu_memory", "GPU"), ("mlx_active", "mlx"), ("mlx_cache", "kept")),
        "gpu_memory_total",
    ),
    Group(
        "heat",
        "Heat, °C",
        "plain",
        (("cpu_temperature", "processor"), ("gpu_temperature", "GPU")),
    ),
    Group(
        "power",
        "Power, W",
        "plain",
        (("cpu_power", "processor"), ("gpu_power", "GPU"), ("power", "machine")),
    ),
)


class MachinePanel(Vertical):
    """Line and charts. Whoever shows them says so with `show`, and only when they are to be seen."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._view: RunView | None = None
        self._key: object = None
        self._said: object = None
        self._drawn = -math.inf
        self._again: Callable[[], None] = lambda: None
        self.by_steps = True
        """Whether the charts lie over steps, as the loss does; else over the time at work."""

    def compose(self) -> ComposeResult:
        yield Static(id="machine-head")
        with Horizontal(id="machine-charts"):
            for group in GROUPS:
                with Container(classes="pane"):
                    yield MetricChart(group.title, group.unit, id=f"machine-{group.name}")

    def on_mount(self) -> None:
        for group in GROUPS:
            self._box(group).border_title = group.title

    def on_resize(self) -> None:
        """As many charts as fit now, and as long a line."""
        self._again()

    def start_over(self) -> None:
        """Forgets the curves, for another run."""
        self._view, self._key, self._said, self._drawn = None, None, None, -math.inf
        self._again = lambda: None
        for chart in self.query(MetricChart):
            chart.clear_series()
            chart.viewport.reset()

    def show(
        self,
        view: RunView,
        now: Reading | None,
        frame: Viewport,
        *,
        by_steps: bool,
        looked_at: bool = False,
        hurry: bool = True,
    ) -> None:
        """Takes over what is new.

        Args:
            view: the run.
            now: what its machine is at, None when that is not known from here.
            frame: the view of the loss, whose x axis the charts share when they lie over steps.
            by_steps: whether they are to; before there are steps, and afterwards for runs without, they lie over time.
            looked_at: whether the machine is looked at from here, though there may be no reading yet.
            hurry: whether somebody looks; else the axis is brought up to date every eight seconds only.
        """
        self._again = lambda: self.show(view, now, frame, by_steps=by_steps, looked_at=looked_at)
        if not self.size.width:  # it gets its place yet, and is told when it has it
            return
        self._tell(view, now, looked_at)
        self._draw_anew(view, frame, by_steps and bool(len(view.train)), hurry)

    def _draw_anew(self, view: RunView, frame: Viewport, by_steps: bool, hurry: bool) -> None:
        room = max(1, self.size.width // NARROWEST)
        key = (view, view.machine.version, by_steps, room)
        moment = time.monotonic()
        moved = by_steps and (frame.low, frame.high) != (self._frame.low, self._frame.high)
        if key == self._key and not (moved and moment - self._drawn >= (_QUICK if hurry else PATIENCE)):
            return
        self._view, self._key, self._drawn, self.by_steps = view, key, moment, by_steps
        self._draw(view, frame, room)

    def point_at(self, step: float | None) -> None:
        """Puts the crosshair on a step of the loss, or takes it away."""
        place = step if step is None or self.by_steps or self._view is None else step_to_time(self._view, step)
        for chart in self.query(MetricChart):
            chart.cursor = place

    def look_at(self, frame: Viewport) -> None:
        """Shows the part of the steps that the loss shows."""
        for chart in self.query(MetricChart):
            if self.by_steps:
                chart.viewport.mirror(frame)
            else:
                chart.viewport.reset()
            chart.refresh()

    @property
    def _frame(self) -> Viewport:
        return self.query(MetricChart).first().viewport

    def _box(self, group: Group) -> Container:
        box = self.query_one(f"#machine-{group.name}", MetricChart).parent
        assert isinstance(box, Container)
        return box

    def _tell(self, view: RunView, now: Reading | None, looked_at: bool) -> None:
        """The line, when it says something else."""
        line = head(view, now, self.size.width, looked_at=looked_at)
        said = (line.plain, line.spans)
        if said != self._said:
            self._said = said
            self.query_one("#machine-head", Static).update(line)

    def _draw(self, view: RunView, frame: Viewport, room: int) -> None:
        places = over_steps(view) if self.by_steps else over_time(view)
        # Points without a value at both ends give every chart the whole axis.
        ends = (frame.low, frame.high) if self.by_steps else _ends(places)
        x = np.concatenate(([ends[0]], places, [ends[1]]))
        shown = 0
        for group in GROUPS:
            chart, box = self.query_one(f"#machine-{group.name}", MetricChart), self._box(group)
            known = {name: values for name, _ in group.curves if np.isfinite(values := view.machine.column(name)).any()}
            # Before the first reading the first chart says that there is none.
            box.display = shown < room and (bool(known) or (group is GROUPS[0] and not len(view.machine)))
            shown += box.display
            if not box.display:
                continue
            chart.x_label, chart.x_unit = ("step", "integer") if self.by_steps else ("time", "seconds")
            chart.empty_text = "no reading in training yet" if self.by_steps and len(view.machine) else "no reading yet"
            for name, label in group.curves:
                if name in known:
                    slot = [curve for curve, _ in group.curves].index(name)
                    values = np.concatenate(([math.nan], known[name], [math.nan]))
                    chart.set_series(label, x, values, smooth=False, slot=slot)
            self._limit(group, chart, box, view)
        self.look_at(frame)

    @staticmethod
    def _limit(group: Group, chart: MetricChart, box: Container, view: RunView) -> None:
        """What there is of it: a line where the curves come near, and a word on the frame."""
        limit = view.machine.last(group.limit) if group.limit else math.nan
        if not math.isfinite(limit):
            return
        near = float(np.nanmax(view.machine.column(group.curves[0][0]), initial=0.0)) >= limit / 2
        chart.set_levels([Level(limit, f"of {fmt.size(limit)}", wanted=near)])
        box.border_subtitle = Content(f"of {fmt.size(limit)}")


def _ends(places: np.ndarray) -> tuple[float, float]:
    known = places[np.isfinite(places)]
    return (float(known[0]), float(known[-1])) if len(known) else (0.0, 0.0)
