"""What the Benchmark screen shows: its tabs, and in each what the store holds.

It draws, and reads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from textual.content import Content
from textual.widget import Widget

from tui_tuner.evaluation.stored import AFTER, BEFORE
from tui_tuner.ui.screens.measuring import MeasuringScreen
from tui_tuner.ui.widgets import benchmark_losses
from tui_tuner.ui.widgets import benchmark_words as words
from tui_tuner.ui.widgets.benchmark_answers import AnswersPane
from tui_tuner.ui.widgets.benchmark_cases import CasesPane, Documents, Kind, dead
from tui_tuner.ui.widgets.benchmark_checkpoints import CheckpointsPane
from tui_tuner.ui.widgets.benchmark_jobs import LossesAsked
from tui_tuner.ui.widgets.benchmark_store import BenchmarkStore
from tui_tuner.ui.widgets.benchmark_verdict import VerdictPane
from tui_tuner.ui.widgets.data_pane import notice
from tui_tuner.ui.widgets.data_zoom import unzoom
from tui_tuner.ui.widgets.words import Words

TABS = {
    "verdict": "Verdict", "results": "Results", "rows": "Rows",
    "behaviour": "Behaviour", "canaries": "Canaries", "checkpoints": "Checkpoints",
}  # fmt: skip


class BenchmarkViewScreen(MeasuringScreen):
    """A screen of tabs on what was measured of a run."""

    def __init__(self) -> None:
        super().__init__()
        self._store = BenchmarkStore()
        self._tab = "verdict"
        self._losses: LossesAsked | None = None
        """Set while the selected row is shown by its tokens' losses."""

    @property
    def tab(self) -> str:
        return self._tab

    @property
    def checkpoint(self) -> int | None:
        return self.query_one(CheckpointsPane).step

    @property
    def results(self) -> list[str]:
        return self._store.whole

    @property
    def verdict(self) -> VerdictPane:
        return self.query_one(VerdictPane)

    @property
    def answers(self) -> AnswersPane:
        return self.query_one(AnswersPane)

    @property
    def metric(self) -> str:
        """The metric that was chosen."""
        names, at = self._store.metrics, self.verdict.metrics.cursor
        return names[at] if at < len(names) else ""

    @property
    def _main(self) -> Widget:
        """The list of the present tab."""
        lists: dict[str, Widget] = {
            "rows": self.answers.listed, "results": self.verdict.results, "behaviour": self._cases("behaviour").main,
            "canaries": self._cases("canaries").main, "checkpoints": self.query_one(CheckpointsPane).main,
        }  # fmt: skip
        return lists.get(self._tab, self.verdict.metrics)

    def _cases(self, kind: Kind) -> CasesPane:
        return self.query_one(f"#benchmark-{kind}", CasesPane)

    @property
    def _rows_shown(self) -> bool:
        return bool(self.answers.display)

    @property
    def _has_adapter(self) -> bool:
        run = self.tuner.state.run
        return run is not None and (run.adapters / "adapters.safetensors").is_file()

    def _show_tab(self, name: str) -> None:
        unzoom(self)
        self._tab = name
        for tab in TABS:
            self.set_class(tab == name, f"-{tab}")
        self._draw_tabs()
        self.call_after_refresh(self._main.focus)
        self.refresh_bars()

    def _draw_tabs(self) -> None:
        gone = dead(self._documents(self._store.board.canaries))
        parts = []
        for name, title in TABS.items():
            mark = " ✗" if name == "canaries" and gone else ""
            style = "reverse" if name == self._tab else "bold $text-error" if mark else "$text-muted"
            parts.append((f" {title}{mark} ", style))
        tabs = self.query_one("#benchmark-tabs", Words)
        tabs.parts = [title for title, _style in parts]
        tabs.update(Content.assemble(*parts))

    def _draw(self) -> None:
        self._draw_tabs()
        store = self._store
        self.verdict.show(store, words.remark(store, self.tuner.state.follower, self.size.width))
        self._fill()
        for kind, found in (("behaviour", store.board.behaviour), ("canaries", store.board.canaries)):
            pane = self._cases("behaviour" if kind == "behaviour" else "canaries")
            pane.show(self._documents(found), self._measured_names(found), partial(words.nothing, kind))
        self.query_one(CheckpointsPane).show(store.board.checkpoints, partial(words.nothing, "checkpoints"))

    def _measured_names(self, found: Mapping[str, object]) -> tuple[str, str]:
        """The two results whose tests are shown: those compared where they were tested, else before and after."""
        first, second = self._store.labels
        return (first, second) if second in found else (BEFORE, AFTER)

    def _documents(self, found: Mapping[str, dict[str, Any]]) -> Documents:
        first, second = self._measured_names(found)
        return found.get(first), found.get(second)

    def _fill(self, cursor: int | None = None) -> None:
        self.answers.show(self._store, self.metric, cursor)
        self._draw_row()

    def _draw_row(self) -> None:
        answers, run = self.answers, self.tuner.state.run
        row = answers.row
        if self._losses is None or row is None or run is None:
            answers.show_row()
            return
        found = self._losses.of(self.tuner.engine, run.path, row)
        if isinstance(found, str):
            sign = "✗" if self._losses.failed() else "◌"
            answers.show_row(lambda width: notice(sign, found, "bold", width), "loss per token")
        else:
            answers.show_row(lambda width: benchmark_losses.drawing(found, row.prompt, width), "loss per token")
