"""Before against after: every metric with its interval and verdict, and every row with what changed in its answer.

Figures come from the run's events, answers from its evaluation folder. Long files are read in a thread; nothing is
measured or judged here.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from tui_tuner.runs.state import RunState
from tui_tuner.runs.view import RunView
from tui_tuner.ui.actions import bindings
from tui_tuner.ui.format import count
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.text import visible
from tui_tuner.ui.widgets import benchmark_rows as answers
from tui_tuner.ui.widgets import benchmark_table as drawn
from tui_tuner.ui.widgets.benchmark_rows import Pair, Pairs
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane, lines, notice
from tui_tuner.ui.widgets.data_zoom import unzoom, zoom


class BenchmarkScreen(WorkbenchScreen):
    """Shows the benchmark of the run being looked at."""

    MODE = "benchmark"
    EMPTY = (
        "There is nothing to compare yet.\n\nA run answers its test rows before and after training.\n"
        "Start one with f5, or open a finished one on Runs (7)."
    )
    INTRO = (
        "Each metric before and after with its 95 % interval, the difference, and whether it is more than luck. The "
        "rows below can be ordered by what they gained or lost; the pane beside shows one of them in full."
    )
    CSS_PATH = "benchmark.tcss"
    AUTO_FOCUS = "RowList"
    BINDINGS = bindings("benchmark")

    def __init__(self) -> None:
        super().__init__()
        self._pairs = Pairs()
        self._rows: list[Pair] = []
        self._read: tuple[Path, object] | None = None
        self._problem = ""
        self._order = 0
        self._metric = 0
        self._against_reference = False

    def compose_body(self) -> ComposeResult:
        yield Static(self.empty_text, classes="empty", id="benchmark-empty", markup=False)
        yield Static("", id="benchmark-head", markup=False)
        with Horizontal(id="benchmark-panes"):
            yield RowList("Rows", id="benchmark-rows")
            yield TextPane("Row", id="benchmark-row")

    # -- hooks --------------------------------------------------------------------------------------------------

    def on_run_changed(self, view: RunView | None) -> None:
        run = self.tuner.state.run
        empty = run is None or view is None or not (view.evaluations or any(map(_size, answers.files(run.evaluation))))
        self.set_class(empty, "-empty")
        if empty or run is None or view is None:
            self._forget()
            self.query_one("#benchmark-empty", Static).update(Content(self._why_empty(view)))
            return
        self._draw_head(view)
        seen = (run.evaluation, answers.fingerprint(run.evaluation))
        if self._read is None or self._read[0] != seen[0]:
            self._forget()
        if self._read != seen:
            self._read = seen
            self._fetch(run.evaluation)

    def on_resize(self, event: events.Resize) -> None:
        view = self.view
        if view is not None and not self.has_class("-empty"):
            self._draw_head(view)

    # -- actions ------------------------------------------------------------------------------------------------

    def action_order(self) -> None:
        self._order = (self._order + 1) % len(answers.ORDERS)
        self._fill(cursor=0)

    def action_metric(self) -> None:
        self._metric += 1
        self._fill()
        if self.view is not None:
            self._draw_head(self.view)

    def action_compare(self) -> None:
        self._against_reference = not self._against_reference
        self._draw_row()

    def action_row(self, step: int) -> None:
        self.query_one(RowList).cursor += step

    def action_zoom(self) -> None:
        if not unzoom(self):
            rows = self.query_one(RowList)
            zoom(self, rows if self.focused is rows else self.query_one("#benchmark-row"))

    def go_back(self) -> bool:
        return unzoom(self) or super().go_back()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("order", "metric", "compare", "row", "zoom"):
            return bool(self._rows)
        return super().check_action(action, parameters)

    def on_row_list_highlighted(self, _event: RowList.Highlighted) -> None:
        self._draw_row()

    def on_row_list_chosen(self, _event: RowList.Chosen) -> None:
        self.query_one("#benchmark-row").focus()
        zoom(self, self.query_one("#benchmark-row"))

    # -- reading ------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._pairs, self._rows, self._read, self._problem = Pairs(), [], None, ""

    def _fetch(self, folder: Path) -> None:
        """Reads the answers: at once when there is little, in a thread when there is much."""
        if sum(map(_size, answers.files(folder))) <= answers.LARGE:
            self._take(folder, *_read(folder))
            return
        self.query_one(RowList).border_subtitle = "reading the answers …"
        self.run_worker(partial(self._fetch_aside, folder), thread=True, exit_on_error=False, group="answers")

    def _fetch_aside(self, folder: Path) -> None:
        pairs, problem = _read(folder)
        self.app.call_from_thread(self._take, folder, pairs, problem)

    def _take(self, folder: Path, pairs: Pairs, problem: str) -> None:
        if self._read is None or self._read[0] != folder:
            return  # Another run was selected meanwhile.
        self._pairs, self._problem = pairs, problem
        self._fill()
        if self.view is not None:
            self._draw_head(self.view)
        if self.focused is None and self._rows:
            self.query_one(RowList).focus()

    # -- what is shown ------------------------------------------------------------------------------------------

    @property
    def _metrics(self) -> list[str]:
        """Metrics of the events, then those that only the answers have, in order."""
        view = self.view
        seen: dict[str, None] = {}
        for label in ("before", "after"):
            seen.update(dict.fromkeys((view.evaluations.get(label) or {}) if view is not None else {}))
        seen.update(dict.fromkeys(self._pairs.metrics))
        return list(seen)

    @property
    def _chosen_metric(self) -> str:
        metrics = self._metrics
        return metrics[self._metric % len(metrics)] if metrics else ""

    def _why_empty(self, view: RunView | None) -> str:
        """What is missing and what brings it, for the run at hand."""
        follower = self.tuner.state.follower
        if follower is None:
            return self.EMPTY
        if view is None:
            return "◌ reading the run …"
        if self.tuner.state.run is None:
            return "A log of another program has no benchmark.\n\nOpen a run of this workbench on Runs (7)."
        if follower.state in (RunState.RUNNING, RunState.QUEUED, RunState.PAUSED):
            return "◌ The first benchmark is not done yet.\n\nThe Train screen (4) shows how far the run is."
        return (
            "This run has no benchmark.\n\nIts evaluation was switched off, or it ended before it was measured.\n"
            "Set evaluation.enabled=true and start again with f5."
        )

    def _draw_head(self, view: RunView) -> None:
        width = max(self.size.width - 4, 40)
        before, after = view.evaluations.get("before") or {}, view.evaluations.get("after") or {}
        verdict = view.verdict or {}
        told = verdict.get("metrics") or {}
        parts: list[Content] = []
        if verdict.get("sentence"):
            parts.append(drawn.sentence(str(verdict["sentence"]), width))
        else:
            parts.append(notice("◌", self._waiting_for(bool(before), bool(after)), "$text-accent", width))
        if self.size.height >= 30:
            parts.append(Content(""))
        parts.append(drawn.table(self._metrics, before, after, told, width, self._chosen_metric))
        if self.size.height >= 30 and told:
            parts.append(drawn.metric_line(told.get(self._chosen_metric), width))
        if self._problem:
            parts.append(notice("✗", self._problem, "bold $text-error", width))
        if self._pairs.damaged:
            parts.append(notice("▲", f"{count(self._pairs.damaged)} lines of the answers could not be read.",
                                "bold $text-warning", width))  # fmt: skip
        self.query_one("#benchmark-head", Static).update(lines(parts))

    def _waiting_for(self, before: bool, after: bool) -> str:
        follower = self.tuner.state.follower
        active = follower is not None and follower.active
        if before and after:
            return "Both sides are measured; the verdict is " + ("being worked out." if active else "missing.")
        if active:
            return "Measured before training; the other side follows when training is done."
        return "Only one side was measured: the run ended before the other. Resume it on Runs (7) to have a verdict."

    def _fill(self, cursor: int | None = None) -> None:
        metric = self._chosen_metric
        order = answers.ORDERS[self._order]
        self._rows = answers.ordered(self._pairs.rows, order, metric)
        rows = self.query_one(RowList)
        rows.show(
            len(self._rows), lambda at, width: drawn.row_line(self._rows[at], metric, width),
            header=drawn.row_header, cursor=cursor,
        )  # fmt: skip
        rows.border_title = Content(f"Rows by {drawn.label(metric)}{self._outcome(metric)}" if metric else "Rows")
        rows.border_subtitle = Content(f"{count(len(self._rows))} rows, {answers.ORDER_NAMES[order]}")
        self._draw_row()

    def _outcome(self, metric: str) -> str:
        """How the comparison on the metric went, in numbers."""
        verdict = (self.view.verdict or {}) if self.view is not None else {}
        told = (verdict.get("metrics") or {}).get(metric)
        return f" · {drawn.outcome(told)}" if told else ""

    def _draw_row(self) -> None:
        pane = self.query_one("#benchmark-row", TextPane)
        at = self.query_one(RowList).cursor
        if at >= len(self._rows):
            pane.draw(lambda _width: Content.styled("No answers were stored.", "$text-muted"))
            return
        row = self._rows[at]
        pane.border_title = Content(f"Row {row.index}")
        marks = "shared with the reference" if self._against_reference else "what changed"
        pane.border_subtitle = Content(f"marked: {visible(marks)}")
        pane.draw(partial(_detail, row, self._against_reference, self.size.height < 34))


def _detail(row: Pair, against_reference: bool, tight: bool, width: int) -> Content:
    return drawn.detail(row, width, against_reference=against_reference, tight=tight)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(folder: Path) -> tuple[Pairs, str]:
    """The answers, and why they could not be read."""
    try:
        return answers.read_pairs(folder), ""
    except OSError as error:
        return Pairs(), f"The answers in {folder} cannot be read ({error.strerror or error})."
