"""The checkpoints of a run by what they are worth on the task: a curve over the steps, and a line per checkpoint.

It shows what was measured; which one is used is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widget import Widget

from tui_tuner.ui.charts import LineChart
from tui_tuner.ui.charts.marks import Mark
from tui_tuner.ui.widgets.benchmark_table import interval, label, score
from tui_tuner.ui.widgets.data_list import RowList, cell
from tui_tuner.ui.widgets.data_pane import TextPane


class CheckpointsPane(Vertical):
    """What every saved checkpoint scored."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._points: list[Mapping[str, Any]] = []

    def compose(self) -> ComposeResult:
        with Container(id="checkpoint-chart", classes="pane"):
            chart = LineChart("Checkpoints", empty_text="no checkpoint was scored yet")
            chart.can_focus = False  # the list below has the figures, and keys of its own
            yield chart
        yield RowList("Checkpoints", id="checkpoint-list")
        yield TextPane("Nothing was measured yet", id="checkpoint-none")

    @property
    def listed(self) -> RowList:
        return self.query_one(RowList)

    @property
    def main(self) -> Widget:
        """What has the focus while the tab is shown."""
        return self.listed if self._points else self.query_one(TextPane)

    @property
    def step(self) -> int | None:
        """The step of the selected checkpoint."""
        at = self.listed.cursor
        return int(self._points[at]["step"]) if at < len(self._points) else None

    def show(self, document: Mapping[str, Any], nothing: Callable[[int], Content]) -> None:
        """Takes over `checkpoints.json`; `nothing` is drawn where there is none."""
        points = [point for point in document.get("points") or [] if _whole(point)]
        new = len(points) != len(self._points)
        self._points = sorted(points, key=lambda point: float(point["step"]))
        self.set_class(not points, "-none")
        if not points:
            self.query_one(TextPane).draw(nothing)
            return
        metric, best = label(str(document.get("metric") or "metric")), document.get("best_step")
        used = document.get("used")
        self._draw_chart(metric, best)
        listed = self.listed
        listed.show(
            len(self._points), lambda at, _width: _line(self._points[at], best, used),
            header=lambda _width: _header(metric),
            cursor=next((at for at, point in enumerate(self._points) if point["step"] == best), 0) if new else None,
        )  # fmt: skip
        listed.border_subtitle = Content("◆ best on the task · ● in use · u uses the selected one")
        listed.styles.height = len(points) + 3

    def _draw_chart(self, metric: str, best: object) -> None:
        chart = self.query_one(LineChart)
        chart.title = metric
        steps = [float(point["step"]) for point in self._points]
        for name, style in (("value", "line"), ("low", "points"), ("high", "points")):
            values = [_number(point.get(name)) for point in self._points]
            shown = metric if name == "value" else f"95 % {name}"
            chart.set_series(shown, steps, values, style="points" if style == "points" else "line", smooth=False)
        marks = [Mark(float(best), "◆", "best")] if isinstance(best, (int, float)) else []
        chart.set_markers(marks)


def _whole(point: object) -> bool:
    return isinstance(point, Mapping) and all(isinstance(point.get(key), (int, float)) for key in ("step", "value"))


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")


def _header(metric: str) -> Content:
    titles = (("", 3, False), ("step", 8, True), ("", 2, False), (metric, 22, False), ("validation loss", 16, False))
    return Content.assemble(*(cell(title, width, right=right) for title, width, right in titles))


def _line(point: Mapping[str, Any], best: object, used: object) -> Content:
    words = [word for word, step in (("best", best), ("in use", used)) if point["step"] == step]
    mark = ("◆" if "best" in words else "") + ("●" if "in use" in words else "")
    return Content.assemble(
        cell(mark, 3, style="bold $text-success"), cell(f"{point['step']:,.0f}", 8, right=True), "  ",
        interval(point, 22), cell(score(point.get("validation_loss")), 16),
        (", ".join(words), "bold $text-success"),
    )  # fmt: skip
