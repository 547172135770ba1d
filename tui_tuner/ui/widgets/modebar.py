"""The two lines at the top: the modes with their keys, and what the workbench is busy with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.style import Style

from tui_tuner.runs.state import RunState
from tui_tuner.ui import format as fmt
from tui_tuner.ui.actions import MODES
from tui_tuner.ui.status import status_content
from tui_tuner.ui.text import clip, clip_middle, visible
from tui_tuner.ui.widgets.bar import Bar

if TYPE_CHECKING:
    from tui_tuner.ui.app import TunerApp
    from tui_tuner.ui.follower import Follower


_ROOMY = 116
"""Cells from which on the line says what the run computes on."""
_NO_RUN = Content.assemble(
    (" no run open   ", "$text-muted"), ("7", "bold $text-primary"), (" opens one   ", "$text-muted"),
    ("0", "bold $text-primary"), (" starts one", "$text-muted"),
)  # fmt: skip


class ModeBar(Bar):
    """Tabs, and one line about the run being looked at. It reads the app's state."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self._mode = mode
        self._tabs_of: tuple[tuple[int, bool], Content] = ((-1, False), Content(""))

    def content(self) -> Content:
        width = self.size.width
        look = (width, self.app.native_ansi_color)
        if self._tabs_of[0] != look:
            self._tabs_of = (look, self._tabs())
        return Content("\n").join([self._tabs_of[1], self._what_runs()])

    def _tabs(self) -> Content:
        roomy = self.size.width >= 96
        # On one of the terminal's own colours its text might not be read; turned round, it is as clear as on the page.
        shown = "bold reverse $primary" if self.app.native_ansi_color else "bold $background on $primary"
        parts: list[Content] = []
        for mode, (key, label, _about) in MODES.items():
            click = Style.from_meta({"@click": f"app.mode('{mode}')"})
            if mode == "home":
                style = "bold $text-accent" if mode == self._mode else "$text-muted"
                text = Content.assemble((f" {key} ", "bold $text-primary"), ("tui_tuner  " if roomy else "⌂ ", style))
                parts.append(text.stylize(click))
                continue
            gap = "  " if roomy else " "
            if mode == self._mode:
                text = Content.styled(f" {key} {label} ", shown)
            else:
                text = Content.assemble((f" {key}", "bold $text-primary"), (f" {label} ", "$foreground"))
            parts.append(text.stylize(click) + Content(gap if mode != "runs" else ""))
        line = Content("").join(parts)
        return line if line.cell_length <= self.size.width else line.truncate(self.size.width)

    def _what_runs(self) -> Content:
        app: TunerApp = self.app  # type: ignore[assignment]
        width = self.size.width - 2
        follower = app.state.follower
        if app.stopping:
            return Content.styled(clip(" ◌ stopping and saving …", width), "bold $text-warning")
        if follower is None or not follower.ready:
            experiment = app.state.experiment
            if experiment is None:
                return _NO_RUN if follower is None else Content.styled(" reading the run …", "$text-muted")
            return Content.assemble(
                (" ○ not started  ", "$text-muted"), (clip(experiment.run.name, max(8, width - 40)), "$foreground"),
                ("  f5 starts it", "$text-muted"),
            )  # fmt: skip
        return self._run_line(follower, app.state.run is None, width)

    def _run_line(self, follower: Follower, outside: bool, width: int) -> Content:
        view = follower.view
        left = Content(" ") + status_content(follower.state, follower.word)
        facts: list[str] = ["watched from outside"] if outside else []
        if view.ranks > 1:
            facts.append(f"{view.ranks} ranks")
        if self._mode == "train":  # its own lines tell how far it is
            facts += [visible(view.model)] if view.model else []
            facts += [f"on {visible(view.device)}"] if view.device and width >= _ROOMY else []
        elif view.steps:
            facts.append(f"step {view.step:,}/{view.steps:,}")
        if follower.state is RunState.RUNNING and self._mode != "train":
            eta = view.eta_seconds(self.app.clock())  # type: ignore[attr-defined]
            if eta is not None:
                facts.append(f"{fmt.duration(eta)} left")
        right = clip(" · ".join(facts), width // 2)
        room = width - left.cell_length - len(right) - 4
        kind = "log " if outside else ""
        name = clip_middle(follower.name, max(8, room - len(kind)))
        line = left + Content.assemble("  ", (kind, "$text-muted"), (name, "$foreground"))
        pad = width - line.cell_length - len(right) + 1
        return line + Content(" " * max(2, pad)) + Content.styled(right, "$text-muted")
