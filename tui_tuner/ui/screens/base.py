"""What every screen has: mode bar, body, key bar, and three hooks that say what changed.

A screen overrides `compose_body` and the hooks it cares for. The hooks are called on the event loop, only while the
screen is visible, and once each time it is shown; an exception in one becomes a notice. A screen must never start a
thread worker of its own for long work, touch the engine's arrays, or show text from outside without `text.inert`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, TextArea

from tui_tuner.ui.helptexts import help_for
from tui_tuner.ui.text import inert
from tui_tuner.ui.widgets.bar import Bar
from tui_tuner.ui.widgets.keybar import KeyBar
from tui_tuner.ui.widgets.modebar import ModeBar

if TYPE_CHECKING:
    from tui_tuner.runs.view import RunView
    from tui_tuner.ui.app import TunerApp


class WorkbenchScreen(Screen[None]):
    """Base of the eight screens.

    Class attributes:
        MODE: the mode's name; picks tab, keys and help.
        TAB: the mode whose tab is lit; its own unless the screen is a view over another one.
        EMPTY: what `empty_text` says when there is nothing to show: what is missing, and which key gets it.
        INTRO: a sentence or two for the help panel: what this screen is for.
    """

    MODE: str = ""
    TAB: str = ""
    EMPTY: ClassVar[str] = ""
    INTRO: ClassVar[str] = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (34, "-tall")]  # noqa: RUF012

    @property
    def tuner(self) -> TunerApp:
        """The app, with its type."""
        return cast("TunerApp", self.app)

    @property
    def view(self) -> RunView | None:
        """The run being looked at, or None when there is none (or it is still being read)."""
        follower = self.tuner.state.follower
        return follower.view if follower is not None and follower.ready else None

    @property
    def empty_text(self) -> Content:
        """What to show in place of content that does not exist yet."""
        return inert(self.EMPTY, lines=True)

    def compose(self) -> ComposeResult:
        top, bottom = ModeBar(self.TAB or self.MODE), KeyBar(self.MODE)
        yield top
        with Container(id="body"):
            yield from self.compose_body()
        yield bottom

    def compose_body(self) -> ComposeResult:
        """The widgets between mode bar and key bar."""
        yield from ()

    @on(events.Resize)
    def _grade_size(self, event: events.Resize) -> None:
        """Very large windows have a class on top of `-wide` and `-tall`."""
        self.set_class(event.size.width >= 150, "-huge")
        self.set_class(event.size.height >= 46, "-towering")

    def on_run_changed(self, view: RunView | None) -> None:
        """The run being looked at has new events or another state, or it is another run, or there is none (None)."""

    def on_experiment_changed(self) -> None:
        """Another experiment was loaded, or a field of it edited."""

    def on_engine_changed(self) -> None:
        """A job was submitted, began or ended."""

    def go_back(self) -> bool:
        """Escape was pressed. True when the screen used it up; otherwise the app goes home.

        A text field that has the focus gives it up first, so that single keys mean actions again.
        """
        if isinstance(self.focused, Input | TextArea):
            self.set_focus(None)
            return True
        return False

    def help_text(self) -> str:
        """What `?` says first: what has the focus is for, and what the screen is."""
        about = "" if self.focused is None else help_for(self.MODE, self.focused)
        return "\n\n".join(part for part in (about, self.INTRO) if part)

    def refresh_bars(self) -> None:
        """Brings mode bar and key bar up to date; the app calls it after every change."""
        for child in self.children:
            if isinstance(child, Bar):
                child.freshen()

    def call_hook(self, name: str) -> None:
        """Calls a hook by its name; what it raises is reported, not passed on.

        A screen that is still being built is left alone: it is told everything when it is shown. So is one that is
        being taken down with the app.
        """
        if not self.is_mounted or not self.app.is_running:
            return
        try:
            if name == "run":
                self.on_run_changed(self.view)
            elif name == "experiment":
                self.on_experiment_changed()
            else:
                self.on_engine_changed()
        except Exception as error:
            self.tuner.report(error)

    def on_screen_resume(self) -> None:
        """Brings the screen up to date whenever it is shown."""
        for name in ("experiment", "engine", "run"):
            self.call_hook(name)
        self.refresh_bars()

    async def _on_message(self, message: Message) -> None:
        """Keeps an exception in one of the screen's handlers from ending the app."""
        try:
            await super()._on_message(message)
        except Exception as error:
            self.tuner.report(error)

    def when_shown(self, call: Callable[[], None]) -> None:
        """Runs `call` after the next refresh, if the screen is still the visible one by then."""
        self.call_after_refresh(lambda: call() if self.is_current else None)
