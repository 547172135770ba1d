"""The verdict on two results: a sentence, a line per metric, the selected metric in full, and all results side by side.

It shows what it is handed and says what was chosen; nothing is read or judged here.
"""

from __future__ import annotations

from functools import partial

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from tui_tuner.ui.format import count
from tui_tuner.ui.text import clip_middle
from tui_tuner.ui.widgets import benchmark_table as drawn
from tui_tuner.ui.widgets.benchmark_store import BenchmarkStore
from tui_tuner.ui.widgets.data_list import RowList
from tui_tuner.ui.widgets.data_pane import TextPane, lines, notice

_FRAME = 3
"""Lines of a list that are not rows: its border and its heading."""


class VerdictPane(Vertical):
    """What came out. The metric under the cursor is the one that rows are ordered by."""

    def compose(self) -> ComposeResult:
        yield Static("", id="benchmark-head", markup=False)
        yield RowList("Metrics", id="benchmark-metrics")
        with Horizontal(id="benchmark-below"):
            yield TextPane("Metric", id="benchmark-metric")
            yield RowList("Results", id="benchmark-results")

    @property
    def metrics(self) -> RowList:
        return self.query_one("#benchmark-metrics", RowList)

    @property
    def results(self) -> RowList:
        return self.query_one("#benchmark-results", RowList)

    @property
    def detail(self) -> TextPane:
        return self.query_one("#benchmark-metric", TextPane)

    def show(self, store: BenchmarkStore, remark: Content | None) -> None:
        """Takes over what is held; `remark` stands where there is no sentence."""
        self._draw_head(store, remark)
        names, metrics = store.metrics, self.metrics
        (a, b), told = store.figures, store.told

        def line(at: int, width: int) -> Content:
            name = names[at]
            judged = told.get(name)
            first, second = a.get(name), b.get(name)
            if not store.usual and judged:  # over the rows that both have, which may be fewer than either has
                first, second = drawn.side_of(judged, "a") or first, drawn.side_of(judged, "b") or second
            return drawn.metric_line(name, first, second, judged, width)

        metrics.show(len(names), line, header=partial(drawn.metric_header, store.names))
        between = "" if store.usual else " · {} → {}".format(*(clip_middle(name, 34) for name in store.names))
        metrics.border_title = Content(f"Metrics{between}")
        self.results.border_title = Content(f"Results{between}")
        metrics.styles.height = len(names) + _FRAME
        self.show_metric(store)
        self._draw_results(store)

    def show_metric(self, store: BenchmarkStore) -> None:
        """The metric under the cursor in full."""
        names, pane = store.metrics, self.detail
        at = self.metrics.cursor
        if at >= len(names):
            pane.draw(lambda _width: Content.styled("Nothing was measured yet.", "$text-muted"))
            return
        metric = names[at]
        pane.border_title = Content(drawn.label(metric))
        told, meant, splits = store.told.get(metric), store.meant(metric), store.splits(metric)
        pane.draw(lambda width: drawn.metric_detail(metric, told, meant, splits, width))

    def _draw_head(self, store: BenchmarkStore, remark: Content | None) -> None:
        width = max(self.app.size.width - 4, 40)
        parts: list[Content] = []
        if store.sentence:
            parts.append(drawn.sentence(store.sentence, width))
        elif remark is not None:
            parts.append(remark)
        reading = store.reading
        if reading.problem:
            parts.append(notice("✗", reading.problem, "bold $text-error", width))
        for number, what in (
            (reading.pairs.damaged, "lines of the answers could not be read."),
            (reading.pairs.strangers, "rows are others on the second side, and are left out."),
        ):
            if number:
                parts.append(notice("▲", f"{count(number)} {what}", "bold $text-warning", width))
        self.query_one("#benchmark-head", Static).update(lines(parts))

    def _draw_results(self, store: BenchmarkStore) -> None:
        found = list(store.board.results.values())
        names = store.metrics
        chosen = names[self.metrics.cursor] if self.metrics.cursor < len(names) else ""
        listed = [*([chosen] if chosen else []), *(name for name in store.board.metrics if name != chosen)]
        self.results.styles.height = len(found) + _FRAME
        self.results.show(
            len(found),
            lambda at, width: drawn.result_line(found[at], listed, store.labels, width),
            header=partial(drawn.result_header, listed),
        )
        self.results.border_subtitle = Content(f"{count(len(found))} · ○ first ● second")
