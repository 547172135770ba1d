"""How a comparison of runs looks: curves, the list of runs, what differs, metrics, answers and probes.

It draws what was read; what keys do is the screen's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.style import Style
from textual.widgets import Static

from tui_tuner.evaluation.curves import AXES, MEASURES, By, curve
from tui_tuner.evaluation.together import Member, Together
from tui_tuner.ui.charts.line_chart import COLORS, LineChart
from tui_tuner.ui.charts.paint import DASHES
from tui_tuner.ui.charts.series import GLYPHS
from tui_tuner.ui.charts.units import Unit, format_value
from tui_tuner.ui.screens.comparework import CompareWorkScreen
from tui_tuner.ui.widgets import compare_drawn as drawn
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane
from tui_tuner.ui.widgets.words import Words

if TYPE_CHECKING:
    from tui_tuner.runs.folder import RunFolder

TABS = {"curves": "Curves", "config": "Config", "metrics": "Metrics", "answers": "Answers", "probes": "Probes"}
_UNITS: dict[str, Unit] = {"learning_rate": "rate", "memory": "bytes"}
_X_UNITS: dict[By, Unit] = {"step": "integer", "tokens": "integer", "time": "seconds"}
_HIGHEST = ("speed",)
"""Measures of which more is better; of all others the lowest value is told."""


class CompareViewScreen(CompareWorkScreen):
    """A screen that shows several runs together."""

    def __init__(self, folders: Sequence[RunFolder]) -> None:
        super().__init__(folders)
        self._tab, self._measure = "curves", MEASURES[0]
        self._by: By = "step"
        self._hidden: set[int] = set()
        self._only_differing = False
        self._listed: list[int] = []

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, id="compare-empty", classes="empty")
        yield Words(id="compare-tabs", parts=list(TABS.values()))
        chart = LineChart(id="compare-chart", y_label="", empty_text="no run has reported this")
        chart.legend, chart.can_focus = False, False
        yield chart
        yield TextPane("", id="compare-text")
        with Vertical(id="compare-answers"):
            yield RowList("Rows", id="compare-rows")
            yield TextPane("Row", id="compare-row")
        yield RowList("Runs", id="compare-runs")

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

    def show_all(self) -> None:
        """Shows it for the first time."""
        self.show_tab(self._tab)

    def show_tab(self, name: str) -> None:
        """Goes to a tab."""
        self._tab = name
        for tab in TABS:
            self.set_class(tab == name, f"-{tab}")
        self.draw()
        focused = {"curves": "#compare-runs", "answers": "#compare-rows"}.get(name, "#compare-text")
        self.call_after_refresh(self.query_one(focused).focus)
        self.refresh_bars()

    def draw(self) -> None:
        """Shows what is known now."""
        if self._together is None or not self.is_mounted:
            return
        parts = [(f" {title} ", "reverse" if name == self._tab else "$text-muted") for name, title in TABS.items()]
        self.query_one("#compare-tabs", Words).update(Content.assemble(*parts))
        self._draw_curves(self._together)
        self.draw_runs(self._together)
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

    def draw_runs(self, together: Together) -> None:
        """Draws the list of runs."""
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
        self.draw_row()

    def draw_row(self) -> None:
        """Draws the row under the cursor in full."""
        pane, together = self.query_one("#compare-row", TextPane), self._together
        at = self.query_one("#compare-rows", RowList).cursor
        if together is None or at >= len(self._listed):
            text = "◌ reading the answers …" if self._judging else "No row to show."
            pane.border_title = Content("Row")
            pane.draw(lambda _width: Content.styled(text, "$text-muted"))
            return
        pane.border_title = Content(f"Row {self._listed[at]} · bold and underlined: not in the reference's answer")
        pane.draw(partial(drawn.answers, together, self._listed[at], self.marks))
