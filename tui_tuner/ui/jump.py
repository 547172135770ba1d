"""Jump: a letter on each thing of the screen that can have the focus or be pressed; typing the letter goes there.

The letters are drawn over a copy of what the screen showed, so that nothing below moves while one looks for one's
letter. It must never press or focus anything that is not to be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.geometry import Offset, Region, Size
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import DataTable, Input, OptionList, TextArea

from tui_tuner.ui.actions import MODES
from tui_tuner.ui.widgets.bar import Bar

LETTERS = "asdfghjklqwertyuiopzxcvbnmASDFGHJKLQWERTYUIOPZXCVBNM"
"""In the order they are given out: those under the fingers first."""
HINT = " a letter goes where it stands   a digit to its screen   esc stays here"
NOTHING = " nothing here can be gone to   a digit goes to its screen   esc stays here"
Target = tuple[str, int] | None
"""A line of a list ("option" or "row", and which), something that is pressed ("press", 0), or the widget itself."""


@dataclass(frozen=True)
class Place:
    """Somewhere to go.

    Attributes:
        at: the cell where its letter stands.
        widget: what gets the focus.
        target: what of it.
        action: what is called, for something that is pressed.
    """

    at: Offset
    widget: Widget
    target: Target = None
    action: str = ""


def places(screen: Screen[object]) -> list[Place]:
    """What of a screen can be gone to: widgets first, then what can be pressed, then the lines of lists."""
    found = [place for widget in screen.focus_chain if (place := _widget_place(screen, widget)) is not None]
    lines = list(_line_places(screen))
    pressed = [place for place in lines if place.action]
    return [*found, *pressed, *(place for place in lines if not place.action)][: len(LETTERS)]


def _widget_place(screen: Screen[object], widget: Widget) -> Place | None:
    region = _seen(screen, widget)
    return Place(region.offset, widget) if region else None


def _seen(screen: Screen[object], widget: Widget) -> Region:
    """The part of a widget that is to be seen."""
    if not widget.display or widget not in screen._compositor.visible_widgets:
        return Region()
    region, clip = screen._compositor.visible_widgets[widget]
    return region.intersection(clip)


def _line_places(screen: Screen[object]) -> Iterator[Place]:
    """What lines and words of the screen say of themselves: the option or row that they are, or what a click does."""
    listed: set[tuple[Widget, object]] = set()
    for y, strip in enumerate(screen._compositor.render_strips()):
        x = 0
        for segment in strip:
            meta: Mapping[str, object] = segment.style.meta if segment.style is not None else {}
            if meta and ("option" in meta or "row" in meta or "@click" in meta):
                widget, _ = screen.get_widget_at(x, y)
                place = _line_place(widget, Offset(x, y), meta)
                if place is not None and (key := (widget, place.target or place.action)) not in listed:
                    listed.add(key)
                    yield place
            x += segment.cell_length


def _line_place(widget: Widget, at: Offset, meta: Mapping[str, object]) -> Place | None:
    option, row, click = meta.get("option"), meta.get("row"), meta.get("@click")
    if isinstance(widget, OptionList) and isinstance(option, int) and option < widget.option_count:
        free = widget.can_focus and not widget.get_option_at_index(option).disabled
        return Place(at, widget, ("option", option)) if free else None
    if isinstance(widget, DataTable) and isinstance(row, int) and row >= 0:
        return Place(at, widget, ("row", row)) if widget.can_focus else None
    if isinstance(click, str) and not isinstance(widget, Bar):  # the bars tell their keys themselves
        return Place(at, widget, ("press", 0), click)
    return None


class JumpScreen(ModalScreen[Place | str | None]):
    """Shows the letters. Returns the place that was chosen, a mode's name, or None.

    Args:
        below: the screen that is looked at.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back")]
    DEFAULT_CSS = """
    JumpScreen { background: transparent; }
    JumpScreen Letters { width: 100%; height: 100%; }
    """
    AUTO_FOCUS = None

    def __init__(self, below: Screen[object]) -> None:
        super().__init__()
        self._places = dict(zip(LETTERS, places(below), strict=False))
        self._strips = below._compositor.render_strips()
        self._size = below.size

    def compose(self) -> ComposeResult:
        yield Letters(self._strips, {place.at: letter for letter, place in reversed(self._places.items())}, self._size)

    def help_text(self) -> str:
        """What `?` says here."""
        return "A letter goes where it stands, a digit to its screen; escape stays."

    def on_key(self, event: events.Key) -> None:
        event.stop()
        if event.key == "escape":
            self.dismiss(None)
        elif (letter := event.character or "") in self._places:
            self.dismiss(self._places[letter])
        elif mode := next((mode for mode, (key, _, _) in MODES.items() if key == letter), ""):
            self.dismiss(mode)

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.dismiss(None)

    def on_resize(self, event: events.Resize) -> None:
        """Letters would stand in the wrong places."""
        if event.size != self._size:
            self.dismiss(None)

    def action_leave(self) -> None:
        self.dismiss(None)


class Letters(Widget):
    """What the screen showed, dimmed, with letters on it."""

    ALLOW_SELECT = False

    def __init__(self, strips: list[Strip], letters: Mapping[Offset, str], size: Size) -> None:
        super().__init__()
        self._strips, self._letters, self._last = strips, letters, size.height - 1

    def render_line(self, y: int) -> Strip:
        if y >= len(self._strips):
            return Strip.blank(self.size.width)
        strip = Strip([Segment(each.text, _faint(each.style)) for each in self._strips[y] if not each.control])
        badge = self._badge()
        if y == self._last:
            return Strip([Segment(HINT if self._letters else NOTHING, badge)]).adjust_cell_length(
                self.size.width, badge
            )
        for at, letter in sorted(self._letters.items()):
            if at.y == y:
                width = strip.cell_length
                parts = [strip.crop(0, at.x), Strip([Segment(f" {letter} ", badge)]), strip.crop(at.x + 3, width)]
                strip = Strip.join(parts).adjust_cell_length(width)
        return strip

    def _badge(self) -> Style:
        """Letters in the colour of the page on that of its text; turned round where these are the terminal's, which in
        other themes need not be those of the page."""
        if self.app.native_ansi_color:
            return Style(bold=True, reverse=True, color=self.styles.color.rich_color)
        text, page = (Color.parse(self.app.theme_variables[name]).rich_color for name in ("background", "foreground"))
        return Style(bold=True, color=text, bgcolor=page)


def _faint(style: Style | None) -> Style:
    return Style(dim=True) if style is None else style.clear_meta_and_links() + Style(dim=True, bold=False)


def typing(widget: Widget | None) -> bool:
    """Whether what is typed goes into a text."""
    return isinstance(widget, Input | TextArea)
