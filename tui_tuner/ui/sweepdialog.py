"""A sweep over the experiment that is set up: edited as text, with the runs it means and what they take beside it.

It asks, and hands back what is wished. What was written is handed back in any case, so that nothing typed is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Static, TextArea

from tui_tuner.config.model import Experiment
from tui_tuner.config.sweep import Trial
from tui_tuner.config.sweep_table import Sweep
from tui_tuner.config.sweep_text import sweep_of, switched
from tui_tuner.engine.forecast_requests import ForecastSweep
from tui_tuner.engine.protocol import Engine
from tui_tuner.errors import TunerError
from tui_tuner.ui.leaving import Question
from tui_tuner.ui.text import inert
from tui_tuner.ui.widgets import sweep_table
from tui_tuner.ui.widgets.config_document import lines_of
from tui_tuner.ui.widgets.config_editor import TomlEditor
from tui_tuner.ui.widgets.data_lookup import Lookup
from tui_tuner.ui.widgets.data_pane import TextPane
from tui_tuner.ui.widgets.words import Hint

_SOON = 0.3
"""Seconds after the last change before a forecast is asked for."""
_LOOK = 0.25
"""Seconds between looks whether it has come."""


@dataclass(frozen=True)
class SweepWish:
    """What is wished.

    Attributes:
        text: what was written.
        sweep: what shall be queued; None for nothing.
        trials: its runs.
    """

    text: str
    sweep: Sweep | None = None
    trials: tuple[Trial, ...] = ()


class SweepDialog(ModalScreen[SweepWish]):
    """Edits a sweep and asks whether to queue it.

    Args:
        experiment: what all runs have in common.
        base: the folder that its relative paths start from.
        text: the sweep to begin with.
        engine: is asked what the runs take.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back"),
        Binding("ctrl+s", "queue", "Queue"),
        Binding("ctrl+t", "switch", "Grid/random"),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    DEFAULT_CSS = """
    SweepDialog #sweep-panes { height: 1fr; layout: vertical; }
    SweepDialog TomlEditor { height: 2fr; min-height: 5; background: $surface; }
    SweepDialog TextPane { height: 3fr; min-height: 4; background: $surface; border: round $border-blurred; }
    SweepDialog TextPane { border-title-color: $text-muted; border-subtitle-color: $text-muted; }
    SweepDialog TextPane:focus { border: round $border; border-title-color: $text-primary; }
    SweepDialog.-wide #sweep-panes { layout: horizontal; }
    SweepDialog.-wide TomlEditor { width: 1fr; height: 1fr; }
    SweepDialog.-wide TextPane { width: 1fr; height: 1fr; }
    SweepDialog #sweep-said { height: auto; max-height: 6; scrollbar-size-vertical: 1; }
    SweepDialog #sweep-said Static { height: auto; }
    SweepDialog .dialog .hint { margin-top: 0; }
    """

    def __init__(self, experiment: Experiment, base: Path | None, text: str, engine: Engine) -> None:
        super().__init__()
        self._experiment, self._base, self._text, self._engine = experiment, base, text, engine
        self._sweep: Sweep | None = None
        self._trials: list[Trial] = []
        self._lookup = Lookup()
        self._soon: Timer | None = None
        self._seen: object = None

    def compose(self) -> ComposeResult:
        box = Vertical(classes="dialog")
        box.border_title = "Sweep"
        with box:
            with Container(id="sweep-panes"):
                yield TomlEditor(id="sweep-text")
                yield TextPane("Runs", id="sweep-runs")
            with VerticalScroll(id="sweep-said", can_focus=False):
                yield Static("", markup=False)
            yield Hint("^s queue them   ^t grid/random   tab to the runs   esc go back")

    def on_mount(self) -> None:
        editor = self.query_one(TomlEditor)
        editor.border_title = "What is tried"
        editor.load_text(self._text)
        editor.move_cursor(editor.document.end)
        editor.focus()
        self.set_interval(_LOOK, self._look)
        self._read()

    @property
    def written(self) -> str:
        """The text as it stands."""
        return self.query_one(TomlEditor).text

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        self._read()

    def _read(self) -> None:
        """Takes in what is written: the runs that it means, or what is wrong with it."""
        editor = self.query_one(TomlEditor)
        try:
            self._sweep, self._trials = sweep_of(self._experiment, self.written)
        except TunerError as error:
            self._sweep, self._trials = None, []
            self._lookup.forget()
            editor.mark(-1, lines_of(error, self.written))
            self._say("✗", "$text-error", error.sentence())
            self._draw()
            return
        editor.mark(-1)
        self._draw()
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(_SOON, self._ask)

    @property
    def _told(self) -> sweep_table.Told:
        found = self._lookup.result if self._lookup.asked(self._key) else None
        return found if isinstance(found, list) else []

    @property
    def _key(self) -> str:
        return repr([trial.values for trial in self._trials])

    def _ask(self) -> None:
        if self._trials:
            runs = tuple(trial.experiment for trial in self._trials)
            self._lookup.ask(self._engine, self._key, ForecastSweep(runs, self._base))

    def _look(self) -> None:
        now = (self._lookup.handle, self._lookup.waiting)
        if now != self._seen:
            self._seen = now
            if self._sweep is not None:
                self._draw()

    def _draw(self) -> None:
        trials, told, pane = self._trials, self._told, self.query_one(TextPane)
        pane.border_subtitle = f"{len(trials)}" if trials else ""
        pane.draw(lambda width: sweep_table.drawn(trials, told, width) if trials else Content(""), keep_place=True)
        if self._sweep is not None:
            how = f", {self._sweep.method}, ranked by {self._sweep.metric}"
            problem = self._lookup.problem if self._lookup.asked(self._key) else ""
            self._say("✓", "$text-success", f"{sweep_table.summed(trials, told)}{how}. {problem}".strip())

    def _say(self, sign: str, style: str, text: str) -> None:
        said = Content.assemble((f"{sign} ", f"bold {style}"), inert(text, style if sign == "✗" else ""))
        self.query_one("#sweep-said Static", Static).update(said)
        self.query_one("#sweep-said").scroll_home(animate=False)

    def action_switch(self) -> None:
        """Tries every combination, or draws some."""
        self.query_one(TomlEditor).load_text(switched(self.written))

    def action_queue(self) -> None:
        """Asks whether to queue the runs."""
        sweep, trials = self._sweep, tuple(self._trials)
        if sweep is None:
            self.app.bell()
            return
        many = "1 run" if len(trials) == 1 else f"{len(trials)} runs"
        choices = [
            ("queue", f"Queue {many}", "At the end of the queue; the open app works it off while it is idle."),
            ("no", "Go back", "Queues nothing."),
        ]

        def answered(answer: str | None) -> None:
            if answer == "queue":
                self._lookup.forget()
                self.dismiss(SweepWish(self.written, sweep, trials))

        text = f"{sweep_table.summed(trials, self._told)}."
        self.app.push_screen(Question("Queue the sweep", text, choices), answered)

    def action_cancel(self) -> None:
        self._lookup.forget()
        self.dismiss(SweepWish(self.written))
