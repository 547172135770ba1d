"""A pane that tells the run's story in words: its log, samples, advice, or the result."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui_tuner.ui import format as fmt
from tui_tuner.ui.status import advice_mark
from tui_tuner.ui.text import inert
from tui_tuner.ui.widgets.result import result_content

if TYPE_CHECKING:
    from tui_tuner.runs.view import RunView

LONGEST = 300
"""Entries that a pane shows; the run folder has all of them."""


class Story(VerticalScroll):
    """A scrolling pane with several views of a run, of which one is shown; its title names them all.

    Args:
        views: names from `VIEWS`, in order.
    """

    def __init__(self, views: list[str], *, id: str | None = None) -> None:
        super().__init__(id=id, classes="pane", can_focus=True)
        self.views = views
        self.current = views[0]
        self._view: RunView | None = None
        self._key: object = None

    def compose(self) -> ComposeResult:
        yield Static(id="story")

    def on_mount(self) -> None:
        self._retitle()

    def on_resize(self) -> None:
        self._draw()

    def choose(self, views: list[str], current: str) -> None:
        """Offers other views, and shows one of them."""
        if (views, current) != (self.views, self.current):
            self.views, self.current, self._key = views, current, None
            self._retitle()
            self._draw()

    def step(self) -> None:
        """Shows the next view."""
        self.choose(self.views, self.views[(self.views.index(self.current) + 1) % len(self.views)])

    def show(self, view: RunView) -> None:
        """Takes over what is new in a run's view, or another run's view."""
        if view is not self._view:
            self._view, self._key = view, None
        self._draw()

    def _draw(self) -> None:
        """Puts the content into the pane, unless it shows it already.

        A log keeps its end in sight as long as nobody has scrolled away from it.
        """
        width = self.scrollable_content_region.width
        if self._view is None or width <= 0:
            return
        key_of, content_of = VIEWS[self.current][1:]
        key = (width, key_of(self._view))
        if key == self._key:
            return
        fresh, self._key = self._key is None, key
        self.query_one("#story", Static).update(content_of(self._view, width))
        if fresh:
            self.anchor(self.current == "log")
            if self.current != "log":
                self.scroll_home(animate=False)

    def _retitle(self) -> None:
        names = [f"[b]{VIEWS[view][0]}[/b]" if view == self.current else VIEWS[view][0] for view in self.views]
        self.border_title = " · ".join(names)
        self.border_subtitle = "v: next" if len(self.views) > 1 else ""


_LEVELS = {"warning": ("▲", "$text-warning"), "error": ("✗", "$text-error")}


def log_key(view: RunView) -> object:
    """What the log's content depends on; equal keys mean equal content."""
    kept = (view.logs, view.checkpoints, view.advice, view.controls, view.skipped)
    return ([len(events) for events in kept], len(view.validation), id(view.logs[-1]) if view.logs else 0)


def log_content(view: RunView, width: int) -> Content:
    """What happened, oldest first: log lines, checkpoints, validations, advice, and what people did."""
    entries: list[tuple[float, str, str, str]] = []
    times, steps, losses = (view.validation.column(name) for name in ("t", "step", "loss"))
    for moment, step, loss in zip(times.tolist(), steps.tolist(), losses.tolist(), strict=True):
        entries.append((moment, "○", f"step {step:,.0f}: validation loss {fmt.number(loss)}", "$foreground"))
    for event in view.logs:
        level = str(event.get("level", "info"))
        sign, style = _LEVELS.get(level, ("·", "$foreground"))
        entries.append((event["t"], sign, str(event.get("text", "")), style))
    for event in view.checkpoints:
        best = " (best)" if event.get("best") else ""
        entries.append((event["t"], "◆", f"step {event['step']}: checkpoint{best}", "$text-secondary"))
    for event in view.advice:
        sign, style = advice_mark(event)
        entries.append((event["t"], sign, str(event.get("text", "")), style))
    for event in view.controls:
        entries.append((event["t"], "»", _control(event), "$text-primary"))
    for event in view.skipped:
        entries.append((event["t"], "▲", f"step {event['step']}: skipped, {event.get('reason', '')}", "$text-warning"))
    entries.sort(key=lambda entry: entry[0])
    if not entries:
        return Content.styled("Nothing was logged yet.", "$text-muted")
    lines = [
        Content.assemble((f"{_clock(moment)} ", "$text-muted"), (f"{sign} ", f"bold {style}"), inert(text, style))
        for moment, sign, text, style in entries[-LONGEST:]
    ]
    return Content("\n").join(lines)


def samples_content(view: RunView, width: int) -> Content:
    """The probes' answers, newest first."""
    if not view.samples:
        return Content.styled(
            "Fixed prompts are answered at every checkpoint, so that you can read what the model learns.", "$text-muted"
        )
    parts: list[Content] = []
    for event in reversed(view.samples[-40:]):
        parts.append(
            Content.assemble((f"step {event['step']}  ", "bold $text-primary"), inert(event["prompt"], "$text-muted"))
        )
        parts.append(Content.assemble("  ", inert(event["text"], lines=True)))
    return Content("\n").join(parts)


def advice_content(view: RunView, width: int) -> Content:
    """What the run's doctor says, newest first."""
    if not view.advice:
        return Content.styled("✓ No advice: nothing looked wrong so far.", "$text-muted")
    parts: list[Content] = []
    for event in reversed(view.advice[-40:]):
        sign, style = advice_mark(event)
        parts.append(Content.assemble((f"{sign} ", f"bold {style}"), inert(event.get("text", ""))))
        if event.get("change"):
            parts.append(Content.assemble(("  try  ", "$text-muted"), inert(event["change"], "$text-primary")))
    return Content("\n").join(parts)


def log_facts(view: RunView, width: int) -> Content:
    """What the log of another program says of its run."""
    started = view.started or {}
    facts = [(name, started.get(name)) for name in ("model", "data", "method", "steps")]
    lines = [Content.assemble((f"{name:<8}", "$text-muted"), inert(value)) for name, value in facts if value]
    note = (
        "Another program trains; this is read from what it prints, and says no more than that. "
        "There are no samples in it and no benchmark."
    )
    return Content("\n").join([*lines, Content.styled(note, "$text-muted")])


def _control(event: dict[str, Any]) -> str:
    value = event.get("value")
    what = str(event.get("what", "")).replace("_", " ")
    return f"{what}{'' if value is None else f' = {value}'}, asked by {event.get('by', 'somebody')}"


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment)) if moment == moment else "--:--:--"


VIEWS: dict[str, tuple[str, Callable[[RunView], object], Callable[[RunView, int], Content]]] = {
    "result": ("Result", lambda view: (view.started, len(view.evaluations), view.verdict), result_content),
    "log": ("Log", log_key, log_content),
    "samples": ("Samples", lambda view: (len(view.samples), view.samples[-1:]), samples_content),
    "about": ("About", lambda view: id(view.started), log_facts),
    "advice": ("Advice", lambda view: (len(view.advice), view.advice[-1:]), advice_content),
}
"""Name → heading, what the content depends on, and the content for a number of cells."""
