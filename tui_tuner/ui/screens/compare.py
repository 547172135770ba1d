"""Any number of runs side by side: curves on one chart, what differs, metrics with verdicts, answers row by row.

It is pushed over the screen it is asked from. Files are read and runs are judged in a thread; of runs that go on, the
new events are taken in once a second. Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.style import Style
from textual.widgets import Static

from tui_tuner.evaluation.curves import AXES, MEASURES, By, curve
from tui_tuner.evaluation.together import Member, Together, bring_together, read_members, together_document
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.charts.line_chart import COLORS, LineChart
from tui_tuner.ui.charts.paint import DASHES
from tui_tuner.ui.charts.series import GLYPHS
from tui_tuner.ui.charts.units import Unit, format_value
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.status import ACTIVE
from tui_tuner.ui.widgets import compare_drawn as drawn
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane

if TYPE_CHECKING:
    from tui_tuner.runs.folder import RunFolder

_T = TypeVar("_T")
TABS = {"curves": "Curves", "config": "Config", "metrics": "Metrics", "answers": "Answers", "probes": "Probes"}
_UNITS: dict[str, Unit] = {"learning_rate": "rate", "memory": "bytes"}
_X_UNITS: dict[By, Unit] = {"step": "integer", "tokens": "integer", "time": "seconds"}
_HIGHEST = ("speed",)
"""Measures of which more is better; of all others the lowest value is told."""


class CompareScreen(WorkbenchScreen):
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

    def __init__(self, folders: Sequence[RunFolder]) -> None:
        super().__init__()
        self._folders = list(folders)
        self._together: Together | None = None
        self._judging = False
        self._tab, self._measure = "curves", MEASURES[0]
        self._by: By = "step"
        self._hidden: set[int] = set()
        self._only_differing = False
        self._listed: list[int] = []

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, id="compare-empty", classes="empty")
        yield Static(id="compare-tabs", markup=False)
        chart = LineChart(id="compare-chart", y_label="", empty_text="no run has reported this")
        chart.legend, chart.can_focus = False, False
        yield chart
        yield TextPane("", id="compare-text")
        with Vertical(id="compare-answers"):
            yield RowList("Rows", id="compare-rows")
            yield TextPane("Row", id="compare-row")
        yield RowList("Runs", id="compare-runs")

    def on_mount(self) -> None:
        self.add_class("-reading")
        self.run_worker(self._read, thread=True, exit_on_error=False, group="compare")
        self.set_interval(1.0, self._follow)

    # -- reading ------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            members = read_members(self._folders)
            self.app.call_later(self._show, bring_together(members, judged=False))
        except Exception as error:
            self.app.call_later(self.tuner.report, error)

    def _show(self, together: Together) -> None:
        self._together = together
        self.remove_class("-reading")
        self._show_tab(self._tab)
        self._judge(together)

    def _judge(self, together: Together) -> None:
        """Has the runs judged against the reference, in a thread."""
        self._judging = True
        self.run_worker(
            partial(self._judged, together), thread=True, exit_on_error=False, exclusive=True, group="judge"
        )

    def _judged(self, together: Together) -> None:
        try:
            found = bring_together(together.members, together.reference)
        except Exception as error:
            found = together
            self.app.call_later(self.tuner.report, error)
        self.app.call_later(self._take, found)

    def _take(self, found: Together) -> None:
        """Shows what was judged, unless another reference was chosen meanwhile."""
        if self._together is None or found.reference != self._together.reference:
            return
        self._together, self._judging = found, False
        self._draw()

    def _follow(self) -> None:
        """Takes in what runs that go on have reported since."""
        if self._together is None or not self.is_current:
            return
        going = [member for member in self._together.members if member.state in ACTIVE]
        news = [member.poll() for member in going]
        if any(news):
            self._draw()

    # -- drawing ------------------------------------------------------------------------------------------------

    @property
    def chart(self) -> LineChart:
        """The curves."""
        return self.query_one("#compare-chart", LineChart)

    @property
    def runs(self) -> RowList:
        """The list of runs."""
        return self.query_one("#compare-runs", RowList)

    @property
    def member(self) -> Member | None:
        """The run under the cursor."""
        return None if self._together is None else self._together.members[self.runs.cursor]

    @property
    def marks(self) -> list[drawn.Mark]:
        """The marks of the runs, in the colours of the chart."""
        found = []
        for at in range(len(self._together.members) if self._together is not None else 0):
            styles = self.chart.get_component_styles(f"line-chart--series-{at % COLORS + 1}")
            found.append(drawn.Mark(GLYPHS[at % len(GLYPHS)], Style(foreground=styles.color, bold=True)))
        return found

    def _show_tab(self, name: str) -> None:
        self._tab = name
        for tab in TABS:
            self.set_class(tab == name, f"-{tab}")
        self._draw()
        focused = {"curves": "#compare-runs", "answers": "#compare-rows"}.get(name, "#compare-text")
        self.call_after_refresh(self.query_one(focused).focus)
        self.refresh_bars()

    def _draw(self) -> None:
        if self._together is None or not self.is_mounted:
            return
        parts = [(f" {title} ", "reverse" if name == self._tab else "$text-muted") for name, title in TABS.items()]
        self.query_one("#compare-tabs", Static).update(Content.assemble(*parts))
        self._draw_curves(self._together)
        self._draw_runs(self._together)
        self._draw_text(self._together)
        self._draw_rows(self._together)

    def _draw_curves(self, together: Together) -> None:
        chart, measure = self.chart, self._measure
        chart.title, chart.y_label = measure.label.capitalize(), measure.unit
        chart.unit, chart.x_unit = _UNITS.get(measure.name, "plain"), _X_UNITS[self._by]
        chart.x_label = {"step": "step", "tokens": "tokens", "time": "time"}[self._by]
        for at, member in enumerate(together.members):
            if at in self._hidden:
                chart.clear_series(str(at))
                continue
            x, y = curve(member.view, measure, self._by)
            chart.set_series(str(at), x, y, smooth=not measure.validation, slot=at, dash=at % len(DASHES))

    def _draw_runs(self, together: Together) -> None:
        chart, by = self.chart, self._by
        title = "last" if chart.cursor is None else f"at {format_value(chart.cursor, _X_UNITS[by])}"
        best = "highest" if self._measure.name in _HIGHEST else "lowest"
        told = [self._line(together, at, mark) for at, mark in enumerate(self.marks)]
        self.runs.show(
            len(told),
            lambda at, width: drawn.run_line(told[at], _UNITS.get(self._measure.name, "plain"), _X_UNITS[by], width),
            header=partial(drawn.run_header, title, best),
        )
        over = AXES[by] if by != "step" else "steps"
        self.runs.border_title = Content(f"Runs · {self._measure.label} over {over}")
        self.runs.border_subtitle = Content(
            "judging …" if self._judging else "enter opens · r reference · u uses its config"
        )

    def _line(self, together: Together, at: int, mark: drawn.Mark) -> drawn.RunLine:
        member, cursor = together.members[at], self.chart.cursor
        x, y = curve(member.view, self._measure, self._by)
        known = np.flatnonzero(np.isfinite(y) & (x <= cursor if cursor is not None else True))
        best = np.nanmax if self._measure.name in _HIGHEST else np.nanmin
        place = float(x[known[-1]]) if len(known) else None
        return drawn.RunLine(
            mark=mark,
            label=member.label,
            state=member.state,
            shown=at not in self._hidden,
            reference=at == together.reference,
            value=float(y[known[-1]]) if len(known) else None,
            at=place,
            exact=place == cursor or cursor is None,
            lowest=float(best(y)) if np.isfinite(y).any() else None,
            told=drawn.in_brief(together.against[at]) or next(iter(member.told), ""),
        )

    def _draw_text(self, together: Together) -> None:
        pane, marks = self.query_one("#compare-text", TextPane), self.marks
        if self._tab == "config":
            pane.border_title = Content(f"What differs: {len(together.differences)} keys")
            pane.draw(partial(drawn.differences, together.differences, together, marks), keep_place=True)
        elif self._tab == "metrics":
            pane.border_title = Content("Metrics on the test rows, with 95 % intervals")
            pane.draw(partial(drawn.metrics, together, marks, self._judging), keep_place=True)
        elif self._tab == "probes":
            pane.border_title = Content("What they said to the probes, last")
            pane.draw(partial(drawn.samples, together, marks), keep_place=True)

    def _draw_rows(self, together: Together) -> None:
        listed, rows = self.query_one("#compare-rows", RowList), together.rows
        self._listed = [at for at, row in enumerate(rows) if row.differs or not self._only_differing]
        marks, chosen = self.marks, self._listed
        listed.show(len(chosen), lambda at, width: drawn.row_line(together, chosen[at], marks, width))
        only = " whose answers differ" if self._only_differing else ""
        listed.border_title = Content(f"{len(chosen):,} rows{only}")
        self._draw_row()

    def _draw_row(self) -> None:
        pane, together = self.query_one("#compare-row", TextPane), self._together
        at = self.query_one("#compare-rows", RowList).cursor
        if together is None or at >= len(self._listed):
            text = "◌ reading the answers …" if self._judging else "No row to show."
            pane.border_title = Content("Row")
            pane.draw(lambda _width: Content.styled(text, "$text-muted"))
            return
        pane.border_title = Content(f"Row {self._listed[at]} · bold and underlined: not in the reference's answer")
        pane.draw(partial(drawn.answers, together, self._listed[at], self.marks))

    # -- what is done -------------------------------------------------------------------------------------------

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
            self._draw_runs(self._together)

    @on(RowList.Highlighted, "#compare-rows")
    def _row_chosen(self) -> None:
        self._draw_row()

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
        self._show_tab(names[(names.index(self._tab) + step) % len(names)])

    def action_measure(self) -> None:
        self._measure = _after(self._measure, MEASURES)
        self.action_point(None)
        self._draw()

    def action_axis(self) -> None:
        self._by = _after(self._by, tuple(AXES))
        self.chart.action_reset_view()
        self.action_point(None)
        self._draw()

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
        self._draw()

    def action_reference(self) -> None:
        together = self._together
        if together is None or together.reference == self.runs.cursor:
            return
        self._together = bring_together(together.members, self.runs.cursor, judged=False)
        self._judge(self._together)
        self._draw()

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
        self._draw()

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
