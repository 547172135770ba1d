"""The dialog that chooses two results to compare, of any runs: first the one that is compared with, then the other.

It lists what the folder of runs has; reading that is done in a thread. It only asks; nothing is judged here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_tuner.evaluation import stored
from tui_tuner.evaluation.board import read_board
from tui_tuner.runs.catalogue import list_runs
from tui_tuner.ui.format import ago, count
from tui_tuner.ui.text import clip_middle, inert
from tui_tuner.ui.widgets.benchmark_store import Side
from tui_tuner.ui.widgets.benchmark_table import interval, label
from tui_tuner.ui.widgets.data_list import RowList, cell
from tui_tuner.ui.widgets.words import Hint


@dataclass(frozen=True)
class Offer:
    """A result that can be compared.

    Attributes:
        when: how long ago its run was made.
        n: rows; 0 when untold.
        metric, figures: the first metric of the result, with its interval.
    """

    side: Side
    when: str
    n: int = 0
    metric: str = ""
    figures: dict[str, float] | None = None


def offers(runs_dir: Path, own: Path | None) -> list[Offer]:
    """Every result of every run: those of `own` first, then the newest run's.

    Raises:
        TunerError: the folder of runs may not be read.
    """
    found: list[Offer] = []
    runs = list_runs(runs_dir)
    for run in sorted(runs, key=lambda run: run.path != own):
        folder = run.path / "evaluation"
        board = read_board(folder)
        for name in stored.labels(folder):
            result = board.results[name]
            metric = next(iter(result.metrics), "")
            found.append(Offer(Side(run.path, name), ago(run.created), result.n, metric, result.metrics.get(metric)))
    return found


class CompareDialog(ModalScreen[tuple[Side, Side] | None]):
    """Asks for two results. Returns them, or None.

    Args:
        runs_dir: the folder of runs.
        own: the run being looked at.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Back")]
    DEFAULT_CSS = """
    CompareDialog #compare-said { height: auto; }
    CompareDialog RowList { height: 1fr; }
    """

    def __init__(self, runs_dir: Path, own: Path | None) -> None:
        super().__init__()
        self._runs_dir, self._own = runs_dir, own
        self._offers: list[Offer] = []
        self._first: Side | None = None

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = "Compare"
        with box:
            yield Static(id="compare-said", markup=False)
            yield RowList()
            yield Hint("↑ ↓ choose   enter takes it   esc go back")

    def on_mount(self) -> None:
        self.query_one(RowList).focus()
        self._say("◌ looking at the runs …")
        self.run_worker(self._look, thread=True, exit_on_error=False, group="offers")

    def _look(self) -> None:
        try:
            found = offers(self._runs_dir, self._own)
        except Exception as error:
            self.app.call_later(self._fail, f"The runs cannot be listed: {error}")
            return
        self.app.call_later(self._show, found)

    def _fail(self, text: str) -> None:
        if self.is_attached:
            self._say(text)

    def _show(self, found: list[Offer]) -> None:
        if not self.is_attached:  # it was left meanwhile
            return
        self._offers = found
        listed = self.query_one(RowList)
        listed.show(len(found), self._line, header=_header)
        if not found:
            self._say("No run has results yet. f5 starts one; tui-tuner evaluate measures a model.")
            return
        self._ask()

    def _ask(self) -> None:
        if self._first is None:
            self._say("Which result is compared with?  (the first side, such as before)")
        else:
            self._say(f"{self._first.label} of {self._first.run.name} — against which?  (the second side)")

    def _line(self, at: int, width: int) -> Content:
        offer = self._offers[at]
        mark = "○ " if offer.side == self._first else "  "
        room, roomy = _room(width)
        return Content.assemble(
            (mark, "bold $text-primary"), cell(clip_middle(offer.side.run.name, room - 1), room),
            cell(clip_middle(offer.side.label, 15), 16, style="bold"), cell(offer.when, 13, style="$text-muted"),
            cell(count(offer.n or None), 5, right=True, style="$text-muted"),
            *(("  ", cell(label(offer.metric), 12, style="$text-muted"), interval(offer.figures, 18)) if roomy else ()),
        )  # fmt: skip

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        event.stop()
        side = self._offers[event.index].side
        if self._first is None:
            self._first = side
            self._ask()
            event.row_list.refresh()
        elif side != self._first:
            self.dismiss((self._first, side))
        else:
            self._say("That is the first side already: choose another result for the second.")

    def _say(self, text: str) -> None:
        self.query_one("#compare-said", Static).update(inert(text))

    def action_back(self) -> None:
        """From the second question to the first, and from there out."""
        if self._first is None:
            self.dismiss(None)
            return
        self._first = None
        self._ask()
        self.query_one(RowList).refresh()


def _room(width: int) -> tuple[int, bool]:
    """Cells for the run's name, and whether there is room for a metric."""
    return (width - 68, True) if width >= 92 else (max(width - 36, 16), False)


def _header(width: int) -> Content:
    room, _ = _room(width)
    titles = (("run", room + 2, False), ("result", 16, False), ("made", 13, False), ("rows", 5, True))
    return Content.assemble(*(cell(title, cells, right=right) for title, cells, right in titles))
