"""A pane that tells the run's story: its log, samples, advice, or the result.

Most views are text. A view that one can do something with brings a widget of its own (`PARTS`), which stands in the
pane in place of the text whenever it has something to show.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.runs.columns import number
from tui_tuner.ui import format as fmt
from tui_tuner.ui.status import advice_mark
from tui_tuner.ui.text import inert
from tui_tuner.ui.widgets.advicelist import AdviceList
from tui_tuner.ui.widgets.result import result_content

if TYPE_CHECKING:
    from tui_tuner.runs.view import RunView

LONGEST = 300
"""Entries that a pane shows; the run folder has all of them."""
_BETWEEN, _NEXT = " · ", "v: next"
_TITLE = 3
"""Cells before the title in the upper edge."""


class Part(Protocol):
    """A widget that stands in the pane in place of a view's text."""

    def show(self, view: RunView) -> bool:
        """Takes over what is new of a run; False when it has nothing to show, and the text is to be seen."""


class Story(VerticalScroll):
    """A scrolling pane with several views of a run, of which one is shown; its title names them all.

    Args:
        views: names from `VIEWS`, in order.
    """

    class Chosen(Message):
        """The name of a view in the title was pressed, or the hint that leads to the next one."""

        def __init__(self, story: Story, view: str) -> None:
            super().__init__()
            self.story, self.view = story, view

    def __init__(self, views: list[str], *, id: str | None = None) -> None:
        super().__init__(id=id, classes="pane", can_focus=True)
        self.views = views
        self.current = views[0]
        self._view: RunView | None = None
        self._key: object = None

    def compose(self) -> ComposeResult:
        yield Static(id="story-text")
        for view in self.views:
            if view in PARTS:
                part = PARTS[view](id=f"story-{view}")
                part.display = False
                yield part

    def on_mount(self) -> None:
        self._retitle()

    @property
    def part(self) -> Widget | None:
        """The widget of the view that is shown, if it has one and that has something to show."""
        found = self.query(f"#story-{self.current}")
        return found.first() if found and found.first().display else None

    def on_resize(self) -> None:
        self._draw()

    def choose(self, views: list[str], current: str) -> None:
        """Offers other views, and shows one of them."""
        if (views, current) != (self.views, self.current):
            self.views, self.current, self._key = views, current, None
            self._retitle()
            self._draw()

    def on_click(self, event: events.Click) -> None:
        """A view's name in the title leads to it, the lower edge to the next one."""
        place = self.region
        if event.screen_y == place.y:
            self._press(self._named_at(event.screen_x - place.x - _TITLE))
        elif event.screen_y == place.bottom - 1 and event.screen_x >= place.right - len(_NEXT) - _TITLE:
            self._press(self.views[(self.views.index(self.current) + 1) % len(self.views)])

    def _press(self, view: str) -> None:
        if view and view != self.current:
            self.post_message(self.Chosen(self, view))

    def _named_at(self, x: int) -> str:
        """The view whose name stands in that cell of the title; empty where there is none."""
        begin = 0
        for view in self.views:
            name = VIEWS[view][0]
            if begin <= x < begin + len(name):
                return view
            begin += len(name) + len(_BETWEEN)
        return ""

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
        taken = False
        for view in PARTS:
            for part in self.query(f"#story-{view}"):
                shown = view == self.current and cast("Part", part).show(self._view)
                part.display = shown
                taken = taken or shown
        text = self.query_one("#story-text", Static)
        if text.display == taken:
            text.display = not taken
            self._retitle()
        text.update(content_of(self._view, width))
        if fresh:
            self.anchor(self.current == "log")
            if self.current != "log":
                self.scroll_home(animate=False)

    def _retitle(self) -> None:
        names = [f"[b]{VIEWS[view][0]}[/b]" if view == self.current else VIEWS[view][0] for view in self.views]
        self.border_title = _BETWEEN.join(names)
        hints = [*PART_HINTS.get(self.current, []), _NEXT] if self.part is not None else [_NEXT]
        self.border_subtitle = " · ".join(hints) if len(self.views) > 1 else ""


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
            "Fixed prompts are answered at every validation, so that you can read what the model learns: b shows them.",
            "$text-muted",
        )
    parts: list[Content] = []
    for event in reversed(view.samples[-40:]):
        parts.append(
            Content.assemble((f"step {event['step']}  ", "bold $text-primary"), inert(event["prompt"], "$text-muted"))
        )
        parts.append(Content.assemble("  ", inert(event["text"], lines=True)))
    return Content("\n").join(parts)


def advice_content(view: RunView, width: int) -> Content:
    """What stands there while the run's doctor has said nothing; its advice has a part of its own."""
    return Content.styled("✓ No advice: nothing looked wrong so far.", "$text-muted")


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
    """What somebody did to the run, with the numbers where there are any."""
    what = str(event.get("what", "")).replace("_", " ")
    value, before, step = (number(event.get(name)) for name in ("value", "before", "step"))
    if value is not None:
        what += f" {fmt.rate(before)} → {fmt.rate(value)}" if before is not None else f" {fmt.rate(value)}"
    where = "" if step is None else f"step {step:,.0f}: "
    return f"{where}{what}, asked by {event.get('by', 'somebody')}"


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

PARTS: dict[str, Callable[..., Widget]] = {"advice": AdviceList}
"""Name → the widget of a view that is more than text: a `Part`, made with an id."""

PART_HINTS = {"advice": ["x: mark", "a: follow"]}
"""Keys that a part brings along, for the pane's lower edge."""
