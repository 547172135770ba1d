"""Any number of runs side by side: curves on one chart, what differs, metrics with verdicts, answers row by row.

It is pushed over the screen it is asked from. Here is what its keys do. Nothing is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

from textual import on

from tui_tuner.evaluation.curves import AXES, MEASURES
from tui_tuner.evaluation.together import bring_together, together_document
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.charts.line_chart import LineChart
from tui_tuner.ui.screens.compareview import TABS, CompareViewScreen
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.words import Words

_T = TypeVar("_T")


class CompareScreen(CompareViewScreen):
    """Shows several runs together.

    Args:
        folders: the runs; the first is the reference until another one is chosen.
    """

    MODE = "compare"
    TAB = "runs"
    EMPTY = "◌ reading the runs …"
    INTRO = (
        "The curves of several runs on one chart: m shows another figure, x draws it over tokens or time, comma and "
        "full stop move a crosshair at which the list tells every run's value. v leads to what differs in their "
        "configurations, to metrics with verdicts against the reference, and to their answers row by row."
    )
    CSS_PATH = "compare.tcss"
    BINDINGS = bindings("compare")

    def go_back(self) -> bool:
        """First takes the crosshair away, then the screen."""
        if self.chart.cursor is not None:
            self.action_point(None)
        else:
            self.dismiss(None)
        return True

    @on(LineChart.CursorMoved)
    def _pointed(self) -> None:
        if self._together is not None:
            self.draw_runs(self._together)

    @on(RowList.Highlighted, "#compare-rows")
    def _row_chosen(self) -> None:
        self.draw_row()

    @on(RowList.Chosen, "#compare-runs")
    def _open(self) -> None:
        if self.member is not None:
            self.tuner.select_run(self.member.folder)
            self.tuner.go("train")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("measure", "axis", "on_chart", "hide"):
            return self._together is not None and self._tab == "curves"
        if action in ("row", "differing"):
            return self._together is not None and self._tab == "answers"
        if action in ("reference", "reuse", "export", "tab"):
            return self._together is not None
        return True

    def action_tab(self, step: int) -> None:
        names = list(TABS)
        self.show_tab(names[(names.index(self._tab) + step) % len(names)])

    def on_words_pressed(self, event: Words.Pressed) -> None:
        self.show_tab(list(TABS)[event.part])

    def action_measure(self) -> None:
        self._measure = _after(self._measure, MEASURES)
        self.action_point(None)
        self.draw()

    def action_axis(self) -> None:
        self._by = _after(self._by, tuple(AXES))
        self.chart.action_reset_view()
        self.action_point(None)
        self.draw()

    def action_point(self, x: float | None) -> None:
        """Puts the crosshair somewhere, or takes it away."""
        self.chart.cursor = x
        self._pointed()

    def action_on_chart(self, what: str, value: float = 0.0) -> None:
        """One of the chart's own actions: the chart takes no focus, so that its keys work everywhere."""
        chart = self.chart
        calls: dict[str, Any] = {
            "log": chart.action_toggle_log, "smooth": chart.action_cycle_smoothing, "whole": chart.action_reset_view,
            "zoom": partial(chart.action_zoom, value), "pan": partial(chart.action_pan, value),
            "cross": partial(chart.action_move_cursor, int(value)),
        }  # fmt: skip
        calls[what]()

    def action_hide(self) -> None:
        """Hides the curve of the run under the cursor, or shows it again."""
        self._hidden ^= {self.runs.cursor}
        self.draw()

    def action_reference(self) -> None:
        together = self._together
        if together is None or together.reference == self.runs.cursor:
            return
        self._together = bring_together(together.members, self.runs.cursor, judged=False)
        self._judge(self._together)
        self.draw()

    def action_reuse(self) -> None:
        """Makes the configuration of the run under the cursor the experiment to edit and start."""
        if self.member is not None:
            self.tuner.load_run(self.member.folder)
            self.tuner.go("config")

    def action_row(self, step: int) -> None:
        self.query_one("#compare-rows", RowList).action_move(step)

    def action_differing(self) -> None:
        """Lists only the rows whose answers differ, or all."""
        self._only_differing = not self._only_differing
        self.draw()

    def action_export(self) -> None:
        """Asks for a file, and writes the comparison into it."""
        from tui_tuner.ui.exportdialog import ExportDialog

        together = self._together
        if together is not None:
            document = partial(together_document, together)
            self.app.push_screen(ExportDialog(document, "comparison", self.tuner.runs_dir), self._written)

    def _written(self, path: Any) -> None:
        if path is not None:
            self.tuner.notice(f"Written to {path}.")


def _after(one: _T, offered: Sequence[_T]) -> _T:
    return offered[(list(offered).index(one) + 1) % len(offered)]
