"""Gives one pane of a screen all the room between mode bar and key bar, and takes it back.

It works by classes alone, so that what was hidden before stays hidden after. The screen's style sheet must say what
`.zoomed` and `.zoomed-away` mean.
"""

from __future__ import annotations

from textual.screen import Screen
from textual.widget import Widget


def zoom(screen: Screen[None], target: Widget) -> None:
    """Enlarges `target`: everything beside it, and beside what it lies in, goes out of sight."""
    unzoom(screen)
    inside: Widget = target
    while inside.id != "body" and isinstance(inside.parent, Widget):
        inside.add_class("zoomed")
        for sibling in inside.parent.children:
            if sibling is not inside:
                sibling.add_class("zoomed-away")
        inside = inside.parent


def unzoom(screen: Screen[None]) -> bool:
    """Takes everything back; whether anything was enlarged."""
    zoomed = screen.query(".zoomed")
    found = bool(zoomed)
    zoomed.remove_class("zoomed")
    screen.query(".zoomed-away").remove_class("zoomed-away")
    return found
