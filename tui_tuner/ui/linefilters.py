"""What a drawn line goes through where the colours are the terminal's own, of which nobody knows how they look.

The line under the cursor is turned round, and without colour (`NO_COLOR`) all of them are left out. Nothing here may
touch a line in a theme whose colours we know.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as Shade
from textual.filter import LineFilter, Monochrome, NoColor

from tui_tuner.ui.themes import CURSOR, ON_CURSOR

_BEHIND, _BEFORE = Shade.parse(CURSOR).rich_color, Shade.parse(ON_CURSOR).rich_color
_ROUND = Style(bgcolor=Color.default(), reverse=True)
_PLAIN = _ROUND + Style(color=Color.default())


class CursorLine(LineFilter):
    """Turns the line under the cursor round, which is told by the colour behind it.

    On any of the sixteen a sign of that colour would be lost, and others would be hard to read; turned round, each
    keeps the contrast that it has on the page. Styles cannot say so: Textual leaves `reverse` out for options.
    """

    def apply(self, segments: list[Segment], background: Shade) -> list[Segment]:
        """The segments of a line, those of the line under the cursor turned round."""
        return [_turned(each) for each in segments]


def _turned(segment: Segment) -> Segment:
    text, style, control = segment
    if style is None or style.bgcolor != _BEHIND:
        return segment
    return Segment(text, style + (_PLAIN if style.color in (None, _BEFORE) else _ROUND), control)


_CURSOR_LINE, _NO_COLOR = CursorLine(), NoColor()  # Textual keeps what a filter made of a line, so there is one of each


def for_terminal(found: Sequence[LineFilter]) -> list[LineFilter]:
    """The filters in a theme of the terminal's own colours.

    Args:
        found: Textual's; what it chose for `NO_COLOR` before it knew the theme makes all of these colours black.
    """
    return [_CURSOR_LINE, *(_NO_COLOR if isinstance(each, Monochrome) else each for each in found)]
